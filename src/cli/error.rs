//! Errors for people: what failed, why, what to do, and the exit code. What can fail is said where it does; what follows from
//! it, for every command, is here.

use std::borrow::Cow;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::attach::AttachFailure;
use super::input::InputFailure;
use super::mail::MailFailure;
use super::output;
use super::queue::QueueFailure;
use super::setup::SetupFailure;
use super::shell;
use super::top::TopFailure;
use crate::codex::guest::GuestError;
use crate::codex::program::OLDEST;
use crate::config::{ConfigError, Source};
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
    NoDirectory(io::Error),
    /// The system refuses what every program needs.
    #[error("the runtime cannot be started: {0}")]
    Runtime(io::Error),
    /// Output that cannot be written.
    #[error("the output cannot be written: {0}")]
    Output(io::Error),
    /// Input that cannot be read.
    #[error("stdin cannot be read: {0}")]
    Input(io::Error),
    /// A message on stdin.
    #[error(transparent)]
    Message(#[from] InputFailure),
    /// A file that cannot be read.
    #[error("{path} cannot be read: {error}", path = path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// What cannot be removed.
    #[error("what is kept of {0} of the closed agents could not be removed")]
    Prune(usize),
    /// An agent that has said nothing at its end.
    #[error("there is no summary of {name}")]
    NoSummary {
        /// Whose.
        name: AgentName,
        /// Whether it was closed.
        is_closed: bool,
    },
    /// Mail.
    #[error(transparent)]
    Mail(#[from] MailFailure),
    /// The demo.
    #[error("the demo failed: {0}")]
    Demo(String),
}

impl From<Refusal> for CliError {
    fn from(refusal: Refusal) -> CliError {
        CliError::Mail(MailFailure::Refused(refusal))
    }
}

impl From<MailError> for CliError {
    fn from(error: MailError) -> CliError {
        CliError::from(Refusal::from(error))
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
    /// Whoever read the output has left, and has read what they wanted.
    Unread,
}

impl Kind {
    fn exit_code(self) -> u8 {
        match self {
            Kind::Failure => 1,
            Kind::Usage => 2,
            // As of a program that SIGPIPE has ended.
            Kind::Unread => 141,
        }
    }
}

impl CliError {
    fn kind(&self) -> Kind {
        match self {
            CliError::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => Kind::Unread,
            CliError::Config(_)
            | CliError::NoHome
            | CliError::Message(_)
            | CliError::Queue(
                QueueFailure::UnknownAgent { .. }
                | QueueFailure::UnknownEntry { .. }
                | QueueFailure::AlreadyDelivered(_)
                | QueueFailure::AlreadyWaits(_)
                | QueueFailure::Queue(QueueError::Text(_)),
            )
            | CliError::Attach(AttachFailure::Ambiguous { .. })
            | CliError::Setup(
                SetupFailure::NameTaken { .. }
                | SetupFailure::Name(_)
                | SetupFailure::NoShell
                | SetupFailure::Broken { .. }
                | SetupFailure::LeadsOut { .. },
            ) => Kind::Usage,
            CliError::Mail(failure) => of_mail(failure).0,
            CliError::Serve(_)
            | CliError::Queue(_)
            | CliError::Attach(_)
            | CliError::Top(_)
            | CliError::Setup(_)
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
    pub(super) fn hint(&self) -> Option<Cow<'static, str>> {
        let hint = match self {
            CliError::Queue(failure) => of_queue(failure)?,
            CliError::Attach(failure) => return of_attach(failure),
            CliError::Top(failure) => of_top(failure)?,
            CliError::Setup(failure) => return of_setup(failure),
            CliError::Config(error) => return Some(of_config(error)),
            CliError::Serve(ServeError::Resume(_)) => {
                "start without --resume; agent_sessions lists who can be continued"
            }
            CliError::Serve(ServeError::NoAgent(_)) => {
                "this command is started by Codex for an agent; there is no need to start it by hand"
            }
            CliError::Serve(ServeError::Handshake(_)) => {
                "this command speaks MCP on stdin and stdout; it is started by a client: claude mcp add --scope user codex -- atm-agent-mcp serve"
            }
            CliError::NoHome => "set HOME, or ATM_HOME to the directory that stands for it",
            CliError::NoDirectory(_) => "go to a directory that is there",
            CliError::Mail(failure) => of_mail(failure).1?,
            CliError::Message(InputFailure::TooLong(_)) => {
                "put what is long into a file, and say where it is; queue_max_bytes bounds what `queue push` takes"
            }
            CliError::Message(InputFailure::NotUtf8(_)) => {
                "send it as UTF-8: iconv -f latin1 -t utf-8 does that for one that is Latin-1"
            }
            CliError::Demo(_) => "--codex-bin names another Codex; ATM_LOG=debug atm-agent-mcp demo shows what it says",
            CliError::NoSummary { is_closed: false, .. } => {
                "it is written when the agent is closed: agent_close {\"summary\": true}"
            }
            CliError::NoSummary { is_closed: true, .. } => {
                "it had said nothing when it was closed; agent_read shows its thread"
            }
            CliError::Prune(_) => "`atm-agent-mcp doctor` looks at the permissions; what is left can be pruned again",
            CliError::Input(_) | CliError::Unreadable { .. } | CliError::Runtime(_) | CliError::Output(_) => {
                return None;
            }
        };
        Some(Cow::Borrowed(hint))
    }

    /// Tells the person at the terminal.
    pub(super) fn report(&self) -> ExitCode {
        let code = ExitCode::from(self.kind().exit_code());
        if self.kind() == Kind::Unread {
            return code;
        }
        // What others say in it has no lines of its own that could pose as ours.
        let lines: Vec<String> = self.to_string().lines().map(on_one_line).collect();
        output::note(format_args!("Error: {}", lines.join("\n  ")));
        if let Some(hint) = self.hint() {
            output::note(format_args!("Hint: {hint}"));
        }
        code
    }
}

/// `config` fails like every other command as long as the settings cannot be read.
pub(super) fn of_config(error: &ConfigError) -> Cow<'static, str> {
    let away = |path: &Path| format!("move the file away: mv {0} {0}.broken", shell::path(path));
    let hint = match error {
        ConfigError::Unreadable { error, .. } if error.kind() == ErrorKind::NotFound => {
            "give --config a file that is there, or leave it out"
        }
        ConfigError::Unreadable { path, .. } => {
            return format!("see to its permissions, and that it is UTF-8; or {}", away(path)).into();
        }
        ConfigError::Toml { at: Source::File { path, line }, .. } => {
            return format!("mend line {line} of {}; or {}", shell::path(path), away(path)).into();
        }
        ConfigError::Value { at: Source::File { path, line }, .. } => {
            return format!("mend line {line} of {}, or take it out", shell::path(path)).into();
        }
        ConfigError::Value { at: Source::Environment(variable), .. } => {
            return format!("set it to what is allowed, or take it out: unset {variable}").into();
        }
        ConfigError::Toml { .. } | ConfigError::Value { .. } => "set it to what is allowed",
        ConfigError::NoFastModel => "or leave --fast out; `atm-agent-mcp config` shows what is set",
    };
    hint.into()
}

fn of_queue(failure: &QueueFailure) -> Option<&'static str> {
    match failure {
        QueueFailure::UnknownAgent { .. } => {
            Some("AGENT is a name, an agent id or a thread id; --team chooses another team")
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
        | QueueFailure::AlreadyWaits(_) => None,
    }
}

/// What the code of a refusal is to whoever typed the command, and what to do, where it does not say so itself.
fn of_mail(failure: &MailFailure) -> (Kind, Option<&'static str>) {
    const ANOTHER: &str = "choose another name, or leave --as out and speak as the lead";
    match failure {
        MailFailure::NoTeam(_) => {
            (Kind::Usage, Some("`atm-agent-mcp mail send` makes it with its first message; --team names another team"))
        }
        MailFailure::NoMember { .. } => (
            Kind::Usage,
            Some("`atm-agent-mcp mail send TO TEXT --as NAME` makes NAME a member; --team names another team"),
        ),
        MailFailure::IsAgent(_) | MailFailure::IsOther { .. } => (Kind::Usage, Some(ANOTHER)),
        MailFailure::IsLead(_) => {
            (Kind::Usage, Some("`atm-agent-mcp mail leave --as NAME` takes out who has joined as NAME"))
        }
        MailFailure::Blank => (Kind::Usage, Some("say something, as TEXT or on stdin")),
        MailFailure::Refused(refusal) => match refusal.code {
            "UNKNOWN_RECIPIENT" => {
                (Kind::Usage, Some("`atm-agent-mcp sessions` lists the agents; --team names another team"))
            }
            "INVALID_ARGUMENT" | "UNKNOWN_TEAM" | "IDENTITY_CONFLICT" => (Kind::Usage, None),
            _ => (Kind::Failure, None),
        },
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
        AttachFailure::Ambiguous { .. } => "name one by its id; `atm-agent-mcp sessions` shows what each is",
        AttachFailure::NoTerminal => "`atm-agent-mcp attach AGENT --read-only` follows it as text",
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

fn of_setup(failure: &SetupFailure) -> Option<Cow<'static, str>> {
    let hint = match failure {
        SetupFailure::NoClaude { .. } => {
            "`atm-agent-mcp setup --mcp-json` writes the entry into .mcp.json here, which Claude Code and other clients read"
        }
        SetupFailure::NameTaken { .. } => "choose another one with --name",
        SetupFailure::Changed { .. } | SetupFailure::Overtaken => "run it again",
        SetupFailure::Memory { .. } => "move the file away; what was done before is then yours to take back",
        SetupFailure::NoShell => "name it: --completions bash",
        SetupFailure::NotBack(_) => "it is still remembered: run `atm-agent-mcp setup --undo` again",
        SetupFailure::Claude { .. } => "run that command in a terminal; `atm-agent-mcp setup` goes on from there",
        SetupFailure::File { .. } => {
            "see to its permissions, or to who holds it, and run it again: what is done already is passed over"
        }
        SetupFailure::ClaudeHangs { .. } => {
            "run that command in a terminal, where it can say what it waits for; `atm-agent-mcp setup` goes on from there"
        }
        // All that Claude Code knows is in it.
        SetupFailure::Broken { file, .. } if file.ends_with(".claude.json") => {
            "mend it, and run it again; nothing else was done. Claude Code names its backup, if there is one, when it is started"
        }
        SetupFailure::Broken { .. } => "mend it, or move it away, and run it again; nothing else was done",
        SetupFailure::LeadsOut { .. } => "put a file in its place, or change the one that it leads to yourself",
        SetupFailure::Left(_) => "it is yours now, and forgotten: take back by hand what you do not want to keep",
        SetupFailure::Halfway { error, .. } => {
            let undo = "`atm-agent-mcp setup --undo` takes back what stands";
            let whole = of_setup(error).map_or_else(|| undo.to_owned(), |hint| format!("{hint}; {undo}"));
            return Some(Cow::Owned(whole));
        }
        SetupFailure::Name(_) => return None,
    };
    Some(Cow::Borrowed(hint))
}

#[cfg(test)]
mod tests;
