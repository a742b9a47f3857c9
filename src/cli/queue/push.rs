//! `queue push`: a message into an agent's queue.

use std::time::Duration;

use jiff::Timestamp;

use super::outlook::outlook;
use super::proof::{self, Patience};
use super::team::{Presence, TeamQueues};
use crate::cli::error::CliError;
use crate::cli::{input, output, time};
use crate::ids::AgentName;
use crate::queue::{Delivered, Text, Urgency};

/// The longest word for a kind.
const KIND_MAX: usize = 64;

/// Put a message into an agent's queue, and print the id of its entry
///
/// The message reaches the agent's thread unchanged and once. It is safe on disk when this returns, whether the agent runs
/// or not.
#[derive(Debug, clap::Args)]
#[command(after_long_help = r#"Examples:
  atm-agent-mcp queue push ana "look at the failing test first"
  atm-agent-mcp queue push ana "stop: the schema is wrong" --urgent
  git diff | atm-agent-mcp queue push ana --from pre-commit --wait --timeout 5m"#)]
pub(super) struct Args {
    /// A name, an agent id, or a thread id
    agent: String,

    /// The message; without it, or as -, it is read from stdin
    text: Option<String>,

    /// Let it join the running turn, instead of waiting for its end
    #[arg(long)]
    urgent: bool,

    /// Who says it; the agent is shown that
    #[arg(long, value_name = "NAME", value_parser = AgentName::parse)]
    from: Option<AgentName>,

    /// What it is, in a word of your own
    #[arg(long, value_name = "WORD", value_parser = word)]
    kind: Option<String>,

    /// Bury it if it was not delivered within this time, such as 90s, 10m, 2h or 3d
    #[arg(long, value_name = "TIME", value_parser = time::duration)]
    ttl: Option<Duration>,

    /// Wait for the proof that it has arrived, and print thread and turn
    #[arg(long)]
    wait: bool,

    /// Wait no longer than this; the message stays in the queue
    #[arg(long, value_name = "TIME", requires = "wait", value_parser = time::duration)]
    timeout: Option<Duration>,
}

pub(super) async fn run(args: Args, team: &TeamQueues) -> Result<(), CliError> {
    let record = team.agent(&args.agent)?;
    let text = input::text(args.text, team.limits().bytes)?;
    let urgency = if args.urgent { Urgency::Urgent } else { Urgency::Normal };
    let expires_at = args.ttl.map(|ttl| Timestamp::now() + ttl);
    let queue = team.queue(&record.agent_id);
    let text = Text { text, from: args.from.map(String::from), kind: args.kind, urgency, expires_at };
    let id = queue.enqueue(&text)?;
    let told = output::text(&format!("{id}\n"));
    let presence = team.presence(&record);
    let more = match (&presence, urgency) {
        (Presence::Running, Urgency::Normal) => " (--urgent: it joins the turn)",
        _ => "",
    };
    output::note(format_args!("{}{more}", outlook(&record, &presence, urgency)));
    if !args.wait {
        return told;
    }
    // Whether it arrives is worth knowing also if nobody reads its id.
    output::note(format_args!("waiting until it has arrived"));
    let Delivered { receipt, .. } = proof::wait(&queue, &id, &Patience { expires_at, timeout: args.timeout }).await?;
    told.and_then(|()| output::text(&format!("delivered thread={} turn={}\n", receipt.thread, receipt.turn)))
}

fn word(text: &str) -> Result<String, String> {
    let fits = (1..=KIND_MAX).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    if fits { Ok(text.to_owned()) } else { Err("use 1 to 64 of a-z, A-Z, 0-9, \"-\" and \"_\"".to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_a_word() {
        assert!(word("pre-commit_hook").is_ok());
        for text in ["", "two words", "a\n", "ä", &"x".repeat(65)] {
            assert!(word(text).is_err(), "{text:?}");
        }
    }
}
