//! Words as a person would type them in a shell.

use std::borrow::Cow;
use std::io::{self, BufRead, Write};
use std::path::Path;

/// A word as a shell takes it.
pub(super) fn quoted(word: &str) -> Cow<'_, str> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:@%=,".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.into()
    } else {
        format!("'{}'", word.replace('\'', r"'\''")).into()
    }
}

/// A path as a shell takes it.
pub(super) fn path(path: &Path) -> String {
    quoted(&path.to_string_lossy()).into_owned()
}

/// A command's words on one line.
pub(super) fn line<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    words.into_iter().map(quoted).collect::<Vec<_>>().join(" ")
}

/// Whether the person at the terminal says yes.
pub(super) fn agreed(question: &str) -> io::Result<bool> {
    eprint!("{question} [y/N] ");
    io::stderr().flush()?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_shell_would_take_apart_is_quoted() {
        assert_eq!(line(["a/b", "--x=1", "it's", "a b", ""]), r"a/b --x=1 'it'\''s' 'a b' ''");
    }
}
