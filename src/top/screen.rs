//! The loop: news and keys in, effects out, a picture after each.

use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use crossterm::event::{Event, KeyEventKind};
use futures_util::{Stream, StreamExt};
use jiff::{Timestamp, Zoned};
use ratatui::Terminal;
use ratatui::backend::Backend;
use tokio::time::MissedTickBehavior;

use super::live::{Guests, News};
use super::look::{Look, Place, Teams};
use super::model::{Drawn, Model, Row, Whom};
use super::update::{Effect, Input};
use super::view::{self, Colours};
use crate::ids::{Address, AgentId, MemberName, MessageId, Team};
use crate::mail::{self, Draft, Post, frame};
use crate::queue::{Text, Urgency};
use crate::steps;

/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(1);

/// Why the screen is left.
#[derive(Debug, PartialEq, Eq)]
pub enum Left {
    /// For good.
    Quit,
    /// For good: somebody has interrupted the program.
    Interrupted,
    /// For the shell, until that continues the program.
    Stopped,
    /// For the Codex UI on an agent, until that is left.
    Attach(Team, AgentId),
}

/// Why there is no screen any more.
#[derive(Debug, thiserror::Error)]
pub enum TopError {
    /// The terminal cannot be drawn on.
    #[error("the terminal cannot be drawn on: {0}")]
    Drawing(String),
    /// It cannot be read.
    #[error("the terminal cannot be read: {0}")]
    Keys(std::io::Error),
    /// A look at the files has died.
    #[error("the files cannot be looked at: {0}")]
    Look(String),
}

/// The screen, and what it knows; it may be left and run again.
#[derive(Debug)]
pub struct Screen {
    place: Place,
    model: Model,
    look: Option<Look>,
    colours: Colours,
}

impl Screen {
    /// Nothing is drawn yet.
    pub fn new(place: Place, has_colours: bool) -> Screen {
        let (teams, is_of_all) = match &place.teams {
            Teams::One(team) => (format!("team {team}"), false),
            Teams::All => ("all teams".to_owned(), true),
        };
        let model = Model::new(teams, is_of_all, place.limits.bytes, Zoned::now());
        let colours = if has_colours { Colours::Some } else { Colours::None };
        Screen { look: Some(Look::new(place.clone())), place, model, colours }
    }

    /// Has something to say to the person at the keys.
    pub fn say(&mut self, text: &str) {
        self.model.say(text);
    }

    /// Draws and listens until somebody leaves, or is `wanted` elsewhere.
    pub async fn run<B: Backend>(
        &mut self,
        terminal: &mut Terminal<B>,
        events: impl Stream<Item = std::io::Result<Event>>,
        wanted: impl Future<Output = Left>,
    ) -> Result<Left, TopError> {
        tokio::pin!(events, wanted);
        let mut guests = Guests::new();
        let mut looks = tokio::time::interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut looking = None;
        loop {
            // Keys first: whoever pressed one saw the picture as it is, not what the news make of it.
            let mut inputs: Vec<Input> = tokio::select! {
                biased;
                event = events.next() => match event {
                    // A terminal that is gone is quit.
                    None => return self.leave(looking, Left::Quit).await,
                    Some(event) => input(event.map_err(TopError::Keys)?).into_iter().collect(),
                },
                left = &mut wanted => return self.leave(looking, left).await,
                seen = finished(&mut looking) => {
                    let (look, seen) = seen.map_err(|error| TopError::Look(error.to_string()))?;
                    (self.look, looking) = (Some(look), None);
                    let left = guests.attend(&seen.rows).into_iter().map(Input::News);
                    left.chain([Input::Seen(seen)]).collect()
                }
                _ = looks.tick() => {
                    looking = looking.or_else(|| self.look.take().map(start));
                    Vec::new()
                }
                news = guests.next() => news.into_iter().map(Input::News).collect(),
            };
            // So did who pressed one before the next picture. The stream keeps the first waker that it is polled with, so it is
            // to be this task's.
            let pressed = poll_fn(|context| {
                let next = || match events.as_mut().poll_next(context) {
                    Poll::Ready(event) => event,
                    Poll::Pending => None,
                };
                Poll::Ready(std::iter::from_fn(next).collect::<Vec<_>>())
            });
            for event in pressed.await {
                inputs.extend(input(event.map_err(TopError::Keys)?));
            }
            self.model.update(Input::Time(Timestamp::now()));
            for input in inputs {
                match self.model.update(input) {
                    None => {}
                    Some(Effect::Quit) => return self.leave(looking, Left::Quit).await,
                    Some(Effect::Stop) => return self.leave(looking, Left::Stopped).await,
                    Some(Effect::Attach(row)) => return self.leave(looking, Left::Attach(row.team, row.agent)).await,
                    Some(effect) => self.act(&mut guests, effect),
                }
            }
            let mut seen = Drawn::default();
            let drawn = terminal.draw(|frame| seen = view::draw(frame, &self.model, self.colours));
            drawn.map_err(|error| TopError::Drawing(error.to_string()))?;
            self.model.was_drawn(seen);
            steps::at(steps::DRAWN);
        }
    }

    /// A look that is under way is not lost: it remembers what of the audits was read.
    async fn leave(&mut self, looking: Option<Looking>, left: Left) -> Result<Left, TopError> {
        if let Some(looking) = looking {
            let (look, seen) = looking.await.map_err(|error| TopError::Look(error.to_string()))?;
            self.look = Some(look);
            self.model.update(Input::Seen(seen));
        }
        self.model.was_drawn(Drawn::default());
        let all: Vec<AgentId> = self.model.rows.iter().map(|row| row.agent.clone()).collect();
        for agent in all {
            self.model.update(Input::News(News::Left(agent)));
        }
        Ok(left)
    }

    fn act(&mut self, guests: &mut Guests, effect: Effect) {
        let place = self.place.clone();
        let done = match effect {
            Effect::Quit | Effect::Stop | Effect::Attach(_) => return,
            Effect::Steer(row, whom, text) => return guests.aside(move || say_to(&place, &row, whom, text)),
            Effect::Close(row) => return guests.aside(move || ask_to_end(&place, &row)),
            Effect::Interrupt(row, turn) => guests.interrupt(&row, turn).map(|()| format!("interrupting {}", row.name)),
            Effect::Decide(row, asked, decision) => guests.decide(&row, &asked, decision).map(|()| {
                let word = if decision.is_yes() { "approved" } else { "declined" };
                let said = format!("{word}: {} asked {}", row.name, asked.ask.summary());
                self.model.decided(&(row.agent, asked.request));
                said
            }),
        };
        self.model.say(done.unwrap_or_else(|why| why));
    }
}

fn say_to(place: &Place, row: &Row, whom: Whom, said: String) -> News {
    steps::at(steps::SAID);
    let text = Text { text: said, kind: Some("top".to_owned()), urgency: Urgency::Urgent, ..Text::default() };
    if let Err(error) = place.queue(&row.team, &row.agent).enqueue(&text) {
        let why = format!("{} is not told: {error}", whom.name);
        return News::Unsaid(whom, text.text, why);
    }
    let when = if row.runs { "it joins the turn, or begins one" } else { "it waits until the agent runs" };
    News::Said(format!("in the queue of {}: {when}", whom.name))
}

/// By a mail in the lead's name, which its server obeys: only that can close an agent.
fn ask_to_end(place: &Place, row: &Row) -> News {
    let lead = &place.lead;
    let now = Timestamp::now();
    let text = frame::shutdown_request(MessageId::next().as_str(), lead.as_str(), "closed in top", now);
    let from = Address { name: MemberName::from(lead), team: None };
    let draft = Draft { from, text, summary: None, color: None, urgency: mail::Urgency::Normal };
    let sent = place.post(&row.team).send(&MemberName::from(&row.name), &[draft]);
    let when = if row.runs { "after its turn" } else { "when a server of its team starts" };
    News::Said(match sent {
        Ok(_) => format!("{} was asked to end: it does so {when}", row.name),
        Err(error) => format!("{} cannot be asked to end (agent_close can): {error}", row.name),
    })
}

type Looking = tokio::task::JoinHandle<(Look, super::look::Seen)>;

fn start(mut look: Look) -> Looking {
    tokio::task::spawn_blocking(move || {
        let seen = look.look();
        (look, seen)
    })
}

async fn finished(looking: &mut Option<Looking>) -> Result<(Look, super::look::Seen), tokio::task::JoinError> {
    match looking {
        Some(looking) => looking.await,
        None => std::future::pending().await,
    }
}

/// What a terminal's event is to us; a new size is drawn, and is nothing else.
fn input(event: Event) -> Option<Input> {
    match event {
        Event::Key(key) if key.kind != KeyEventKind::Release => Some(Input::Key(key)),
        Event::Paste(text) => Some(Input::Paste(text)),
        _ => None,
    }
}
