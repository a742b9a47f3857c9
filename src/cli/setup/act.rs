//! Does the steps of a plan, and takes them back where what they did is still as they left it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::super::claude_config::{Files, Here, Launch, Spot};
use super::super::{json_edit, shell};
use super::error::SetupFailure;
use super::file;
use super::memory::Memory;
use super::step::{Register, Scope, Step, fingerprint};

/// What became of a step that was to be taken back.
pub(super) enum Back {
    /// It is as if it had not been.
    Taken,
    /// It is no longer as we left it, so it stays.
    Left(String),
}

/// Claude Code's command, if there is one.
pub(super) struct Claude(Option<PathBuf>);

impl Claude {
    /// Looks for it on `PATH`.
    pub(super) fn find() -> Claude {
        Claude(which::which("claude").ok())
    }

    /// Whether it is there.
    pub(super) fn is_there(&self) -> bool {
        self.0.is_some()
    }

    fn told(&self, words: &[&str], directory: &Path) -> Result<(), SetupFailure> {
        let program = self.0.as_ref().ok_or(SetupFailure::NoClaude)?;
        let failed = |said: String| {
            let command = shell::line(["claude"].into_iter().chain(words.iter().copied()));
            SetupFailure::Claude { command, said }
        };
        let mut command = Command::new(program);
        command.args(words).current_dir(directory).stdin(Stdio::null());
        let output = command.output().map_err(|error| failed(error.to_string()))?;
        if output.status.success() {
            return Ok(());
        }
        let said = [output.stdout, output.stderr].concat();
        Err(failed(format!("{}: {}", output.status, String::from_utf8_lossy(&said).trim())))
    }
}

/// Does a step. It is kept before it is done, and forgotten again if it fails.
pub(super) fn act(step: &Step, claude: &Claude, memory: &mut Memory) -> Result<(), SetupFailure> {
    let is_known = memory.done().iter().any(|done| is_as_written(done, step));
    let known_before = memory.done().to_vec();
    memory.keep(step)?;
    let done = match step {
        Step::Register(register) => add(register, claude),
        Step::Replace { spot, before, after, .. } => exchange(spot, before, after),
        Step::Enter { spot, launch, is_new: true } => {
            json_edit::set("{}\n", &spot.path(), launch).map_or(Ok(()), |content| file::create(&spot.file, &content))
        }
        Step::Enter { spot, launch, is_new: false } => enter(spot, launch),
        Step::Write { file, content, .. } if is_known => file::change(file, |_| Ok(content.clone())),
        Step::Write { file, content, .. } => file::create(file, content),
    };
    if done.is_err() {
        memory.restore(known_before)?;
    }
    done
}

/// Whether the file of a step is one that an earlier step wrote, and is still as that left it.
fn is_as_written(earlier: &Step, step: &Step) -> bool {
    match (earlier, step) {
        (Step::Write { file: written, fingerprint, .. }, Step::Write { file, .. }) => {
            written == file && has_fingerprint(file, *fingerprint)
        }
        _ => false,
    }
}

/// Whether a file's content is the one of that fingerprint.
pub(super) fn has_fingerprint(file: &Path, known: uuid::Uuid) -> bool {
    fs::read_to_string(file).is_ok_and(|content| fingerprint(&content) == known)
}

/// Takes a step back.
pub(super) fn take_back(step: &Step, claude: &Claude) -> Result<Back, SetupFailure> {
    match step {
        Step::Register(register) => remove(register, claude),
        Step::Replace { spot, before, after, .. } => left(spot, after, || exchange(spot, after, before)),
        Step::Enter { spot, launch, is_new } => left(spot, launch, || {
            file::change(&spot.file, |text| json_edit::remove(text, &spot.path()).ok_or_else(|| changed(&spot.file)))?;
            if *is_new { remove_empty(&spot.file) } else { Ok(()) }
        }),
        Step::Write { file, fingerprint, .. } => match fs::exists(file) {
            Ok(false) => Ok(Back::Left("it is gone already".to_owned())),
            _ if has_fingerprint(file, *fingerprint) => removed(file).map(|()| Back::Taken),
            _ => Ok(Back::Left("it was changed since".to_owned())),
        },
    }
}

fn add(register: &Register, claude: &Claude) -> Result<(), SetupFailure> {
    claude.told(&register.add(), &register.directory)?;
    // Whatever it said: what counts is what it wrote.
    let is_there = registered(register).iter().any(|(_, launch)| *launch == register.launch);
    let missing = || SetupFailure::Claude {
        command: shell::line(["claude"].into_iter().chain(register.add())),
        said: format!("it reports success, and the entry is not in {}", register.file.display()),
    };
    is_there.then_some(()).ok_or_else(missing)
}

fn remove(register: &Register, claude: &Claude) -> Result<Back, SetupFailure> {
    let there = registered(register);
    if there.is_empty() {
        return Ok(Back::Left("it is gone already".to_owned()));
    }
    if !there.iter().any(|(_, launch)| *launch == register.launch) {
        return Ok(Back::Left("it was changed since".to_owned()));
    }
    // Where the project was.
    let directory = if register.directory.is_dir() { register.directory.clone() } else { std::env::temp_dir() };
    claude.told(&register.remove(), &directory)?;
    if register.is_new {
        remove_empty(&register.file)?;
    }
    Ok(Back::Taken)
}

/// The entries of that name and scope that Claude Code has where it was told so.
fn registered(register: &Register) -> Vec<(Spot, Launch)> {
    let files = Files { claude: None, mcp_json: Vec::new(), desktop: None };
    let files = match register.scope {
        Scope::Project => Files { mcp_json: vec![register.file.clone()], ..files },
        Scope::User | Scope::Local => Files { claude: Some(register.file.clone()), ..files },
    };
    let here = Here::at(&register.directory);
    let entries = files.entries().entries.into_iter().filter(|entry| {
        entry.spot.name == register.name && register.scope.has(&entry.spot.holder) && here.has(&entry.spot)
    });
    entries.filter_map(|entry| Some((entry.spot, entry.launch?))).collect()
}

/// Takes an entry back if it still starts what it was made to start.
fn left(spot: &Spot, launch: &Launch, back: impl FnOnce() -> Result<(), SetupFailure>) -> Result<Back, SetupFailure> {
    let text = match fs::read_to_string(&spot.file) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok(Back::Left("it is gone already".to_owned()));
        }
        Err(error) => return Err(SetupFailure::File { file: spot.file.clone(), error }),
    };
    match json_edit::value(&text, &spot.path()) {
        None => Ok(Back::Left("it is gone already".to_owned())),
        Some(entry) if starts(entry, launch) => back().map(|()| Back::Taken),
        Some(_) => Ok(Back::Left("it was changed since".to_owned())),
    }
}

/// Makes an entry that starts the one start the other.
fn exchange(spot: &Spot, from: &Launch, to: &Launch) -> Result<(), SetupFailure> {
    file::change(&spot.file, |text| {
        let path = spot.path();
        let is_still = json_edit::value(text, &path).is_some_and(|entry| starts(entry, from));
        let edited = || {
            let text = json_edit::set(text, &[&path[..], &["command"]].concat(), &to.command)?;
            json_edit::set(&text, &[&path[..], &["args"]].concat(), &to.args)
        };
        is_still.then(edited).flatten().ok_or_else(|| changed(&spot.file))
    })
}

fn enter(spot: &Spot, launch: &Launch) -> Result<(), SetupFailure> {
    file::change(&spot.file, |text| {
        let path = spot.path();
        let text = if text.trim().is_empty() { "{}\n" } else { text };
        let is_free = json_edit::value(text, &path).is_none();
        is_free.then(|| json_edit::set(text, &path, launch)).flatten().ok_or_else(|| changed(&spot.file))
    })
}

fn starts(entry: &str, launch: &Launch) -> bool {
    serde_json::from_str::<Launch>(entry).is_ok_and(|found| found == *launch)
}

/// Removes a file of servers that has none, and nothing else.
fn remove_empty(file: &Path) -> Result<(), SetupFailure> {
    let is_empty = fs::read_to_string(file).is_ok_and(|text| {
        let fields = json_edit::fields(text.trim()).unwrap_or_default();
        let servers = json_edit::value(&text, &["mcpServers"]).and_then(json_edit::fields);
        fields.len() == 1 && servers.is_some_and(|servers| servers.is_empty())
    });
    if is_empty { removed(file) } else { Ok(()) }
}

fn removed(file: &Path) -> Result<(), SetupFailure> {
    fs::remove_file(file).map_err(|error| SetupFailure::File { file: file.to_owned(), error })
}

fn changed(file: &Path) -> SetupFailure {
    SetupFailure::Changed { file: file.to_owned() }
}
