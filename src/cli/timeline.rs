//! `log`: who did what in a team, as a timeline.

use std::time::Duration;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::error::CliError;
use super::output;
use super::whose::Whose;
use crate::journal::{Reader, Told};
use crate::plain::on_one_line;

/// How often a log that is followed is looked at.
const LOOK: Duration = Duration::from_millis(500);

/// Show who did what: calls, deliveries, decisions, a line each
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  atm-agent-mcp log --since 10m
  atm-agent-mcp log ana --follow")]
pub(super) struct Args {
    /// Only what concerns this agent, by its name
    agent: Option<String>,

    #[command(flatten)]
    whose: Whose,

    /// Go on with what comes, until Ctrl-C
    #[arg(long, short)]
    follow: bool,

    /// Not older than this: a time such as 2026-01-31T12:00:00Z, or 10m, 2h, 3d ago
    #[arg(long, value_parser = since)]
    since: Option<Timestamp>,

    /// Print each line as it stands in the file
    #[arg(long)]
    json: bool,
}

fn since(text: &str) -> Result<Timestamp, String> {
    if let Ok(at) = text.parse() {
        return Ok(at);
    }
    let ago: SignedDuration =
        text.parse().map_err(|_| format!("{text:?} is neither a time such as 2026-01-31T12:00:00Z nor 10m, 2h, 3d"))?;
    Timestamp::now().checked_sub(ago).map_err(|error| error.to_string())
}

pub(super) async fn run(Args { agent, whose, follow, since, json }: Args) -> Result<(), CliError> {
    let place = whose.place()?;
    let path = place.home.team(&place.loaded.settings.team).audit();
    let mut reader = Reader::open(path.clone());
    let zone = TimeZone::system();
    loop {
        let lines = reader.read().map_err(|error| CliError::Unreadable { path: path.clone(), error })?;
        for line in lines {
            let Some(told) = Told::parse(&line) else { continue };
            if since.is_some_and(|since| told.at < since)
                || agent.as_ref().is_some_and(|agent| !told.parties().any(|party| party == agent))
            {
                continue;
            }
            if json { output::text(&format!("{line}\n"))? } else { output::text(&(shown(&told, &zone) + "\n"))? }
        }
        if !follow {
            return Ok(());
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            _ = tokio::signal::ctrl_c() => return Ok(()),
        }
    }
}

fn shown(told: &Told, zone: &TimeZone) -> String {
    let at = told.at.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S");
    on_one_line(&format!("{at}  {}", told.line()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_given_or_how_long_ago_it_was() {
        let now = Timestamp::now();
        let ago = now.duration_since(since("10m").unwrap()).as_secs();
        assert!((599..=602).contains(&ago), "{ago}");
        assert_eq!(since("2026-01-31T12:00:00Z").unwrap().to_string(), "2026-01-31T12:00:00Z");
        assert!(since("yesterday").unwrap_err().contains("10m"));
    }

    #[test]
    fn a_line_says_who_did_what_to_whom_on_one_line() {
        let line = r#"{"v":1,"at":"2026-11-25T13:12:38Z","agent":"ana","who":"team-lead","action":"atm_send","to":"ana","text":"a\nb \u001b[2J","result":"sent"}"#;
        let told = Told::parse(line).unwrap();
        let shown = shown(&told, &TimeZone::UTC);
        assert!(shown.starts_with("2026-11-25 13:12:38  team-lead → ana  atm_send: sent  \"a"), "{shown}");
        assert!(shown.lines().count() == 1 && !shown.contains('\u{1b}'), "{shown}");
    }
}
