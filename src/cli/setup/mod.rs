//! `setup`: registers this program with clients, and takes that back.

mod act;
mod completions;
mod error;
mod file;
pub(in crate::cli) mod lost;
mod memory;
mod plan;
mod settings;
mod step;

use std::io::IsTerminal;
use std::path::Path;

use clap_complete::Shell;

pub(super) use error::SetupFailure;

use super::claude_config::{Files, Here};
use super::error::CliError;
use super::{NAME, output, shell};
use crate::home::Home;
use crate::repo::Repository;
use act::{Back, Claude};
use completions::Dirs;
use memory::Memory;
use plan::{Plan, Program, Registration, Seen, Wish};
use step::{Scope, Step, What, fingerprint};

/// Register this program with Claude Code, and what else makes it at home; shown first, done with --yes
///
/// Without --mcp-json, --settings and --completions it is registered with Claude Code, and wherever Claude's settings
/// (Claude Code's, .mcp.json, Claude Desktop's) still start the lost `codex mcp-server`, they are made to start this program
/// under the same name, with the same environment. What is done is remembered, and --undo takes back what is still as it
/// was left.
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

pub(super) fn run(args: Args) -> Result<(), CliError> {
    let home = Home::find().ok_or(CliError::NoHome)?;
    let cwd = std::env::current_dir().map_err(CliError::NoDirectory)?;
    let claude = Claude::find();
    let mut memory = Memory::open(&home)?;
    if args.undo {
        return undo(&claude, &mut memory, args.yes);
    }
    let Plan { steps, notes } = plan(&args, &cwd, &claude, &memory)?;
    let mut text = String::new();
    if steps.is_empty() {
        text += "Nothing to do.\n";
    } else if !args.yes {
        text += &listed("This would be done:", steps.iter().map(Step::shown));
    }
    text.extend(notes.iter().map(|note| format!("Note: {note}.\n")));
    output::text(&output::visible(&text))?;
    if steps.is_empty() || !agreed(args.yes, "Do it?")? {
        return Ok(());
    }
    for step in &steps {
        act::act(step, &claude, &mut memory)?;
        output::text(&output::visible(&format!("done: {}\n", step.title())))?;
    }
    output::text(&output::visible(&next(&steps)))
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
    let here = Here::at(cwd);
    let seen = Seen { cwd, here: &here, found: &found, claude_file: &claude_file, has_claude, program: &program };
    let mut plan = plan::clients(&wish, &seen)?;
    if args.settings {
        let root = Repository::around(cwd).map_or_else(|| cwd.to_owned(), |repository| repository.root().to_owned());
        plan.write(What::Settings, &root.join(".atm.toml"), settings::file(), memory);
    }
    if let Some(shell) = args.completions {
        let shell = shell.or_else(Shell::from_env).ok_or(SetupFailure::NoShell)?;
        let file = Dirs::find().ok_or(CliError::NoHome)?.file(shell);
        plan.write(What::Completions, &file, completions::script(shell), memory);
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
        let fingerprint = fingerprint(&content);
        let is_ours = |done: &Step| match done {
            Step::Write { file: written, fingerprint, .. } => {
                written == file && act::has_fingerprint(file, *fingerprint)
            }
            Step::Register(_) | Step::Replace { .. } | Step::Enter { .. } => false,
        };
        if act::has_fingerprint(file, fingerprint) {
            self.notes.push(format!("{} is there already", file.display()));
        } else if file.symlink_metadata().is_ok() && !memory.done().iter().any(is_ours) {
            self.notes.push(format!("{} is there and is not from setup, so it stays as it is", file.display()));
        } else {
            self.steps.push(Step::Write { what, file: file.to_owned(), fingerprint, content });
        }
    }
}

/// How this program is started by others.
fn program() -> Result<Program, CliError> {
    let path = std::env::current_exe().map_err(CliError::Runtime)?;
    let is_this = |found: std::path::PathBuf| found.canonicalize().ok() == path.canonicalize().ok();
    Ok(Program { is_on_path: which::which(NAME).is_ok_and(is_this), path: path.display().to_string() })
}

fn undo(claude: &Claude, memory: &mut Memory, yes: bool) -> Result<(), CliError> {
    // What was done last is taken back first.
    let steps: Vec<Step> = memory.done().iter().rev().cloned().collect();
    if steps.is_empty() {
        return output::text("Nothing to take back: setup has done nothing that is remembered.\n");
    }
    if !yes {
        let text =
            listed("This would be taken back, where it is still as it was left:", steps.iter().map(Step::shown_back));
        output::text(&output::visible(&text))?;
    }
    if !agreed(yes, "Take it back?")? {
        return Ok(());
    }
    let mut not_back = 0;
    for step in &steps {
        match act::take_back(step, claude) {
            Ok(back) => {
                memory.forget(step)?;
                let line = match back {
                    Back::Taken => format!("taken back: {}\n", step.title()),
                    Back::Left(why) => format!("left, for {why}: {}\n", step.title()),
                };
                output::text(&output::visible(&line))?;
            }
            Err(error) => {
                not_back += 1;
                eprintln!("{}", output::visible(&format!("not taken back: {}: {error}", step.title())));
            }
        }
    }
    if not_back > 0 { Err(SetupFailure::NotBack(not_back).into()) } else { Ok(()) }
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
    eprintln!("nothing was done; --yes does it");
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
