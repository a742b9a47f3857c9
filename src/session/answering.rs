//! Calls and their outcomes: who awaits one, and where it goes.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::actor::{Actor, Waiting};
use super::handle::{Farewell, Reply};
use super::outcome::{End, Outcome};
use super::state::{CallId, Ending, Job};
use super::turn;

impl Actor {
    /// Nobody awaits the call any more, but its result is wanted.
    pub(super) fn detach(&mut self, call: CallId, done: oneshot::Sender<()>) {
        if let Some(waiting) = self.calls.get_mut(&call) {
            waiting.reply = Reply::Outbox;
        }
        done.send(()).ok();
    }

    /// Somebody awaits it again.
    pub(super) fn reattach(&mut self, call: CallId, caller: oneshot::Sender<Arc<Outcome>>) {
        if let Some(waiting) = self.calls.get_mut(&call) {
            let before = std::mem::replace(&mut waiting.reply, Reply::Caller(caller));
            if let Reply::Caller(before) = before {
                before.send(self.not_taken("the same call was made again later, and that one gets the result")).ok();
            }
            return;
        }
        let collected = || self.not_taken("the result of this call was collected already: agent_read shows it");
        caller.send(self.outbox.take(call).unwrap_or_else(collected)).ok();
    }

    fn not_taken(&self, why: &str) -> Arc<Outcome> {
        let (agent, name) = (self.kept.record.agent_id.clone(), self.kept.record.identity.clone());
        Arc::new(Outcome::without_turn(agent, name, End::NotTaken(why.into())))
    }

    pub(super) fn finish(&mut self, call: CallId, ending: Ending) {
        self.answered += 1;
        let progress = self.turn.take_if(|progress| progress.job == Job::Call(call));
        let Some(Waiting { reply, .. }) = self.calls.remove(&call) else { return };
        let mut outcome = turn::outcome(&self.kept.record, progress, self.ended.as_ref(), ending);
        let is_closed = matches!(self.farewell, Some((Farewell::Close, _)));
        if outcome.end == End::Closed && *self.ends.borrow() && !is_closed {
            outcome.end = End::ServerEnds;
        }
        let outcome = Arc::new(outcome);
        match reply {
            // A caller that has gone does not want to know.
            Reply::Caller(caller) => drop(caller.send(outcome)),
            Reply::Outbox => self.outbox.put(call, outcome),
        }
    }
}
