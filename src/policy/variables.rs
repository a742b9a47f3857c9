//! Names of environment variables: one by one, or all that begin in some way.

use std::fmt;

/// `NAME`, or `BEGINNING*` for every name that begins so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variables(String);

/// A text that names no variables.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} names no variables: use NAME, or BEGINNING* for all that begin so")]
pub struct VariablesError(String);

impl Variables {
    /// Takes a name, or a beginning with `*` behind it.
    pub fn parse(text: &str) -> Result<Self, VariablesError> {
        let name = text.strip_suffix('*').unwrap_or(text);
        let is_sound = |c: char| !c.is_control() && !c.is_whitespace() && !['=', '*', ','].contains(&c);
        if name.is_empty() || !name.chars().all(is_sound) {
            return Err(VariablesError(text.chars().take(40).collect()));
        }
        Ok(Variables(text.to_owned()))
    }

    /// Whether `name` is one of them. Windows does not tell large letters from small ones.
    pub fn include(&self, name: &str) -> bool {
        let same = |a: &str, b: &str| if cfg!(windows) { a.eq_ignore_ascii_case(b) } else { a == b };
        match self.0.strip_suffix('*') {
            Some(beginning) => name.get(..beginning.len()).is_some_and(|begins| same(begins, beginning)),
            None => same(name, &self.0),
        }
    }
}

impl fmt::Display for Variables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_itself_and_a_beginning_is_all_that_begin_so() {
        let include = |text: &str, name: &str| Variables::parse(text).unwrap().include(name);
        assert!(include("AWS_KEY", "AWS_KEY") && !include("AWS_KEY", "AWS_KEY_2") && !include("AWS_KEY", "MY_AWS_KEY"));
        assert!(
            include("AWS_*", "AWS_KEY")
                && include("AWS_*", "AWS_")
                && !include("AWS_*", "AW")
                && !include("AWS_*", "é")
        );
    }

    #[test]
    fn what_names_no_variables_is_refused() {
        for text in ["", "*", "A=B", "A*B", "*A", "A B", "A,B", "A\n"] {
            let error = Variables::parse(text).unwrap_err().to_string();
            assert!(error.contains("BEGINNING*"), "{error}");
        }
    }
}
