//! What a roster is made of.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::toolbox::Toolbox;
use super::who::RosterError;
use crate::codex::wire::ThreadOptions;
use crate::codex::{Client, access};
use crate::home::TeamDir;
use crate::ids::{AgentName, Team};

/// What the roster is made of.
#[derive(Debug, Clone)]
pub struct Setup {
    /// The team.
    pub team: Team,
    /// Where its files are.
    pub dir: TeamDir,
    /// What the client is called in it.
    pub lead: AgentName,
    /// What agents without a name of their own are called.
    pub default_name: AgentName,
    /// How many may be live.
    pub limit: usize,
    /// Whether they may run without a sandbox.
    pub full_access: FullAccess,
    /// The tools that its agents have from us, if there are any.
    pub tools: Option<Arc<dyn Toolbox>>,
    /// How long what Codex asks waits for somebody's decision before it is declined.
    pub approval_timeout: Option<Duration>,
    /// After how long without an event an agent that works is stalled.
    pub stall: Option<Duration>,
}

/// Whether agents may run without a sandbox.
#[derive(Debug, Clone)]
pub enum FullAccess {
    /// They may.
    Allowed,
    /// They may not, but for what the user has set in Codex itself.
    Refused {
        /// The file in which the user could allow it.
        settings: PathBuf,
    },
}

impl FullAccess {
    /// Refuses options that ask for it.
    pub(super) fn check(&self, options: &ThreadOptions) -> Result<(), RosterError> {
        match (self, access::asked_for(options)) {
            (FullAccess::Refused { settings }, Some(asked)) => Err(refused(asked, settings)),
            (FullAccess::Allowed, _) | (FullAccess::Refused { .. }, None) => Ok(()),
        }
    }

    /// Refuses a thread that has it though nobody asked us, unless the user has set it in Codex itself. The
    /// `.codex/config.toml` of a repository that Codex trusts may have given it.
    pub(super) async fn look(&self, client: &Client, cwd: Option<&str>) -> Result<(), Arc<str>> {
        let FullAccess::Refused { settings } = self else { return Ok(()) };
        match client.own_config(cwd).await {
            Ok(own) if own.gives_full_access() => Ok(()),
            Ok(_) => Err(refused("what Codex is told for this directory".to_owned(), settings).to_string().into()),
            Err(error) => Err(error.to_string().into()),
        }
    }
}

fn refused(asked: String, settings: &Path) -> RosterError {
    RosterError::FullAccess { asked, settings: settings.to_owned() }
}
