//! Does the steps of a plan; each is remembered before it is done.

use std::fs;
use std::path::Path;

use jiff::Timestamp;
use uuid::Uuid;

use super::super::claude_config::{Entry, Files, Here, Launch, Spot};
use super::super::{json_edit, shell};
use super::claude::Claude;
use super::done::{Done, Made};
use super::edit::{Edit, Written, fingerprint};
use super::error::SetupFailure;
use super::file::{self, Change};
use super::lost::Variable;
use super::memory::Held;
use super::step::{Register, Scope, Step, What};

/// Does a step. What fails is forgotten again.
pub(super) async fn act(step: &Step, claude: &Claude, memory: &mut Held) -> Result<(), SetupFailure> {
    let known_before = memory.memory().done().to_vec();
    let done = match step {
        Step::Register(register) => add(register, claude, memory).await,
        Step::Replace { spot, before, after, variables, .. } => exchange(spot, before, after, variables, memory),
        Step::Enter { spot, launch, is_new } => enter(spot, launch, *is_new, memory),
        Step::Write { what, file, content } => write(*what, file, content, memory),
    };
    if done.is_err() {
        memory.restore(known_before)?;
    }
    done
}

/// Whether a file is there with the content of that fingerprint: itself, not a link to such a one.
pub(super) fn has_fingerprint(file: &Path, known: Uuid) -> bool {
    let is_file = file.symlink_metadata().is_ok_and(|found| found.is_file());
    is_file && fs::read_to_string(file).is_ok_and(|content| fingerprint(&content) == known)
}

async fn add(register: &Register, claude: &Claude, memory: &mut Held) -> Result<(), SetupFailure> {
    let text = || {
        let content = fs::read_to_string(&register.file).unwrap_or_default();
        json_edit::behind_bom(&content).1.to_owned()
    };
    let (before, there) = (text(), registered(register));
    memory.keep(Done::Told { register: register.clone(), at: Timestamp::now() })?;
    let told = claude.told(&register.add(), &register.directory).await;
    // Whatever it said: what counts is what it wrote.
    let after = text();
    let is_it = |entry: &Entry| entry.launch.as_ref() == Some(&register.launch) && !there.contains(entry);
    let new = registered(register).into_iter().find(is_it);
    let Some((spot, edit)) = new.and_then(|entry| {
        let edit = Edit::of_entry(json_edit::value(&after, &entry.spot.path())?);
        Some((entry.spot, edit))
    }) else {
        return Err(told.err().unwrap_or_else(|| SetupFailure::Claude {
            command: shell::line(["claude"].into_iter().chain(register.add())),
            said: format!("it reports success, and the entry is not in {}", register.file.display()),
        }));
    };
    // In its own file Claude Code makes that object whenever it writes it, so there it stays.
    let servers = register.scope == Scope::Project && json_edit::value(&before, &spot.above()).is_none();
    memory.keep(Done::Entered { spot, edit, made: Made { file: register.is_new, servers } })
}

/// The entries of that name and scope that Claude Code has where it is told so.
pub(super) fn registered(register: &Register) -> Vec<Entry> {
    let files = Files { claude: None, mcp_json: Vec::new(), desktop: None };
    let files = match register.scope {
        Scope::Project => Files { mcp_json: vec![register.file.clone()], ..files },
        Scope::User | Scope::Local => Files { claude: Some(register.file.clone()), ..files },
    };
    let here = Here::at(&register.directory);
    let entries = files.entries().entries.into_iter();
    entries.filter(|entry| register.is_at(&entry.spot) && here.has(&entry.spot)).collect()
}

/// Makes an entry that starts the one start the other.
fn exchange(
    spot: &Spot,
    before: &Launch,
    after: &Launch,
    variables: &[Variable],
    memory: &mut Held,
) -> Result<(), SetupFailure> {
    file::change(&spot.file, |text| {
        let changed = || SetupFailure::Changed { file: spot.file.clone() };
        let path = spot.path();
        let entry = json_edit::value(text, &path).ok_or_else(changed)?;
        let is_still = serde_json::from_str::<Launch>(entry).is_ok_and(|found| found == *before);
        let replaced = || {
            let text = json_edit::set(text, &[&path[..], &["command"]].concat(), &after.command)?;
            let text = json_edit::set(&text, &[&path[..], &["args"]].concat(), &after.args)?;
            variables.iter().try_fold(text, |text, variable| {
                json_edit::set(&text, &[&path[..], &["env", &variable.name]].concat(), &variable.value)
            })
        };
        let text = is_still.then(replaced).flatten().ok_or_else(changed)?;
        memory.keep(Done::Replaced {
            spot: spot.clone(),
            before: Written::of(entry, variables).ok_or_else(changed)?,
            after: after.clone(),
            variables: variables.iter().map(|variable| variable.name.clone()).collect(),
            is_first: json_edit::value(entry, &["env"]).is_none(),
            edit: Edit::of_entry(json_edit::value(&text, &path).ok_or_else(changed)?),
        })?;
        Ok(Change::Text(text))
    })
}

fn enter(spot: &Spot, launch: &Launch, is_new: bool, memory: &mut Held) -> Result<(), SetupFailure> {
    let mut entered = |text: &str| {
        let changed = || SetupFailure::Changed { file: spot.file.clone() };
        let path = spot.path();
        let object = if text.trim().is_empty() { "{}\n" } else { text };
        let is_free = json_edit::value(object, &path).is_none();
        let after = is_free.then(|| json_edit::set(object, &path, launch)).flatten().ok_or_else(changed)?;
        let edit = Edit::of(text, &after, &path).ok_or_else(changed)?;
        let made = Made { file: is_new, servers: json_edit::value(object, &spot.above()).is_none() };
        memory.keep(Done::Entered { spot: spot.clone(), edit, made })?;
        Ok(after)
    };
    if is_new {
        file::create(&spot.file, &entered("")?)
    } else {
        file::change(&spot.file, |text| entered(text).map(Change::Text))
    }
}

/// Writes a file that is not there, or is still as we wrote it.
fn write(what: What, file: &Path, content: &str, memory: &mut Held) -> Result<(), SetupFailure> {
    let earlier = memory.memory().written(file);
    let is_ours = earlier.is_some_and(|(fingerprint, _)| has_fingerprint(file, fingerprint));
    let made = earlier.map_or(&[][..], |(_, dirs)| dirs).iter().filter(|dir| dir.exists());
    let dirs = file::lacking(file).into_iter().chain(made.cloned()).collect();
    memory.keep(Done::Written { what, file: file.to_owned(), fingerprint: fingerprint(content), dirs })?;
    if is_ours { file::change(file, |_| Ok(Change::Text(content.to_owned()))) } else { file::create(file, content) }
}
