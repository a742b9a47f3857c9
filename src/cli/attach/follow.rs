//! An agent followed as text, without the UI, from its last turns to its end.

use std::collections::HashSet;
use std::io;
use std::path::PathBuf;
use std::pin::pin;
use std::time::Duration;

use tokio::time::{Interval, MissedTickBehavior};

use super::error::AttachFailure;
use super::show::{Form, Past, Show};
use crate::cli::audience;
use crate::cli::error::CliError;
use crate::cli::output;
use crate::cli::queue::{Presence, TeamQueues};
use crate::codex::CodexError;
use crate::codex::guest::{Guest, GuestError, Heard, Hearing};
use crate::ids::{ThreadId, TurnId};
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

impl From<GuestError> for Halt {
    fn from(error: GuestError) -> Halt {
        Halt::Codex(error)
    }
}

impl From<io::Error> for Halt {
    fn from(error: io::Error) -> Halt {
        Halt::Output(error)
    }
}

/// Why nothing more is heard in a thread.
enum Silence {
    /// Its Codex is gone: another may be started.
    CodexIsGone,
    /// It was put away, for this reason: it may be opened again.
    PutAway(String),
}

/// Follows a running agent; returns when it runs no more.
pub(super) async fn follow(team: &TeamQueues, record: Record, thread: ThreadId, wish: Wish) -> Result<(), CliError> {
    let agent = record.identity.clone();
    let end = tokio::select! {
        end = follow_to_the_end(team, record, &thread, wish) => end,
        unread = audience::gone() => return Err(unread),
    };
    match end {
        Ok(()) => output::note(format_args!("{agent} does not run any more")),
        Err(Halt::Output(error)) => return Err(CliError::Output(error)),
        Err(Halt::Codex(source)) => return Err(AttachFailure::NoCodex { agent, source }.into()),
    }
    Ok(())
}

async fn follow_to_the_end(team: &TeamQueues, mut record: Record, thread: &ThreadId, wish: Wish) -> Result<(), Halt> {
    let mut show = Show::new(wish.form, thread.clone());
    let mut looks = tokio::time::interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // One at least, for what comes after it is what is new.
    let Entered { mut hearing, past, mut meanwhile } =
        enter(&record, thread, async |guest| guest.turns(thread, wish.turns.max(1)).await).await?;
    show.begin(past, wish.turns)?;
    loop {
        let Some(silence) = listen(team, &record, &mut show, (meanwhile, hearing), &mut looks).await? else {
            return Ok(());
        };
        // The agent may outlive its Codex: its server starts another when it is needed. If both have ended, that is all.
        looks.tick().await;
        if !runs(team, &record) {
            return Ok(());
        }
        show.gone(match &silence {
            Silence::CodexIsGone => "its Codex is gone; the next prompt starts another",
            Silence::PutAway(why) => why,
        })?;
        let Some((now, entered)) = back(team, &record, &silence, show.known(), &mut looks).await else {
            return Ok(());
        };
        show.back(entered.past)?;
        (record, hearing, meanwhile) = (now, entered.hearing, entered.meanwhile);
    }
}

/// Shows what is heard; returns why nothing more is, or nothing when the agent does not run any more.
async fn listen(
    team: &TeamQueues,
    record: &Record,
    show: &mut Show,
    (meanwhile, mut hearing): (Vec<Heard>, Hearing),
    looks: &mut Interval,
) -> io::Result<Option<Silence>> {
    for heard in meanwhile {
        if let Some(why) = show.heard(heard)? {
            return Ok(Some(Silence::PutAway(why)));
        }
    }
    loop {
        tokio::select! {
            heard = hearing.next() => match heard {
                Some(heard) => if let Some(why) = show.heard(heard)? {
                    return Ok(Some(Silence::PutAway(why)));
                },
                None => return Ok(Some(Silence::CodexIsGone)),
            },
            _ = looks.tick() => if !runs(team, record) {
                return Ok(None);
            },
        }
    }
}

/// Waits until the thread is open again, and enters it; `None` when the agent does not run any more.
async fn back(
    team: &TeamQueues,
    record: &Record,
    silence: &Silence,
    known: &HashSet<TurnId>,
    looks: &mut Interval,
) -> Option<(Record, Entered)> {
    let thread = record.thread_id.as_ref()?;
    loop {
        if let Some(now) = team.agent(record.agent_id.as_str()).ok().filter(|now| now.thread_id == record.thread_id) {
            // Who enters a thread opens it: that is for its server to do.
            let may_be_open = matches!(silence, Silence::CodexIsGone) || now.opened_at != record.opened_at;
            let asks = async |guest: Guest| guest.turns_since(thread, known).await;
            // It may have stood there before anybody listened, or for an instant only.
            if may_be_open && let Ok(entered) = enter(&now, thread, asks).await {
                return Some((now, entered));
            }
        }
        looks.tick().await;
        if !runs(team, record) {
            return None;
        }
    }
}

/// A thread that is listened to.
struct Entered {
    hearing: Hearing,
    past: Past,
    /// What was heard until the past had come.
    meanwhile: Vec<Heard>,
}

/// Goes to the agent's Codex, enters its thread, and asks for what is past.
async fn enter(
    record: &Record,
    thread: &ThreadId,
    asks: impl AsyncFnOnce(Guest) -> Result<Past, CodexError>,
) -> Result<Entered, GuestError> {
    let Some(socket) = &record.socket else {
        let source = io::Error::from(io::ErrorKind::NotFound);
        return Err(GuestError::Absent { socket: PathBuf::from("a socket"), source });
    };
    let (guest, mut hearing) = Guest::at(socket).await?;
    let mut meanwhile = Vec::new();
    let mut past = pin!(async {
        guest.enter(thread).await?;
        asks(guest).await
    });
    loop {
        tokio::select! {
            past = &mut past => return Ok(Entered { hearing, past: past?, meanwhile }),
            Some(heard) = hearing.next() => meanwhile.push(heard),
        }
    }
}

fn runs(team: &TeamQueues, record: &Record) -> bool {
    matches!(team.presence(record), Presence::Running)
}
