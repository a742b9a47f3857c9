//! What a command is given on stdin.

use std::io::{self, IsTerminal, Read};
use std::string::FromUtf8Error;

use super::error::CliError;
use super::output;

/// Why what is on stdin is no message.
#[derive(Debug, thiserror::Error)]
pub enum InputFailure {
    /// More than is taken.
    #[error("the message on stdin has more than {0} bytes, which a message may have")]
    TooLong(usize),
    /// Bytes that are no text.
    #[error("the message on stdin is not UTF-8: byte {0} is wrong")]
    NotUtf8(usize),
}

/// The text of a message: as it was given, or, without it and as `-`, everything on stdin, unchanged.
pub(super) fn text(given: Option<String>, most: usize) -> Result<String, CliError> {
    match given {
        Some(text) if text != "-" => Ok(text),
        _ => stdin(most),
    }
}

fn stdin(most: usize) -> Result<String, CliError> {
    let mut stdin = io::stdin().lock();
    if stdin.is_terminal() {
        output::note(format_args!("type the message; an end of file (Ctrl-D) ends it"));
    }
    let mut message = Vec::new();
    (&mut stdin).take(most as u64 + 1).read_to_end(&mut message).map_err(CliError::Input)?;
    if message.len() > most {
        return Err(InputFailure::TooLong(most).into());
    }
    let wrong = |error: FromUtf8Error| InputFailure::NotUtf8(error.utf8_error().valid_up_to() + 1);
    Ok(String::from_utf8(message).map_err(wrong)?)
}
