//! `setup`: registers this program with clients, and takes that back.

mod act;
mod claude;
mod completions;
mod done;
mod edit;
mod error;
mod file;
pub(in crate::cli) mod lost;
mod memory;
mod plan;
mod settings;
mod step;
mod undo;
mod wait;

use std::io::IsTerminal;
use std::path::Path;
use std::process::ExitCode;

use clap_complete::Shell;

pub(super) use error::SetupFailure;

use super::claude_config::{Files, Here};
use super::error::CliError;
use super::{NAME, ending, output, shell};
use crate::home::Home;
use crate::repo::Repository;
use claude::Claude;
use completions::Dirs;
use done::Done;
use edit::fingerprint;
use memory::{Held, Memory};
use plan::{Plan, Program, Registration, Seen, Wish};
use step::{Scope, Step, What};

/// Register this program with Claude Code, and what else makes it at home; shown first, done with --yes
///
/// Without --mcp-json, --settings and --completions it is registered with Claude Code, and wherever Claude's settings
/// (Claude Code's, .mcp.json, Claude Desktop's) still start the lost `codex mcp-server`, they are made to start this program
/// under the same name, with the same environment; so is an entry of ours whose program is gone. What is done is
/// remembered, and --undo takes back what is still as it was left; what was changed since stays, is forgotten, and the exit
/// code is 1.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  atm-agent-mcp setup                        # shows what would be done; with --yes it is
  atm-agent-mcp setup --scope project        # for everybody who has this project
  atm-agent-mcp setup --settings --completions --yes
  atm-agent-mcp setup --undo")]
pub(super) struct Args {
    /// Register it with Claude Code: user (for you, in every project), project (for everybody who has this project: in its
    /// .mcp.json), local (for you, in this project) [default: user]
    #[arg(long, value_enum, value_name = "SCOPE", hide_possible_values = true)]
    scope: Option<Scope>,

    /// What it is called there
    #[arg(long, default_value = "codex")]
    name: String,

    /// Leave entries that start the lost `codex mcp-server` as they are
    #[arg(long)]
    keep_lost: bool,

    /// Put an entry into .mcp.json of this directory, without Claude Code
    #[arg(long, conflicts_with = "scope")]
    mcp_json: bool,

    /// Write an .atm.toml with every setting commented out, at the top of the repository
    #[arg(long)]
    settings: bool,

    /// Write completions for a shell [default: yours]
    #[arg(long, value_enum, value_name = "SHELL", num_args = 0..=1)]
    completions: Option<Option<Shell>>,

    /// Take back what was done
    #[arg(long, conflicts_with_all = ["scope", "name", "keep_lost", "mcp_json", "settings", "completions"])]
    undo: bool,

    /// Do it, and do not ask
    #[arg(long, short)]
    yes: bool,
}

pub(super) async fn run(args: Args) -> Result<ExitCode, CliError> {
    let home = Home::find().ok_or(CliError::NoHome)?;
    if args.undo {
        return undo(&home, args.yes).map(|()| ExitCode::SUCCESS);
    }
    let cwd = std::env::current_dir().map_err(CliError::NoDirectory)?;
    let claude = Claude::find();
    // Who asks first lets others go on meanwhile.
    let held = if args.yes { Some(Held::open(&home)?) } else { None };
    let seen = match &held {
        Some(held) => plan(&args, &cwd, &claude, held.memory())?,
        None => plan(&args, &cwd, &claude, &Memory::open(&home)?)?,
    };
    output::text(&output::visible(&shown(&seen, args.yes)))?;
    if seen.steps.is_empty() || !agreed(args.yes, "Do it?")? {
        return Ok(ExitCode::SUCCESS);
    }
    let steps = seen.steps;
    let mut held = match held {
        Some(held) => held,
        None => {
            let held = Held::open(&home)?;
            if plan(&args, &cwd, &claude, held.memory())?.steps != steps {
                return Err(SetupFailure::Overtaken.into());
            }
            held
        }
    };
    for (at, step) in steps.iter().enumerate() {
        let acted = act::act(step, &claude, &mut held);
        let done = match step {
            // It has a group of its own, so Ctrl-C does not reach it: it ends when that is dropped, and stays remembered.
            Step::Register(_) => match ending::unless_asked(acted).await {
                Ok(done) => done,
                Err(code) => return Ok(code),
            },
            Step::Replace { .. } | Step::Enter { .. } | Step::Write { .. } => acted.await,
        };
        if let Err(error) = done {
            let stands = || steps[..at].iter().map(Step::title).collect();
            let halfway = |error| SetupFailure::Halfway { stands: stands(), error: Box::new(error) };
            return Err(if at == 0 { error } else { halfway(error) }.into());
        }
        output::text(&output::visible(&format!("done: {}\n", step.title())))?;
    }
    output::text(&output::visible(&next(&steps)))?;
    Ok(ExitCode::SUCCESS)
}

/// The plan, for a person.
fn shown(plan: &Plan, yes: bool) -> String {
    let mut text = match (plan.steps.is_empty(), plan.by_hand.is_empty()) {
        (true, true) => "Nothing to do.\n".to_owned(),
        (true, false) => "Nothing that setup can do by itself.\n".to_owned(),
        (false, _) => {
            let head = if yes { "This is to be done:" } else { "This would be done:" };
            listed(head, plan.steps.iter().map(Step::shown))
        }
    };
    text.extend(plan.by_hand.iter().map(|what| format!("By hand: {what}.\n")));
    text.extend(plan.notes.iter().map(|note| format!("Note: {note}.\n")));
    text
}

fn plan(args: &Args, cwd: &Path, claude: &Claude, memory: &Memory) -> Result<Plan, CliError> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if args.name.is_empty() || args.name.starts_with('-') || !args.name.chars().all(is_plain) {
        return Err(SetupFailure::Name(args.name.clone()).into());
    }
    let is_only_else = args.mcp_json || args.settings || args.completions.is_some();
    let registration = match args.scope {
        Some(scope) => Registration::At(scope),
        None if is_only_else => Registration::None,
        None => Registration::Anywhere,
    };
    let wish = Wish { name: args.name.clone(), registration, keep_lost: args.keep_lost, mcp_json: args.mcp_json };
    let files = Files::find(cwd);
    let claude_file = files.claude.clone().ok_or(CliError::NoHome)?;
    let (found, has_claude, program) = (files.entries(), claude.is_there(), program()?);
    let commands = found.entries.iter().filter_map(|entry| entry.launch.as_ref()).filter(|launch| launch.is_ours());
    let gone = commands.map(|launch| launch.command.clone()).filter(|command| which::which(command).is_err());
    let outside = files.mcp_json.iter().filter(|file| file::leads_out(file)).cloned();
    let mut plan = plan::clients(
        &wish,
        &Seen {
            cwd,
            here: &Here::at(cwd),
            found: &found,
            gone: &gone.collect::<Vec<_>>(),
            outside: &outside.collect::<Vec<_>>(),
            claude_file: &claude_file,
            has_claude,
            program: &program,
        },
    )?;
    if args.settings {
        let root = Repository::around(cwd).map_or_else(|| cwd.to_owned(), |repository| repository.root().to_owned());
        plan.write(What::Settings, &root.join(".atm.toml"), settings::file(), memory);
    }
    if let Some(shell) = args.completions {
        let shell = shell.or_else(Shell::from_env).ok_or(SetupFailure::NoShell)?;
        let file = Dirs::find().ok_or(CliError::NoHome)?.file(shell);
        plan.write(What::Completions, &file, super::completions(shell), memory);
        plan.notes.extend(completions::advice(shell, &file));
    }
    if registration != Registration::None && which::which("codex").is_err() {
        let install = "there is no `codex` on PATH: npm install -g @openai/codex, then codex login";
        plan.notes.push(install.to_owned());
    }
    Ok(plan)
}

impl Plan {
    /// A file of our own; one that somebody else wrote stays.
    fn write(&mut self, what: What, file: &Path, content: String, memory: &Memory) {
        let is_ours = || memory.written(file).is_some_and(|(known, _)| act::has_fingerprint(file, known));
        if act::has_fingerprint(file, fingerprint(&content)) {
            self.notes.push(format!("{} is there already", file.display()));
        } else if file.symlink_metadata().is_ok_and(|found| found.is_symlink()) {
            self.notes.push(format!("{} is a link, so it stays as it is", file.display()));
        } else if file.symlink_metadata().is_ok() && !is_ours() {
            self.notes.push(format!("{} is there and is not from setup, so it stays as it is", file.display()));
        } else {
            self.steps.push(Step::Write { what, file: file.to_owned(), content });
        }
    }
}

/// How this program is started by others.
fn program() -> Result<Program, CliError> {
    let path = std::env::current_exe().map_err(CliError::Runtime)?;
    let is_this = |found: std::path::PathBuf| found.canonicalize().ok() == path.canonicalize().ok();
    Ok(Program { is_on_path: which::which(NAME).is_ok_and(is_this), path: path.display().to_string() })
}

fn undo(home: &Home, yes: bool) -> Result<(), CliError> {
    let seen = Memory::open(home)?;
    if seen.done().is_empty() {
        return output::text("Nothing to take back: setup has done nothing that is remembered.\n");
    }
    if !yes {
        // What was done last is taken back first.
        let items = seen.done().iter().rev().map(Done::shown_back);
        let text = listed("This would be taken back, where it is still as it was left:", items);
        output::text(&output::visible(&text))?;
    }
    if !agreed(yes, "Take it back?")? {
        return Ok(());
    }
    let mut held = Held::open(home)?;
    if !yes && held.memory().done() != seen.done() {
        return Err(SetupFailure::Overtaken.into());
    }
    undo::all(&mut held)
}

fn listed(head: &str, items: impl Iterator<Item = String>) -> String {
    let items = items.enumerate().map(|(at, item)| format!("\n{}. {item}", at + 1));
    [format!("{head}\n")].into_iter().chain(items).chain(["\n".to_owned()]).collect()
}

/// Whether it is to be done; who cannot be asked is told how.
fn agreed(yes: bool, question: &str) -> Result<bool, CliError> {
    if yes {
        return Ok(true);
    }
    if std::io::stdin().is_terminal() && std::io::stderr().is_terminal() {
        return shell::agreed(question).map_err(CliError::Input);
    }
    output::note(format_args!("nothing was done; --yes does it"));
    Ok(false)
}

/// What to type next.
fn next(steps: &[Step]) -> String {
    let registers = |step: &Step| matches!(step, Step::Register(_) | Step::Replace { .. } | Step::Enter { .. });
    let mut text = String::from("\nNext:\n");
    if steps.iter().any(registers) {
        text += "  claude                        # a running one takes it up with /mcp or when it is started again\n";
        text += "                                # then ask it: start a codex agent \"reviewer\" that reviews this repository\n";
        text += "  atm-agent-mcp sessions        # the agents\n";
    }
    if steps.iter().any(|step| matches!(step, Step::Write { what: What::Settings, .. })) {
        text += "  atm-agent-mcp config          # what holds here, and why\n";
    }
    text + "  atm-agent-mcp setup --undo    # takes all of it back\n"
}
