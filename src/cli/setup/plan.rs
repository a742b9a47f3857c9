//! What `setup` would do: rules over what is wished and what is there.

use std::path::{Path, PathBuf};

use super::super::claude_config::{Entry, Found, Here, Holder, Launch, Spot};
use super::error::SetupFailure;
use super::lost;
use super::step::{Register, Scope, Step};

/// What the user wants with clients.
#[derive(Debug, Clone)]
pub(super) struct Wish {
    /// The server's name.
    pub(super) name: String,
    pub(super) registration: Registration,
    /// Whether the lost server's entries stay.
    pub(super) keep_lost: bool,
    /// Whether the entry is put into `.mcp.json` without Claude Code.
    pub(super) mcp_json: bool,
}

/// Whether, and for whom, the server is registered with Claude Code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Registration {
    None,
    /// Wherever it is seen from here; for the user, if nowhere.
    Anywhere,
    At(Scope),
}

/// What there is.
#[derive(Debug)]
pub(super) struct Seen<'a> {
    pub(super) cwd: &'a Path,
    pub(super) here: &'a Here,
    pub(super) found: &'a Found,
    /// Claude Code's settings.
    pub(super) claude_file: &'a Path,
    /// Whether there is a `claude` to be told.
    pub(super) has_claude: bool,
    pub(super) program: &'a Program,
}

/// What this program is started by.
#[derive(Debug)]
pub(super) struct Program {
    /// Where it is.
    pub(super) path: String,
    /// Whether its name is enough in a shell.
    pub(super) is_on_path: bool,
}

/// What is done, and what is worth knowing.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) steps: Vec<Step>,
    pub(super) notes: Vec<String>,
}

impl Program {
    const NAME: &'static str = "atm-agent-mcp";

    /// How a client starts it: by its name where others read that too, and by its path where a short `PATH` is usual.
    fn launch(&self, holder: &Holder, args: Vec<String>) -> Launch {
        let by_name = match holder {
            Holder::Project => true,
            Holder::User | Holder::Local { .. } => self.is_on_path,
            Holder::Desktop => false,
        };
        Launch { command: if by_name { Self::NAME.to_owned() } else { self.path.clone() }, args }
    }
}

/// Plans everything that clients are told.
pub(super) fn clients(wish: &Wish, seen: &Seen<'_>) -> Result<Plan, SetupFailure> {
    let mut plan = Plan::default();
    for (file, why) in &seen.found.unread {
        plan.notes.push(format!("{} was passed over: {why}", file.display()));
    }
    if wish.registration != Registration::None && !wish.keep_lost {
        plan.steps.extend(seen.found.entries.iter().filter_map(|entry| replaced(entry, seen.program)));
    }
    if let Some(scope) = plan.wanted(wish, seen)? {
        plan.register(scope, wish, seen)?;
    }
    if wish.mcp_json {
        plan.enter(wish, seen)?;
    }
    let is_shared = |step: &Step| match step {
        Step::Register(register) => register.scope == Scope::Project,
        Step::Replace { spot, .. } | Step::Enter { spot, .. } => spot.holder == Holder::Project,
        Step::Write { .. } => false,
    };
    if plan.steps.iter().any(is_shared) {
        if !seen.program.is_on_path {
            plan.notes.push("an .mcp.json starts atm-agent-mcp by its name, and it is not on your PATH".to_owned());
        }
        plan.notes
            .push("Claude Code asks everybody once whether the servers of an .mcp.json may be started".to_owned());
    }
    Ok(plan)
}

/// The step that puts us in place of the lost server.
fn replaced(entry: &Entry, program: &Program) -> Option<Step> {
    let before = entry.launch.clone()?;
    let successor = lost::successor(&before)?;
    let after = program.launch(&entry.spot.holder, successor.args);
    Some(Step::Replace { spot: entry.spot.clone(), before, after, left_out: successor.left_out })
}

impl Plan {
    /// The scope in which an entry lacks; notes say why none does.
    fn wanted(&mut self, wish: &Wish, seen: &Seen<'_>) -> Result<Option<Scope>, SetupFailure> {
        let (scope, is_asked_for) = match wish.registration {
            Registration::None => return Ok(None),
            Registration::Anywhere => (Scope::User, false),
            Registration::At(scope) => (scope, true),
        };
        let counts = |spot: &Spot| seen.here.has(spot) && (!is_asked_for || scope.has(&spot.holder));
        let is_ours = |entry: &&Entry| counts(&entry.spot) && entry.launch.as_ref().is_some_and(Launch::is_ours);
        if let Some(ours) = seen.found.entries.iter().find(is_ours) {
            let Spot { name, holder, file } = &ours.spot;
            self.notes.push(format!("`{name}` is registered {holder} already, in {}", file.display()));
            return Ok(None);
        }
        let becomes_ours = |step: &Step| matches!(step, Step::Replace { spot, .. } if counts(spot));
        Ok((!self.steps.iter().any(becomes_ours)).then_some(scope))
    }

    fn register(&mut self, scope: Scope, wish: &Wish, seen: &Seen<'_>) -> Result<(), SetupFailure> {
        let is_taken = |spot: &Spot| spot.name == wish.name && scope.has(&spot.holder) && seen.here.has(spot);
        if let Some(other) = seen.found.entries.iter().find(|entry| is_taken(&entry.spot)) {
            return Err(SetupFailure::NameTaken { name: wish.name.clone(), file: other.spot.file.clone() });
        }
        if !seen.has_claude {
            if self.steps.is_empty() && !wish.mcp_json {
                return Err(SetupFailure::NoClaude);
            }
            self.notes.push(SetupFailure::NoClaude.to_string());
            return Ok(());
        }
        let (holder, file) = match scope {
            Scope::User => (Holder::User, seen.claude_file.to_owned()),
            Scope::Project => (Holder::Project, seen.cwd.join(".mcp.json")),
            Scope::Local => (Holder::Local { project: String::new() }, seen.claude_file.to_owned()),
        };
        self.steps.push(Step::Register(Register {
            scope,
            name: wish.name.clone(),
            launch: seen.program.launch(&holder, vec!["serve".to_owned()]),
            directory: seen.cwd.to_owned(),
            is_new: !file.exists(),
            file,
        }));
        Ok(())
    }

    fn enter(&mut self, wish: &Wish, seen: &Seen<'_>) -> Result<(), SetupFailure> {
        let file: PathBuf = seen.cwd.join(".mcp.json");
        let spot = Spot { file: file.clone(), holder: Holder::Project, name: wish.name.clone() };
        if self.steps.iter().any(|step| matches!(step, Step::Replace { spot, .. } if spot.file == file)) {
            return Ok(());
        }
        let here = |entry: &&Entry| entry.spot.file == file;
        if seen.found.entries.iter().filter(here).any(|entry| entry.launch.as_ref().is_some_and(Launch::is_ours)) {
            self.notes.push(format!("{} has the entry already", file.display()));
            return Ok(());
        }
        match seen.found.at(&spot) {
            None => {
                let launch = seen.program.launch(&Holder::Project, vec!["serve".to_owned()]);
                self.steps.push(Step::Enter { spot, launch, is_new: !file.exists() });
                Ok(())
            }
            Some(entry) => match replaced(entry, seen.program).filter(|_| !wish.keep_lost) {
                Some(step) => {
                    self.steps.push(step);
                    Ok(())
                }
                None => Err(SetupFailure::NameTaken { name: wish.name.clone(), file }),
            },
        }
    }
}

#[cfg(test)]
mod tests;
