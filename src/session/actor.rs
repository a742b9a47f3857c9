//! One agent, alive: carries inputs to its rules and does what they say.
//!
//! The loop never waits for Codex. What it asks of Codex runs beside it and comes back as a message; so events are
//! always taken, and a slow answer holds up nothing.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use jiff::Timestamp;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::approving::Approvals;
use super::asking::Question;
use super::calling::ToolCalls;
use super::delivery::UnderWay;
use super::events::{Configured, EventSink, Prompt};
use super::handle::{Command, Farewell, Goodbye, Outbox, Reply};
use super::identity::Lock;
use super::kept::Kept;
use super::opening::Opened;
use super::record::Record;
use super::rules::Rules;
use super::snapshot::Snapshot;
use super::state::{CallId, Effect, Input, Job, State, Stop};
use super::toolbox::{Then, Toolbox};
use super::turn::{self, Progress, activity, one_line};
use super::watchdog::Watchdog;
use crate::codex::ask::Ask;
use crate::codex::event::ThreadEvent;
use crate::codex::wire::{Item, Turn};
use crate::codex::{Client, Codex, Subscription};
use crate::ids::{DeliveryId, ThreadId, TurnId};
use crate::steps;

/// How long a turn may take to end when its session is closed.
pub(super) const LAST_TURN: Duration = Duration::from_secs(2);

/// How long a turn may take to end when its call was cancelled or has had its time (0.169.0 needs 10 ms; a turn that
/// has not begun yet may wait for MCP servers).
const STOPPED_TURN: Duration = Duration::from_secs(5);

/// One agent's live side.
pub(super) struct Actor {
    pub(super) rules: Rules,
    pub(super) codex: Arc<Codex>,
    pub(super) kept: Kept,
    /// Nobody else runs this agent, or writes its record, until we have ended.
    pub(super) _owner: Lock,
    pub(super) toolbox: Option<Arc<dyn Toolbox>>,
    pub(super) tool_calls: ToolCalls,
    pub(super) approvals: Approvals,
    pub(super) watchdog: Watchdog,
    pub(super) commands: mpsc::Receiver<Command>,
    pub(super) snapshot: watch::Sender<Snapshot>,
    pub(super) outbox: Arc<Outbox>,
    pub(super) live: Option<Live>,
    pub(super) opening: bool,
    /// Whether the thread was ever open in this session: if not, there is nothing new of the agent.
    pub(super) was_open: bool,
    pub(super) calls: HashMap<CallId, Waiting>,
    pub(super) under_way: UnderWay,
    pub(super) questions: Vec<Question>,
    pub(super) turn: Option<Progress>,
    pub(super) ended: Option<Turn>,
    pub(super) activity: Arc<str>,
    pub(super) answered: u64,
    pub(super) notes: Vec<String>,
    pub(super) work: FuturesUnordered<BoxFuture<'static, Done>>,
    pub(super) give_up: Option<Instant>,
    pub(super) farewell: Option<(Farewell, Vec<Goodbye>)>,
    /// Whether the server ends.
    pub(super) ends: watch::Receiver<bool>,
}

/// The thread, open.
pub(super) struct Live {
    pub(super) client: Client,
    pub(super) thread: ThreadId,
    pub(super) events: Subscription,
    /// The file in which Codex keeps it, if it says so.
    pub(super) rollout: Option<PathBuf>,
    /// How it was opened, until that is told.
    pub(super) configured: Option<Box<Configured>>,
}

/// A call that has not ended.
pub(super) struct Waiting {
    pub(super) prompt: String,
    pub(super) events: Option<EventSink>,
    pub(super) mark: Option<DeliveryId>,
    pub(super) limit: Option<Duration>,
    pub(super) reply: Reply,
}

/// What was done beside the loop.
pub(super) enum Done {
    Opened(Result<(Box<Record>, Opened), Arc<str>>),
    Asked {
        told: Option<String>,
        failed: Option<Input>,
    },
    /// A tool's result was given; `then` is done when the model has it.
    Gave {
        turn: TurnId,
        call: String,
        then: Then,
    },
    Saved,
    Nothing,
}

impl Actor {
    /// Runs to the session's end.
    pub(super) async fn run(mut self, first: Effect) {
        self.perform(first);
        while *self.rules.state() != State::Closed {
            self.publish();
            if let Some(save) = self.kept.save_due() {
                self.work.push(Box::pin(async {
                    save.await;
                    Done::Saved
                }));
            }
            let until = self.turn.as_ref().and_then(|turn| turn.until);
            let stalls_at = self.stalls_at();
            tokio::select! {
                biased;
                command = self.commands.recv() => match command {
                    Some(command) => self.obey(command),
                    None => self.end(Farewell::Park, None),
                },
                Some(done) = self.work.next(), if !self.work.is_empty() => self.take(done),
                () = at(self.give_up) => self.input(Input::GiveUp),
                () = at(self.under_way.safe_at()) => self.confirm(),
                () = at(self.tool_calls.unseen.kept_at()) => self.confirm(),
                () = at(self.approvals.due_at()) => self.decline_overdue(),
                () = at(stalls_at) => self.watchdog.bark(&self.activity),
                () = at(until) => {
                    if let Some(turn) = &mut self.turn {
                        turn.until = None;
                    }
                    self.input(Input::Stop(Stop::TimedOut));
                }
                event = next_event(&mut self.live) => self.happened(event),
            }
        }
        self.retire().await;
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Turn { call, prompt, mark, limit, reply } => {
                let Prompt { text: prompt, events } = prompt;
                self.calls.insert(call, Waiting { prompt, events, mark, limit, reply });
                self.input(Input::Call(call));
            }
            Command::Deliver { delivery, waiter } => {
                let (id, urgent) = (delivery.id.clone(), delivery.urgent);
                self.under_way.add(delivery, waiter);
                self.input(if urgent { Input::DeliverUrgently(id) } else { Input::Deliver(id) });
            }
            Command::Find(question) => {
                self.questions.push(question);
                self.input(Input::Wake);
                self.look_up();
            }
            Command::Cancel(call) => self.input(Input::Cancel(call)),
            Command::Detach(call, done) => self.detach(call, done),
            Command::Reattach(call, caller) => self.reattach(call, caller),
            Command::Rule(ruling) => self.rule(ruling),
            Command::EndingOf(ask, done) => drop(done.send(self.approvals.ending_of(&ask))),
            Command::Leave => {
                self.decline_all("the server ends");
                self.input(Input::Leave);
            }
            Command::Interrupt => self.input(Input::Stop(Stop::Interrupted)),
            Command::End { farewell, done } => self.end(farewell, Some(done)),
        }
    }

    pub(super) fn take(&mut self, done: Done) {
        match done {
            Done::Opened(Ok((record, Opened { client, thread, events, rollout, configured, note, .. }))) => {
                (self.opening, self.was_open) = (false, true);
                self.kept.record = *record;
                self.notes.extend(note);
                self.live = Some(Live { client, thread, events, rollout, configured: Some(configured) });
                // Before anything new is said there.
                self.look_up();
                self.input(Input::Opened);
            }
            Done::Opened(Err(why)) => {
                self.opening = false;
                self.questions.drain(..).for_each(|question| question.fail(&why));
                self.input(if self.was_open { Input::NotOpened(why) } else { Input::NeverOpened(why) });
            }
            Done::Asked { told, failed } => {
                if told.is_some() {
                    self.kept.record.context = told;
                }
                if let Some(failed) = failed {
                    self.input(failed);
                }
            }
            Done::Gave { turn, call, then } => self.tool_calls.unseen.add(turn, call, then),
            Done::Saved => self.kept.saved(),
            Done::Nothing => {}
        }
    }

    /// What is complete in the thread is safe there: more was heard since, or time has passed.
    fn confirm(&mut self) {
        for id in self.under_way.safe() {
            self.input(Input::Arrived(id));
        }
        let kept = self.tool_calls.unseen.kept();
        self.finally(kept);
    }

    fn finally(&mut self, all: Vec<Then>) {
        all.into_iter().for_each(|then| {
            self.work.push(Box::pin(async {
                then.await;
                Done::Nothing
            }));
        });
    }

    /// When the running turn is in trouble, if nothing is heard of it. What waits for a decision has a deadline of its own.
    fn stalls_at(&self) -> Option<Instant> {
        let works = matches!(self.rules.state(), State::Asked { .. } | State::Running { .. });
        self.watchdog.due().filter(|_| works && self.approvals.open().is_empty())
    }

    fn happened(&mut self, event: ThreadEvent) {
        match &event {
            ThreadEvent::Failed { error, retried: true, .. } => self.watchdog.tries(&error.message),
            _ => self.watchdog.heard(),
        }
        if !matches!(event, ThreadEvent::Lost(_)) {
            self.confirm();
        }
        self.tell(&event);
        match event {
            ThreadEvent::Piece { .. } | ThreadEvent::Warned(_) => {}
            ThreadEvent::TurnStarted(turn) => {
                if matches!(self.rules.job(), Some(Job::Delivery(_))) {
                    steps::at("deliver.sent");
                }
                self.does("thinking");
                if let Some(progress) = &mut self.turn {
                    progress.turn.get_or_insert_with(|| turn.clone());
                }
                self.input(Input::TurnStarted(turn));
            }
            ThreadEvent::TurnEnded(turn) => {
                self.kept.record.turns += 1;
                self.kept.record.last_active = Timestamp::now();
                let id = turn.id.clone();
                let seen = self.tool_calls.turn_ended(&turn);
                self.asks_of_ended(&id);
                self.finally(seen);
                self.ended = Some(turn);
                self.input(Input::TurnEnded(id));
                self.ended = None;
                self.kept.changed();
            }
            ThreadEvent::ItemStarted { item, .. } => {
                self.approvals.begun(&item);
                if matches!(item, Item::ContextCompaction {}) {
                    self.input(Input::Compacts(true));
                }
                if let Some(line) = activity(&item) {
                    self.does(&line);
                }
            }
            ThreadEvent::ItemCompleted { turn, item } => {
                if matches!(item, Item::ContextCompaction {}) {
                    self.input(Input::Compacts(false));
                }
                self.under_way.completed(&turn, &item);
                self.tool_calls.unseen.completed(&turn, &item);
                if let Some(said) = turn::answer(&item) {
                    self.kept.last_answer = Some(said.to_owned());
                }
                if let Some(progress) = self.progress_of(&turn) {
                    progress.completed(&item);
                }
            }
            ThreadEvent::Usage { turn, usage } => {
                self.kept.record.tokens = Some(usage.total);
                self.tool_calls.unseen.counted(&turn);
                if let Some(progress) = self.progress_of(&turn) {
                    progress.counted(&usage);
                }
            }
            ThreadEvent::Failed { turn, error, retried } => {
                if retried {
                    self.does(&error.message);
                } else if let Some(progress) = self.progress_of(&turn) {
                    progress.failed(error);
                }
            }
            ThreadEvent::Waits(waits) => self.input(Input::Waits(waits)),
            ThreadEvent::Asked { ask: Ask::ToolCall(call), owed, .. } => self.call_tool(call, owed),
            ThreadEvent::Asked { ask, asked_in, owed } => self.asked(ask, asked_in, owed),
            ThreadEvent::Resolved(request) => self.resolved(&request),
            ThreadEvent::Lost(why) => {
                self.live = None;
                self.tool_calls.lost();
                self.decline_all("Codex is gone");
                self.input(Input::Lost(why));
            }
        }
    }

    fn progress_of(&mut self, turn: &TurnId) -> Option<&mut Progress> {
        self.turn.as_mut().filter(|progress| progress.turn.as_ref().is_none_or(|id| id == turn))
    }

    pub(super) fn input(&mut self, input: Input) {
        for effect in self.rules.step(input) {
            self.perform(effect);
        }
        // Nobody waits for the end of a delivery's turn.
        self.turn.take_if(|turn| matches!(turn.job, Job::Delivery(_)) && self.rules.job() != Some(&turn.job));
        let patience = if *self.rules.state() == State::Closing { LAST_TURN } else { STOPPED_TURN };
        let until = self.give_up.unwrap_or_else(|| Instant::now() + patience);
        self.give_up = self.rules.is_ending().then_some(until);
    }

    fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Open => self.open(),
            Effect::StartTurn(job) => self.start_turn(job),
            Effect::Steer(id, turn) => self.steer(id, turn),
            Effect::Interrupt(turn) => self.interrupt(turn),
            Effect::Finish(call, ending) => self.finish(call, ending),
            Effect::Settle(id, settled) => {
                self.under_way.settle(&id, settled, self.kept.record.thread_id.as_ref());
            }
            Effect::Retire => {}
        }
    }

    pub(super) fn does(&mut self, what: &str) {
        self.activity = Arc::from(one_line(what));
    }

    pub(super) fn publish(&mut self) {
        let snapshot = Snapshot {
            asks: self.approvals.open(),
            trouble: self.watchdog.trouble(),
            ..Snapshot::of(&self.rules, &self.kept.record, &self.activity, self.answered)
        };
        self.snapshot.send_if_modified(|shown| {
            let changed = *shown != snapshot;
            *shown = snapshot;
            changed
        });
    }
}

async fn next_event(live: &mut Option<Live>) -> ThreadEvent {
    match live {
        Some(live) => live.events.next().await,
        None => std::future::pending().await,
    }
}

async fn at(when: Option<Instant>) {
    match when {
        Some(when) => tokio::time::sleep_until(when).await,
        None => std::future::pending().await,
    }
}
