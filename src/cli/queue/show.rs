//! `queue show`: everything about one entry.

use std::fmt::Write;

use jiff::Timestamp;

use super::shown::{Arrived, Shown};
use super::team::{Found, TeamQueues};
use crate::cli::error::CliError;
use crate::cli::output::{age, visible};
use crate::cli::{output, time};
use crate::ids::EntryId;
use crate::plain::on_one_line;
use crate::queue::Urgency;

/// Show one entry: where it stands, or that it was delivered, and its whole text
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  atm-agent-mcp queue show 01890a5d-ac96-774b-bcce-b302099a8057")]
pub(super) struct Args {
    /// The entry, as `queue push` or `queue list` printed it
    #[arg(value_parser = EntryId::parse)]
    id: EntryId,

    /// Print JSON; there alone control characters in the text stand as they are
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args, team: &TeamQueues) -> Result<(), CliError> {
    let (member, found) = team.entry(&args.id)?;
    match (found, args.json) {
        (Found::There(listed), true) => output::json(&Shown::new(&member, &listed)),
        (Found::There(listed), false) => output::text(&page(&Shown::new(&member, &listed), member.called())),
        (Found::Delivered(delivered), true) => output::json(&Arrived::new(&member, &delivered)),
        (Found::Delivered(delivered), false) => {
            let receipt = &delivered.receipt;
            output::text(&lines(&[
                ("id", args.id.to_string()),
                ("agent", member.called().to_owned()),
                ("state", "delivered".to_owned()),
                ("thread", receipt.thread.to_string()),
                ("turn", receipt.turn.to_string()),
                ("delivery", delivered.delivery.to_string()),
                ("at", time::of_here(delivered.at)),
            ]))
        }
    }
}

fn page(entry: &Shown<'_>, called: &str) -> String {
    let state = entry.state.more().map_or_else(String::new, |more| format!(": {more}"));
    let mut all = vec![
        ("id", entry.id.to_string()),
        ("agent", called.to_owned()),
        ("state", format!("{}{state}", entry.state.word())),
        (
            "enqueued",
            format!("{} ({} ago)", time::of_here(entry.enqueued_at), age(entry.enqueued_at, Timestamp::now())),
        ),
        ("attempts", entry.attempts.to_string()),
    ];
    all.extend(
        entry
            .last_failure
            .as_ref()
            .map(|failure| ("last", format!("{} ({})", failure.what, time::of_here(failure.at)))),
    );
    if let Some(text) = entry.text {
        let urgency = match text.urgency {
            Urgency::Normal => "normal",
            Urgency::Urgent => "urgent",
        };
        all.push(("urgency", urgency.to_owned()));
        all.extend(text.from.clone().map(|from| ("from", from)));
        all.extend(text.kind.clone().map(|kind| ("kind", kind)));
        all.extend(text.expires_at.map(|at| ("expires", time::of_here(at))));
    }
    let mut page = lines(&all);
    if let Some(text) = entry.text {
        let text = visible(&text.text);
        let end = if text.ends_with('\n') { "" } else { "\n" };
        write!(page, "\n{text}{end}").expect("a string takes all");
    }
    page
}

/// What is said of an entry, a line each: a foreign writer's words cannot make lines of their own.
fn lines(all: &[(&str, String)]) -> String {
    all.iter().map(|(key, value)| format!("{key:<8}  {}\n", on_one_line(value))).collect()
}
