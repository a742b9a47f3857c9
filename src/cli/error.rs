//! Errors for people: what failed, why, what to do, and the exit code. What can fail is said where it does; what follows from
//! it, for every command, is here.

use std::borrow::Cow;
use std::path::PathBuf;
use std::process::ExitCode;

use super::attach::AttachFailure;
use super::queue::QueueFailure;
use super::setup::SetupFailure;
use super::top::TopFailure;
use crate::codex::guest::GuestError;
use crate::codex::program::OLDEST;
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
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The server.
    #[error(transparent)]
    Serve(#[from] ServeError),
    /// The queues.
    #[error(transparent)]
    Queue(#[from] QueueFailure),
    /// Attaching.
    #[error(transparent)]
    Attach(#[from] AttachFailure),
    /// The live screen.
    #[error(transparent)]
    Top(#[from] TopFailure),
    /// Setting up.
    #[error(transparent)]
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

/// What its exit code tells a script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Arguments, settings or a message are wrong, and the caller can mend them: nothing was done.
    Usage,
    /// It failed.
    Failure,
}

impl Kind {
    fn exit_code(self) -> u8 {
        match self {
            Kind::Failure => 1,
            Kind::Usage => 2,
        }
    }
}

impl CliError {
    fn kind(&self) -> Kind {
        match self {
            CliError::Config(_)
            | CliError::NoHome
            | CliError::IsAgent(_)
            | CliError::Queue(
                QueueFailure::UnknownAgent { .. }
                | QueueFailure::UnknownEntry { .. }
                | QueueFailure::AlreadyDelivered(_)
                | QueueFailure::AlreadyWaits(_)
                | QueueFailure::TooLong(_)
                | QueueFailure::NotUtf8(_)
                | QueueFailure::Queue(QueueError::Text(_)),
            )
            | CliError::Setup(SetupFailure::NameTaken { .. } | SetupFailure::Name(_) | SetupFailure::NoShell) => {
                Kind::Usage
            }
            CliError::Serve(_)
            | CliError::Queue(_)
            | CliError::Attach(_)
            | CliError::Top(_)
            | CliError::Setup(_)
            | CliError::Mail(_)
            | CliError::Input(_)
            | CliError::Unreadable { .. }
            | CliError::Prune(_)
            | CliError::NoSummary { .. }
            | CliError::Demo(_)
            | CliError::NoDirectory(_)
            | CliError::Runtime(_)
            | CliError::Output(_) => Kind::Failure,
        }
    }

    /// What to do about it.
    fn hint(&self) -> Option<Cow<'static, str>> {
        let hint = match self {
            CliError::Queue(failure) => of_queue(failure)?,
            CliError::Attach(failure) => return of_attach(failure),
            CliError::Top(failure) => of_top(failure)?,
            CliError::Setup(failure) => of_setup(failure)?,
            CliError::Config(_) => "`atm-agent-mcp config` shows every value and where it comes from",
            CliError::Serve(ServeError::Resume(_)) => {
                "start without --resume; agent_sessions lists who can be continued"
            }
            CliError::Serve(ServeError::NoAgent(_)) => {
                "this command is started by Codex for an agent; there is no need to start it by hand"
            }
            CliError::Serve(ServeError::Handshake(_)) => {
                "this command speaks MCP on stdin and stdout; it is started by a client: claude mcp add codex -- atm-agent-mcp serve"
            }
            CliError::NoHome => "set HOME, or ATM_HOME to the directory that stands for it",
            CliError::NoDirectory(_) => "go to a directory that is there",
            CliError::IsAgent(_) => "choose another name, or leave --as out and speak as the lead",
            CliError::Demo(_) => "ATM_LOG=debug atm-agent-mcp demo shows what Codex says",
            CliError::NoSummary { is_closed: false, .. } => {
                "it is written when the agent is closed: agent_close {\"summary\": true}"
            }
            CliError::NoSummary { is_closed: true, .. } => {
                "it had said nothing when it was closed; agent_read shows its thread"
            }
            CliError::Prune(_) => "`atm-agent-mcp doctor` looks at the permissions; what is left can be pruned again",
            CliError::Mail(_)
            | CliError::Input(_)
            | CliError::Unreadable { .. }
            | CliError::Runtime(_)
            | CliError::Output(_) => return None,
        };
        Some(Cow::Borrowed(hint))
    }

    /// Tells the person at the terminal.
    pub(super) fn report(&self) -> ExitCode {
        // What others say in it has no lines of its own that could pose as ours.
        let lines: Vec<String> = self.to_string().lines().map(on_one_line).collect();
        eprintln!("Error: {}", lines.join("\n  "));
        if let Some(hint) = self.hint() {
            eprintln!("Hint: {hint}");
        }
        ExitCode::from(self.kind().exit_code())
    }
}

fn of_queue(failure: &QueueFailure) -> Option<&'static str> {
    match failure {
        QueueFailure::UnknownAgent { .. } => {
            Some("AGENT is a name, an agent id or a thread id; --team chooses another team")
        }
        QueueFailure::TooLong(_) => Some("put what is long into a file, and say where it is"),
        QueueFailure::NotUtf8(_) => {
            Some("send it as UTF-8: iconv -f latin1 -t utf-8 does that for one that is Latin-1")
        }
        QueueFailure::UnknownEntry { .. } => Some(
            "`atm-agent-mcp queue list` shows what waits, with --dead what was buried; --team chooses another team",
        ),
        QueueFailure::Buried { .. } => {
            Some("it is kept: `atm-agent-mcp queue retry ID` puts it back, `queue drop ID` removes it")
        }
        QueueFailure::StillWaits { .. } => {
            Some("it is delivered when it can be; `atm-agent-mcp queue drop ID` takes it back")
        }
        QueueFailure::Gone(_) => Some("`atm-agent-mcp attach AGENT --read-only` shows whether it is in the thread"),
        QueueFailure::Record(_)
        | QueueFailure::Queue(_)
        | QueueFailure::AlreadyDelivered(_)
        | QueueFailure::AlreadyWaits(_)
        | QueueFailure::Stdin(_) => None,
    }
}

fn of_attach(failure: &AttachFailure) -> Option<Cow<'static, str>> {
    let hint = match failure {
        AttachFailure::NoThread { .. } => {
            "give it its first prompt (the tools codex and codex-reply), then attach again"
        }
        AttachFailure::NotRunning { .. } => {
            "run the command above in a terminal, or use --yes; or let a server continue the agent (codex-reply), and attach then"
        }
        AttachFailure::NothingToFollow { .. } => "or let a server continue the agent (codex-reply), and attach then",
        AttachFailure::NoSocket { .. } => "use agent_read and agent_steer through its server instead",
        AttachFailure::NoCodex { source: GuestError::Absent { .. }, .. } => {
            "its server starts another Codex with the agent's next prompt: try again then"
        }
        AttachFailure::NoRemote { .. } => {
            let can = format!("Codex {OLDEST} and newer can: npm install -g @openai/codex@latest, or set codex_bin");
            return Some(Cow::Owned(can));
        }
        AttachFailure::NoCodex { .. } | AttachFailure::NotStarted { .. } => {
            "`atm-agent-mcp doctor` looks whether Codex can start, and what it can do"
        }
        AttachFailure::Program(_) | AttachFailure::Ended(_) | AttachFailure::NoAnswer(_) => return None,
    };
    Some(Cow::Borrowed(hint))
}

fn of_top(failure: &TopFailure) -> Option<&'static str> {
    match failure {
        TopFailure::NoTerminal | TopFailure::Dumb => {
            Some("`atm-agent-mcp attach AGENT --read-only` follows one agent as text")
        }
        TopFailure::Terminal(_) | TopFailure::Top(_) => None,
    }
}

fn of_setup(failure: &SetupFailure) -> Option<&'static str> {
    match failure {
        SetupFailure::NoClaude => Some(
            "`atm-agent-mcp setup --mcp-json` writes the entry into .mcp.json here, which Claude Code and other clients read",
        ),
        SetupFailure::NameTaken { .. } => Some("choose another one with --name"),
        SetupFailure::Changed { .. } => Some("run it again"),
        SetupFailure::Memory { .. } => Some("move the file away; what was done before is then yours to take back"),
        SetupFailure::NoShell => Some("name it: --completions bash"),
        SetupFailure::NotBack(_) => Some("it is still remembered: run `atm-agent-mcp setup --undo` again"),
        SetupFailure::Claude { .. } => Some("run that command in a terminal; `atm-agent-mcp setup` goes on from there"),
        SetupFailure::File { .. } => {
            Some("see to its permissions, and run it again: what is done already is passed over")
        }
        SetupFailure::Name(_) => None,
    }
}

#[cfg(test)]
mod tests;
