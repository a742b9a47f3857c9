//! Where a session stands, what can happen to it, and what is to be done about it: the words of its rules.

use std::sync::Arc;

use crate::ids::{DeliveryId, TurnId};

/// How many calls may wait for one agent.
pub const WAITING_MAX: usize = 64;
/// What a call beyond that is told.
pub const TOO_MANY: &str = "64 calls wait for this agent already; await some of them with agent_wait";

/// One call for a turn, numbered by the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CallId(pub u64);

/// Why a turn is to be ended before its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// The client withdrew its call.
    Cancelled,
    /// Somebody asked for it with `agent_interrupt`.
    Interrupted,
    /// It took longer than it may.
    TimedOut,
}

/// What a turn is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Job {
    /// A call of a client's, which waits for the turn's end.
    Call(CallId),
    /// A text that is to arrive.
    Delivery(DeliveryId),
}

/// Who started a turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Owner {
    /// A job of ours.
    Ours(Job),
    /// A human in the attached UI.
    Human,
}

/// What a session would take now of what is to be delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Takes {
    /// Anything: a turn would begin with it.
    Turn,
    /// What is urgent: it would join the running turn.
    Steer,
    /// Nothing: its turn is asked for, ends, waits for an answer, or compacts its history; or its thread is being opened.
    Nothing,
}

/// Where a session stands, with exactly the data that is true there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// Its thread is being opened.
    Starting,
    /// It has a thread and nothing to do.
    Idle,
    /// `turn/start` is on its way, or answered; Codex has not said yet that the turn runs.
    Asked {
        /// For what.
        job: Job,
        /// Whether it is to end as soon as it runs: an interrupt before `turn/started` is refused.
        stop: Option<Stop>,
    },
    /// A turn runs.
    Running {
        /// Whose.
        owner: Owner,
        /// Which.
        turn: TurnId,
        /// Whether its end was asked for.
        stop: Option<Stop>,
    },
    /// It ends as soon as its turn has ended.
    Closing,
    /// It has ended.
    Closed,
    /// Its app-server is gone or its thread could not be opened; the next call opens it again.
    Lost {
        /// What happened.
        why: Arc<str>,
    },
}

/// Something that happened.
#[derive(Debug, Clone)]
pub enum Input {
    /// A client wants a turn.
    Call(CallId),
    /// It wants it no more.
    Cancel(CallId),
    /// A text is to arrive: in a turn of its own.
    Deliver(DeliveryId),
    /// A text is to arrive: in a turn of its own, or in the running one.
    DeliverUrgently(DeliveryId),
    /// It has.
    Arrived(DeliveryId),
    /// Somebody wants to know something of the thread.
    Wake,
    /// The thread is open.
    Opened,
    /// The thread could not be opened; it is there to be tried again.
    NotOpened(Arc<str>),
    /// The thread could not be opened, and never was in this session: whoever comes next begins anew, in any server.
    NeverOpened(Arc<str>),
    /// Codex refused `turn/start`: nothing has arrived.
    Refused {
        /// For which job.
        job: Job,
        /// In its words.
        why: Arc<str>,
    },
    /// Codex refused `turn/steer`: nothing has arrived.
    NotSteered(DeliveryId),
    /// `turn/start` or `turn/steer` was not answered, or not so that we can read it: it may have been heard.
    Unanswered {
        /// For which job.
        job: Job,
        /// What was wrong.
        why: Arc<str>,
    },
    /// The running turn waits for somebody's answer, or does so no more.
    Waits(bool),
    /// Something that was asked waits for a decision, or nothing does.
    Asks(bool),
    /// The running turn compacts the history, or does so no more.
    Compacts(bool),
    /// A turn runs.
    TurnStarted(TurnId),
    /// A turn has ended.
    TurnEnded(TurnId),
    /// The running turn is to end.
    Stop(Stop),
    /// The app-server is gone.
    Lost(Arc<str>),
    /// The session is to end when its turn has ended.
    Leave,
    /// The session is to end.
    Close,
    /// Its turn did not end in time after it was asked to, or after a close.
    GiveUp,
}

/// How a call ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// With its turn: the outcome is in what Codex said of it.
    Turn {
        /// If it was stopped, why.
        stop: Option<Stop>,
    },
    /// It was withdrawn before its turn began.
    Withdrawn,
    /// It was not taken.
    NotTaken(Arc<str>),
    /// No turn: Codex refused it, or the thread could not be opened.
    Refused(Arc<str>),
    /// The app-server is gone.
    Lost(Arc<str>),
    /// The session was closed.
    Closed,
}

/// What became of a text that was to arrive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settled {
    /// It has arrived.
    Arrived,
    /// It has not: the session takes it later.
    NotNow,
    /// It has not: Codex refused it.
    Refused(Arc<str>),
    /// It has not: the thread could not be opened.
    NotOpened(Arc<str>),
    /// Nobody knows: the history is to be asked.
    InDoubt(Arc<str>),
}

/// Something to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Open the thread: start or resume it.
    Open,
    /// Ask for a turn for this job.
    StartTurn(Job),
    /// Give this to the running turn.
    Steer(DeliveryId, TurnId),
    /// End this turn.
    Interrupt(TurnId),
    /// Answer this call.
    Finish(CallId, Ending),
    /// Say what became of this delivery.
    Settle(DeliveryId, Settled),
    /// Give the session up in good order.
    Retire,
}
