//! `config`: every setting and where its value comes from.

use std::io::Write;

use crate::cli::error::CliError;
use crate::config::{self, Listed, ServeFlags};
use crate::home::Home;

/// Show every setting and where its value comes from
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    flags: ServeFlags,
}

pub(super) fn run(args: &Args) -> Result<(), CliError> {
    let home = Home::find().ok_or(CliError::NoHome)?;
    let cwd = std::env::current_dir().map_err(CliError::NoDirectory)?;
    let env = |name: &str| std::env::var(name).ok();
    let loaded = config::load(&config::Sources { flags: &args.flags, env: &env, cwd: &cwd, home: &home })?;
    for warning in &loaded.warnings {
        eprintln!("Warning: {warning}");
    }
    let text = if args.json {
        serde_json::to_string_pretty(&loaded.listing).map_err(|error| CliError::Output(error.into()))? + "\n"
    } else {
        table(&loaded.listing)
    };
    std::io::stdout().write_all(text.as_bytes()).map_err(CliError::Output)
}

fn table(listing: &[Listed]) -> String {
    let width = listing.iter().map(|listed| listed.key.len()).max().unwrap_or(0);
    let values: Vec<&str> = listing.iter().map(|l| l.value.as_deref().unwrap_or("(not set)")).collect();
    let value_width = values.iter().map(|value| value.len()).max().unwrap_or(0).min(40);
    let rows = listing.iter().zip(values);
    rows.map(|(listed, value)| format!("{:width$}  {value:value_width$}  {}\n", listed.key, listed.source)).collect()
}
