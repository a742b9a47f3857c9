//! A value as it was written, in a settings file or in the environment, before it is checked.

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use toml::de::DeValue;

/// What is expected instead, as a sentence that follows `place: key: `.
pub(super) type Problem = String;

/// A value as it was written.
#[derive(Debug, Clone, Copy)]
pub(super) enum Given<'a> {
    /// From the environment, where numbers and booleans are spelled; never blank.
    Word(&'a str),
    /// From a settings file.
    Toml(&'a DeValue<'a>),
}

impl<'a> Given<'a> {
    /// Text that is not blank.
    pub(super) fn text(self) -> Result<&'a str, Problem> {
        let text = match self {
            Given::Word(word) => Some(word),
            Given::Toml(value) => value.as_str(),
        };
        match text {
            Some(text) if text.trim().is_empty() => Err("expected a string that is not blank".to_owned()),
            Some(text) => Ok(text),
            None => Err(self.expected("a string")),
        }
    }

    /// Text that `parse` takes.
    pub(super) fn parsed<T, E: ToString>(self, parse: impl FnOnce(&str) -> Result<T, E>) -> Result<T, Problem> {
        parse(self.text()?).map_err(|error| error.to_string())
    }

    /// A path, relative to `base`.
    pub(super) fn path(self, base: &Path) -> Result<PathBuf, Problem> {
        Ok(base.join(self.text()?))
    }

    /// A program: a bare name is looked for on `PATH` when it is started, anything longer is a path relative to `base`.
    pub(super) fn program(self, base: &Path) -> Result<PathBuf, Problem> {
        let text = self.text()?;
        let is_name = !text.contains(std::path::is_separator);
        Ok(if is_name { PathBuf::from(text) } else { base.join(text) })
    }

    /// A whole number in `range`.
    pub(super) fn number(self, range: RangeInclusive<u64>) -> Result<u64, Problem> {
        let number = match self {
            Given::Word(word) => word.parse().ok(),
            Given::Toml(value) => value.as_integer().and_then(|i| u64::from_str_radix(i.as_str(), i.radix()).ok()),
        };
        number
            .filter(|number| range.contains(number))
            .ok_or_else(|| self.expected(&format!("a whole number from {} to {}", range.start(), range.end())))
    }

    /// Texts that `parse` takes; in the environment they stand between commas.
    pub(super) fn list<T, E: ToString>(self, parse: impl Fn(&str) -> Result<T, E>) -> Result<Vec<T>, Problem> {
        match self {
            Given::Word(word) => word.split(',').map(|text| Given::Word(text.trim()).parsed(&parse)).collect(),
            Given::Toml(DeValue::Array(array)) => {
                array.iter().map(|value| Given::Toml(value.get_ref()).parsed(&parse)).collect()
            }
            Given::Toml(_) => Err(self.expected("an array of strings")),
        }
    }

    /// A boolean.
    pub(super) fn boolean(self) -> Result<bool, Problem> {
        match self {
            Given::Word("true" | "1") => Ok(true),
            Given::Word("false" | "0") => Ok(false),
            Given::Word(_) => Err(self.expected("true or false")),
            Given::Toml(value) => value.as_bool().ok_or_else(|| self.expected("true or false")),
        }
    }

    /// The sentence that names what was expected and what is there instead.
    pub(super) fn expected(self, what: &str) -> Problem {
        let found = match self {
            Given::Word(word) => format!("{word:?}"),
            Given::Toml(DeValue::Integer(number)) => number.to_string(),
            Given::Toml(array @ DeValue::Array(_)) => format!("an {}", array.type_str()),
            Given::Toml(other) => format!("a {}", other.type_str()),
        };
        format!("expected {what}, found {found}")
    }
}
