//! `summary`: what an agent said last, or of all that it did.

use super::error::CliError;
use super::output;
use super::queue::TeamQueues;
use super::whose::Whose;

/// Print the summary of an agent: what it said when it was closed
///
/// It is written when an agent is closed: its last answer, or with `agent_close {"summary": true}` what it says of all its work.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  atm-agent-mcp summary ana
  atm-agent-mcp summary ana --team my-team")]
pub(super) struct Args {
    /// A name, an agent id, or a thread id
    agent: String,

    #[command(flatten)]
    whose: Whose,
}

pub(super) fn run(Args { agent, whose }: Args) -> Result<(), CliError> {
    let place = whose.place()?;
    let record = TeamQueues::new(&place.home, &place.loaded.settings).agent(&agent)?;
    let path = place.home.team(&place.loaded.settings.team).summary(&record.agent_id);
    match std::fs::read_to_string(&path) {
        Ok(summary) => output::text(&output::visible(&summary)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Err(CliError::NoSummary { name: record.identity, is_closed: record.closed })
        }
        Err(error) => Err(CliError::Unreadable { path, error }),
    }
}
