//! The loop: news and keys in, effects out, a picture after each.

use std::time::Duration;

use crossterm::event::{Event, KeyEventKind};
use futures_util::{Stream, StreamExt};
use jiff::Timestamp;
use ratatui::Terminal;
use ratatui::backend::Backend;
use tokio::time::MissedTickBehavior;

use super::live::{Guests, News};
use super::look::{Look, Place, Teams};
use super::model::{Model, Row};
use super::update::{Effect, Input};
use super::view::{self, Colours};
use crate::ids::{Address, AgentId, MemberName, MessageId, Team};
use crate::mail::{self, Draft, Post, frame};
use crate::queue::{Text, Urgency};
use crate::session::Decision;
use crate::steps;

/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(1);

/// Why the screen is left.
#[derive(Debug, PartialEq, Eq)]
pub enum Left {
    /// For good.
    Quit,
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
        let model = Model::new(teams, is_of_all, Timestamp::now());
        let colours = if has_colours { Colours::Some } else { Colours::None };
        Screen { look: Some(Look::new(place.clone())), place, model, colours }
    }

    /// Draws and listens until somebody leaves.
    pub async fn run<B: Backend>(
        &mut self,
        terminal: &mut Terminal<B>,
        events: impl Stream<Item = std::io::Result<Event>>,
    ) -> Result<Left, TopError> {
        tokio::pin!(events);
        let mut guests = Guests::new();
        let mut looks = tokio::time::interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut looking = None;
        loop {
            let inputs = tokio::select! {
                event = events.next() => match event {
                    // A terminal that is gone is quit.
                    None => return Ok(Left::Quit),
                    Some(event) => input(event.map_err(TopError::Keys)?).into_iter().collect(),
                },
                news = guests.next() => news.into_iter().map(Input::News).collect(),
                _ = looks.tick() => {
                    looking = looking.or_else(|| self.look.take().map(start));
                    Vec::new()
                }
                seen = finished(&mut looking) => {
                    let (look, seen) = seen.map_err(|error| TopError::Look(error.to_string()))?;
                    (self.look, looking) = (Some(look), None);
                    let left = guests.attend(&seen.rows).into_iter().map(Input::News);
                    left.chain([Input::Seen(seen)]).collect()
                }
            };
            self.model.update(Input::Time(Timestamp::now()));
            for input in inputs {
                match self.model.update(input) {
                    None => {}
                    Some(Effect::Quit) => return self.leave(looking, Left::Quit).await,
                    Some(Effect::Attach(row)) => return self.leave(looking, Left::Attach(row.team, row.agent)).await,
                    Some(effect) => self.act(&mut guests, effect),
                }
            }
            let drawn = terminal.draw(|frame| view::draw(frame, &self.model, self.colours));
            drawn.map_err(|error| TopError::Drawing(error.to_string()))?;
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
        let all: Vec<AgentId> = self.model.rows.iter().map(|row| row.agent.clone()).collect();
        for agent in all {
            self.model.update(Input::News(News::Left(agent)));
        }
        Ok(left)
    }

    fn act(&mut self, guests: &mut Guests, effect: Effect) {
        let place = self.place.clone();
        let done = match effect {
            Effect::Quit | Effect::Attach(_) => return,
            Effect::Steer(row, text) => return guests.aside(move || say_to(&place, &row, text)),
            Effect::Close(row) => return guests.aside(move || ask_to_end(&place, &row)),
            Effect::Interrupt(row, turn) => guests.interrupt(&row, turn).map(|()| format!("interrupting {}", row.name)),
            Effect::Decide(row, request, ask, decision) => {
                let word = if decision == Decision::Accept { "approved" } else { "declined" };
                let decided = guests.decide(&row, &request, &ask, decision);
                decided.map(|()| format!("{word}: {} asked {}", row.name, ask.summary()))
            }
        };
        self.model.say(done.unwrap_or_else(|why| why));
    }
}

fn say_to(place: &Place, row: &Row, text: String) -> Result<String, String> {
    let text = Text { text, kind: Some("top".to_owned()), urgency: Urgency::Urgent, ..Text::default() };
    let queue = place.queue(&row.team, &row.agent);
    queue.enqueue(&text).map_err(|error| format!("{} is not told: {error}", row.name))?;
    let when = if row.runs { "it joins the turn, or begins one" } else { "it waits until the agent runs" };
    Ok(format!("in the queue of {}: {when}", row.name))
}

/// By a mail in the lead's name, which its server obeys: only that can close an agent.
fn ask_to_end(place: &Place, row: &Row) -> Result<String, String> {
    let lead = &place.lead;
    let now = Timestamp::now();
    let text = frame::shutdown_request(MessageId::next().as_str(), lead.as_str(), "closed in top", now);
    let from = Address { name: MemberName::from(lead), team: None };
    let draft = Draft { from, text, summary: None, color: None, urgency: mail::Urgency::Normal };
    let sent = place.post(&row.team).send(&MemberName::from(&row.name), &[draft]);
    sent.map_err(|error| format!("{} cannot be asked to end (agent_close can): {error}", row.name))?;
    let when = if row.runs { "after its turn" } else { "when a server of its team starts" };
    Ok(format!("{} was asked to end: it does so {when}", row.name))
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
