//! `queue path`: where an agent's queue is.

use super::team::TeamQueues;
use crate::cli::error::CliError;
use crate::cli::output;

/// Print the directory of an agent's queue, made if need be, so that a script can write to it
#[derive(Debug, clap::Args)]
#[command(after_long_help = r#"Examples:
  atm-agent-mcp queue path ana
  ls "$(atm-agent-mcp queue path ana)""#)]
pub(super) struct Args {
    /// A name, an agent id, or a thread id
    agent: String,
}

pub(super) fn run(args: &Args, team: &TeamQueues) -> Result<(), CliError> {
    let queue = team.queue(&team.agent(&args.agent)?.agent_id);
    queue.make()?;
    output::bytes(&[queue.dir().as_os_str().as_encoded_bytes(), b"\n"].concat())
}
