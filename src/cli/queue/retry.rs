//! `queue retry`: a buried entry back into its place.

use super::error::QueueFailure;
use super::outlook::outlook;
use super::team::{Found, TeamQueues};
use crate::cli::error::CliError;
use crate::cli::output;
use crate::ids::EntryId;
use crate::queue::Standing;

/// Put a buried entry back into its old place, without its failures and its time limit
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  atm-agent-mcp queue retry 01890a5d-ac96-774b-bcce-b302099a8057")]
pub(super) struct Args {
    /// The entry, as `queue list --dead` shows it
    #[arg(value_parser = EntryId::parse)]
    id: EntryId,
}

pub(super) fn run(Args { id }: &Args, team: &TeamQueues) -> Result<(), CliError> {
    let (member, found) = team.entry(id)?;
    let text = match found {
        Found::There(listed) if matches!(listed.state, Standing::Dead(_)) => listed.text,
        Found::There(_) => return Err(QueueFailure::AlreadyWaits(id.clone()).into()),
        Found::Delivered(_) => return Err(QueueFailure::AlreadyDelivered(id.clone()).into()),
    };
    member.queue.retry(id)?;
    let urgency = text.map(|text| text.urgency).unwrap_or_default();
    match &member.record {
        Some(record) => output::note(format_args!("{}", outlook(record, &team.presence(record), urgency))),
        None => output::note(format_args!(
            "nothing is known of the agent {} any more: it may never be delivered",
            member.agent
        )),
    }
    Ok(())
}
