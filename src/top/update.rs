//! What becomes of the state by a key, or by news. Rules only.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use jiff::Timestamp;

use super::line::{Line, Typed};
use super::live::News;
use super::look::Seen;
use super::model::{Deed, Live, Mode, Model, Row};
use crate::ids::{AgentId, TurnId};
use crate::session::{Ask, Decision, RequestId, ThreadEvent, TokenUsage, Turn, TurnStatus, activity, telling};

/// What comes to the screen.
#[derive(Debug)]
pub(super) enum Input {
    Key(KeyEvent),
    Paste(String),
    Seen(Seen),
    News(News),
    Time(Timestamp),
}

/// What is to be done beside.
#[derive(Debug, PartialEq)]
pub(super) enum Effect {
    Quit,
    Attach(Row),
    Steer(Row, String),
    Interrupt(Row, TurnId),
    Close(Row),
    Decide(Row, RequestId, Ask, Decision),
}

impl Model {
    /// Takes what comes; answers what is to be done.
    pub(super) fn update(&mut self, input: Input) -> Option<Effect> {
        match input {
            Input::Time(now) => self.now = now,
            Input::Seen(seen) => self.seen(seen),
            Input::News(news) => self.news(news),
            Input::Paste(text) => match &mut self.mode {
                Mode::Filter => self.filter.paste(&text),
                Mode::Steer(_, line) => line.paste(&text),
                Mode::Commands | Mode::Confirm(_) | Mode::Help => {}
            },
            Input::Key(key) => return self.key(key),
        }
        self.choose();
        None
    }

    /// Somebody who is shown is chosen, if anybody is shown.
    fn choose(&mut self) {
        if self.chosen().is_none() {
            let first = self.shown().next().map(|row| row.agent.clone());
            self.chosen = first;
        }
    }

    fn seen(&mut self, Seen { rows, closed, noted }: Seen) {
        for (team, noted) in noted {
            self.count(&team, &noted);
        }
        (self.rows, self.closed) = (rows, closed);
        let rows = &self.rows;
        self.live.retain(|agent, _| rows.iter().any(|row| row.agent == *agent));
    }

    fn news(&mut self, news: News) {
        let now = self.now;
        match news {
            News::Said(text) => self.say(text),
            News::Left(agent) => drop(self.live.remove(&agent)),
            News::Entered(agent, last) => self.live.entry(agent).or_default().entered(last, now),
            News::Asked(agent, request, ask, turn) => {
                let live = self.live.entry(agent).or_default();
                // Who asks is in a turn, whether that was heard of or not.
                live.turn = live.turn.take().or_else(|| Some((turn?, now)));
                if live.asks.iter().all(|(known, _)| *known != request) {
                    live.asks.push((request, ask));
                }
            }
            News::Heard(agent, event) => self.live.entry(agent).or_default().happened(*event, now),
        }
    }

    fn key(&mut self, key: KeyEvent) -> Option<Effect> {
        match std::mem::replace(&mut self.mode, Mode::Commands) {
            Mode::Commands => return self.command(key),
            Mode::Help => {}
            Mode::Filter => match self.filter.key(key) {
                Typed::On => self.mode = Mode::Filter,
                Typed::Done => {}
                Typed::Left => self.filter.clear(),
            },
            Mode::Steer(agent, mut line) => match line.key(key) {
                Typed::On => self.mode = Mode::Steer(agent, line),
                Typed::Done if line.text().trim().is_empty() => self.say("nothing was said"),
                Typed::Done => return Some(Effect::Steer(self.row(&agent)?.clone(), line.text().to_owned())),
                Typed::Left => self.say("nothing was said"),
            },
            Mode::Confirm(deed) => match (key.code, deed) {
                (KeyCode::Char('y' | 'Y'), Deed::Interrupt(agent, turn)) => {
                    return Some(Effect::Interrupt(self.row(&agent)?.clone(), turn));
                }
                (KeyCode::Char('y' | 'Y'), Deed::Close(agent)) => {
                    return Some(Effect::Close(self.row(&agent)?.clone()));
                }
                _ => self.say("left as it is"),
            },
        }
        self.choose();
        None
    }

    fn command(&mut self, key: KeyEvent) -> Option<Effect> {
        self.notice = None;
        let ctrl = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Char('c') if ctrl => return Some(Effect::Quit),
            KeyCode::Char('q') => return Some(Effect::Quit),
            KeyCode::Char('?') => self.mode = Mode::Help,
            KeyCode::Char('/') => self.mode = Mode::Filter,
            KeyCode::Esc => self.filter.clear(),
            KeyCode::Up | KeyCode::Char('k') => self.step(-1),
            KeyCode::Down | KeyCode::Char('j') => self.step(1),
            KeyCode::Char(c @ ('a' | 's' | 'i' | 'c' | 'y' | 'n')) if !ctrl => return self.about_the_chosen(c),
            _ => {}
        }
        self.choose();
        None
    }

    fn step(&mut self, by: isize) {
        let shown: Vec<AgentId> = self.shown().map(|row| row.agent.clone()).collect();
        let at = shown.iter().position(|agent| Some(agent) == self.chosen.as_ref()).unwrap_or(0);
        let to = at.saturating_add_signed(by).min(shown.len().saturating_sub(1));
        self.chosen = shown.get(to).cloned();
    }

    fn about_the_chosen(&mut self, key: char) -> Option<Effect> {
        let Some(row) = self.chosen().cloned() else {
            self.say("there is nobody to do that to");
            return None;
        };
        let live = self.live(&row);
        let turn = live.and_then(|live| live.turn.as_ref()).map(|(turn, _)| turn.clone());
        let ask = live.and_then(|live| live.asks.first()).cloned();
        let name = row.name.clone();
        match (key, turn, ask) {
            ('a', _, _) => return Some(Effect::Attach(row)),
            ('s', _, _) => self.mode = Mode::Steer(row.agent, Line::default()),
            ('c', _, _) => self.mode = Mode::Confirm(Deed::Close(row.agent)),
            ('i', Some(turn), _) => self.mode = Mode::Confirm(Deed::Interrupt(row.agent, turn)),
            ('i', None, _) => self.say(format!("{name} has no turn that could be interrupted")),
            ('y', _, Some((request, ask))) => return Some(Effect::Decide(row, request, ask, Decision::Accept)),
            ('n', _, Some((request, ask))) => return Some(Effect::Decide(row, request, ask, Decision::Decline)),
            _ => self.say(format!("{name} asks nothing")),
        }
        None
    }
}

impl Live {
    fn entered(&mut self, last: Option<Turn>, now: Timestamp) {
        let Some(turn) = last else { return };
        let lines: Vec<String> = turn.items.iter().flat_map(telling::lines).collect();
        self.add(lines);
        self.add(telling::ending(&turn).into_iter().collect());
        // What was heard meanwhile is newer.
        let is_known = self.turn.as_ref().is_some_and(|(known, _)| *known == turn.id);
        let is_news = self.turn.is_none() && self.idle_since.is_none();
        if turn.status == TurnStatus::InProgress && (is_known || is_news) {
            let since = turn.started_at.and_then(|secs| Timestamp::from_second(secs).ok()).unwrap_or(now);
            self.does = turn.items.last().and_then(activity);
            self.turn = Some((turn.id, since));
        }
    }

    fn happened(&mut self, event: ThreadEvent, now: Timestamp) {
        match event {
            ThreadEvent::TurnStarted(turn) => {
                self.does = Some("thinking".to_owned());
                self.turn = Some((turn, now));
            }
            ThreadEvent::TurnEnded(turn) => {
                self.add(telling::ending(&turn).into_iter().collect());
                (self.turn, self.does, self.idle_since) = (None, None, Some(now));
                self.asks.clear();
                self.waits = false;
            }
            ThreadEvent::ItemStarted { item, .. } => self.does = activity(&item).or(self.does.take()),
            ThreadEvent::ItemCompleted { item, .. } => self.add(telling::lines(&item)),
            ThreadEvent::Usage { usage: TokenUsage { total, last, model_context_window }, .. } => {
                self.tokens = Some(total.total_tokens);
                let window = model_context_window.filter(|window| *window > 0);
                self.context = window.map(|window| last.total_tokens * 100 / window);
            }
            ThreadEvent::Failed { error, .. } => self.add(vec![format!("! {}", error.message.replace('\n', " "))]),
            ThreadEvent::Waits(waits) => {
                self.waits = waits;
                if !waits {
                    self.asks.clear();
                }
            }
            ThreadEvent::Resolved(request) => self.asks.retain(|(known, _)| *known != request),
            ThreadEvent::Lost(why) => self.add(vec![format!("! {why}")]),
            ThreadEvent::Warned(why) => self.add(vec![format!("! {}", why.replace('\n', " "))]),
            // Questions come to a guest by a way of their own.
            ThreadEvent::Asked { .. } | ThreadEvent::Piece { .. } => {}
        }
    }
}
