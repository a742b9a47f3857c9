//! What `setup` would do: rules over what is wished and what is there.

use std::path::{Path, PathBuf};

use super::super::claude_config::{Entry, Found, Here, Holder, Launch, Spot};
use super::error::SetupFailure;
use super::lost::{self, Serve, Successor};
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
    /// The commands of ours that are not there any more.
    pub(super) gone: &'a [String],
    /// The files of the repository that are links out of it.
    pub(super) outside: &'a [PathBuf],
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
    /// What only the user can do.
    pub(super) by_hand: Vec<String>,
    pub(super) notes: Vec<String>,
}

/// What is to become of an entry.
enum Fate {
    /// It is no business of ours.
    Stays,
    Changes(Step),
    /// We should be in its place, and cannot put us there.
    ByHand(String),
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
    let passed_over = |(file, why): &(PathBuf, String)| format!("{} was passed over: {why}", file.display());
    let notes = seen.found.unread.iter().map(passed_over).collect();
    let mut plan = Plan { notes, ..Plan::default() };
    if wish.registration != Registration::None {
        for entry in &seen.found.entries {
            plan.take(fate(entry, wish, seen));
        }
    }
    for step in &plan.steps {
        once(step, seen)?;
    }
    if let Some(scope) = plan.wanted(wish, seen) {
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

/// What an entry needs: to start us in place of the lost server, or by a path that is there.
fn fate(entry: &Entry, wish: &Wish, seen: &Seen<'_>) -> Fate {
    let (Some(before), spot) = (entry.launch.clone(), entry.spot.clone()) else { return Fate::Stays };
    let by_hand = |why: &str| {
        let Launch { command, .. } = seen.program.launch(&spot.holder, Vec::new());
        let instead = format!("\"command\": {command:?}, \"args\": [\"serve\"]");
        Fate::ByHand(format!(
            "`{}` in {} ({}) {why}; write there {instead}",
            spot.name,
            spot.file.display(),
            spot.holder
        ))
    };
    let serve = if before.is_ours() && seen.gone.contains(&before.command) {
        Serve { args: before.args.clone(), ..Serve::default() }
    } else {
        match lost::successor(&before).filter(|_| !wish.keep_lost) {
            None => return Fate::Stays,
            Some(Successor::ByHand) => {
                return by_hand("starts the lost `codex mcp-server` in a way that setup does not take apart");
            }
            Some(Successor::Serve(serve)) => serve,
        }
    };
    if serve.variables.iter().any(|variable| entry.variables.contains(&variable.name)) {
        return by_hand("gives the lost `codex mcp-server` a variable twice");
    }
    // To take it back, its value would have to be kept.
    if !serve.secrets.is_empty() {
        let secrets = serve.secrets.iter().map(|key| format!("-c {key}=...")).collect::<Vec<_>>().join(", ");
        return by_hand(&format!(
            "gives the lost `codex mcp-server` what looks like a secret ({secrets}), which serve does not take and setup does \
             not keep: Codex's own settings are the place for it"
        ));
    }
    if seen.outside.contains(&spot.file) {
        return by_hand(
            "is to start this program, and the file is a link that leads out of the repository, so it stays as it is",
        );
    }
    let after = seen.program.launch(&spot.holder, serve.args);
    if after == before {
        return Fate::Stays;
    }
    Fate::Changes(Step::Replace { spot, before, after, variables: serve.variables, left_out: serve.left_out })
}

/// An entry is changed if it is clear which: of two of a name only the last one holds.
fn once(step: &Step, seen: &Seen<'_>) -> Result<(), SetupFailure> {
    let Step::Replace { spot, .. } = step else { return Ok(()) };
    if seen.found.entries.iter().filter(|entry| entry.spot == *spot).count() < 2 {
        return Ok(());
    }
    let why = format!("the server {:?} is there twice {}, and only the last one holds", spot.name, spot.holder);
    Err(SetupFailure::Broken { file: spot.file.clone(), why })
}

impl Plan {
    /// Takes up what is to become of an entry; answers whether anything is.
    fn take(&mut self, fate: Fate) -> bool {
        match fate {
            Fate::Stays => return false,
            Fate::Changes(step) => self.steps.push(step),
            Fate::ByHand(what) => self.by_hand.push(what),
        }
        true
    }

    /// The scope in which an entry lacks; notes say why none does.
    fn wanted(&mut self, wish: &Wish, seen: &Seen<'_>) -> Option<Scope> {
        let (scope, is_asked_for) = match wish.registration {
            Registration::None => return None,
            Registration::Anywhere => (Scope::User, false),
            Registration::At(scope) => (scope, true),
        };
        let counts = |spot: &Spot| seen.here.has(spot) && (!is_asked_for || scope.has(&spot.holder));
        let mut there = seen.found.entries.iter().filter(|entry| counts(&entry.spot));
        // What is not there yet, but will be.
        if there.clone().any(|entry| !matches!(fate(entry, wish, seen), Fate::Stays)) {
            return None;
        }
        let Some(ours) = there.find(|entry| entry.launch.as_ref().is_some_and(Launch::is_ours)) else {
            return Some(scope);
        };
        let Spot { name, holder, file } = &ours.spot;
        self.notes.push(format!("`{name}` is registered {holder} already, in {}", file.display()));
        if ours.launch.as_ref().is_some_and(|launch| seen.gone.contains(&launch.command)) {
            self.notes.push(format!("`{name}` starts atm-agent-mcp by its name, and it is not on your PATH"));
        }
        None
    }

    /// Whether a file can be written as it is.
    fn is_fit(file: &Path, seen: &Seen<'_>) -> Result<(), SetupFailure> {
        if seen.outside.iter().any(|outside| outside == file) {
            return Err(SetupFailure::LeadsOut { file: file.to_owned() });
        }
        match seen.found.unread.iter().find(|(unread, _)| unread == file) {
            Some((file, why)) => Err(SetupFailure::Broken { file: file.clone(), why: why.clone() }),
            None => Ok(()),
        }
    }

    fn register(&mut self, scope: Scope, wish: &Wish, seen: &Seen<'_>) -> Result<(), SetupFailure> {
        let is_taken = |spot: &Spot| spot.name == wish.name && scope.has(&spot.holder) && seen.here.has(spot);
        if let Some(other) = seen.found.entries.iter().find(|entry| is_taken(&entry.spot)) {
            return Err(SetupFailure::NameTaken { name: wish.name.clone(), file: other.spot.file.clone() });
        }
        if !seen.has_claude {
            if self.steps.is_empty() && self.by_hand.is_empty() && !wish.mcp_json {
                return Err(SetupFailure::NoClaude { notes: self.notes.clone() });
            }
            self.notes.push(SetupFailure::NoClaude { notes: Vec::new() }.to_string());
            return Ok(());
        }
        let (holder, file) = match scope {
            Scope::User => (Holder::User, seen.claude_file.to_owned()),
            Scope::Project => (Holder::Project, seen.cwd.join(".mcp.json")),
            Scope::Local => (Holder::Local { project: String::new() }, seen.claude_file.to_owned()),
        };
        Plan::is_fit(&file, seen)?;
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
        Plan::is_fit(&file, seen)?;
        let mut here = seen.found.entries.iter().filter(|entry| entry.spot.file == file);
        let is_ours = |entry: &&Entry| entry.launch.as_ref().is_some_and(Launch::is_ours);
        if let Some(ours) = here.find(is_ours) {
            if !self.take(fate(ours, wish, seen)) {
                self.notes.push(format!("{} has the entry already", file.display()));
            }
            return Ok(());
        }
        match seen.found.at(&spot) {
            None => {
                let launch = seen.program.launch(&Holder::Project, vec!["serve".to_owned()]);
                self.steps.push(Step::Enter { spot, launch, is_new: !file.exists() });
                Ok(())
            }
            Some(entry) if self.take(fate(entry, wish, seen)) => Ok(()),
            Some(_) => Err(SetupFailure::NameTaken { name: wish.name.clone(), file }),
        }
    }
}

#[cfg(test)]
mod tests;
