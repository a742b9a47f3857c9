//! The rules of what is to arrive: in a turn of its own, in the running one, or not now.

use super::Rules;
use crate::ids::{DeliveryId, TurnId};
use crate::session::state::{Effect, Job, Settled, State, Takes};

impl Rules {
    pub(super) fn steerable(&self) -> Option<&TurnId> {
        match (&self.state, self.takes()) {
            (State::Running { turn, .. }, Takes::Steer) => Some(turn),
            _ => None,
        }
    }

    /// A turn of its own if the thread is free, the turn it may join if there is one; else not now.
    pub(super) fn deliver(&mut self, id: DeliveryId, joins: Option<TurnId>) -> Vec<Effect> {
        match (&self.state, joins) {
            (State::Running { .. }, Some(turn)) => {
                self.under_way.push(id.clone());
                vec![Effect::Steer(id, turn)]
            }
            (State::Idle, _) => self.start(Job::Delivery(id)),
            (State::Starting, _) if self.offered.is_none() => {
                self.offered = Some(id);
                vec![]
            }
            (State::Lost { .. }, _) => {
                self.offered = Some(id);
                self.open()
            }
            _ => vec![Effect::Settle(id, Settled::NotNow)],
        }
    }

    pub(super) fn settle(&mut self, id: DeliveryId, settled: Settled) -> Vec<Effect> {
        match self.under_way.iter().position(|under_way| *under_way == id) {
            Some(at) => {
                self.under_way.remove(at);
                vec![Effect::Settle(id, settled)]
            }
            None => vec![],
        }
    }

    /// What was on its way ends so; what was only offered has not left.
    pub(super) fn end_deliveries(&mut self, settled: &Settled) -> Vec<Effect> {
        let offered = self.offered.take().map(|id| match settled {
            Settled::NotOpened(why) => Effect::Settle(id, Settled::NotOpened(why.clone())),
            _ => Effect::Settle(id, Settled::NotNow),
        });
        self.under_way.drain(..).map(|id| Effect::Settle(id, settled.clone())).chain(offered).collect()
    }
}
