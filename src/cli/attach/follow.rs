//! An agent followed as text, without the UI, from its last turns to its end.

use std::collections::HashSet;
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;
use tokio::time::MissedTickBehavior;

use super::error::AttachFailure;
use crate::cli::error::CliError;
use crate::cli::output;
use crate::cli::queue::{Presence, TeamQueues};
use crate::codex::CodexError;
use crate::codex::ask::RequestId;
use crate::codex::event::ThreadEvent;
use crate::codex::guest::{Guest, GuestError, Heard, Hearing};
use crate::codex::telling;
use crate::codex::wire::{Turn, TurnStatus};
use crate::ids::ThreadId;
use crate::plain::on_one_line;
use crate::session::Record;

/// How often it is looked whether the agent still runs: an OS lock tells nobody that it is free.
const LOOK: Duration = Duration::from_millis(500);

/// What is wanted.
#[derive(Clone, Copy)]
pub(super) struct Wish {
    pub(super) form: Form,
    /// How many turns are shown first.
    pub(super) turns: u32,
}

/// As what it is shown.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// Lines for people.
    Text,
    /// What Codex says, a line each.
    Json,
}

/// Why no more is shown.
enum Halt {
    Codex(GuestError),
    Output(io::Error),
}

impl From<CodexError> for Halt {
    fn from(error: CodexError) -> Halt {
        Halt::Codex(error.into())
    }
}

impl From<io::Error> for Halt {
    fn from(error: io::Error) -> Halt {
        Halt::Output(error)
    }
}

/// Follows a running agent; returns when it runs no more, or when nobody reads any more.
pub(super) async fn follow(team: &TeamQueues, record: Record, thread: ThreadId, wish: Wish) -> Result<(), CliError> {
    let agent = record.identity.clone();
    match follow_to_the_end(team, record, &thread, wish).await {
        Ok(()) => output::note(format_args!("{agent} does not run any more")),
        Err(Halt::Output(error)) => return Err(CliError::Output(error)),
        Err(Halt::Codex(source)) => return Err(AttachFailure::NoCodex { agent, source }.into()),
    }
    Ok(())
}

async fn follow_to_the_end(team: &TeamQueues, record: Record, thread: &ThreadId, wish: Wish) -> Result<(), Halt> {
    let Some(mut socket) = record.socket.clone() else {
        let source = io::Error::from(io::ErrorKind::NotFound);
        return Err(Halt::Codex(GuestError::Absent { socket: PathBuf::from("a socket"), source }));
    };
    let mut show = Show { form: wish.form, shown: HashSet::new(), asked: Vec::new() };
    let mut turns = wish.turns;
    let mut looks = tokio::time::interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let (guest, mut hearing) = Guest::at(&socket).await.map_err(Halt::Codex)?;
        let (past, meanwhile) = past(&guest, &mut hearing, thread, turns).await?;
        show.history(&past, thread)?;
        meanwhile.into_iter().try_for_each(|heard| show.heard(heard, thread))?;
        turns = 0;
        loop {
            tokio::select! {
                heard = hearing.next() => match heard {
                    Some(heard) => show.heard(heard, thread)?,
                    None => break,
                },
                _ = looks.tick() => if !runs(team, &record) {
                    return Ok(());
                },
            }
        }
        // The agent may outlive its Codex: its server starts another when it is needed.
        socket = loop {
            looks.tick().await;
            if !runs(team, &record) {
                return Ok(());
            }
            let now = team.agent(record.agent_id.as_str()).ok().and_then(|record| record.socket);
            if let Some(another) = now.filter(|now| *now != socket) {
                break another;
            }
        };
    }
}

type Past = Vec<(Turn, Box<RawValue>)>;

/// Enters the thread, and asks for its last turns, the newest first; tells also what was heard until they came.
async fn past(
    guest: &Guest,
    hearing: &mut Hearing,
    thread: &ThreadId,
    turns: u32,
) -> Result<(Past, Vec<Heard>), CodexError> {
    let mut meanwhile = Vec::new();
    let asked = async {
        guest.enter(thread).await?;
        if turns == 0 { Ok(Vec::new()) } else { guest.turns(thread, turns).await }
    };
    tokio::pin!(asked);
    loop {
        tokio::select! {
            past = &mut asked => return Ok((past?, meanwhile)),
            Some(heard) = hearing.next() => meanwhile.push(heard),
        }
    }
}

fn runs(team: &TeamQueues, record: &Record) -> bool {
    matches!(team.presence(record), Presence::Running)
}

/// What is shown, and was.
struct Show {
    form: Form,
    /// The items of the running turn that its history had already.
    shown: HashSet<String>,
    /// What is asked now: an answer is told of by its number only.
    asked: Vec<RequestId>,
}

/// The one thing of an item by which it is known.
#[derive(Default, Deserialize)]
#[serde(default)]
struct ItemId {
    id: String,
    status: String,
}

#[derive(Deserialize)]
struct Items {
    items: Vec<Box<RawValue>>,
}

#[derive(Deserialize)]
struct OneItem {
    item: ItemId,
}

impl Show {
    /// The last turns, given newest first.
    fn history(&mut self, turns: &[(Turn, Box<RawValue>)], thread: &ThreadId) -> io::Result<()> {
        for (turn, raw) in turns.iter().rev() {
            let runs = turn.status == TurnStatus::InProgress;
            if self.form == Form::Json {
                let method = if runs { "turn/started" } else { "turn/completed" };
                print(&json!({"method": method, "params": {"threadId": thread, "turn": raw}}).to_string())?;
            } else {
                self.line(&began(turn.id.as_str()))?;
            }
            let items: Items = serde_json::from_str(raw.get()).unwrap_or(Items { items: Vec::new() });
            for (item, raw) in turn.items.iter().zip(&items.items) {
                let id: ItemId = serde_json::from_str(raw.get()).unwrap_or_default();
                if runs && id.status == "inProgress" {
                    continue;
                }
                if self.form == Form::Text {
                    telling::lines(item).iter().try_for_each(|line| self.line(line))?;
                }
                if runs {
                    self.shown.insert(id.id);
                }
            }
            if self.form == Form::Text
                && let Some(ending) = telling::ending(turn)
            {
                self.line(&ending)?;
            }
        }
        Ok(())
    }

    fn heard(&mut self, heard: Heard, of: &ThreadId) -> io::Result<()> {
        let (thread, said) = match &heard {
            Heard::Happened { thread, said, .. } | Heard::Asked { thread, said, .. } => (thread, said),
        };
        // What a sub-agent does is not the agent's.
        if thread != of {
            return Ok(());
        }
        if let Heard::Happened { event: ThreadEvent::ItemCompleted { .. }, .. } = heard
            && let Ok(OneItem { item }) = serde_json::from_str(said.params.get())
            && self.shown.remove(&item.id)
        {
            return Ok(());
        }
        if self.form == Form::Json {
            return print(&serde_json::to_string(said)?);
        }
        match heard {
            Heard::Happened { event, .. } => self.happened(event),
            Heard::Asked { request, ask, .. } if ask.is_question() => {
                self.asked.push(request);
                self.line(&format!("? asks {}", ask.summary()))
            }
            Heard::Asked { .. } => Ok(()),
        }
    }

    fn happened(&mut self, event: ThreadEvent) -> io::Result<()> {
        match event {
            ThreadEvent::TurnStarted(turn) => self.line(&began(turn.as_str())),
            ThreadEvent::TurnEnded(turn) => {
                self.shown.clear();
                self.asked.clear();
                telling::ending(&turn).map_or(Ok(()), |ending| self.line(&ending))
            }
            ThreadEvent::ItemCompleted { item, .. } => {
                telling::lines(&item).iter().try_for_each(|line| self.line(line))
            }
            ThreadEvent::Failed { error, retried, .. } => {
                let more = if retried { "; Codex tries again" } else { "" };
                self.line(&format!("! {}{more}", error.message.lines().collect::<Vec<_>>().join(" ")))
            }
            ThreadEvent::Resolved(request) => match self.asked.iter().position(|asked| *asked == request) {
                Some(at) => {
                    self.asked.remove(at);
                    self.line("? somebody has decided")
                }
                None => Ok(()),
            },
            ThreadEvent::Lost(why) => self.line(&format!("! {why}")),
            ThreadEvent::Warned(why) => self.line(&format!("! {}", why.lines().collect::<Vec<_>>().join(" "))),
            ThreadEvent::ItemStarted { .. }
            | ThreadEvent::Piece { .. }
            | ThreadEvent::Usage { .. }
            | ThreadEvent::Waits(_)
            | ThreadEvent::Asked { .. } => Ok(()),
        }
    }

    /// Prints one line; what others say in it cannot move the cursor.
    fn line(&self, line: &str) -> io::Result<()> {
        print(&on_one_line(line))
    }
}

fn began(turn: &str) -> String {
    format!("-- turn {turn}")
}

/// A line, at once: somebody may wait for it.
fn print(line: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(line.as_bytes())?;
    out.write_all(b"\n")?;
    out.flush()
}
