//! `config`: every setting and where its value comes from.

use crate::cli::error::CliError;
use crate::cli::output;
use crate::cli::place::Place;
use crate::config::{Listed, ServeFlags};
use crate::plain::on_one_line;

/// Show every setting and where its value comes from
///
/// It takes the flags of serve, and shows what would hold with them.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  atm-agent-mcp config
  atm-agent-mcp config --json --role reviewer")]
pub(super) struct Args {
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    flags: ServeFlags,
}

pub(super) fn run(args: &Args) -> Result<(), CliError> {
    let place = Place::find(&args.flags)?;
    place.warn();
    let listing = &place.loaded.listing;
    if args.json { output::json(listing) } else { output::text(&table(listing)) }
}

fn table(listing: &[Listed]) -> String {
    let width = listing.iter().map(|listed| listed.key.len()).max().unwrap_or(0);
    let values: Vec<&str> = listing.iter().map(|l| l.value.as_deref().unwrap_or("(not set)")).collect();
    let value_width = values.iter().map(|value| value.len()).max().unwrap_or(0).min(40);
    let row = |(listed, value): (&Listed, &str)| {
        on_one_line(&format!("{:width$}  {value:value_width$}  {}", listed.key, listed.source)) + "\n"
    };
    listing.iter().zip(values).map(row).collect()
}
