//! Takes back what was done, where it is still as it was left.

use std::fs;
use std::io;
use std::path::Path;

use jiff::{SignedDuration, Timestamp};

use super::super::claude_config::{Holder, Launch, Spot};
use super::super::{json_edit, output};
use super::act::{has_fingerprint, registered};
use super::done::{Done, Made};
use super::edit::{Edit, Written, is_as_added};
use super::error::SetupFailure;
use super::file::{self, Change};
use super::memory::Held;
use super::step::Register;

/// How long a `claude` that has outlived its `setup` may take to do what it was told.
const OUTLIVES: SignedDuration = SignedDuration::from_hours(1);

/// What became of what was to be taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Back {
    /// It is as if it had not been.
    Taken,
    /// Somebody has done so before.
    Already,
    /// Claude Code may be about to do it still.
    NotYet,
    /// It is no longer as we left it, so it stays.
    Left,
}

/// What tells that an entry is still as it was left.
enum Mark<'a> {
    Edit(&'a Edit),
    /// It is nothing but what Claude Code writes for this.
    Added(&'a Launch),
}

impl Mark<'_> {
    fn is_on(&self, entry: &str) -> bool {
        match self {
            Mark::Edit(edit) => edit.has_left(entry),
            Mark::Added(launch) => is_as_added(entry, launch),
        }
    }

    /// The whole text as it was before, if that is known.
    fn undone(&self, text: &str) -> Option<String> {
        match self {
            Mark::Edit(edit) => edit.undone(text),
            Mark::Added(_) => None,
        }
    }
}

/// Takes all of it back, what was done last first. What stays is the user's from then on, and forgotten.
pub(super) fn all(memory: &mut Held) -> Result<(), super::CliError> {
    let (mut left, mut failed) = (0, 0);
    for done in memory.memory().done().to_vec().iter().rev() {
        let back = match take_back(done) {
            Ok(back) => back,
            Err(error) => {
                failed += 1;
                output::note(format_args!(
                    "{}",
                    output::visible(&format!("not taken back: {}: {error}", done.title()))
                ));
                continue;
            }
        };
        if back != Back::NotYet {
            memory.forget(done)?;
        }
        let word = match back {
            Back::Taken => "taken back",
            Back::Already => "gone already",
            Back::NotYet => "not there (yet), so it stays remembered; run --undo again later",
            Back::Left => "left, for it was changed since",
        };
        left += usize::from(back == Back::Left);
        output::text(&output::visible(&format!("{word}: {}\n", done.title())))?;
    }
    match (failed, left) {
        (0, 0) => Ok(()),
        (0, left) => Err(SetupFailure::Left(left).into()),
        (failed, _) => Err(SetupFailure::NotBack(failed).into()),
    }
}

fn take_back(done: &Done) -> Result<Back, SetupFailure> {
    match done {
        Done::Told { register, at } => withdraw(register, *at),
        Done::Entered { spot, edit, made } => remove(spot, made, Mark::Edit(edit)),
        Done::Replaced { spot, before, variables, is_first, edit, .. } => {
            exchange_back(spot, before, variables, *is_first, edit)
        }
        Done::Written { file, fingerprint, dirs, .. } => {
            if file.symlink_metadata().is_err() {
                return Ok(Back::Already);
            }
            if !has_fingerprint(file, *fingerprint) {
                return Ok(Back::Left);
            }
            fs::remove_file(file).map_err(|error| SetupFailure::File { file: file.clone(), error })?;
            // Those in which somebody else has put something stay.
            dirs.iter().take_while(|dir| fs::remove_dir(dir).is_ok()).for_each(drop);
            Ok(Back::Taken)
        }
    }
}

/// What Claude Code may have added: nothing else of that name is.
fn withdraw(register: &Register, at: Timestamp) -> Result<Back, SetupFailure> {
    let Some(entry) = registered(register).into_iter().find(|entry| entry.launch.as_ref() == Some(&register.launch))
    else {
        let age = Timestamp::now().duration_since(at);
        return Ok(if age < OUTLIVES { Back::NotYet } else { Back::Already });
    };
    let made = Made { file: register.is_new, servers: false };
    remove(&entry.spot, &made, Mark::Added(&register.launch))
}

/// Removes an entry, and what was made around it and holds nothing else.
fn remove(spot: &Spot, made: &Made, mark: Mark<'_>) -> Result<Back, SetupFailure> {
    in_file(spot, |text, entry| {
        if !mark.is_on(entry) {
            return Some((Back::Left, Change::None));
        }
        let is_empty = |text: &str, path: &[&str]| {
            json_edit::value(text, path).and_then(json_edit::fields).is_some_and(|fields| fields.is_empty())
        };
        let text = match mark.undone(text) {
            Some(text) => text,
            None => {
                let text = json_edit::remove(text, &spot.path())?;
                let is_bare = made.servers && is_empty(&text, &spot.above());
                if is_bare { json_edit::remove(&text, &spot.above())? } else { text }
            }
        };
        let is_void = made.file && (text.trim().is_empty() || is_empty(&text, &[]));
        Some((Back::Taken, if is_void { Change::Removed } else { Change::Text(text) }))
    })
}

/// Makes an entry start again what it started before.
fn exchange_back(
    spot: &Spot,
    before: &Written,
    variables: &[String],
    is_first: bool,
    edit: &Edit,
) -> Result<Back, SetupFailure> {
    in_file(spot, |text, entry| {
        if !edit.has_left(entry) {
            let is_back = before.is_in(entry, variables);
            return Some((if is_back { Back::Already } else { Back::Left }, Change::None));
        }
        let path = spot.path();
        let env = [&path[..], &["env"]].concat();
        let mut text = before.restored(text, &path, variables)?;
        if is_first && !variables.is_empty() {
            text = json_edit::remove(&text, &env)?;
        } else {
            for name in variables {
                text = json_edit::remove(&text, &[&env[..], &[name]].concat())?;
            }
        }
        Some((Back::Taken, Change::Text(text)))
    })
}

/// Changes the file of an entry, given its text and the entry's; one that is not there any more is gone already.
fn in_file(spot: &Spot, change: impl FnOnce(&str, &str) -> Option<(Back, Change)>) -> Result<Back, SetupFailure> {
    if is_gone(&spot.file) {
        return Ok(Back::Already);
    }
    // What is behind a link that was put there is not what we left.
    if spot.holder == Holder::Project && file::leads_out(&spot.file) {
        return Ok(Back::Left);
    }
    let mut back = Back::Already;
    file::change(&spot.file, |text| {
        if let Some(why) = json_edit::trouble(text, &[]).filter(|_| !text.trim().is_empty()) {
            return Err(SetupFailure::Broken { file: spot.file.clone(), why });
        }
        let Some(entry) = json_edit::value(text, &spot.path()) else { return Ok(Change::None) };
        let (is, becomes) = change(text, entry).ok_or_else(|| SetupFailure::Changed { file: spot.file.clone() })?;
        back = is;
        Ok(becomes)
    })?;
    Ok(back)
}

fn is_gone(file: &Path) -> bool {
    fs::metadata(file).is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
}
