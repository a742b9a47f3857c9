//! Whom a client means, and why there is no session of theirs.

use std::io;
use std::path::PathBuf;

use crate::ids::{AgentId, AgentName, IdError, ThreadId};

/// Whom a client means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Who {
    /// By its id.
    Agent(AgentId),
    /// By its name.
    Name(AgentName),
    /// By its thread.
    Thread(ThreadId),
}

impl Who {
    /// An agent by its id, or else by its name.
    pub fn parse(text: &str) -> Result<Who, IdError> {
        AgentId::parse(text).map(Who::Agent).or_else(|_| AgentName::parse(text).map(Who::Name))
    }

    /// Whatever a word may mean, the likeliest first.
    pub fn meanings(text: &str) -> Vec<Who> {
        let agent = AgentId::parse(text).map(Who::Agent);
        let name = AgentName::parse(text).map(Who::Name);
        let thread = ThreadId::parse(text).map(Who::Thread);
        [agent, name, thread].into_iter().flatten().collect()
    }
}

impl std::fmt::Display for Who {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Who::Agent(id) => write!(f, "agent_id: {id}"),
            Who::Name(name) => write!(f, "identity: {name}"),
            Who::Thread(id) => write!(f, "thread_id: {id}"),
        }
    }
}

/// Why there is no such session. The texts say what to do.
#[derive(Debug, thiserror::Error)]
pub enum RosterError {
    /// Somebody runs that name.
    #[error(
        "the identity {name} is taken by {holder}. Choose another, leave identity out, or speak to that agent with codex-reply."
    )]
    NameTaken {
        /// Which name.
        name: AgentName,
        /// Who has it.
        holder: String,
    },
    /// No room, and nobody to park.
    #[error(
        "{limit} agents are live, which is the limit (max_concurrent_threads), and none can be parked: {agents}. \
         Close one with agent_close, or wait for one with agent_wait."
    )]
    TooMany {
        /// The limit.
        limit: usize,
        /// Who they are.
        agents: String,
    },
    /// Another server runs it.
    #[error(
        "the agent {identity} is run by another server (process {pid}): only that server can give it prompts or close \
         it. Start an agent of your own with codex."
    )]
    Elsewhere {
        /// Its name.
        identity: AgentName,
        /// Its id.
        agent: AgentId,
        /// The server that ran it last, as far as its record tells.
        pid: u32,
    },
    /// It worked in a directory that is gone.
    #[error(
        "the agent {identity} worked in {}, which is not there any more. Continue it elsewhere with codex \
         {{\"agent_id\": \"{agent}\", \"cwd\": …}}.", path.display()
    )]
    NoDirectory {
        /// Its name.
        identity: AgentName,
        /// Its id.
        agent: AgentId,
        /// Where it worked.
        path: PathBuf,
    },
    /// Its record is there and cannot be used.
    #[error("the agent's record {} cannot be read: {why}. Move it away, or mend it.", path.display())]
    Unreadable {
        /// The record.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// Nobody of that kind.
    #[error("Session not found for {0}")]
    NotFound(Who),
    /// It was closed.
    #[error(
        "the agent {identity} was closed. Continue it with codex {{\"agent_id\": \"{agent}\", \"prompt\": …}}, or start a new one."
    )]
    Closed {
        /// Its name.
        identity: AgentName,
        /// Its id.
        agent: AgentId,
    },
    /// The server ends.
    #[error(
        "this server ends, and begins nothing new. Its agents are kept: start it again, and go on with codex-reply there."
    )]
    Ends,
    /// It would run without a sandbox.
    #[error(
        "{asked} can give an agent full access to the machine, which is not allowed here. Use the sandbox read-only or \
         workspace-write; or let the user set allow_full_access = true under [plugins.atm-agent-mcp] in {}.",
        settings.display()
    )]
    FullAccess {
        /// What asked for it.
        asked: String,
        /// The file in which the user could allow it.
        settings: PathBuf,
    },
    /// The file system refuses.
    #[error("the team's directory {} cannot be used: {source}", path.display())]
    Files {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}
