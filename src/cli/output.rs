//! What a command prints on stdout.

use std::io::{self, Write};

use serde::Serialize;

use super::error::CliError;

/// Prints bytes. A reader that has gone away has read what it wanted.
pub(super) fn bytes(bytes: &[u8]) -> Result<(), CliError> {
    match std::io::stdout().write_all(bytes) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(CliError::Output(error)),
        _ => Ok(()),
    }
}

/// Prints text.
pub(super) fn text(text: &str) -> Result<(), CliError> {
    bytes(text.as_bytes())
}

/// Prints JSON for people and programs.
pub(super) fn json(value: &impl Serialize) -> Result<(), CliError> {
    let printed = serde_json::to_string_pretty(value).map_err(|error| CliError::Output(error.into()))?;
    text(&(printed + "\n"))
}
