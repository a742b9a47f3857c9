//! `log`: who did what in a team, as a timeline.

use std::borrow::Cow;
use std::time::Duration;

use jiff::Timestamp;

use super::audience;
use super::error::CliError;
use super::queue::{QueueFailure, TeamQueues};
use super::whose::Whose;
use super::{output, time};
use crate::journal::{Reader, Told};
use crate::plain::on_one_line;

/// How often a log that is followed is looked at.
const LOOK: Duration = Duration::from_millis(500);

/// Show who did what: calls, deliveries, decisions, a line each
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  atm-agent-mcp log --since 10m
  atm-agent-mcp log --since 3d --json
  atm-agent-mcp log ana --follow")]
pub(super) struct Args {
    /// Only what concerns this agent: a name, an agent id, or a thread id; or whom else the audit names
    agent: Option<String>,

    #[command(flatten)]
    whose: Whose,

    /// Go on with what comes, until Ctrl-C
    #[arg(long, short)]
    follow: bool,

    /// Not older than this: a time such as 2026-01-31T12:00:00Z, 2026-01-31 or "2026-01-31 12:00" (of here), or 10m, 2h, 3d ago
    #[arg(long, value_name = "TIME", value_parser = time::since)]
    since: Option<Timestamp>,

    /// Print each line as it stands in the file
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(Args { agent, whose, follow, since, json }: Args) -> Result<(), CliError> {
    let place = whose.place()?;
    let settings = &place.loaded.settings;
    let path = place.home.team(&settings.team).audit();
    let mut wanted = agent.map(|word| Wanted::of(word, &TeamQueues::new(&place.home, settings)));
    let mut reader = Reader::open(path.clone());
    let (mut is_empty, mut has_shown, mut is_told) = (true, false, false);
    loop {
        let lines = reader.read().map_err(|error| CliError::Unreadable { path: path.clone(), error })?;
        is_empty &= lines.is_empty();
        let mut page = String::new();
        for line in &lines {
            let Some(told) = Told::parse(line) else { continue };
            let concerns = wanted.as_mut().is_none_or(|wanted| wanted.concerns(&told));
            if !concerns || since.is_some_and(|since| told.at < since) {
                continue;
            }
            page += &if json { line.into() } else { Cow::from(shown(&told)) };
            page.push('\n');
        }
        has_shown |= !page.is_empty();
        output::text(&page)?;
        if !lines.is_empty() {
            continue;
        }
        if let Some(unknown) = wanted.as_mut().and_then(|wanted| wanted.unknown.take()) {
            return Err(unknown.into());
        }
        if !has_shown && !std::mem::replace(&mut is_told, true) {
            match is_empty {
                true => output::note(format_args!("nothing is written down of the team {} yet", settings.team)),
                false => output::note(format_args!("nothing of that is written down of the team {}", settings.team)),
            }
        }
        if !follow {
            return Ok(());
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            _ = tokio::signal::ctrl_c() => return Ok(()),
            unread = audience::gone() => return Err(unread),
        }
    }
}

/// Whose lines are wanted.
struct Wanted {
    name: String,
    /// Why nobody is known to be called so, until a line names them: of whom no record is left, the audit may still tell.
    unknown: Option<QueueFailure>,
}

impl Wanted {
    /// Whom a word means; also one of whom no record is left, or who never was an agent.
    fn of(word: String, team: &TeamQueues) -> Wanted {
        match team.agent(&word) {
            Ok(record) => Wanted { name: record.identity.into(), unknown: None },
            Err(unknown) => Wanted { name: word, unknown: Some(unknown) },
        }
    }

    fn concerns(&mut self, told: &Told) -> bool {
        let is_named = told.parties().any(|party| party == self.name);
        if is_named {
            self.unknown = None;
        }
        is_named
    }
}

fn shown(told: &Told) -> String {
    on_one_line(&format!("{}  {}", time::of_here(told.at), told.line()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_who_did_what_to_whom_on_one_line() {
        let line = r#"{"v":1,"at":"2026-11-25T13:12:38Z","agent":"ana","who":"team-lead","action":"atm_send","to":"ana","text":"a\nb \u001b[2J","result":"sent"}"#;
        let told = Told::parse(line).unwrap();
        let shown = shown(&told);
        let begins = format!("{}  team-lead → ana  atm_send: sent  \"a", time::of_here(told.at));
        assert!(shown.starts_with(&begins), "{shown}");
        assert!(shown.lines().count() == 1 && !shown.contains('\u{1b}'), "{shown}");
    }
}
