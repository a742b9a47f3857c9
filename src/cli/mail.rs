//! `mail`: a human takes part in the mail of a team.

use std::io::Read;

use clap::Subcommand;
use serde_json::Value;

use super::error::CliError;
use super::output;
use super::place::Place;
use super::whose::Whose;
use crate::ids::AgentName;
use crate::journal::Journal;
use crate::mail::{Teams, TeamsSetup};
use crate::session::{Record, Who};
use crate::tools::{Office, ReadMailArgs, SendArgs, Speaker};

/// Take part in the mail of a team
///
/// You speak as the lead (setting `lead`), or as a member of your own with --as: whoever is written to can answer you. An
/// agent's name is its own.
#[derive(Debug, clap::Args)]
#[command(after_long_help = r#"Examples:
  atm-agent-mcp mail send ana "the schema is wrong"
  git diff | atm-agent-mcp mail send ana - --as sam
  atm-agent-mcp mail read --as sam"#)]
pub(super) struct Args {
    /// The name under which you take part [default: the lead's]
    #[arg(long = "as", value_name = "NAME", global = true, value_parser = AgentName::parse)]
    name: Option<AgentName>,

    #[command(flatten)]
    whose: Whose,

    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// How many messages are unread, and what became of those that were sent last
    #[command(after_long_help = "Examples:
  atm-agent-mcp mail list --as sam")]
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Read what is unread
    #[command(after_long_help = "Examples:
  atm-agent-mcp mail read --as sam
  atm-agent-mcp mail read --keep --limit 5")]
    Read {
        /// Also what was read before
        #[arg(long)]
        all: bool,
        /// Leave it unread
        #[arg(long)]
        keep: bool,
        /// At most so many
        #[arg(long)]
        limit: Option<usize>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Write to a member of the team
    #[command(after_long_help = r#"Examples:
  atm-agent-mcp mail send ana "the schema is wrong"
  git diff | atm-agent-mcp mail send ana - --as sam"#)]
    Send {
        /// A member's name, or name@team
        to: String,
        /// What to say; - reads it from stdin
        text: String,
    },
}

pub(super) async fn run(Args { name, whose, command }: Args) -> Result<(), CliError> {
    let place = whose.place()?;
    let (office, journal) = office(&place, name)?;
    let done = obey(&office, command).await;
    tokio::task::spawn_blocking(move || journal.close()).await.ok();
    done
}

async fn obey(office: &Office, command: Command) -> Result<(), CliError> {
    let lead = Speaker::Lead;
    match command {
        Command::List { json } => {
            let unread = office.pending_count(&lead).await?;
            let sent = office.read(&lead, ReadMailArgs { sent: true, ..ReadMailArgs::default() }).await?.answer;
            if json {
                return output::json(
                    &serde_json::json!({ "unread": unread.value["unread"], "sent": sent.value["messages"] }),
                );
            }
            output::text(&format!("{}\n{}\n", unread.text, output::visible(&sent.text)))
        }
        Command::Read { all, keep, limit, json } => {
            let args = ReadMailArgs { all, limit, mark_read: keep.then_some(false), ..ReadMailArgs::default() };
            let read = office.read(&lead, args).await?;
            if json {
                output::json(&read.answer.value)?;
            } else {
                output::text(&page(&read.answer.value))?;
            }
            // Printed, it is read.
            read.marking.mark().await?;
            Ok(())
        }
        Command::Send { to, text } => {
            let text = if text == "-" { stdin()? } else { text };
            let sent = office.send(&lead, SendArgs { to: Some(to), message: Some(text), summary: None }).await?;
            output::text(&format!("{}\n", output::visible(&sent.text)))
        }
    }
}

fn stdin() -> Result<String, CliError> {
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).map_err(CliError::Input)?;
    Ok(text)
}

fn page(read: &Value) -> String {
    let messages = read["messages"].as_array().map(Vec::as_slice).unwrap_or_default();
    let word = |message: &Value, field: &str| output::visible(message[field].as_str().unwrap_or_default());
    let one = |message: &Value| {
        let cut = message["cut"].as_u64().map(|cut| format!("\n({cut} more characters)")).unwrap_or_default();
        let (from, team, at) = (word(message, "from"), word(message, "team"), word(message, "timestamp"));
        format!("{from} ({team}), {at}\n{}{cut}\n", indented(&word(message, "text")))
    };
    match messages {
        [] => "No mail.\n".to_owned(),
        messages => messages.iter().map(one).collect::<Vec<_>>().join("\n"),
    }
}

/// What somebody else wrote stands apart from who wrote it.
fn indented(text: &str) -> String {
    text.lines().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
}

/// The post office, at the counter of this person.
fn office(place: &Place, name: Option<AgentName>) -> Result<(Office, Journal), CliError> {
    let settings = &place.loaded.settings;
    let teams = |lead: &AgentName| {
        Teams::open(TeamsSetup {
            home: place.home.clone(),
            team: settings.team.clone(),
            is_named: settings.team_is_named,
            lead: lead.clone(),
            cwd: place.cwd.clone(),
            session_id: None,
        })
    };
    let dir = place.home.team(&settings.team);
    let name = name.unwrap_or_else(|| settings.lead.clone());
    if name != settings.lead {
        let agent = Record::find(&dir, &Who::Name(name.clone()))?;
        if let Some(agent) = agent.filter(|agent| !agent.closed) {
            return Err(CliError::IsAgent(agent.identity));
        }
        // Its lead makes a team, and others join it.
        teams(&settings.lead).make_own()?;
        teams(&name).make_own()?;
    }
    let journal = Journal::open(&place.home, &settings.team);
    Ok((Office::new(teams(&name), dir, name, journal.clone()), journal))
}
