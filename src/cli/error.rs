//! Errors for people: what failed, why, what to do, and the exit code.

use std::borrow::Cow;
use std::path::PathBuf;
use std::process::ExitCode;

use super::attach::AttachFailure;
use super::queue::QueueFailure;
use super::setup::SetupFailure;
use super::top::TopFailure;
use crate::config::ConfigError;
use crate::ids::AgentName;
use crate::mail::MailError;
use crate::plain::on_one_line;
use crate::queue::QueueError;
use crate::serve::ServeError;
use crate::session::RosterError;
use crate::tools::Refusal;

/// Why a command did not do what it should.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// The settings.
    #[error("{0}")]
    Config(#[from] ConfigError),
    /// The server.
    #[error("{0}")]
    Serve(#[from] ServeError),
    /// The queues.
    #[error("{0}")]
    Queue(#[from] QueueFailure),
    /// Attaching.
    #[error("{0}")]
    Attach(#[from] AttachFailure),
    /// The live screen.
    #[error("{0}")]
    Top(#[from] TopFailure),
    /// Setting up.
    #[error("{0}")]
    Setup(#[from] SetupFailure),
    /// No home directory.
    #[error("no home directory is known")]
    NoHome,
    /// The current directory is gone.
    #[error("the current directory cannot be read: {0}")]
    NoDirectory(std::io::Error),
    /// The system refuses what every program needs.
    #[error("the runtime cannot be started: {0}")]
    Runtime(std::io::Error),
    /// Output that cannot be written.
    #[error("the output cannot be written: {0}")]
    Output(std::io::Error),
    /// Input that cannot be read.
    #[error("stdin cannot be read: {0}")]
    Input(std::io::Error),
    /// A file that cannot be read.
    #[error("{path} cannot be read: {error}", path = path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// What cannot be removed.
    #[error("what is kept of an agent cannot be removed: {0}")]
    Prune(std::io::Error),
    /// An agent that has said nothing at its end.
    #[error("there is no summary of {name}")]
    NoSummary {
        /// Whose.
        name: AgentName,
        /// Whether it was closed.
        is_closed: bool,
    },
    /// Mail.
    #[error("{0}")]
    Mail(String),
    /// Somebody else's name.
    #[error("{0} is an agent of this team, and its mail is its own")]
    IsAgent(AgentName),
    /// The demo.
    #[error("the demo failed: {0}")]
    Demo(String),
}

impl From<Refusal> for CliError {
    fn from(refusal: Refusal) -> CliError {
        CliError::Mail(refusal.message)
    }
}

impl From<MailError> for CliError {
    fn from(error: MailError) -> CliError {
        CliError::Mail(error.to_string())
    }
}

impl From<RosterError> for CliError {
    fn from(error: RosterError) -> CliError {
        CliError::Queue(error.into())
    }
}

impl From<QueueError> for CliError {
    fn from(error: QueueError) -> CliError {
        CliError::Queue(error.into())
    }
}

impl CliError {
    fn hint(&self) -> Option<Cow<'static, str>> {
        let hint = match self {
            CliError::Attach(failure) => return failure.hint(),
            CliError::Top(failure) => failure.hint(),
            CliError::Setup(failure) => failure.hint(),
            CliError::Config(_) => Some("`atm-agent-mcp config` shows every value and where it comes from"),
            CliError::Serve(ServeError::Resume(_)) => {
                Some("start without --resume; agent_sessions lists who can be continued")
            }
            CliError::Serve(ServeError::NoAgent(_)) => {
                Some("this command is started by Codex for an agent; there is no need to start it by hand")
            }
            CliError::Serve(ServeError::Handshake(_)) => Some(
                "this command speaks MCP on stdin and stdout; it is started by a client: claude mcp add codex -- atm-agent-mcp serve",
            ),
            CliError::Queue(failure) => failure.hint(),
            CliError::NoHome => Some("set HOME, or ATM_HOME to the directory that stands for it"),
            CliError::IsAgent(_) => Some("choose another name, or leave --as out and speak as the lead"),
            CliError::Demo(_) => Some("ATM_LOG=debug atm-agent-mcp demo shows what Codex says"),
            CliError::NoSummary { is_closed: false, .. } => {
                Some("it is written when the agent is closed: agent_close {\"summary\": true}")
            }
            CliError::NoSummary { is_closed: true, .. } => {
                Some("it had said nothing when it was closed; agent_read shows its thread")
            }
            CliError::Mail(_)
            | CliError::Input(_)
            | CliError::Unreadable { .. }
            | CliError::Prune(_)
            | CliError::NoDirectory(_)
            | CliError::Runtime(_)
            | CliError::Output(_) => None,
        };
        hint.map(Cow::Borrowed)
    }

    /// 2 for what the caller can mend in its settings or arguments, 1 for the rest.
    fn code(&self) -> u8 {
        match self {
            CliError::Config(_) | CliError::NoHome | CliError::IsAgent(_) => 2,
            CliError::Queue(failure) => failure.code(),
            CliError::Setup(failure) => failure.code(),
            CliError::Serve(_)
            | CliError::Attach(_)
            | CliError::Top(_)
            | CliError::Mail(_)
            | CliError::Input(_)
            | CliError::Unreadable { .. }
            | CliError::Prune(_)
            | CliError::NoSummary { .. }
            | CliError::Demo(_)
            | CliError::NoDirectory(_)
            | CliError::Runtime(_)
            | CliError::Output(_) => 1,
        }
    }

    /// Tells the person at the terminal.
    pub(super) fn report(&self) -> ExitCode {
        // What others say in it has no lines of its own that could pose as ours.
        let lines: Vec<String> = self.to_string().lines().map(on_one_line).collect();
        eprintln!("Error: {}", lines.join("\n  "));
        if let Some(hint) = self.hint() {
            eprintln!("Hint: {hint}");
        }
        ExitCode::from(self.code())
    }
}

#[cfg(test)]
mod tests;
