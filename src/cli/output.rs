//! What a command prints on stdout.

use std::fmt;
use std::io::{self, Write};

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::error::CliError;
use crate::plain::{is_unseen, on_one_line};

/// Prints bytes, at once: somebody may wait for them. That nobody reads them any more is an error too, which ends the command
/// without a word.
pub(super) fn bytes(bytes: &[u8]) -> Result<(), CliError> {
    let mut out = io::stdout().lock();
    out.write_all(bytes).and_then(|()| out.flush()).map_err(CliError::Output)
}

/// Tells the person at the terminal something beside the output, on stderr: that nobody reads it hinders nothing.
pub(super) fn note(line: fmt::Arguments<'_>) {
    writeln!(io::stderr(), "{line}").ok();
}

/// Prints text.
pub(super) fn text(text: &str) -> Result<(), CliError> {
    bytes(text.as_bytes())
}

/// Rows under their heads, in columns; what others say in a cell is on its line.
pub(super) fn table<const N: usize>(
    heads: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
) -> Result<(), CliError> {
    text(&columns(heads, rows))
}

/// The text of a table.
pub(super) fn columns<const N: usize>(heads: [&str; N], rows: impl IntoIterator<Item = [String; N]>) -> String {
    let rows: Vec<[String; N]> = std::iter::once(heads.map(str::to_owned)).chain(rows).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; N] = std::array::from_fn(width);
    let line = |row: &[String; N]| {
        let cells: Vec<String> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        on_one_line(cells.join("  ").trim_end()) + "\n"
    };
    rows.iter().map(line).collect()
}

/// How long ago that was, in one unit.
pub(super) fn age(since: Timestamp, now: Timestamp) -> String {
    let secs = now.duration_since(since).max(SignedDuration::ZERO).as_secs();
    match secs {
        0..60 => format!("{secs}s"),
        60..3600 => format!("{}m", secs / 60),
        3600..86400 => format!("{}h", secs / 3600),
        _ => format!("{}d", secs / 86400),
    }
}

/// A text for a terminal, where a control character could write over what stands there: those are shown as escapes.
pub(super) fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\t' => shown.push(c),
            c if is_unseen(c) => shown.extend(c.escape_default()),
            c => shown.push(c),
        }
    }
    shown
}

/// Prints JSON for people and programs.
pub(super) fn json(value: &impl Serialize) -> Result<(), CliError> {
    let printed = serde_json::to_string_pretty(value).map_err(|error| CliError::Output(error.into()))?;
    text(&(printed + "\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_is_told_in_one_unit() {
        let now = Timestamp::from_second(1_000_000).unwrap();
        let ago = |secs: i64| age(Timestamp::from_second(1_000_000 - secs).unwrap(), now);
        assert_eq!([ago(0), ago(59), ago(61), ago(7300), ago(200_000)], ["0s", "59s", "1m", "2h", "2d"]);
        assert_eq!(ago(-5), "0s", "of a clock that has jumped");
    }

    #[test]
    fn what_is_shown_on_a_terminal_cannot_write_over_it() {
        assert_eq!(visible("a\u{1b}[2J\tb\r\nc"), "a\\u{1b}[2J\tb\\r\nc");
    }
}
