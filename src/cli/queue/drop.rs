//! `queue drop`: an entry that nobody wants any more.

use super::error::QueueFailure;
use super::team::{Found, TeamQueues};
use crate::cli::error::CliError;
use crate::cli::output;
use crate::ids::EntryId;

/// Remove an entry, waiting or buried; one that is being delivered stays
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  atm-agent-mcp queue drop 01890a5d-ac96-774b-bcce-b302099a8057")]
pub(super) struct Args {
    /// The entry, as `queue push` or `queue list` printed it
    #[arg(value_parser = EntryId::parse)]
    id: EntryId,
}

pub(super) fn run(Args { id }: &Args, team: &TeamQueues) -> Result<(), CliError> {
    let (member, found) = team.entry(id)?;
    if let Found::Delivered(_) = found {
        return Err(QueueFailure::AlreadyDelivered(id.clone()).into());
    }
    member.queue.discard(id)?;
    output::note(format_args!("it is gone from the queue of {}", member.called()));
    Ok(())
}
