//! An inbox that is a symbolic link: how far it is followed.
//!
//! Claude Code and proper-lockfile lock and replace a file where it really is (2.1.330), so do we. But whoever may make a link
//! could have us read, replace or rename any file of the user: so only one to a file of the same teams is followed, and what is
//! broken behind a link is set aside only if it is an inbox of the same directory.

use std::fs;
use std::path::{Path, PathBuf};

use super::MailError;

/// Refuses an inbox that is a link to a place where there are no teams.
pub(super) fn check(inbox: &Path) -> Result<(), MailError> {
    let Some(target) = target(inbox) else { return Ok(()) };
    // `teams/{team}/inboxes/{name}.json`
    let teams = inbox.ancestors().nth(3).and_then(|teams| teams.canonicalize().ok());
    let is_inside = target.canonicalize().is_ok_and(|real| teams.is_some_and(|teams| real.starts_with(teams)));
    if is_inside { Ok(()) } else { Err(refused(inbox, target, "which is no file of a team")) }
}

/// Refuses to set aside what is broken behind a link that leads out of the directory of the inboxes.
pub(super) fn check_broken(inbox: &Path, real: &Path) -> Result<(), MailError> {
    let inboxes = inbox.parent().and_then(|inboxes| inboxes.canonicalize().ok());
    match target(inbox) {
        Some(target) if real.parent() != inboxes.as_deref() => Err(refused(inbox, target, "which is no inbox")),
        _ => Ok(()),
    }
}

/// What the inbox is a link to, if it is one.
fn target(inbox: &Path) -> Option<PathBuf> {
    let target = fs::read_link(inbox).ok()?;
    let there = inbox.with_file_name(&target);
    Some(there.canonicalize().unwrap_or(there))
}

fn refused(link: &Path, target: PathBuf, why: &'static str) -> MailError {
    MailError::Linked { link: link.to_owned(), target, why }
}
