//! The rules of a session: which input leads where, and what is to be done about it. No clock, no IO.
//!
//! One turn at a time: `turn/start` on a busy thread would silently steer the running turn. Order of precedence:
//! close, then interrupt, then the calls in the order in which they came. Every call ends exactly once.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::ids::TurnId;

/// How many calls may wait for one agent.
pub const WAITING_MAX: usize = 64;
/// What a call beyond that is told.
pub const TOO_MANY: &str = "64 calls wait for this agent already; let some of them end first";

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

/// Who started a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// A call of ours.
    Call(CallId),
    /// A human in the attached UI.
    Human,
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
        /// For which call.
        call: CallId,
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
    /// The thread is open.
    Opened,
    /// The thread could not be opened; it is there to be tried again.
    NotOpened(Arc<str>),
    /// The thread could not be opened, and never was: there is nothing to come back to.
    NeverOpened(Arc<str>),
    /// Codex refused `turn/start`.
    Refused {
        /// For which call.
        call: CallId,
        /// In its words.
        why: Arc<str>,
    },
    /// A turn runs.
    TurnStarted(TurnId),
    /// A turn has ended.
    TurnEnded(TurnId),
    /// The running turn is to end.
    Stop(Stop),
    /// The app-server is gone.
    Lost(Arc<str>),
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
    /// No turn: Codex refused it, or the thread could not be opened.
    Refused(Arc<str>),
    /// The app-server is gone.
    Lost(Arc<str>),
    /// The session was closed.
    Closed,
}

/// Something to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Open the thread: start or resume it.
    Open,
    /// Ask for a turn for this call.
    StartTurn(CallId),
    /// End this turn.
    Interrupt(TurnId),
    /// Answer this call.
    Finish(CallId, Ending),
    /// Give the session up in good order.
    Retire,
}

/// One session's rules.
#[derive(Debug, Clone)]
pub struct Rules {
    state: State,
    waiting: VecDeque<CallId>,
}

impl Rules {
    /// A session whose thread is still to be opened, and the first thing to do.
    pub fn new() -> (Rules, Effect) {
        (Rules { state: State::Starting, waiting: VecDeque::new() }, Effect::Open)
    }

    /// Where it stands.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Whether a turn is to end that has not: the wait for it is bounded.
    pub fn is_ending(&self) -> bool {
        match self.state {
            State::Closing => true,
            State::Asked { stop, .. } | State::Running { owner: Owner::Call(_), stop, .. } => stop.is_some(),
            State::Running { owner: Owner::Human, .. }
            | State::Starting
            | State::Idle
            | State::Closed
            | State::Lost { .. } => false,
        }
    }

    /// How many calls wait.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Takes one input.
    pub fn step(&mut self, input: Input) -> Vec<Effect> {
        match input {
            Input::Call(call) => self.call(call),
            Input::Cancel(call) => self.cancel(call),
            Input::Opened => match self.state {
                State::Starting => self.next(),
                _ => vec![],
            },
            Input::NotOpened(why) => match self.state {
                State::Starting => {
                    self.state = State::Lost { why: why.clone() };
                    self.end_waiting(&Ending::Refused(why))
                }
                _ => vec![],
            },
            Input::NeverOpened(why) => match self.state {
                State::Starting => {
                    let mut effects = self.end_waiting(&Ending::Refused(why));
                    effects.extend(self.retire());
                    effects
                }
                _ => vec![],
            },
            Input::Refused { call, why } => match self.state {
                State::Asked { call: asked, .. } if asked == call => {
                    let mut effects = vec![Effect::Finish(call, Ending::Refused(why))];
                    effects.extend(self.next());
                    effects
                }
                _ => vec![],
            },
            Input::TurnStarted(turn) => self.turn_started(turn),
            Input::TurnEnded(turn) => self.turn_ended(&turn),
            Input::Stop(stop) => self.stop(stop),
            Input::Lost(why) => self.lost(why),
            Input::Close => self.close(),
            Input::GiveUp => self.give_up(),
        }
    }

    fn call(&mut self, call: CallId) -> Vec<Effect> {
        match self.state {
            State::Closing | State::Closed => vec![Effect::Finish(call, Ending::Closed)],
            _ if self.waiting.len() >= WAITING_MAX => {
                let why =
                    format!("{WAITING_MAX} calls wait for this agent already; await some of them with agent_wait");
                vec![Effect::Finish(call, Ending::Refused(why.into()))]
            }
            State::Idle => {
                self.waiting.push_back(call);
                self.next()
            }
            State::Lost { .. } => {
                self.waiting.push_back(call);
                self.state = State::Starting;
                vec![Effect::Open]
            }
            State::Starting | State::Asked { .. } | State::Running { .. } => {
                self.waiting.push_back(call);
                vec![]
            }
        }
    }

    fn cancel(&mut self, call: CallId) -> Vec<Effect> {
        if let Some(at) = self.waiting.iter().position(|waiting| *waiting == call) {
            self.waiting.remove(at);
            return vec![Effect::Finish(call, Ending::Withdrawn)];
        }
        match self.state {
            State::Asked { call: asked, .. } if asked == call => self.stop(Stop::Cancelled),
            State::Running { owner: Owner::Call(running), .. } if running == call => self.stop(Stop::Cancelled),
            _ => vec![],
        }
    }

    fn turn_started(&mut self, turn: TurnId) -> Vec<Effect> {
        match self.state.clone() {
            // If a human was faster by a moment, our text has joined the human's turn: its end is our call's end.
            State::Asked { call, stop } => {
                self.state = State::Running { owner: Owner::Call(call), turn: turn.clone(), stop };
                stop.map(|_| Effect::Interrupt(turn)).into_iter().collect()
            }
            State::Idle => {
                self.state = State::Running { owner: Owner::Human, turn, stop: None };
                vec![]
            }
            State::Closing => vec![Effect::Interrupt(turn)],
            State::Running { .. } | State::Starting | State::Closed | State::Lost { .. } => vec![],
        }
    }

    fn turn_ended(&mut self, ended: &TurnId) -> Vec<Effect> {
        match self.state.clone() {
            State::Running { owner, turn, stop } if turn == *ended => {
                let mut effects = match owner {
                    Owner::Call(call) => vec![Effect::Finish(call, Ending::Turn { stop })],
                    Owner::Human => vec![],
                };
                effects.extend(self.next());
                effects
            }
            State::Closing => self.retire(),
            _ => vec![],
        }
    }

    fn stop(&mut self, why: Stop) -> Vec<Effect> {
        match &mut self.state {
            State::Asked { stop, .. } => {
                stop.get_or_insert(why);
                vec![]
            }
            State::Running { turn, stop, .. } => match stop {
                Some(_) => vec![],
                None => {
                    *stop = Some(why);
                    vec![Effect::Interrupt(turn.clone())]
                }
            },
            // Its turn has not been asked for yet: it never is.
            State::Starting => {
                let call = self.waiting.pop_front();
                call.map(|call| Effect::Finish(call, Ending::Turn { stop: Some(why) })).into_iter().collect()
            }
            State::Idle | State::Closing | State::Closed | State::Lost { .. } => vec![],
        }
    }

    fn lost(&mut self, why: Arc<str>) -> Vec<Effect> {
        let running = match &self.state {
            State::Closed => return vec![],
            State::Closing => return self.retire(),
            State::Asked { call, .. } | State::Running { owner: Owner::Call(call), .. } => Some(*call),
            State::Starting | State::Idle | State::Running { owner: Owner::Human, .. } | State::Lost { .. } => None,
        };
        self.state = State::Lost { why: why.clone() };
        let ending = Ending::Lost(why);
        let mut effects: Vec<_> = running.map(|call| Effect::Finish(call, ending.clone())).into_iter().collect();
        effects.extend(self.end_waiting(&ending));
        effects
    }

    fn close(&mut self) -> Vec<Effect> {
        match self.state.clone() {
            State::Closing | State::Closed => vec![],
            State::Asked { call, .. } => {
                self.state = State::Closing;
                self.answered_closed(Some(call))
            }
            State::Running { owner, turn, stop } => {
                self.state = State::Closing;
                let call = match owner {
                    Owner::Call(call) => Some(call),
                    Owner::Human => None,
                };
                let mut effects = self.answered_closed(call);
                if stop.is_none() {
                    effects.push(Effect::Interrupt(turn));
                }
                effects
            }
            State::Starting | State::Idle | State::Lost { .. } => {
                let mut effects = self.answered_closed(None);
                effects.extend(self.retire());
                effects
            }
        }
    }

    /// The call ends without its turn; what waits behind it goes on when the thread has been opened again.
    fn give_up(&mut self) -> Vec<Effect> {
        match self.state {
            State::Closing => self.retire(),
            State::Asked { call, stop: stop @ Some(_) }
            | State::Running { owner: Owner::Call(call), stop: stop @ Some(_), .. } => {
                let finish = Effect::Finish(call, Ending::Turn { stop });
                if self.waiting.is_empty() {
                    self.state = State::Lost { why: "Codex did not end its turn when it was asked to".into() };
                    return vec![finish];
                }
                self.state = State::Starting;
                vec![finish, Effect::Open]
            }
            _ => vec![],
        }
    }

    fn answered_closed(&mut self, running: Option<CallId>) -> Vec<Effect> {
        let mut effects: Vec<_> = running.map(|call| Effect::Finish(call, Ending::Closed)).into_iter().collect();
        effects.extend(self.end_waiting(&Ending::Closed));
        effects
    }

    fn end_waiting(&mut self, ending: &Ending) -> Vec<Effect> {
        self.waiting.drain(..).map(|call| Effect::Finish(call, ending.clone())).collect()
    }

    fn retire(&mut self) -> Vec<Effect> {
        self.state = State::Closed;
        vec![Effect::Retire]
    }

    /// The thread is free: the next call, if one waits.
    fn next(&mut self) -> Vec<Effect> {
        match self.waiting.pop_front() {
            Some(call) => {
                self.state = State::Asked { call, stop: None };
                vec![Effect::StartTurn(call)]
            }
            None => {
                self.state = State::Idle;
                vec![]
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use proptest::prelude::*;

    fn turn(n: u8) -> TurnId {
        TurnId::parse(&format!("turn-{n}")).unwrap()
    }

    fn why() -> Arc<str> {
        Arc::from("killed")
    }

    /// A session that is idle.
    fn idle() -> Rules {
        let (mut rules, first) = Rules::new();
        assert_eq!(first, Effect::Open);
        assert_eq!(rules.step(Input::Opened), []);
        rules
    }

    /// A session in which turn 1 runs for call 1.
    fn running() -> Rules {
        let mut rules = idle();
        assert_eq!(rules.step(Input::Call(CallId(1))), [Effect::StartTurn(CallId(1))]);
        assert_eq!(rules.step(Input::TurnStarted(turn(1))), []);
        rules
    }

    const ONE: CallId = CallId(1);
    const TWO: CallId = CallId(2);

    #[test]
    fn calls_run_one_after_the_other_in_their_order() {
        let mut rules = running();
        assert_eq!(rules.step(Input::Call(TWO)), []);
        let ended = rules.step(Input::TurnEnded(turn(1)));
        assert_eq!(ended, [Effect::Finish(ONE, Ending::Turn { stop: None }), Effect::StartTurn(TWO)]);
    }

    #[test]
    fn an_interrupt_before_the_turn_runs_is_kept_until_it_runs() {
        let mut rules = idle();
        rules.step(Input::Call(ONE));
        assert_eq!(rules.step(Input::Cancel(ONE)), []);
        assert_eq!(rules.step(Input::TurnStarted(turn(1))), [Effect::Interrupt(turn(1))]);
        let ended = rules.step(Input::TurnEnded(turn(1)));
        assert_eq!(ended, [Effect::Finish(ONE, Ending::Turn { stop: Some(Stop::Cancelled) })]);
        assert_eq!(rules.state(), &State::Idle);
    }

    #[test]
    fn a_call_withdrawn_while_it_waits_never_starts() {
        let mut rules = running();
        rules.step(Input::Call(TWO));
        assert_eq!(rules.step(Input::Cancel(TWO)), [Effect::Finish(TWO, Ending::Withdrawn)]);
        assert_eq!(rules.step(Input::TurnEnded(turn(1))), [Effect::Finish(ONE, Ending::Turn { stop: None })]);
    }

    #[test]
    fn a_turn_that_a_human_started_is_waited_for() {
        let mut rules = idle();
        rules.step(Input::TurnStarted(turn(7)));
        assert_eq!(rules.step(Input::Call(ONE)), []);
        assert_eq!(rules.step(Input::TurnEnded(turn(7))), [Effect::StartTurn(ONE)]);
    }

    #[test]
    fn a_lost_app_server_ends_every_call_and_the_next_call_opens_the_thread_again() {
        let mut rules = running();
        rules.step(Input::Call(TWO));
        let lost = rules.step(Input::Lost(why()));
        let ending = Ending::Lost(why());
        assert_eq!(lost, [Effect::Finish(ONE, ending.clone()), Effect::Finish(TWO, ending)]);
        assert_eq!(rules.step(Input::Call(CallId(3))), [Effect::Open]);
        assert_eq!(rules.step(Input::Opened), [Effect::StartTurn(CallId(3))]);
    }

    #[test]
    fn close_overtakes_everything_and_is_told_to_every_call() {
        let mut rules = running();
        rules.step(Input::Call(TWO));
        let closed = |call| Effect::Finish(call, Ending::Closed);
        assert_eq!(rules.step(Input::Close), [closed(ONE), closed(TWO), Effect::Interrupt(turn(1))]);
        assert_eq!(rules.step(Input::Close), [], "closing twice is closing once");
        assert_eq!(rules.step(Input::Call(CallId(3))), [closed(CallId(3))]);
        assert_eq!(rules.step(Input::TurnEnded(turn(1))), [Effect::Retire]);
    }

    #[test]
    fn a_close_before_the_turn_runs_ends_it_when_it_does() {
        let mut rules = idle();
        rules.step(Input::Call(ONE));
        assert_eq!(rules.step(Input::Close), [Effect::Finish(ONE, Ending::Closed)]);
        assert_eq!(rules.step(Input::TurnStarted(turn(1))), [Effect::Interrupt(turn(1))]);
        assert_eq!(rules.step(Input::GiveUp), [Effect::Retire]);
    }

    #[test]
    fn what_is_interrupted_while_the_thread_opens_never_starts() {
        let (mut rules, _) = Rules::new();
        rules.step(Input::Call(ONE));
        let stop = Some(Stop::Interrupted);
        assert_eq!(rules.step(Input::Stop(Stop::Interrupted)), [Effect::Finish(ONE, Ending::Turn { stop })]);
        assert_eq!(rules.step(Input::Opened), []);
    }

    #[test]
    fn a_session_whose_thread_never_opened_is_over() {
        let (mut rules, _) = Rules::new();
        rules.step(Input::Call(ONE));
        let ended = rules.step(Input::NeverOpened(why()));
        assert_eq!(ended, [Effect::Finish(ONE, Ending::Refused(why())), Effect::Retire]);
    }

    #[test]
    fn a_turn_that_does_not_end_when_asked_to_is_given_up_and_the_next_call_opens_the_thread_again() {
        let timed_out = Effect::Finish(ONE, Ending::Turn { stop: Some(Stop::TimedOut) });
        let mut rules = running();
        assert_eq!(rules.step(Input::GiveUp), [], "nobody has asked it to end");
        rules.step(Input::Stop(Stop::TimedOut));
        assert!(rules.is_ending());
        assert_eq!(rules.step(Input::GiveUp), std::slice::from_ref(&timed_out));
        assert_eq!(rules.step(Input::Call(TWO)), [Effect::Open]);
        let mut rules = running();
        rules.step(Input::Call(TWO));
        rules.step(Input::Stop(Stop::TimedOut));
        assert_eq!(rules.step(Input::GiveUp), [timed_out, Effect::Open]);
        assert_eq!(rules.step(Input::Opened), [Effect::StartTurn(TWO)]);
    }

    #[test]
    fn the_end_of_another_turn_ends_nothing() {
        let mut rules = running();
        assert_eq!(rules.step(Input::TurnEnded(turn(9))), []);
        assert!(matches!(rules.state(), State::Running { .. }));
    }

    fn inputs() -> impl Strategy<Value = Input> {
        prop_oneof![
            4 => (0u64..40).prop_map(|n| Input::Call(CallId(n))),
            2 => (0u64..40).prop_map(|n| Input::Cancel(CallId(n))),
            3 => Just(Input::Opened),
            1 => Just(Input::NotOpened(why())),
            1 => Just(Input::NeverOpened(why())),
            1 => (0u64..40).prop_map(|n| Input::Refused { call: CallId(n), why: why() }),
            3 => (0u8..6).prop_map(|n| Input::TurnStarted(turn(n))),
            3 => (0u8..6).prop_map(|n| Input::TurnEnded(turn(n))),
            1 => Just(Input::Stop(Stop::Interrupted)),
            1 => Just(Input::Lost(why())),
            1 => Just(Input::Close),
            1 => Just(Input::GiveUp),
        ]
    }

    proptest! {
        /// Whatever happens, in whatever order: each call is answered once, and at most one turn is asked for at a time.
        #[test]
        fn every_call_ends_exactly_once(inputs in proptest::collection::vec(inputs(), 0..120)) {
            let (mut rules, _) = Rules::new();
            let mut called: BTreeMap<CallId, usize> = BTreeMap::new();
            let last = [Input::Close, Input::GiveUp, Input::GiveUp];
            for input in inputs.into_iter().chain(last) {
                if let Input::Call(call) = input {
                    if called.contains_key(&call) {
                        continue;
                    }
                    called.insert(call, 0);
                }
                let effects = rules.step(input);
                prop_assert!(effects.iter().filter(|e| matches!(e, Effect::StartTurn(_))).count() <= 1);
                for effect in effects {
                    if let Effect::Finish(call, _) = effect {
                        *called.get_mut(&call).expect("only what was called ends") += 1;
                    }
                }
                prop_assert!(rules.waiting() <= WAITING_MAX);
            }
            prop_assert!(called.values().all(|ends| *ends == 1), "{called:?}");
            prop_assert_eq!(rules.state(), &State::Closed);
        }
    }
}
