//! The real Codex UI, in place of our process.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::error::AttachFailure;
use crate::cli::{output, shell};
use crate::codex::Environment;
use crate::codex::guest::{Guest, GuestError};
use crate::codex::program::{self, UI_LEAVES_TOOLS, Version};
use crate::ids::{AgentName, ThreadId};

/// Which Codex serve would use, and what it gets of our environment.
pub(super) struct Program {
    pub(super) setting: Option<PathBuf>,
    pub(super) environment: Environment,
}

impl Program {
    /// The command that opens a thread, for a person to type.
    pub(super) fn shown(&self, thread: &ThreadId, cwd: &Path) -> String {
        let codex = self.setting.as_deref().unwrap_or(Path::new("codex"));
        let open = format!("{} resume {thread}", shell::path(codex));
        if cwd.is_dir() { format!("cd {} && {open}", shell::path(cwd)) } else { open }
    }
}

/// A Codex that is there.
pub(super) struct Ui<'a> {
    program: PathBuf,
    environment: &'a Environment,
}

impl<'a> Ui<'a> {
    /// Finds it.
    pub(super) fn find(codex: &'a Program) -> Result<Ui<'a>, AttachFailure> {
        Ok(Ui { program: program::find(codex.setting.as_deref())?, environment: &codex.environment })
    }

    /// Whether it can go to the thread of another; says what to expect of an old one.
    pub(super) fn check(&self) -> Result<(), AttachFailure> {
        let version = self.version();
        if !self.says(&["resume", "--help"])?.contains("--remote") {
            let version = version.map(|version| version.to_string());
            return Err(AttachFailure::NoRemote { program: self.program.clone(), version });
        }
        if let Some(version) = version.filter(|version| *version < UI_LEAVES_TOOLS) {
            output::note(format_args!(
                "Warning: as long as the UI of Codex {version} is open, the agent's own tools (atm.send, …) mostly fail: it \
                 answers their calls with an error before the server can. Codex {UI_LEAVES_TOOLS} and newer do not."
            ));
        }
        Ok(())
    }

    /// Its version, if it tells.
    pub(super) fn version(&self) -> Option<Version> {
        self.says(&["--version"]).ok().and_then(|said| Version::in_words(&said))
    }

    fn says(&self, args: &[&str]) -> Result<String, AttachFailure> {
        let said = self.command().args(args).stdin(Stdio::null()).output().map_err(|error| self.not_started(error))?;
        Ok(String::from_utf8_lossy(&said.stdout).into_owned())
    }

    /// Opens a thread, if it is live by way of its server's socket. On Unix our process becomes it; elsewhere it is waited
    /// for.
    pub(super) fn open(&self, thread: &ThreadId, socket: Option<&Path>, cwd: &Path) -> Result<(), AttachFailure> {
        let mut command = self.command();
        command.args(["resume", thread.as_str()]);
        if let Some(socket) = socket {
            let mut address = std::ffi::OsString::from("unix://");
            address.push(socket);
            command.arg("--remote").arg(address);
        }
        if cwd.is_dir() {
            command.current_dir(cwd);
        }
        self.become_it(command)
    }

    #[cfg(unix)]
    fn become_it(&self, mut command: Command) -> Result<(), AttachFailure> {
        Err(self.not_started(std::os::unix::process::CommandExt::exec(&mut command)))
    }

    #[cfg(not(unix))]
    fn become_it(&self, mut command: Command) -> Result<(), AttachFailure> {
        let status = command.status().map_err(|error| self.not_started(error))?;
        if status.success() { Ok(()) } else { Err(AttachFailure::Ended(status)) }
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        for (name, _) in std::env::vars_os().filter(|(name, _)| self.environment.lacks(name)) {
            command.env_remove(name);
        }
        command
    }

    fn not_started(&self, source: std::io::Error) -> AttachFailure {
        AttachFailure::NotStarted { program: self.program.clone(), source }
    }
}

/// Whether the Codex of a running agent is there: the UI would say less well that it is not.
pub(super) async fn is_listening(agent: &AgentName, socket: &Path) -> Result<(), AttachFailure> {
    let no_codex = |source: GuestError| AttachFailure::NoCodex { agent: agent.clone(), source };
    Guest::at(socket).await.map(drop).map_err(no_codex)
}
