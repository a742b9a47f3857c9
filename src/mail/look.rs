//! Reads a file that another program may be writing in place at this moment.

use std::fs;
use std::io;
use std::path::Path;
use std::thread;
use std::time::Duration;

use super::MailError;

/// How often what is not whole is read again before it counts as broken.
const LOOKS: u32 = 6;
/// How long between two looks.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// What a look at a file shows.
#[derive(Debug)]
pub(super) enum Looked {
    /// What is in it.
    Whole(String),
    /// It is not there.
    Absent,
    /// It is not whole, and has not become so.
    Broken,
}

/// Reads a file until it is whole, for some 50 ms: Claude Code writes its config.json in place (2.1.330), and its inboxes
/// up to 2.1.74.
pub(super) fn look(path: &Path, is_whole: impl Fn(&str) -> bool) -> Result<Looked, MailError> {
    for look in 0..LOOKS {
        if look > 0 {
            thread::sleep(LOOK_AGAIN);
        }
        match fs::read(path) {
            Ok(bytes) => {
                // As Node reads it: what is no UTF-8 is replaced.
                let text =
                    String::from_utf8(bytes).unwrap_or_else(|no| String::from_utf8_lossy(no.as_bytes()).into_owned());
                if is_whole(&text) {
                    return Ok(Looked::Whole(text));
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Looked::Absent),
            Err(error) => return Err(MailError::files(path)(error)),
        }
    }
    Ok(Looked::Broken)
}
