//! The way to a session: calls in, what it does out.

use std::collections::{HashSet, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};

use super::approval::{AskId, NotTaken, OpenAsk};
use super::approving::Ruling;
use super::asking::{Asker, Question};
use super::delivery::{Delivery, Receipt, Waiter};
use super::events::Prompt;
use super::outcome::{End, Outcome};
use super::snapshot::Snapshot;
use super::state::{CallId, State, TOO_MANY, WAITING_MAX};
use crate::codex::ask::Verdict;
use crate::ids::{AgentId, AgentName, DeliveryId, TurnId};

/// How many commands wait for a session. It takes them at once, whatever its agent does, so this fills only when a
/// client sends far more calls than may wait; then a call is refused.
pub(super) const DEPTH: usize = 4 * WAITING_MAX;
/// How many results of background turns may wait for somebody to ask for them; with more, further calls are refused,
/// so that none is lost.
const OUTBOX_MAX: usize = 64;
/// What such a call is told.
const UNCOLLECTED: &str =
    "64 results of this agent's background turns wait already; collect them with agent_wait first";

/// What a session is told.
#[derive(Debug)]
pub(super) enum Command {
    Turn {
        call: CallId,
        prompt: Prompt,
        mark: Option<DeliveryId>,
        limit: Option<Duration>,
        reply: Reply,
    },
    Deliver {
        delivery: Delivery,
        waiter: Waiter,
    },
    Find(Question),
    Cancel(CallId),
    /// Nobody awaits the call any more, but its result is wanted.
    Detach(CallId, oneshot::Sender<()>),
    /// Somebody awaits it again.
    Reattach(CallId, oneshot::Sender<Arc<Outcome>>),
    Interrupt,
    Leave,
    Rule(Ruling),
    EndingOf(AskId, oneshot::Sender<Option<Arc<str>>>),
    End {
        farewell: Farewell,
        done: Goodbye,
    },
}

/// Who waits for a session's end; the error is of its record, which could not be written.
pub(super) type Goodbye = oneshot::Sender<Result<(), String>>;

/// Where the outcome of a call goes.
#[derive(Debug)]
pub(super) enum Reply {
    Caller(oneshot::Sender<Arc<Outcome>>),
    Outbox,
}

/// What the end of a session means for its agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Farewell {
    /// The agent is closed: it is continued only by `codex {agent_id}`.
    Close,
    /// It makes room, or its server stops: the next call continues it.
    Park,
}

/// Results of background turns that nobody has asked for yet.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    outcomes: Mutex<VecDeque<(CallId, Arc<Outcome>)>>,
}

impl Outbox {
    pub(super) fn put(&self, call: CallId, outcome: Arc<Outcome>) {
        self.lock().push_back((call, outcome));
    }

    /// The outcome of one call, if it waits here.
    pub(super) fn take(&self, call: CallId) -> Option<Arc<Outcome>> {
        let mut outcomes = self.lock();
        let at = outcomes.iter().position(|(ended, _)| *ended == call)?;
        outcomes.remove(at).map(|(_, outcome)| outcome)
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<(CallId, Arc<Outcome>)>> {
        self.outcomes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A handle to one session; clones share it.
#[derive(Debug, Clone)]
pub struct Handle {
    pub(super) agent: AgentId,
    pub(super) identity: AgentName,
    pub(super) named: bool,
    pub(super) commands: mpsc::Sender<Command>,
    pub(super) snapshot: watch::Receiver<Snapshot>,
    pub(super) outbox: Arc<Outbox>,
    pub(super) counts: Arc<Counts>,
    /// Whether the server ends.
    pub(super) ends: watch::Receiver<bool>,
}

/// Calls, counted where they are made: what has been asked and not answered is under way, wherever it is.
#[derive(Debug, Default)]
pub(super) struct Counts {
    next_call: AtomicU64,
    asked: AtomicU64,
}

/// A call on its way to its end.
#[derive(Debug)]
pub struct Ticket {
    call: CallId,
    outcome: oneshot::Receiver<Arc<Outcome>>,
}

impl Ticket {
    /// Which call.
    pub fn call(&self) -> CallId {
        self.call
    }
}

impl Handle {
    /// Which agent.
    pub fn agent(&self) -> &AgentId {
        &self.agent
    }

    /// Its name.
    pub fn identity(&self) -> &AgentName {
        &self.identity
    }

    /// Whether somebody chose the name.
    pub fn is_named(&self) -> bool {
        self.named
    }

    /// What it shows of itself now.
    pub fn snapshot(&self) -> Snapshot {
        self.snapshot.borrow().clone()
    }

    /// What it shows, as it changes.
    pub fn watch(&self) -> watch::Receiver<Snapshot> {
        self.snapshot.clone()
    }

    /// Asks for a turn now; its end is awaited later with [`Handle::outcome`].
    pub fn turn(&self, prompt: impl Into<Prompt>, limit: Option<Duration>) -> Ticket {
        let (reply, outcome) = oneshot::channel();
        Ticket { call: self.ask(prompt.into(), limit, None, Reply::Caller(reply)), outcome }
    }

    /// The same; the prompt stands under this mark in the thread's history.
    pub fn marked_turn(&self, prompt: impl Into<Prompt>, limit: Option<Duration>, mark: DeliveryId) -> Ticket {
        let (reply, outcome) = oneshot::channel();
        Ticket { call: self.ask(prompt.into(), limit, Some(mark), Reply::Caller(reply)), outcome }
    }

    /// Asks for a turn whose result is put aside until [`Handle::take_results`]; waits until its thread is open. What
    /// has ended by then, for it could not begin, is returned at once.
    pub async fn turn_in_background(&self, prompt: impl Into<Prompt>, limit: Option<Duration>) -> Option<Arc<Outcome>> {
        if self.outbox.lock().len() >= OUTBOX_MAX {
            return Some(Arc::new(self.unasked(UNCOLLECTED)));
        }
        let call = self.ask(prompt.into(), limit, None, Reply::Outbox);
        self.opened().await;
        self.outbox.take(call)
    }

    fn ask(&self, prompt: Prompt, limit: Option<Duration>, mark: Option<DeliveryId>, reply: Reply) -> CallId {
        let call = CallId(self.counts.next_call.fetch_add(1, Ordering::Relaxed));
        match self.commands.try_send(Command::Turn { call, prompt, mark, limit, reply }) {
            Ok(()) => drop(self.counts.asked.fetch_add(1, Ordering::Relaxed)),
            // A caller's reply goes with the command, which its ticket sees.
            Err(mpsc::error::TrySendError::Full(Command::Turn { reply: Reply::Outbox, .. })) => {
                self.outbox.put(call, Arc::new(self.unasked(TOO_MANY)));
            }
            Err(_) => {}
        }
        call
    }

    /// Whether a call of ours has not been answered yet, or a turn runs.
    pub fn is_busy(&self) -> bool {
        self.is_busy_in(&self.snapshot.borrow())
    }

    fn is_busy_in(&self, snapshot: &Snapshot) -> bool {
        let answered = self.commands.is_closed() || snapshot.answered >= self.counts.asked.load(Ordering::Relaxed);
        !answered || snapshot.has_turn()
    }

    /// Awaits the end of a call.
    pub async fn outcome(&self, ticket: &mut Ticket) -> Arc<Outcome> {
        let outcome = (&mut ticket.outcome).await;
        outcome.unwrap_or_else(|_| Arc::new(self.unasked(TOO_MANY)))
    }

    /// The outcome of a call that the session did not take.
    fn unasked(&self, why: &str) -> Outcome {
        let end = match self.is_over() {
            true if *self.ends.borrow() => End::ServerEnds,
            true => End::Closed,
            false => End::NotTaken(why.into()),
        };
        Outcome::without_turn(self.agent.clone(), self.identity.clone(), end)
    }

    /// Delivers a text into the thread. When it can be taken only later, that is said at once: nothing waits here.
    pub async fn deliver(&self, delivery: Delivery) -> Receipt {
        let (waiter, receipt) = oneshot::channel();
        match self.commands.try_send(Command::Deliver { delivery, waiter }) {
            Ok(()) => receipt.await.unwrap_or_else(|_| Receipt::InDoubt("the session has ended".into())),
            Err(_) => Receipt::NotNow,
        }
    }

    /// The turn in which a delivery has arrived, if it has, by the thread's history; the thread is opened if need be.
    pub async fn find(&self, delivery: &DeliveryId) -> Result<Option<TurnId>, Arc<str>> {
        self.asked(|asker| Question::Arrived(delivery.clone(), asker)).await
    }

    /// Which of these texts stand in results of tools that the model has, as far as Codex keeps them where we can look; the
    /// thread is opened if need be. They must look in JSON as they do outside of it.
    pub async fn in_results(&self, texts: Vec<String>) -> Result<HashSet<String>, Arc<str>> {
        self.asked(|asker| Question::InResults(texts, asker)).await
    }

    async fn asked<T>(&self, question: impl FnOnce(Asker<T>) -> Question) -> Result<T, Arc<str>> {
        let (asker, found) = oneshot::channel();
        let ended = || Arc::from("the session has ended");
        self.commands.send(Command::Find(question(asker))).await.map_err(|_| ended())?;
        found.await.unwrap_or_else(|_| Err(ended()))
    }

    /// Whether the session has ended.
    pub fn is_over(&self) -> bool {
        self.commands.is_closed()
    }

    /// Comes when the session has ended.
    pub async fn over(&self) {
        self.commands.closed().await;
    }

    /// Waits until its thread is open, or could not be opened.
    pub async fn opened(&self) {
        self.snapshot.clone().wait_for(|snapshot| snapshot.state != State::Starting).await.ok();
    }

    /// Waits until it has nothing to do.
    pub async fn rested(&self) {
        self.snapshot.clone().wait_for(|snapshot| !self.is_busy_in(snapshot)).await.ok();
    }

    /// Lets a call go on in the background; if it has ended by now, its outcome is the answer.
    pub async fn detach(&self, mut ticket: Ticket) -> Option<Arc<Outcome>> {
        let (done, detached) = oneshot::channel();
        if self.commands.send(Command::Detach(ticket.call, done)).await.is_ok() {
            detached.await.ok();
        }
        match ticket.outcome.try_recv() {
            Ok(outcome) => Some(outcome),
            Err(_) if self.is_over() && !self.has_results() => Some(Arc::new(self.unasked(TOO_MANY))),
            Err(_) => None,
        }
    }

    /// Awaits a call again that went on in the background.
    pub async fn reattach(&self, call: CallId) -> Ticket {
        let (caller, outcome) = oneshot::channel();
        self.commands.send(Command::Reattach(call, caller)).await.ok();
        Ticket { call, outcome }
    }

    /// Withdraws a call: its turn is ended if it runs.
    pub async fn cancel(&self, ticket: &Ticket) {
        self.commands.send(Command::Cancel(ticket.call)).await.ok();
    }

    /// Ends the running turn; the session goes on with what waits.
    pub async fn interrupt(&self) {
        self.commands.send(Command::Interrupt).await.ok();
    }

    /// Decides on something that its agent has asked.
    pub async fn decide(
        &self,
        ask: &AskId,
        verdict: Verdict,
        reason: Option<String>,
        by: &str,
    ) -> Result<Arc<OpenAsk>, NotTaken> {
        let (done, decided) = oneshot::channel();
        let unknown = || NotTaken::Unknown(ask.clone());
        let ruling = Ruling { ask: ask.clone(), verdict, reason, by: by.to_owned(), done };
        self.commands.send(Command::Rule(ruling)).await.map_err(|_| unknown())?;
        decided.await.unwrap_or_else(|_| Err(unknown()))
    }

    /// How something that its agent had asked has ended, if that was not long ago.
    pub async fn ending_of(&self, ask: &AskId) -> Option<Arc<str>> {
        let (done, ending) = oneshot::channel();
        self.commands.send(Command::EndingOf(ask.clone(), done)).await.ok()?;
        ending.await.ok().flatten()
    }

    /// Lets a running turn come to its end, and then the session, to be continued by the next call; nothing new begins.
    pub(super) async fn leave(&self) {
        self.commands.send(Command::Leave).await.ok();
        self.over().await;
    }

    /// Ends the session; returns when it has ended, with the error if its record could not be written.
    pub async fn end(&self, farewell: Farewell) -> Result<(), String> {
        let (done, ended) = oneshot::channel();
        match self.commands.send(Command::End { farewell, done }).await {
            Ok(()) => ended.await.unwrap_or(Ok(())),
            Err(_) => Ok(()),
        }
    }

    /// Lets it end in its own time, to be continued by the next call.
    pub(super) fn park(&self) {
        let (done, _) = oneshot::channel();
        self.commands.try_send(Command::End { farewell: Farewell::Park, done }).ok();
    }

    /// The results of background turns that nobody has asked for yet, the oldest first; they are given once.
    pub fn take_results(&self) -> Vec<Arc<Outcome>> {
        self.outbox.lock().drain(..).map(|(_, outcome)| outcome).collect()
    }

    /// The same, left where they are.
    pub fn results(&self) -> Vec<Arc<Outcome>> {
        self.outbox.lock().iter().map(|(_, outcome)| outcome.clone()).collect()
    }

    /// Whether there are such results.
    pub fn has_results(&self) -> bool {
        !self.outbox.lock().is_empty()
    }
}
