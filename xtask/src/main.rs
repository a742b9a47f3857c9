//! The project's own commands: codex, demo, test, chaos, check, bench, dist.

use std::env;
use std::ffi::{OsStr, OsString};
use std::process::{Command, ExitCode};

use crate::npm::{CLAUDE_CODE, CODEX, INSPECTOR, PROPER_LOCKFILE, Version};
use crate::run::{answers, run};
use crate::workspace::Workspace;

mod crates;
mod dist;
mod npm;
mod run;
mod workspace;

const USAGE: &str = "\
Usage: cargo xtask <COMMAND>

Commands:
  codex [VERSION…]  install the Codex versions the tests run against, or those named
  demo [ARGS…]      build the release binary and play its demo, with the Codex on PATH or else a pinned one
  test [ARGS…]      run every test; ARGS go to cargo nextest run, or to cargo test where nextest is not installed
  chaos [ARGS…]     the crash test: --seconds N (60), --seed S (a random one), --parts sink,codex,soak (all)
  check             formatting, clippy, rustdoc and cargo deny, each with warnings as errors; and the book is built
  bench [NAME] [ARGS…]
                    measure what we cost (overhead), what the queue (queue) and mail (mail) cost, or all; ARGS go to the benchmarks
  dist              the release binary, man pages, completions and licences, in target/dist
  help              say this
";

/// The newest and the oldest Codex that the tests run against.
const PINNED: [&str; 2] = [NEWEST, "0.144.6"];

/// The Codex for everything that needs only one.
const NEWEST: &str = "0.169.0";

/// The MCP client that the tests call the server with.
const INSPECTOR_VERSION: &str = "2.12.0";

/// The client that most people have.
const CLAUDE_CODE_VERSION: &str = "2.1.330";

/// The lock of the other writer of mail, and the program that is another one.
const PROPER_LOCKFILE_VERSION: &str = "4.1.2";
const ATM_VERSION: &str = "0.14.0";

/// The benchmarks, in the order in which cargo runs them.
const BENCHES: [&str; 3] = ["overhead", "queue", "mail"];

/// Where the tests and the benchmarks find the pinned Codex versions, a directory each.
const CODEX_DIR: &str = "ATM_TEST_CODEX_DIR";

/// Where the tests find the MCP client.
const INSPECTOR_BIN: &str = "ATM_TEST_INSPECTOR";

/// Where the tests find Claude Code.
const CLAUDE_CODE_BIN: &str = "ATM_TEST_CLAUDE_CODE";

/// Where the tests find proper-lockfile and atm.
const PROPER_LOCKFILE_DIR: &str = "ATM_TEST_PROPER_LOCKFILE";
const ATM_BIN: &str = "ATM_TEST_ATM";

#[derive(Debug, PartialEq)]
enum Task {
    Codex(Vec<Version>),
    Demo(Vec<OsString>),
    Test(Vec<OsString>),
    Chaos(Vec<OsString>),
    Check,
    Bench(Vec<&'static str>, Vec<OsString>),
    Dist,
    Help,
}

/// A sentence for a person: what failed and what to do.
type Error = String;

/// The last word of a task: the exit code of what it ran.
type Outcome = Result<ExitCode, Error>;

fn main() -> ExitCode {
    let task = match parse(env::args_os().skip(1)) {
        Ok(task) => task,
        Err(why) => {
            eprint!("error: {why}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    let outcome = Workspace::find().and_then(|workspace| match task {
        Task::Codex(versions) => install(&workspace, &versions),
        Task::Demo(args) => demo(&workspace, &args),
        Task::Test(args) => test(&workspace, &args),
        Task::Chaos(args) => chaos(&workspace, &args),
        Task::Check => check(&workspace),
        Task::Bench(names, args) => bench(&workspace, &names, &args),
        Task::Dist => dist::dist(&workspace),
        Task::Help => {
            eprint!("{USAGE}");
            Ok(ExitCode::SUCCESS)
        }
    });
    outcome.unwrap_or_else(|why| {
        eprintln!("error: {why}");
        ExitCode::FAILURE
    })
}

fn parse(mut args: impl Iterator<Item = OsString>) -> Result<Task, Error> {
    let word = args.next().ok_or("a command is needed")?;
    let rest: Vec<OsString> = args.collect();
    match word.to_str() {
        Some("codex") if rest.is_empty() => Ok(Task::Codex(pinned())),
        Some("codex") => rest.iter().map(|arg| Version::parse(arg)).collect::<Result<_, _>>().map(Task::Codex),
        Some("demo") => Ok(Task::Demo(rest)),
        Some("test") => Ok(Task::Test(rest)),
        Some("bench") => {
            let named = rest.first().and_then(|name| BENCHES.into_iter().find(|bench| name == bench));
            Ok(match named {
                Some(name) => Task::Bench(vec![name], rest[1..].to_vec()),
                None => Task::Bench(BENCHES.to_vec(), rest),
            })
        }
        Some("chaos") => Ok(Task::Chaos(rest)),
        Some("check") => alone("check", &rest, Task::Check),
        Some("dist") => alone("dist", &rest, Task::Dist),
        Some("help" | "--help" | "-h") => Ok(Task::Help),
        _ => Err(format!("there is no command {}", word.display())),
    }
}

fn alone(word: &str, rest: &[OsString], task: Task) -> Result<Task, Error> {
    match rest.first() {
        None => Ok(task),
        Some(arg) => Err(format!("{word} takes no arguments, but was given {}", arg.display())),
    }
}

fn pinned() -> Vec<Version> {
    PINNED.map(Version::pinned).to_vec()
}

fn install(workspace: &Workspace, versions: &[Version]) -> Outcome {
    for version in versions {
        let bin = CODEX.install(&workspace.codex_dir(), version)?;
        eprintln!("Codex {version}: {}", bin.display());
    }
    Ok(ExitCode::SUCCESS)
}

fn demo(workspace: &Workspace, args: &[OsString]) -> Outcome {
    // Codex first: when it cannot be had, that is said before a long build.
    let codex = match npm::on_path(env::var_os("PATH").as_deref().unwrap_or(OsStr::new(""))) {
        Some(bin) => bin,
        None => CODEX.install(&workspace.codex_dir(), &Version::pinned(NEWEST))?,
    };
    let built = run(workspace.cargo().args(["build", "--release", "--bin", "atm-agent-mcp"]))?;
    if built != ExitCode::SUCCESS {
        return Ok(built);
    }
    run(Command::new(workspace.built("release", "atm-agent-mcp")).args(["demo", "--codex-bin"]).arg(codex).args(args))
}

fn test(workspace: &Workspace, args: &[OsString]) -> Outcome {
    install(workspace, &pinned())?;
    let inspector = INSPECTOR.install(&workspace.inspector_dir(), &Version::pinned(INSPECTOR_VERSION))?;
    let claude_code =
        CLAUDE_CODE.install(&workspace.installed("claude-code"), &Version::pinned(CLAUDE_CODE_VERSION))?;
    let lockfile = Version::pinned(PROPER_LOCKFILE_VERSION);
    let lockfile = PROPER_LOCKFILE.install(&workspace.installed("proper-lockfile"), &lockfile)?;
    // Their tests run where processes can be killed between two steps.
    let atm = if cfg!(unix) { Some(crates::install_atm(workspace, ATM_VERSION)?) } else { None };
    let runner: &[&str] = if answers(workspace.cargo().args(["nextest", "--version"])) {
        &["nextest", "run"]
    } else {
        eprintln!("cargo-nextest is not installed; the same tests run more slowly with cargo test");
        &["test"]
    };
    let mut tests = workspace.cargo();
    tests.env(CODEX_DIR, workspace.codex_dir()).env(INSPECTOR_BIN, inspector);
    tests.env(CLAUDE_CODE_BIN, claude_code);
    tests.env(PROPER_LOCKFILE_DIR, lockfile).envs(atm.map(|atm| (ATM_BIN, atm)));
    tests.args(runner).args(["--workspace", "--no-fail-fast"]).args(args);
    run(&mut tests)
}

fn chaos(workspace: &Workspace, args: &[OsString]) -> Outcome {
    install(workspace, &[Version::pinned(NEWEST)])?;
    // The development profile: it is built in seconds, and what is measured here is promises.
    let bins = ["--bin", "chaos", "--bin", "atm-agent-mcp"];
    let built = run(workspace.cargo().args(["build", "--features", "test-fakes"]).args(bins))?;
    if built != ExitCode::SUCCESS {
        return Ok(built);
    }
    run(Command::new(workspace.built("debug", "chaos")).env(CODEX_DIR, workspace.codex_dir()).args(args))
}

fn check(workspace: &Workspace) -> Outcome {
    let mut fmt = workspace.cargo();
    fmt.args(["fmt", "--all", "--check"]);
    let mut clippy = workspace.cargo();
    clippy.args(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]);
    let mut doc = workspace.cargo();
    doc.env("RUSTDOCFLAGS", "-D warnings").args(["doc", "--workspace", "--no-deps"]);
    for step in [&mut fmt, &mut clippy, &mut doc] {
        let code = run(step)?;
        if code != ExitCode::SUCCESS {
            return Ok(code);
        }
    }
    if answers(Command::new("mdbook").arg("--version")) {
        let code = run(Command::new("mdbook").arg("build").current_dir(workspace.root()))?;
        if code != ExitCode::SUCCESS {
            return Ok(code);
        }
    } else {
        eprintln!("the book was left out: install mdbook with `cargo install --locked mdbook`");
    }
    if answers(workspace.cargo().args(["deny", "--version"])) {
        return run(workspace.cargo().args(["deny", "check"]));
    }
    eprintln!("cargo deny check was left out: install it with `cargo install --locked cargo-deny`");
    Ok(ExitCode::SUCCESS)
}

fn bench(workspace: &Workspace, names: &[&str], args: &[OsString]) -> Outcome {
    install(workspace, &[Version::pinned(NEWEST)])?;
    let mut bench = workspace.cargo();
    bench.env(CODEX_DIR, workspace.codex_dir()).arg("bench");
    bench.args(names.iter().flat_map(|name| ["--bench", name])).arg("--").args(args);
    run(&mut bench)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Task, Error> {
        parse(line.split_whitespace().map(OsString::from))
    }

    #[test]
    fn codex_without_a_version_means_the_pinned_ones() {
        assert_eq!(parsed("codex"), Ok(Task::Codex(pinned())));
        assert_eq!(parsed("codex 0.150.0"), Ok(Task::Codex(vec![Version::pinned("0.150.0")])));
    }

    #[test]
    fn arguments_are_passed_on_as_they_are() {
        assert_eq!(parsed("test -E test(real)"), Ok(Task::Test(vec!["-E".into(), "test(real)".into()])));
        assert_eq!(parsed("chaos --seconds 5"), Ok(Task::Chaos(vec!["--seconds".into(), "5".into()])));
    }

    #[test]
    fn one_benchmark_is_named_or_all_are_run() {
        assert_eq!(parsed("bench"), Ok(Task::Bench(BENCHES.to_vec(), vec![])));
        assert_eq!(parsed("bench --quick"), Ok(Task::Bench(BENCHES.to_vec(), vec!["--quick".into()])));
        assert_eq!(parsed("bench queue --quick"), Ok(Task::Bench(vec!["queue"], vec!["--quick".into()])));
        assert_eq!(parsed("bench overhead"), Ok(Task::Bench(vec!["overhead"], vec![])));
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for line in ["", "tests", "check --fix", "dist all", "codex latest", "codex 0.169.0 ../up"] {
            assert!(parsed(line).is_err(), "{line:?}");
        }
    }
}
