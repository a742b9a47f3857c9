//! The rules of a session: which input leads where, and what is to be done about it. No clock, no IO.
//!
//! One turn at a time: `turn/start` on a busy thread would silently steer the running turn. Order of precedence:
//! close, then interrupt, then the calls in the order in which they came, then what is to be delivered. Every call ends
//! exactly once, and so does every delivery; what has not arrived waits on disk and not here.

mod deliveries;

use std::collections::VecDeque;
use std::sync::Arc;

use super::state::{CallId, Effect, Ending, Input, Job, Owner, Settled, State, Stop, TOO_MANY, Takes, WAITING_MAX};
use crate::ids::{DeliveryId, TurnId};

/// One session's rules.
#[derive(Debug, Clone)]
pub struct Rules {
    state: State,
    waiting: VecDeque<CallId>,
    /// What is delivered when the thread is open, if no call is before it.
    offered: Option<DeliveryId>,
    /// What Codex was given and has not shown yet.
    under_way: Vec<DeliveryId>,
    /// Whether the running turn waits for an answer.
    waits: bool,
    /// Whether something that was asked waits for a decision.
    asks: bool,
    /// Whether it compacts the history.
    compacts: bool,
    /// Whether it ends with its turn.
    leaves: bool,
}

impl Rules {
    /// A session whose thread is still to be opened, and the first thing to do.
    pub fn new() -> (Rules, Effect) {
        let rules = Rules {
            state: State::Starting,
            waiting: VecDeque::new(),
            offered: None,
            under_way: Vec::new(),
            waits: false,
            asks: false,
            compacts: false,
            leaves: false,
        };
        (rules, Effect::Open)
    }

    /// Where it stands.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// What the turn that runs, or is asked for, is for.
    pub fn job(&self) -> Option<&Job> {
        match &self.state {
            State::Asked { job, .. } | State::Running { owner: Owner::Ours(job), .. } => Some(job),
            _ => None,
        }
    }

    /// What it would take now of what is to be delivered.
    pub fn takes(&self) -> Takes {
        match &self.state {
            _ if self.leaves => Takes::Nothing,
            State::Idle | State::Lost { .. } => Takes::Turn,
            State::Running { stop: None, .. } if !self.waits && !self.asks && !self.compacts => Takes::Steer,
            _ => Takes::Nothing,
        }
    }

    /// Whether a turn is to end that has not: the wait for it is bounded.
    pub fn is_ending(&self) -> bool {
        match self.state {
            State::Closing => true,
            State::Asked { stop, .. } | State::Running { owner: Owner::Ours(_), stop, .. } => stop.is_some(),
            State::Running { owner: Owner::Human, .. }
            | State::Starting
            | State::Idle
            | State::Closed
            | State::Lost { .. } => false,
        }
    }

    /// Whether it is about to end: nothing new is begun, and nobody is asked.
    pub fn is_parting(&self) -> bool {
        self.leaves || matches!(self.state, State::Closing | State::Closed)
    }

    /// How many calls wait.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// How many deliveries Codex was given and has not shown yet.
    pub fn delivering(&self) -> usize {
        self.under_way.len()
    }

    /// Takes one input.
    pub fn step(&mut self, input: Input) -> Vec<Effect> {
        match input {
            Input::Call(call) => self.call(call),
            Input::Cancel(call) => self.cancel(call),
            Input::Deliver(id) => self.deliver(id, None),
            Input::DeliverUrgently(id) => {
                let turn = self.steerable().cloned();
                self.deliver(id, turn)
            }
            Input::Arrived(id) => self.settle(id, Settled::Arrived),
            Input::NotSteered(id) => self.settle(id, Settled::NotNow),
            Input::Wake => match self.state {
                State::Lost { .. } => self.open(),
                _ => vec![],
            },
            Input::Opened => match self.state {
                State::Starting => self.next(),
                _ => vec![],
            },
            Input::NotOpened(why) => match self.state {
                State::Starting => {
                    self.state = State::Lost { why: why.clone() };
                    let mut effects = self.end_waiting(&Ending::Refused(why.clone()));
                    effects.extend(self.end_deliveries(&Settled::NotOpened(why)));
                    effects
                }
                _ => vec![],
            },
            Input::NeverOpened(why) => match self.state {
                State::Starting => {
                    let mut effects = self.end_waiting(&Ending::Refused(why.clone()));
                    effects.extend(self.end_deliveries(&Settled::NotOpened(why)));
                    effects.extend(self.retire());
                    effects
                }
                _ => vec![],
            },
            Input::Refused { job, why } => self.not_started(job, Settled::Refused(why.clone()), why),
            Input::Unanswered { job, why } => self.not_started(job, Settled::InDoubt(why.clone()), why),
            Input::TurnStarted(turn) => self.turn_started(turn),
            Input::TurnEnded(turn) => self.turn_ended(&turn),
            Input::Waits(waits) => noted(&mut self.waits, waits),
            Input::Asks(asks) => noted(&mut self.asks, asks),
            Input::Compacts(compacts) => noted(&mut self.compacts, compacts),
            Input::Stop(stop) => self.stop(stop),
            Input::Lost(why) => self.lost(why),
            Input::Leave => self.leave(),
            Input::Close => self.close(),
            Input::GiveUp => self.give_up(),
        }
    }

    fn call(&mut self, call: CallId) -> Vec<Effect> {
        match self.state {
            State::Closing | State::Closed => vec![Effect::Finish(call, Ending::Closed)],
            _ if self.leaves => vec![Effect::Finish(call, Ending::Closed)],
            _ if self.waiting.len() >= WAITING_MAX => {
                vec![Effect::Finish(call, Ending::NotTaken(TOO_MANY.into()))]
            }
            State::Idle => {
                self.waiting.push_back(call);
                self.next()
            }
            State::Lost { .. } => {
                self.waiting.push_back(call);
                self.open()
            }
            State::Starting | State::Asked { .. } | State::Running { .. } => {
                self.waiting.push_back(call);
                vec![]
            }
        }
    }

    fn open(&mut self) -> Vec<Effect> {
        self.state = State::Starting;
        vec![Effect::Open]
    }

    fn cancel(&mut self, call: CallId) -> Vec<Effect> {
        if let Some(at) = self.waiting.iter().position(|waiting| *waiting == call) {
            self.waiting.remove(at);
            return vec![Effect::Finish(call, Ending::Withdrawn)];
        }
        if self.job() == Some(&Job::Call(call)) { self.stop(Stop::Cancelled) } else { vec![] }
    }

    /// `turn/start` came to nothing, as far as is known. A delivery's turn may run all the same: then somebody else
    /// began it, or the answer was lost; what arrives in it is seen.
    fn not_started(&mut self, job: Job, settled: Settled, why: Arc<str>) -> Vec<Effect> {
        let is_asked = matches!(&self.state, State::Asked { job: asked, .. } if *asked == job);
        let mut effects = match job {
            Job::Call(call) if is_asked => vec![Effect::Finish(call, Ending::Refused(why))],
            Job::Call(_) => vec![],
            Job::Delivery(id) => self.settle(id, settled),
        };
        if is_asked {
            effects.extend(self.next());
        }
        effects
    }

    fn turn_started(&mut self, turn: TurnId) -> Vec<Effect> {
        (self.waits, self.compacts) = (false, false);
        match self.state.clone() {
            // If a human was faster by a moment, our text has joined the human's turn: its end is our call's end.
            State::Asked { job, stop } => {
                self.state = State::Running { owner: Owner::Ours(job), turn: turn.clone(), stop };
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
                    Owner::Ours(Job::Call(call)) => vec![Effect::Finish(call, Ending::Turn { stop })],
                    Owner::Ours(Job::Delivery(_)) | Owner::Human => vec![],
                };
                effects.extend(self.end_deliveries(&Settled::InDoubt("its turn ended before it was seen".into())));
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
        match &self.state {
            State::Closed => return vec![],
            State::Closing => return self.retire(),
            _ => {}
        }
        let ending = Ending::Lost(why.clone());
        let mut effects = self.end_running(&ending);
        effects.extend(self.end_waiting(&ending));
        effects.extend(self.end_deliveries(&Settled::InDoubt(why.clone())));
        self.state = State::Lost { why };
        if self.leaves {
            effects.extend(self.retire());
        }
        effects
    }

    /// A turn that runs may come to its end; nothing new begins.
    fn leave(&mut self) -> Vec<Effect> {
        match self.state {
            State::Asked { .. } | State::Running { .. } => {
                self.leaves = true;
                self.end_waiting(&Ending::Closed)
            }
            _ => self.close(),
        }
    }

    fn close(&mut self) -> Vec<Effect> {
        match self.state.clone() {
            State::Closing | State::Closed => vec![],
            State::Asked { .. } => {
                let effects = self.answered_closed();
                self.state = State::Closing;
                effects
            }
            State::Running { turn, stop, .. } => {
                let mut effects = self.answered_closed();
                self.state = State::Closing;
                if stop.is_none() {
                    effects.push(Effect::Interrupt(turn));
                }
                effects
            }
            State::Starting | State::Idle | State::Lost { .. } => {
                let mut effects = self.answered_closed();
                effects.extend(self.retire());
                effects
            }
        }
    }

    /// The call ends without its turn; what waits behind it goes on when the thread has been opened again.
    fn give_up(&mut self) -> Vec<Effect> {
        let stop = match &self.state {
            State::Closing => return self.retire(),
            State::Asked { stop, .. } | State::Running { owner: Owner::Ours(_), stop, .. } if stop.is_some() => *stop,
            _ => return vec![],
        };
        let why: Arc<str> = "Codex did not end its turn when it was asked to".into();
        let mut effects = self.end_running(&Ending::Turn { stop });
        effects.extend(self.end_deliveries(&Settled::InDoubt(why.clone())));
        self.state = State::Lost { why };
        if self.leaves {
            effects.extend(self.retire());
        } else if !self.waiting.is_empty() {
            effects.extend(self.open());
        }
        effects
    }

    fn answered_closed(&mut self) -> Vec<Effect> {
        let mut effects = self.end_running(&Ending::Closed);
        effects.extend(self.end_waiting(&Ending::Closed));
        effects
    }

    /// Ends the call whose turn runs or is asked for.
    fn end_running(&self, ending: &Ending) -> Vec<Effect> {
        match self.job() {
            Some(Job::Call(call)) => vec![Effect::Finish(*call, ending.clone())],
            Some(Job::Delivery(_)) | None => vec![],
        }
    }

    fn end_waiting(&mut self, ending: &Ending) -> Vec<Effect> {
        self.waiting.drain(..).map(|call| Effect::Finish(call, ending.clone())).collect()
    }

    fn retire(&mut self) -> Vec<Effect> {
        self.state = State::Closed;
        let mut effects = self.end_deliveries(&Settled::InDoubt("the agent was closed before it was seen".into()));
        effects.push(Effect::Retire);
        effects
    }

    /// The thread is free: the next call, if one waits, before what is to be delivered.
    fn next(&mut self) -> Vec<Effect> {
        if self.leaves {
            return self.retire();
        }
        self.state = State::Idle;
        let offered = self.offered.take();
        match (self.waiting.pop_front(), offered) {
            (Some(call), offered) => {
                let mut effects: Vec<_> = offered.map(|id| Effect::Settle(id, Settled::NotNow)).into_iter().collect();
                effects.extend(self.start(Job::Call(call)));
                effects
            }
            (None, Some(id)) => self.start(Job::Delivery(id)),
            (None, None) => vec![],
        }
    }

    fn start(&mut self, job: Job) -> Vec<Effect> {
        if let Job::Delivery(id) = &job {
            self.under_way.push(id.clone());
        }
        self.state = State::Asked { job: job.clone(), stop: None };
        vec![Effect::StartTurn(job)]
    }
}

fn noted(flag: &mut bool, value: bool) -> Vec<Effect> {
    *flag = value;
    vec![]
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
        assert_eq!(rules.step(Input::Call(CallId(1))), [Effect::StartTurn(Job::Call(CallId(1)))]);
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
        assert_eq!(ended, [Effect::Finish(ONE, Ending::Turn { stop: None }), Effect::StartTurn(Job::Call(TWO))]);
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
        assert_eq!(rules.step(Input::TurnEnded(turn(7))), [Effect::StartTurn(Job::Call(ONE))]);
    }

    #[test]
    fn a_lost_app_server_ends_every_call_and_the_next_call_opens_the_thread_again() {
        let mut rules = running();
        rules.step(Input::Call(TWO));
        let lost = rules.step(Input::Lost(why()));
        let ending = Ending::Lost(why());
        assert_eq!(lost, [Effect::Finish(ONE, ending.clone()), Effect::Finish(TWO, ending)]);
        assert_eq!(rules.step(Input::Call(CallId(3))), [Effect::Open]);
        assert_eq!(rules.step(Input::Opened), [Effect::StartTurn(Job::Call(CallId(3)))]);
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
        assert_eq!(rules.step(Input::Opened), [Effect::StartTurn(Job::Call(TWO))]);
    }

    #[test]
    fn the_end_of_another_turn_ends_nothing() {
        let mut rules = running();
        assert_eq!(rules.step(Input::TurnEnded(turn(9))), []);
        assert!(matches!(rules.state(), State::Running { .. }));
    }

    fn delivery(n: u8) -> DeliveryId {
        DeliveryId::parse(&format!("00000000-0000-7000-8000-0000000000{n:02}")).unwrap()
    }

    fn settled(n: u8, settled: Settled) -> Effect {
        Effect::Settle(delivery(n), settled)
    }

    fn in_doubt() -> Settled {
        Settled::InDoubt("its turn ended before it was seen".into())
    }

    #[test]
    fn a_delivery_to_an_idle_agent_is_a_turn_and_has_arrived_when_it_is_seen() {
        let mut rules = idle();
        assert_eq!(rules.takes(), Takes::Turn);
        let job = Job::Delivery(delivery(1));
        assert_eq!(rules.step(Input::Deliver(delivery(1))), [Effect::StartTurn(job.clone())]);
        assert_eq!((rules.takes(), rules.job()), (Takes::Nothing, Some(&job)));
        assert_eq!(rules.step(Input::TurnStarted(turn(1))), []);
        assert_eq!(rules.step(Input::Arrived(delivery(1))), [settled(1, Settled::Arrived)]);
        assert_eq!(rules.step(Input::Arrived(delivery(1))), [], "once");
        assert_eq!(rules.step(Input::TurnEnded(turn(1))), []);
        assert_eq!(rules.state(), &State::Idle);
    }

    #[test]
    fn a_busy_agent_takes_only_what_is_urgent_and_that_into_its_turn() {
        let mut rules = running();
        assert_eq!(rules.step(Input::Deliver(delivery(1))), [settled(1, Settled::NotNow)]);
        assert_eq!(rules.step(Input::DeliverUrgently(delivery(2))), [Effect::Steer(delivery(2), turn(1))]);
        assert_eq!(rules.step(Input::DeliverUrgently(delivery(3))), [Effect::Steer(delivery(3), turn(1))]);
        assert_eq!(rules.step(Input::NotSteered(delivery(3))), [settled(3, Settled::NotNow)]);
        assert_eq!(rules.step(Input::Arrived(delivery(2))), [settled(2, Settled::Arrived)]);
        assert_eq!(rules.step(Input::TurnEnded(turn(1))), [Effect::Finish(ONE, Ending::Turn { stop: None })]);
    }

    #[test]
    fn nothing_is_steered_while_the_turn_waits_for_an_answer_or_compacts_or_is_to_end() {
        for held in [Input::Waits(true), Input::Asks(true), Input::Compacts(true), Input::Stop(Stop::Interrupted)] {
            let mut rules = running();
            rules.step(held.clone());
            assert_eq!(rules.takes(), Takes::Nothing, "{held:?}");
            assert_eq!(rules.step(Input::DeliverUrgently(delivery(1))), [settled(1, Settled::NotNow)], "{held:?}");
        }
        let mut rules = running();
        for held in [Input::Waits(true), Input::Waits(false), Input::Compacts(true), Input::Compacts(false)] {
            rules.step(held);
        }
        assert_eq!(rules.takes(), Takes::Steer);
        rules.step(Input::Waits(true));
        rules.step(Input::TurnEnded(turn(1)));
        rules.step(Input::TurnStarted(turn(2)));
        assert_eq!(rules.takes(), Takes::Steer, "the next turn waits for nobody");
    }

    #[test]
    fn what_was_not_seen_when_its_turn_ends_is_in_doubt() {
        let mut rules = running();
        rules.step(Input::DeliverUrgently(delivery(1)));
        rules.step(Input::Stop(Stop::Interrupted));
        let stop = Some(Stop::Interrupted);
        let ended = [Effect::Finish(ONE, Ending::Turn { stop }), settled(1, in_doubt())];
        assert_eq!(rules.step(Input::TurnEnded(turn(1))), ended);
        rules.step(Input::Deliver(delivery(2)));
        rules.step(Input::TurnStarted(turn(2)));
        assert_eq!(rules.step(Input::TurnEnded(turn(2))), [settled(2, in_doubt())]);
    }

    #[test]
    fn a_clients_call_goes_before_what_is_to_be_delivered() {
        let (mut rules, _) = Rules::new();
        assert_eq!(rules.step(Input::Deliver(delivery(1))), []);
        rules.step(Input::Call(ONE));
        assert_eq!(rules.step(Input::Opened), [settled(1, Settled::NotNow), Effect::StartTurn(Job::Call(ONE))]);
        rules.step(Input::TurnStarted(turn(1)));
        rules.step(Input::Call(TWO));
        let ended = rules.step(Input::TurnEnded(turn(1)));
        let finished = Effect::Finish(ONE, Ending::Turn { stop: None });
        assert_eq!(ended, [finished, Effect::StartTurn(Job::Call(TWO))]);
        assert_eq!(rules.step(Input::Deliver(delivery(2))), [settled(2, Settled::NotNow)]);
    }

    #[test]
    fn a_refused_delivery_is_told_so_and_an_unanswered_one_is_in_doubt() {
        let mut rules = idle();
        rules.step(Input::Deliver(delivery(1)));
        let refused = Input::Refused { job: Job::Delivery(delivery(1)), why: why() };
        assert_eq!(rules.step(refused), [settled(1, Settled::Refused(why()))]);
        rules.step(Input::Deliver(delivery(2)));
        let unanswered = Input::Unanswered { job: Job::Delivery(delivery(2)), why: why() };
        assert_eq!(rules.step(unanswered), [settled(2, Settled::InDoubt(why()))]);
        assert_eq!(rules.state(), &State::Idle);
    }

    #[test]
    fn a_delivery_opens_a_lost_thread_and_is_told_when_that_fails() {
        let mut rules = idle();
        rules.step(Input::Deliver(delivery(1)));
        assert_eq!(rules.step(Input::Lost(why())), [settled(1, Settled::InDoubt(why()))]);
        assert_eq!(rules.takes(), Takes::Turn);
        assert_eq!(rules.step(Input::Deliver(delivery(2))), [Effect::Open]);
        assert_eq!(rules.step(Input::NotOpened(why())), [settled(2, Settled::NotOpened(why()))]);
        assert_eq!(rules.step(Input::Wake), [Effect::Open]);
        assert_eq!(rules.step(Input::Wake), []);
        rules.step(Input::Deliver(delivery(3)));
        assert_eq!(rules.step(Input::Opened), [Effect::StartTurn(Job::Delivery(delivery(3)))]);
    }

    #[test]
    fn what_is_on_its_way_when_the_agent_is_closed_is_in_doubt() {
        let mut rules = running();
        rules.step(Input::DeliverUrgently(delivery(1)));
        rules.step(Input::Close);
        let closed = Settled::InDoubt("the agent was closed before it was seen".into());
        assert_eq!(rules.step(Input::TurnEnded(turn(1))), [settled(1, closed), Effect::Retire]);
        assert_eq!(rules.step(Input::Deliver(delivery(2))), [settled(2, Settled::NotNow)]);
    }

    fn inputs() -> impl Strategy<Value = Input> {
        prop_oneof![
            4 => (0u8..40).prop_map(|n| Input::Deliver(delivery(n))),
            4 => (0u8..40).prop_map(|n| Input::DeliverUrgently(delivery(n))),
            3 => (0u8..40).prop_map(|n| Input::Arrived(delivery(n))),
            1 => (0u8..40).prop_map(|n| Input::NotSteered(delivery(n))),
            1 => (0u8..40).prop_map(|n| Input::Refused { job: Job::Delivery(delivery(n)), why: why() }),
            1 => (0u8..40).prop_map(|n| Input::Unanswered { job: Job::Delivery(delivery(n)), why: why() }),
            1 => any::<bool>().prop_map(Input::Waits),
            1 => Just(Input::Leave),
            1 => any::<bool>().prop_map(Input::Asks),
            1 => any::<bool>().prop_map(Input::Compacts),
            1 => Just(Input::Wake),
            4 => (0u64..40).prop_map(|n| Input::Call(CallId(n))),
            2 => (0u64..40).prop_map(|n| Input::Cancel(CallId(n))),
            3 => Just(Input::Opened),
            1 => Just(Input::NotOpened(why())),
            1 => Just(Input::NeverOpened(why())),
            1 => (0u64..40).prop_map(|n| Input::Refused { job: Job::Call(CallId(n)), why: why() }),
            3 => (0u8..6).prop_map(|n| Input::TurnStarted(turn(n))),
            3 => (0u8..6).prop_map(|n| Input::TurnEnded(turn(n))),
            1 => Just(Input::Stop(Stop::Interrupted)),
            1 => Just(Input::Lost(why())),
            1 => Just(Input::Close),
            1 => Just(Input::GiveUp),
        ]
    }

    proptest! {
        /// Whatever happens, in whatever order: each call is answered once, each delivery settled once, and at most one turn
        /// is asked for at a time.
        #[test]
        fn every_call_and_every_delivery_ends_exactly_once(inputs in proptest::collection::vec(inputs(), 0..120)) {
            let (mut rules, _) = Rules::new();
            let mut called: BTreeMap<CallId, usize> = BTreeMap::new();
            let mut delivered: BTreeMap<String, usize> = BTreeMap::new();
            let last = [Input::Close, Input::GiveUp, Input::GiveUp];
            for input in inputs.into_iter().chain(last) {
                if let Input::Call(call) = input {
                    if called.contains_key(&call) {
                        continue;
                    }
                    called.insert(call, 0);
                }
                if let Input::Deliver(id) | Input::DeliverUrgently(id) = &input {
                    if delivered.contains_key(id.as_str()) {
                        continue;
                    }
                    delivered.insert(id.to_string(), 0);
                }
                let effects = rules.step(input);
                prop_assert!(effects.iter().filter(|e| matches!(e, Effect::StartTurn(_))).count() <= 1);
                for effect in effects {
                    match effect {
                        Effect::Finish(call, _) => *called.get_mut(&call).expect("only what was called ends") += 1,
                        Effect::Settle(id, _) => *delivered.get_mut(id.as_str()).expect("only what was given") += 1,
                        _ => {}
                    }
                }
                prop_assert!(rules.waiting() <= WAITING_MAX);
            }
            prop_assert!(called.values().all(|ends| *ends == 1), "{called:?}");
            prop_assert!(delivered.values().all(|ends| *ends == 1), "{delivered:?}");
            prop_assert_eq!(rules.state(), &State::Closed);
        }
    }
}
