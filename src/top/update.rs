//! What becomes of the state by a key, or by news. Rules only.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use jiff::Timestamp;

use super::asking::{Asked, NoYes};
use super::line::{Line, Typed};
use super::live::News;
use super::look::Seen;
use super::model::{DOES_MAX, Deed, Live, Mode, Model, Row, Whom};
use crate::ids::TurnId;
use crate::plain;
use crate::session::{Decision, Item, ThreadEvent, TokenUsage, Turn, TurnStatus, activity, telling};

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
    Stop,
    Attach(Row),
    Steer(Row, Whom, String),
    Interrupt(Row, TurnId),
    Close(Row),
    Decide(Row, Asked, Decision),
}

impl Model {
    /// Takes what comes; answers what is to be done.
    pub(super) fn update(&mut self, input: Input) -> Option<Effect> {
        match input {
            Input::Time(now) => self.now = now,
            Input::Seen(seen) => self.seen(seen),
            Input::News(news) => self.news(news),
            Input::Paste(text) => self.paste(&text),
            Input::Key(key) => return self.key(key),
        }
        if self.drawn.ask.as_ref().is_some_and(|ask| !self.is_open(ask)) {
            self.drawn.ask = None;
            self.is_overtaken = true;
            self.say("what was asked here is decided elsewhere, or over");
        }
        self.choose();
        None
    }

    /// The first is chosen until somebody was: who is chosen once is changed by keys alone.
    fn choose(&mut self) {
        if self.chosen.is_none() {
            self.choose_the_first();
        }
    }

    fn choose_the_first(&mut self) {
        let first = self.shown().next().map(|row| self.whom(row));
        self.chosen = first.or(self.chosen.take());
    }

    fn seen(&mut self, Seen { rows, closed, unreadable, noted }: Seen) {
        (self.rows, self.closed, self.unreadable) = (rows, closed, unreadable);
        for (team, noted) in noted {
            self.count(&team, &noted);
        }
        let rows = &self.rows;
        self.live.retain(|agent, _| rows.iter().any(|row| row.agent == *agent));
    }

    fn news(&mut self, news: News) {
        let now = self.now;
        match news {
            News::Said(text) => self.say(text),
            News::Unsaid(whom, text, why) => {
                self.say(why);
                // It can be said again, or somewhere else.
                if matches!(self.mode, Mode::Commands) {
                    self.mode = Mode::Steer(whom, Line::with(text, self.text_max));
                }
            }
            News::Left(agent) => drop(self.live.remove(&agent)),
            News::Entered(agent, last) => self.live.entry(agent).or_default().entered(last, now),
            News::Asked(agent, asked, turn) => {
                let live = self.live.entry(agent).or_default();
                // Who asks is in a turn, whether that was heard of or not.
                live.turn = live.turn.take().or_else(|| Some((turn?, now)));
                live.asked(asked);
            }
            News::Heard(agent, event) => self.live.entry(agent).or_default().happened(*event, now),
        }
    }

    fn paste(&mut self, text: &str) {
        let line = match &mut self.mode {
            Mode::Filter => &mut self.filter,
            Mode::Steer(_, line) => line,
            Mode::Commands | Mode::Confirm(_) | Mode::Help => return,
        };
        if line.paste(text) == Typed::Full {
            let (more, most) = (text.len(), line.most());
            self.say(format!("not taken: with these {more} bytes it would be longer than {most}"));
        }
    }

    fn key(&mut self, key: KeyEvent) -> Option<Effect> {
        let ctrl = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Char('z') if ctrl => return Some(Effect::Stop),
            KeyCode::Char('c') if ctrl && !matches!(self.mode, Mode::Filter | Mode::Steer(..)) => {
                return Some(Effect::Quit);
            }
            KeyCode::PageDown => self.scroll = self.scroll.saturating_add_signed(self.page_down()),
            KeyCode::PageUp => self.scroll = self.scroll.saturating_add_signed(-self.page_down()),
            _ => return self.in_mode(key),
        }
        None
    }

    /// What is asked, and help, is read from its beginning; what was said is looked at from its end.
    fn page_down(&self) -> isize {
        let page = isize::try_from(self.drawn.page).unwrap_or(0);
        let is_from_the_beginning = self.drawn.ask.is_some() || matches!(self.mode, Mode::Help);
        if is_from_the_beginning { page } else { -page }
    }

    fn in_mode(&mut self, key: KeyEvent) -> Option<Effect> {
        match std::mem::replace(&mut self.mode, Mode::Commands) {
            Mode::Commands => return self.command(key),
            Mode::Help => self.scroll = 0,
            Mode::Filter => {
                match self.filter.key(key) {
                    Typed::On | Typed::Full => self.mode = Mode::Filter,
                    Typed::Done => {}
                    Typed::Left => self.filter.clear(),
                }
                if self.chosen().is_none() {
                    self.choose_the_first();
                }
            }
            Mode::Steer(whom, line) => return self.steering(key, whom, line),
            Mode::Confirm(deed) => {
                let is_yes = matches!(key.code, KeyCode::Char('y' | 'Y'));
                let (Deed::Interrupt(whom, _) | Deed::Close(whom)) = &deed;
                match (is_yes, self.row(&whom.agent).cloned(), deed) {
                    (false, _, _) => self.say("left as it is"),
                    (true, None, Deed::Interrupt(whom, _) | Deed::Close(whom)) => {
                        self.say(format!("{} is gone; nothing was done", whom.name));
                    }
                    (true, Some(row), Deed::Interrupt(_, turn)) => return Some(Effect::Interrupt(row, turn)),
                    (true, Some(row), Deed::Close(_)) => return Some(Effect::Close(row)),
                }
            }
        }
        None
    }

    fn steering(&mut self, key: KeyEvent, whom: Whom, mut line: Line) -> Option<Effect> {
        match line.key(key) {
            Typed::On => {}
            Typed::Full => self.say(format!("not taken: it would be longer than {} bytes", line.most())),
            Typed::Done if line.text().trim().is_empty() => {
                self.say("nothing was said");
                return None;
            }
            Typed::Done => match self.row(&whom.agent).cloned() {
                Some(row) => return Some(Effect::Steer(row, whom, line.text().to_owned())),
                None => self.say(format!("{} is gone; the text stays here until Esc", whom.name)),
            },
            Typed::Left => {
                self.say("nothing was said");
                return None;
            }
        }
        self.mode = Mode::Steer(whom, line);
        None
    }

    fn command(&mut self, key: KeyEvent) -> Option<Effect> {
        self.notice = None;
        let is_overtaken = std::mem::take(&mut self.is_overtaken);
        let ctrl = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Char('q') => return Some(Effect::Quit),
            KeyCode::Char('?') => (self.mode, self.scroll) = (Mode::Help, 0),
            KeyCode::Char('/') => self.mode = Mode::Filter,
            KeyCode::Esc => self.filter.clear(),
            KeyCode::Up | KeyCode::Char('k') => self.step(-1),
            KeyCode::Down | KeyCode::Char('j') => self.step(1),
            KeyCode::Char('y' | 'n') if is_overtaken => {
                self.say(
                    "what was asked here before is decided elsewhere, or over; look again, and press it once more",
                );
            }
            KeyCode::Char(c @ ('a' | 's' | 'i' | 'c' | 'y' | 'n')) if !ctrl => return self.about_the_chosen(c),
            _ => {}
        }
        None
    }

    fn step(&mut self, by: isize) {
        let shown: Vec<&Row> = self.shown().collect();
        let at = shown.iter().position(|row| self.chosen.as_ref().is_some_and(|whom| whom.agent == row.agent));
        let to = at.map_or(0, |at| at.saturating_add_signed(by).min(shown.len().saturating_sub(1)));
        if let Some(whom) = shown.get(to).map(|row| self.whom(row)) {
            (self.chosen, self.scroll) = (Some(whom), 0);
        }
    }

    fn about_the_chosen(&mut self, key: char) -> Option<Effect> {
        let Some(row) = self.chosen().cloned() else {
            self.say(self.nobody());
            return None;
        };
        let turn = self.live(&row).and_then(|live| live.turn.as_ref()).map(|(turn, _)| turn.clone());
        let whom = self.whom(&row);
        match (key, turn) {
            ('a', _) => return Some(Effect::Attach(row)),
            ('s', _) => self.mode = Mode::Steer(whom, Line::of_at_most(self.text_max)),
            ('c', _) => self.mode = Mode::Confirm(Deed::Close(whom)),
            ('i', Some(turn)) => self.mode = Mode::Confirm(Deed::Interrupt(whom, turn)),
            ('i', None) => self.say(format!("{} has no turn that could be interrupted", whom.name)),
            ('y', _) => return self.decide(row, &whom, Decision::Accept),
            _ => return self.decide(row, &whom, Decision::Decline),
        }
        None
    }

    /// A key decides on what was on the screen when it was pressed, and says yes only to what could be read to its end.
    fn decide(&mut self, row: Row, whom: &Whom, decision: Decision) -> Option<Effect> {
        let Some(asked) = self.live(&row).and_then(|live| live.asks.first()).cloned() else {
            self.say(format!("{} asks nothing", whom.name));
            return None;
        };
        let facing = Some((row.agent.clone(), asked.request.clone()));
        if self.drawn.ask != facing {
            self.say("that was not on the screen yet; look at it, and press it again");
            return None;
        }
        if decision.is_yes() {
            match asked.can_be_approved() {
                Err(NoYes::Answer) => self.say("y is no answer to that: a opens the Codex UI, which can give one"),
                Err(NoYes::Unseen) => {
                    self.say("nobody can approve here what is not seen; its client sees it (agent_approve)")
                }
                Ok(()) if self.read != facing => self.say("read it to its end first: PgDn"),
                Ok(()) => return Some(Effect::Decide(row, asked, decision)),
            }
            return None;
        }
        Some(Effect::Decide(row, asked, decision))
    }
}

impl Live {
    fn entered(&mut self, last: Option<Turn>, now: Timestamp) {
        let Some(turn) = last else { return };
        turn.items.iter().for_each(|item| self.begun(item));
        let lines: Vec<String> = turn.items.iter().flat_map(telling::lines).collect();
        self.add(lines);
        self.add(telling::ending(&turn).into_iter().collect());
        // What was heard meanwhile is newer.
        let is_known = self.turn.as_ref().is_some_and(|(known, _)| *known == turn.id);
        let is_news = self.turn.is_none() && self.idle_since.is_none();
        if turn.status == TurnStatus::InProgress && (is_known || is_news) {
            let since = turn.started_at.and_then(|secs| Timestamp::from_second(secs).ok()).unwrap_or(now);
            self.does = turn.items.last().and_then(activity).map(bounded);
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
                self.rests();
                self.waits = false;
            }
            ThreadEvent::ItemStarted { item, .. } => {
                self.begun(&item);
                self.does = activity(&item).map(bounded).or(self.does.take());
            }
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
            ThreadEvent::Resolved(request) => self.asks.retain(|known| known.request != request),
            ThreadEvent::Lost(why) => self.add(vec![format!("! {why}")]),
            ThreadEvent::Warned(why) => self.add(vec![format!("! {}", why.replace('\n', " "))]),
            // Questions come to a guest by a way of their own.
            ThreadEvent::Asked { .. } | ThreadEvent::Piece { .. } => {}
        }
    }

    /// What has begun may be what will be asked about.
    fn begun(&mut self, item: &Item) {
        if let Item::FileChange { id, changes, .. } = item {
            self.would_change(id, changes);
        }
    }
}

fn bounded(does: String) -> String {
    plain::both_ends(&does, DOES_MAX)
}
