//! `doctor`: what is installed, what works, and what to do about the rest.

mod codex;
mod configuration;
mod directories;
mod finding;
mod leftovers;
mod mend;
mod programs;
mod progress;
mod registration;
mod report;
mod trial;

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::ending::unless_asked;
use super::error::{CliError, of_config};
use super::output;
use crate::cli::claude_config::Files;
use crate::codex::Environment;
use crate::config::{self, ConfigError, Loaded, ServeFlags, Sources};
use crate::home::Home;
use crate::ids::Team;
use codex::Running;
use finding::{Check, Finding};
use progress::Progress;
use report::{Colour, Report};

/// Say what is installed, what works, and what to do about the rest
///
/// Codex is started and asked (no token is read); one thread that is kept nowhere is opened to
/// see how long its MCP servers take; a temporary server plays a turn with a scripted model.
/// Exit code: 0 all is well, 1 something is to be looked at, 2 agents cannot work, or it could not be
/// found out; 130, 143 or 129 it was ended by Ctrl-C, SIGTERM or SIGHUP.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  atm-agent-mcp doctor              # look at everything; nothing is mended
  atm-agent-mcp doctor --fix        # clear up after dead servers, make our directories private
  atm-agent-mcp doctor --live       # also ask the real model for one word
  atm-agent-mcp doctor --json       # for programs")]
pub(super) struct Args {
    /// Mend what is safe to mend: what the next server would do anyway, and the modes of our own directories
    #[arg(long)]
    fix: bool,

    /// Ask the real model for one word, with your own account
    #[arg(long)]
    live: bool,

    /// Print JSON
    #[arg(long)]
    json: bool,

    /// A settings file that goes before those of the repository and of the user
    #[arg(long, value_name = "PATH")]
    config: Option<PathBuf>,
}

/// Why there is no report.
enum Unreported {
    /// Somebody wanted it to end; the exit code says so.
    Asked(ExitCode),
    Failed(CliError),
}

pub(super) async fn run(args: Args) -> ExitCode {
    let is_json = args.json;
    let told = match looked(args).await {
        Ok(report) => tell(&report, is_json).map(|()| report.code()),
        Err(Unreported::Asked(code)) => return code,
        Err(Unreported::Failed(error)) => Err(error),
    };
    ExitCode::from(told.unwrap_or_else(|error| {
        error.report();
        report::AGENTS_CANNOT_WORK
    }))
}

fn tell(report: &Report, is_json: bool) -> Result<(), CliError> {
    if is_json { output::json(&report.json()) } else { output::text(&report.text(colour())) }
}

async fn looked(args: Args) -> Result<Report, Unreported> {
    let (home, cwd) = match place() {
        Ok(place) => place,
        Err(nowhere) => return Ok(Report::new(vec![nowhere])),
    };
    let (loaded, mut findings) = settings(&home, &cwd, args.config);
    let progress = Progress::start();
    // It outlives the look at it: what it has started for its user ends in good order with it alone.
    let mut running = None;
    let looked = unless_asked(async {
        findings.extend(look(&loaded, &home, &cwd, args.live, &progress, &mut running).await);
        if args.fix { progress.during("mending", mended(findings, home.clone())).await } else { Ok(findings) }
    });
    let looked = looked.await;
    if let Some(running) = running {
        running.end().await;
    }
    progress.end();
    match looked {
        Ok(findings) => findings.map(Report::new).map_err(Unreported::Failed),
        Err(asked) => Err(Unreported::Asked(asked)),
    }
}

/// The home and the directory; without them nothing can be looked at.
fn place() -> Result<(Home, PathBuf), Finding> {
    let nowhere = |error: CliError, why: &str| {
        let finding = Check::Directories.error(error.to_string()).because(format!("{why}; nothing else was looked at"));
        finding.mend(error.hint().unwrap_or_default())
    };
    let home = Home::find().ok_or_else(|| nowhere(CliError::NoHome, "agents are kept there"))?;
    let cwd = std::env::current_dir();
    Ok((home, cwd.map_err(|error| nowhere(CliError::NoDirectory(error), "agents work where they are started"))?))
}

async fn mended(mut findings: Vec<Finding>, home: Home) -> Result<Vec<Finding>, CliError> {
    let mended = tokio::task::spawn_blocking(move || {
        mend::mend(&mut findings, &home);
        findings
    });
    mended.await.map_err(|error| CliError::Runtime(error.into()))
}

fn colour() -> Colour {
    let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let is_plain =
        is_set("NO_COLOR") || is_set("ATM_NO_COLOR") || std::env::var_os("TERM").is_some_and(|t| t == "dumb");
    if std::io::stdout().is_terminal() && !is_plain { Colour::Seen } else { Colour::Unseen }
}

/// The settings; those that a server would not start with are found, and the rest is looked at without the files.
fn settings(home: &Home, cwd: &Path, file: Option<PathBuf>) -> (Loaded, Vec<Finding>) {
    let flags = ServeFlags { config: file, ..ServeFlags::default() };
    let env = |name: &str| std::env::var(name).ok();
    match config::load(&Sources { flags: &flags, env: &env, cwd, home }) {
        Ok(loaded) => {
            let warned = loaded.warnings.iter().map(|warning| Check::Settings.warning(warning.to_string()));
            let warned = warned.map(|finding| finding.because("it does not do what its writer may think"));
            let mut found: Vec<Finding> = warned.map(|finding| finding.mend("atm-agent-mcp config")).collect();
            found.push(Check::Settings.ok(format!("they can be read; the team here is {}", loaded.settings.team)));
            (loaded, found)
        }
        Err(error) => (without_files(&env), vec![unreadable(&error)]),
    }
}

fn unreadable(error: &ConfigError) -> Finding {
    let finding = Check::Settings.error(error.to_string()).because("no server starts with such settings");
    finding.mend(of_config(error))
}

/// What holds without files; if the variables are what is wrong, without these too.
fn without_files(env: &dyn Fn(&str) -> Option<String>) -> Loaded {
    let (flags, nowhere) = (ServeFlags::default(), Path::new("/nowhere"));
    let load = |env| config::load(&Sources { flags: &flags, env, cwd: nowhere, home: &Home::at(nowhere) });
    load(env).or_else(|_| load(&|_| None)).expect("the defaults can be read")
}

/// Everything that is looked at; what does not depend on another is looked at beside it.
async fn look(
    loaded: &Loaded,
    home: &Home,
    cwd: &Path,
    live: bool,
    progress: &Progress,
    running: &mut Option<Running>,
) -> Vec<Finding> {
    let settings = &loaded.settings;
    let environment = Environment::without(settings.env_remove.clone());
    let files = on_the_disk(home.clone(), cwd.to_owned(), settings.team.clone());
    let codex = async {
        let found = progress.during("versions", programs::codex(settings.codex_bin.as_deref(), &environment)).await;
        let (Some(program), mut findings) = found else { return found.1 };
        let cwd = cwd.to_string_lossy();
        let name = settings.codex_bin.as_deref().unwrap_or(Path::new("codex"));
        let subject = codex::Subject { program: &program, name, environment: &environment, cwd: &cwd, live, progress };
        let (asked, played) = tokio::join!(
            progress.during("Codex", codex::look(subject, running)),
            progress.during("a trial turn", trial::play(&program)),
        );
        findings.extend(asked.into_iter().chain(played));
        findings
    };
    let (others, codex, files) = tokio::join!(
        progress.during("programs", programs::others(&environment)),
        codex,
        progress.during("files", files),
    );
    let mut findings = programs::own();
    findings.extend(codex);
    findings.extend(others);
    findings.extend(files);
    findings
}

async fn on_the_disk(home: Home, cwd: PathBuf, team: Team) -> Vec<Finding> {
    let looked = tokio::task::spawn_blocking(move || {
        let mut found = directories::look(&home, &team);
        found.extend(leftovers::look(&home));
        found.extend(registration::look(&Files::find(&cwd), &cwd));
        found
    });
    match looked.await {
        Ok(found) => found,
        Err(error) => {
            let finding = Check::Directories.error(format!("the files could not be looked at: {error}"));
            vec![finding.because("nothing is known of them").mend("atm-agent-mcp doctor, once more")]
        }
    }
}
