//! `mail`: a human takes part in the mail of a team.

mod error;

use std::sync::Arc;

use clap::Subcommand;
use serde_json::{Value, json};

use super::error::CliError;
use super::place::Place;
use super::whose::Whose;
use super::{input, output, time};
use crate::home::TeamDir;
use crate::ids::{Address, AgentName, MemberName, Team};
use crate::journal::Journal;
use crate::mail::{MESSAGE_MAX, Member, Person, Post, Teams, TeamsSetup};
use crate::session::{Record, Who};
use crate::tools::{self, Office, ReadMailArgs, Reading, SendArgs, Speaker};

pub(super) use error::MailFailure;

/// Take part in the mail of a team
///
/// You speak as the lead (setting `lead`), or as a member of your own with --as, whom the first message that you send so makes:
/// whoever is written to can answer you. The names of agents and of other members are theirs.
#[derive(Debug, clap::Args)]
#[command(after_long_help = r#"Examples:
  atm-agent-mcp mail send ana "the schema is wrong"
  git diff | atm-agent-mcp mail send ana --as sam
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
        /// At most so many [default: 20]
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=tools::LIMIT_MAX as u64))]
        limit: Option<u64>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Write to a member of the team
    #[command(after_long_help = r#"Examples:
  atm-agent-mcp mail send ana "the schema is wrong"
  git diff | atm-agent-mcp mail send ana --as sam"#)]
    Send {
        /// A member's name, or name@team
        #[arg(value_parser = Address::parse)]
        to: Address,
        /// What to say; without it, or as -, it is read from stdin
        text: Option<String>,
    },
    /// Take who has joined by --as out of the team again; the mail stays in the inbox
    #[command(after_long_help = "Examples:
  atm-agent-mcp mail leave --as sam")]
    Leave,
}

pub(super) async fn run(Args { name, whose, command }: Args) -> Result<(), CliError> {
    let counter = Counter::find(whose.place()?, name)?;
    match command {
        Command::List { json } => {
            counter.look()?;
            let (office, journal) = counter.open();
            closing(&journal, list(&office, json).await).await
        }
        Command::Read { all, keep, limit, json } => {
            counter.look()?;
            let (office, journal) = counter.open();
            let limit = limit.and_then(|limit| usize::try_from(limit).ok());
            let args = ReadMailArgs { all, limit, mark_read: keep.then_some(false), ..ReadMailArgs::default() };
            closing(&journal, read(&office, args, json).await).await
        }
        Command::Send { to, text } => {
            let text = input::text(text, MESSAGE_MAX)?;
            if text.trim().is_empty() {
                return Err(MailFailure::Blank.into());
            }
            let (office, journal) = counter.open();
            office.look_for(&Speaker::Lead, &to, &counter.place.loaded.settings.lead).await?;
            let joined = counter.join()?;
            let sent = closing(&journal, send(&office, &to, text).await).await;
            // Who has said nothing has not joined.
            if let (Err(CliError::Mail(_)), Joined::Now) = (&sent, joined) {
                counter.post().leave_person(&counter.name)?;
            }
            sent
        }
        Command::Leave => counter.leave(),
    }
}

async fn closing(journal: &Journal, done: Result<(), CliError>) -> Result<(), CliError> {
    let journal = journal.clone();
    tokio::task::spawn_blocking(move || journal.close()).await.ok();
    done
}

async fn list(office: &Office, json: bool) -> Result<(), CliError> {
    let unread = office.pending_count(&Speaker::Lead).await?;
    let sent = office.read(&Speaker::Lead, ReadMailArgs { sent: true, ..ReadMailArgs::default() }).await?.answer;
    if json {
        return output::json(&json!({ "unread": unread.value["unread"], "sent": sent.value["messages"] }));
    }
    output::text(&format!("{}\n{}", unread.text, fates(&sent.value)))
}

/// What became of what was sent, a line each.
fn fates(sent: &Value) -> String {
    let line = |message: &Value| {
        let [to, fate, id] = ["to", "fate", "message_id"].map(|field| word(message, field));
        let begins = output::visible(&format!("{:?}", message["begins"].as_str().unwrap_or_default()));
        format!("{} to {to}: {fate} (message {id}, {begins})\n", at(message))
    };
    match messages(sent) {
        [] => "You have sent nothing.\n".to_owned(),
        sent => sent.iter().map(line).collect(),
    }
}

async fn read(office: &Office, args: ReadMailArgs, json: bool) -> Result<(), CliError> {
    let (is_all, is_kept) = (args.all, args.mark_read == Some(false));
    let Reading { answer, marking } = office.read(&Speaker::Lead, args).await?;
    if json {
        output::json(&answer.value)?;
    } else {
        output::text(&page(&answer.value))?;
    }
    // Printed, it is read.
    marking.mark().await?;
    let total = answer.value["total"].as_u64().unwrap_or_default();
    let shown = messages(&answer.value).len();
    match (total.saturating_sub(shown as u64), is_all, is_kept) {
        (0, _, _) => {}
        (_, true, _) => {
            output::note(format_args!("these are the newest {shown} of {total}: --limit shows more at once"))
        }
        (more, false, true) => {
            output::note(format_args!("{more} more {} unread: --limit shows more at once", are(more)))
        }
        (more, false, false) => output::note(format_args!("{more} more {} unread: mail read again", are(more))),
    }
    Ok(())
}

fn are(count: u64) -> &'static str {
    if count == 1 { "is" } else { "are" }
}

async fn send(office: &Office, to: &Address, text: String) -> Result<(), CliError> {
    let args = SendArgs { to: Some(to.to_string()), message: Some(text), summary: None };
    let sent = office.send(&Speaker::Lead, args).await?;
    output::text(&format!("{}\n", output::visible(&sent.text)))
}

fn messages(read: &Value) -> &[Value] {
    read["messages"].as_array().map(Vec::as_slice).unwrap_or_default()
}

fn word(message: &Value, field: &str) -> String {
    output::visible(message[field].as_str().unwrap_or_default())
}

/// When it was written; what its writer gives as a time need not be one.
fn at(message: &Value) -> String {
    let given = word(message, "timestamp");
    given.parse().map_or(given, time::of_here)
}

fn page(read: &Value) -> String {
    let one = |message: &Value| {
        let (from, team, at) = (word(message, "from"), word(message, "team"), at(message));
        format!("{from} ({team}), {at}\n{}\n", indented(&word(message, "text")))
    };
    match messages(read) {
        [] => "No mail.\n".to_owned(),
        messages => messages.iter().map(one).collect::<Vec<_>>().join("\n"),
    }
}

/// What somebody else wrote stands apart from who wrote it.
fn indented(text: &str) -> String {
    text.lines().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
}

/// Where this person takes part in the mail of a team, under which name.
struct Counter {
    place: Place,
    name: AgentName,
}

/// Since when this person is a member.
enum Joined {
    Before,
    Now,
}

impl Counter {
    /// Nothing is touched yet. The names of agents are theirs.
    fn find(place: Place, name: Option<AgentName>) -> Result<Counter, CliError> {
        let settings = &place.loaded.settings;
        let name = name.unwrap_or_else(|| settings.lead.clone());
        let counter = Counter { name, place };
        if !counter.is_lead()
            && let Some(agent) = Record::find(&counter.dir(), &Who::Name(counter.name.clone()))?
            && !agent.closed
        {
            return Err(MailFailure::IsAgent(agent.identity).into());
        }
        Ok(counter)
    }

    /// For what reads: the team has to be there, and this person a member of it.
    fn look(&self) -> Result<(), CliError> {
        let members = self.post().roster()?;
        if !self.post().exists() {
            return Err(MailFailure::NoTeam(self.team().clone()).into());
        }
        if self.is_lead() { Ok(()) } else { Ok(self.person(&members)?) }
    }

    /// For what writes: the team is made if it is not there, and this person becomes a member.
    fn join(&self) -> Result<Joined, CliError> {
        if self.is_lead() {
            return Ok(Joined::Before);
        }
        self.teams(&self.place.loaded.settings.lead).make_own()?;
        let person = Person { name: self.name.clone(), cwd: self.place.cwd.clone() };
        Ok(if self.post().join_person(&person)? { Joined::Now } else { Joined::Before })
    }

    fn leave(&self) -> Result<(), CliError> {
        if self.is_lead() {
            return Err(MailFailure::IsLead(self.name.clone()).into());
        }
        self.look()?;
        let post = self.post();
        post.leave_person(&self.name)?;
        match post.count_unread(&MemberName::from(&self.name)) {
            Ok(0) | Err(_) => {}
            Ok(1) => output::note(format_args!("1 message is unread; it stays in the inbox")),
            Ok(many) => output::note(format_args!("{many} messages are unread; they stay in the inbox")),
        }
        output::text(&format!("{} has left the team {}.\n", self.name, self.team()))
    }

    fn open(&self) -> (Office, Journal) {
        let journal = Journal::open(&self.place.home, self.team());
        (Office::of_person(self.teams(&self.name), self.dir(), self.name.clone(), journal.clone()), journal)
    }

    fn post(&self) -> Arc<dyn Post> {
        self.teams(&self.name).own().clone()
    }

    /// Whether this person is one of them, and has joined by --as.
    fn person(&self, members: &[Member]) -> Result<(), MailFailure> {
        let (name, team) = (self.name.clone(), self.team().clone());
        match members.iter().find(|member| member.name == name.as_str()) {
            Some(member) if member.is_person => Ok(()),
            Some(_) => Err(MailFailure::IsOther { name, team }),
            None => Err(MailFailure::NoMember { name, team }),
        }
    }

    fn is_lead(&self) -> bool {
        self.name == self.place.loaded.settings.lead
    }

    fn team(&self) -> &Team {
        &self.place.loaded.settings.team
    }

    fn dir(&self) -> TeamDir {
        self.place.home.team(self.team())
    }

    /// The teams, as somebody of this name sees them.
    fn teams(&self, name: &AgentName) -> Teams {
        Teams::open(TeamsSetup {
            home: self.place.home.clone(),
            team: self.team().clone(),
            is_named: self.place.loaded.settings.team_is_named,
            lead: name.clone(),
            cwd: self.place.cwd.clone(),
            session_id: None,
        })
    }
}
