//! Which programs there are: ours, Codex, Claude Code, Node and git, their paths and versions.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use super::finding::{Check, Finding};
use crate::cli::shell;
use crate::codex::group;
use crate::codex::program::{self, OLDEST, UI_LEAVES_TOOLS, Version};
use crate::codex::{Environment, StartError};

/// How long a program may take to say its version.
const PATIENCE: Duration = Duration::from_secs(10);
const NO_CODEX: &str = "agents are threads of Codex: without it there are none";
const INSTALL_CODEX: &str = "npm install -g @openai/codex";
const UPDATE_CODEX: &str = "npm install -g @openai/codex@latest";

/// Ours: the version, and whether another one is what the name stands for.
pub(super) fn own() -> Vec<Finding> {
    let version = env!("CARGO_PKG_VERSION");
    let Ok(itself) = std::env::current_exe() else {
        return vec![Check::Programs.ok(format!("atm-agent-mcp {version}"))];
    };
    let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let mut found = vec![Check::Programs.ok(format!("atm-agent-mcp {version} ({})", itself.display()))];
    if let Ok(other) = which::which("atm-agent-mcp")
        && real(&other) != real(&itself)
    {
        found.push(
            Check::Programs
                .note(format!("the command atm-agent-mcp is another one: {}", other.display()))
                .because("a client that is told to run `atm-agent-mcp` runs that one, and not this")
                .mend("nothing, if that is what you want; else put the directory of this one first on PATH"),
        );
    }
    found
}

/// Codex: where it is if it can be used, and what was found.
pub(super) async fn codex(setting: Option<&Path>, environment: &Environment) -> (Option<PathBuf>, Vec<Finding>) {
    let path = match program::find(setting) {
        Ok(path) => path,
        Err(StartError::NotFound { looked_for }) => {
            return (None, vec![missing_codex(&looked_for)]);
        }
        Err(error) => {
            return (None, vec![Check::Programs.error(error.to_string()).because(NO_CODEX).mend(INSTALL_CODEX)]);
        }
    };
    let said = says(&path, &["--version"], environment).await;
    let finding = judge_codex(&path, said);
    let found = (finding.level < super::finding::Level::Error).then_some(path);
    (found, vec![finding])
}

fn missing_codex(looked_for: &Path) -> Finding {
    Check::Programs
        .error(format!("Codex was not found (looked for {})", looked_for.display()))
        .because(NO_CODEX)
        .mend(format!("{INSTALL_CODEX}, or set ATM_AGENT_MCP_CODEX_BIN or the key codex_bin to its path"))
}

fn judge_codex(path: &Path, said: Result<String, String>) -> Finding {
    let at = path.display();
    match said.as_deref().map(Version::in_words) {
        Ok(Some(version)) if version < OLDEST => Check::Programs
            .error(format!("Codex {version} ({at}) is too old: at least {OLDEST} is needed"))
            .because("its app-server lacks what agents are made of")
            .mend(UPDATE_CODEX),
        Ok(Some(version)) if version < UI_LEAVES_TOOLS => Check::Programs
            .note(format!("Codex {version} ({at})"))
            .because(format!(
                "while its UI is attached to an agent, the agent's own tools mostly fail; from {UI_LEAVES_TOOLS} on they do not"
            ))
            .mend(UPDATE_CODEX),
        Ok(Some(version)) => Check::Programs.ok(format!("Codex {version} ({at})")),
        Ok(None) => Check::Programs
            .warning(format!("Codex ({at}) does not say its version"))
            .because("it may be another program")
            .mend(format!("{at} --version")),
        Err(why) => Check::Programs
            .error(format!("Codex ({at}) cannot be run: {why}"))
            .because(NO_CODEX)
            .mend(INSTALL_CODEX),
    }
}

/// Whether the UI of this Codex can go to the thread of a server.
pub(super) async fn can_attach(codex: &Path, environment: &Environment) -> bool {
    says(codex, &["resume", "--help"], environment).await.is_ok_and(|help| help.contains("--remote"))
}

/// One that is not needed by us, but by others.
struct Other {
    command: &'static str,
    name: &'static str,
    why: &'static str,
    mend: &'static str,
}

const OTHERS: [Other; 3] = [
    Other {
        command: "claude",
        name: "Claude Code",
        why: "any MCP client can lead the agents; Claude Code is the one that also has teams and mail",
        mend: "npm install -g @anthropic-ai/claude-code",
    },
    Other {
        command: "node",
        name: "Node",
        why: "npm installs and updates Codex with it; a running Codex does not need it",
        mend: "install it from https://nodejs.org when you need npm; until then nothing needs to be done",
    },
    Other {
        command: "git",
        name: "git",
        why: "agents work in repositories, and most look at them with git",
        mend: "install it with the packages of your system",
    },
];

/// Looks for those, too.
pub(super) async fn others(environment: &Environment) -> Vec<Finding> {
    let [claude, node, git] = OTHERS;
    let (claude, node, git) = tokio::join!(claude.look(environment), node.look(environment), git.look(environment));
    vec![claude, node, git]
}

impl Other {
    async fn look(self, environment: &Environment) -> Finding {
        match which::which(self.command) {
            Ok(path) => self.judge(&path, says(&path, &["--version"], environment).await),
            Err(_) => {
                let what = format!("{} was not found (looked for {})", self.name, self.command);
                Check::Programs.note(what).because(self.why).mend(self.mend)
            }
        }
    }

    fn judge(&self, path: &Path, said: Result<String, String>) -> Finding {
        let Other { name, why, mend, .. } = self;
        let at = path.display();
        match said {
            Ok(said) => Check::Programs.ok(format!("{name} {} ({at})", number_in(&said))),
            Err(failed) => Check::Programs
                .warning(format!("{name} ({at}) cannot be run: {failed}"))
                .because(*why)
                .mend(format!("{} --version, to see it for yourself; {mend}", shell::path(path))),
        }
    }
}

/// The version in what a program says of itself.
fn number_in(said: &str) -> &str {
    let has_number = |word: &&str| word.trim_start_matches('v').starts_with(|c: char| c.is_ascii_digit());
    let word = said.split_whitespace().find(has_number).unwrap_or("of an unknown version");
    word.trim_start_matches('v')
}

/// What a program prints; the error says why it does not.
async fn says(program: &Path, args: &[&str], environment: &Environment) -> Result<String, String> {
    says_within(PATIENCE, program, args, environment).await
}

async fn says_within(
    patience: Duration,
    program: &Path,
    args: &[&str],
    environment: &Environment,
) -> Result<String, String> {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os().filter(|(name, _)| environment.lacks(name)) {
        command.env_remove(name);
    }
    command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let output = tokio::time::timeout(patience, group::output(command)).await;
    let output = output.map_err(|_| format!("it does not end within {} s", patience.as_secs()))?;
    let output = output.map_err(|error| error.to_string())?;
    if !output.status.success() {
        let words = String::from_utf8_lossy(&output.stderr);
        let last = words.trim().lines().last().unwrap_or_default();
        return Err(format!("{} {last}", output.status).trim_end().to_owned());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::super::finding::Level;
    use super::*;

    #[test]
    fn a_codex_is_judged_by_what_it_says() {
        let judged = |said: Result<&str, &str>| {
            let said = said.map(str::to_owned).map_err(str::to_owned);
            let finding = judge_codex(Path::new("/c"), said);
            (finding.level, finding.what.clone(), finding.mend().unwrap_or_default().to_owned())
        };
        let text = |level, what: &str, mend: &str| (level, what.to_owned(), mend.to_owned());
        assert_eq!(judged(Ok("codex-cli 0.169.0\n")), text(Level::Ok, "Codex 0.169.0 (/c)", ""));
        assert_eq!(judged(Ok("codex-cli 0.144.6\n")), text(Level::Note, "Codex 0.144.6 (/c)", UPDATE_CODEX));
        let old = "Codex 0.99.1 (/c) is too old: at least 0.144.0 is needed";
        assert_eq!(judged(Ok("codex-cli 0.99.1")), text(Level::Error, old, UPDATE_CODEX));
        assert_eq!(judged(Ok("hello")).0, Level::Warning);
        assert_eq!(judged(Err("no")), text(Level::Error, "Codex (/c) cannot be run: no", INSTALL_CODEX));
    }

    #[test]
    fn a_program_of_others_that_cannot_be_run_is_told_with_what_it_is_for() {
        let [claude, ..] = OTHERS;
        let finding = claude.judge(Path::new("/c"), Err("no".into()));
        assert_eq!((finding.level, finding.what.as_str()), (Level::Warning, "Claude Code (/c) cannot be run: no"));
        let mend = "/c --version, to see it for yourself; npm install -g @anthropic-ai/claude-code";
        assert_eq!(finding.mend(), Some(mend));
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn a_program_that_hangs_or_fails_is_told_as_such() {
        let says = async |patience: u64, script: &str| {
            let environment = Environment::default();
            says_within(Duration::from_secs(patience), Path::new("/bin/sh"), &["-c", script], &environment).await
        };
        assert_eq!(says(0, "sleep 1000").await, Err("it does not end within 0 s".into()));
        assert_eq!(says(60, "echo no >&2; exit 3").await, Err("exit status: 3 no".into()));
        assert_eq!(says(60, "echo 1.2").await, Ok("1.2\n".into()));
    }

    #[test]
    fn a_version_is_found_in_what_programs_say() {
        let said = ["2.1.330 (Claude Code)\n", "v22.1.0\n", "git version 2.39.5\n", "?"];
        assert_eq!(said.map(number_in), ["2.1.330", "22.1.0", "2.39.5", "of an unknown version"]);
    }
}
