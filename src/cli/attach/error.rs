//! Why somebody is not attached.

use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;

use crate::codex::StartError;
use crate::codex::guest::GuestError;
use crate::ids::{AgentId, AgentName};

/// Why `attach` did not do what it should.
#[derive(Debug, thiserror::Error)]
pub enum AttachFailure {
    /// There is nothing to open.
    #[error("the agent {agent} has no thread yet: nothing was said in it, or its server is just starting it")]
    NoThread {
        /// Who.
        agent: AgentName,
    },
    /// Several have one name.
    #[error("several agents are called {word}: {}", agents.iter().map(AgentId::as_str).collect::<Vec<_>>().join(", "))]
    Ambiguous {
        /// What was said.
        word: String,
        /// Whom it may mean, the last active first.
        agents: Vec<AgentId>,
    },
    /// A UI without a terminal.
    #[error("the Codex UI needs a terminal to draw on")]
    NoTerminal,
    /// Nobody runs it, and nobody agreed to open its thread.
    #[error("the agent {agent} does not run, so there is nothing to attach to")]
    NotRunning {
        /// Who.
        agent: AgentName,
    },
    /// Nobody runs it, and only a running Codex shows its history.
    #[error(
        "the agent {agent} does not run, and only a running Codex shows what is in its thread; to see it: {command}"
    )]
    NothingToFollow {
        /// Who.
        agent: AgentName,
        /// That opens its thread.
        command: String,
    },
    /// Its server speaks to Codex over pipes.
    #[error("the agent {agent} runs, but its Codex listens on no socket, so nobody can attach")]
    NoSocket {
        /// Who.
        agent: AgentName,
    },
    /// Its Codex is not there.
    #[error("the agent {agent} runs, but {source}")]
    NoCodex {
        /// Who.
        agent: AgentName,
        /// What is wrong.
        source: GuestError,
    },
    /// No Codex on the machine.
    #[error("{0}")]
    Program(#[from] StartError),
    /// One that cannot go to another's thread.
    #[error("this Codex ({}{}) cannot attach: `codex resume` has no --remote", program.display(), in_version(version.as_deref()))]
    NoRemote {
        /// Which.
        program: PathBuf,
        /// Its version, if it tells.
        version: Option<String>,
    },
    /// The UI did not start.
    #[error("Codex ({}) cannot be started: {source}", program.display())]
    NotStarted {
        /// Which.
        program: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The UI did not end well.
    #[error("Codex ended with {0}")]
    Ended(ExitStatus),
    /// No terminal to answer on, after all.
    #[error("no answer can be read: {0}")]
    NoAnswer(io::Error),
}

fn in_version(version: Option<&str>) -> String {
    version.map(|version| format!(" {version}")).unwrap_or_default()
}
