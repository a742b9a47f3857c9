//! `agent-tools`: the team's mail for one agent, as an MCP server on stdin and stdout.

use crate::cli::error::CliError;
use crate::cli::place::Place;
use crate::config::ServeFlags;
use crate::serve::AgentMail;
use crate::tools::AgentTools;

/// Serve one agent's mail tools on stdin and stdout
///
/// Codex starts this for a thread that cannot have the tools of its agent otherwise; the agent is named by the variable
/// ATM_AGENT_MCP_SPEAKS_AS. There is no need to start it by hand.
#[derive(Debug, clap::Args)]
pub(super) struct Args {}

pub(super) async fn run(Args {}: Args) -> Result<(), CliError> {
    let Place { home, cwd, loaded } = Place::find(&ServeFlags::default())?;
    let claude_session = std::env::var("CLAUDE_CODE_SESSION_ID").ok();
    let agent = std::env::var(AgentTools::AGENT).unwrap_or_default();
    let mail = AgentMail { settings: loaded.settings, home, own_directory: cwd, claude_session };
    Ok(mail.run(&agent, super::stdio::stdin(), super::stdio::stdout()).await?)
}
