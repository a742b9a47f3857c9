//! What is done once an agent's model has what a tool gave it, whatever is killed then.
//!
//! Codex says that a call is complete before it keeps the result: that it does when the response which called is complete,
//! and its tokens are counted. What is heard after that count, or silence, or the end of a turn that ran to its end, says
//! that the result is kept. A turn that ended otherwise says nothing.

use std::time::Duration;

use tokio::time::Instant;

use super::toolbox::Then;
use crate::codex::wire::{Item, Turn, TurnStatus};
use crate::ids::TurnId;
use crate::steps;

/// How long after the count nothing more need be heard.
const AFTER_THE_COUNT: Duration = Duration::from_millis(100);

/// Results that have been given, and are not known to be kept.
#[derive(Default)]
pub(super) struct Unseen(Vec<Result>);

struct Result {
    turn: TurnId,
    call: String,
    stand: Stand,
    then: Then,
}

#[derive(PartialEq)]
enum Stand {
    Given,
    Complete,
    Counted(Instant),
}

impl Unseen {
    /// The result of this call was given.
    pub(super) fn add(&mut self, turn: TurnId, call: String, then: Then) {
        self.0.push(Result { turn, call, stand: Stand::Given, then });
    }

    /// Something is complete; it may be a call of these.
    pub(super) fn completed(&mut self, turn: &TurnId, item: &Item) {
        let Item::DynamicToolCall { id, .. } = item else { return };
        let completed = self.0.iter_mut().find(|result| result.turn == *turn && result.call == *id);
        if let Some(result) = completed {
            result.stand = Stand::Complete;
            steps::at("tool.complete");
        }
    }

    /// The tokens of a response were counted.
    pub(super) fn counted(&mut self, turn: &TurnId) {
        let complete = self.0.iter_mut().filter(|result| result.turn == *turn && result.stand == Stand::Complete);
        complete.for_each(|result| {
            result.stand = Stand::Counted(Instant::now());
            steps::at("tool.counted");
        });
    }

    /// When nothing more need be heard for one of them to be kept.
    pub(super) fn kept_at(&self) -> Option<Instant> {
        self.0.iter().filter_map(|result| result.kept_at()).min()
    }

    /// More was heard, or time has passed: what is to be done for those that are kept.
    pub(super) fn kept(&mut self) -> Vec<Then> {
        self.take(|result| result.kept_at().is_some())
    }

    /// A turn is over.
    pub(super) fn turn_ended(&mut self, turn: &Turn) -> Vec<Then> {
        let ended = self.take(|result| result.turn == turn.id);
        if turn.status == TurnStatus::Completed { ended } else { Vec::new() }
    }

    /// Codex is gone.
    pub(super) fn lost(&mut self) {
        self.0.clear();
    }

    fn take(&mut self, is_meant: impl Fn(&Result) -> bool) -> Vec<Then> {
        self.0.extract_if(.., |result| is_meant(result)).map(|result| result.then).collect()
    }
}

impl Result {
    fn kept_at(&self) -> Option<Instant> {
        match self.stand {
            Stand::Counted(at) => Some(at + AFTER_THE_COUNT),
            Stand::Given | Stand::Complete => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn turn(id: &str) -> TurnId {
        TurnId::parse(id).unwrap()
    }

    fn call(id: &str) -> Item {
        serde_json::from_value(json!({"type": "dynamicToolCall", "id": id, "tool": "read"})).unwrap()
    }

    fn ended(id: &str, status: &str) -> Turn {
        serde_json::from_value(json!({"id": id, "status": status, "items": []})).unwrap()
    }

    fn given(calls: &[&str]) -> Unseen {
        let mut unseen = Unseen::default();
        calls.iter().for_each(|call| unseen.add(turn("t"), (*call).to_owned(), Box::pin(async {})));
        unseen
    }

    #[tokio::test]
    async fn a_result_is_kept_when_its_response_was_counted_and_more_was_heard() {
        let mut unseen = given(&["a", "b"]);
        unseen.counted(&turn("t"));
        unseen.completed(&turn("t"), &call("a"));
        assert!(unseen.kept().is_empty() && unseen.kept_at().is_none(), "that count was of an earlier response");
        unseen.counted(&turn("other"));
        assert!(unseen.kept_at().is_none());
        unseen.counted(&turn("t"));
        assert!(unseen.kept_at().is_some());
        assert_eq!(unseen.kept().len(), 1, "b is not complete");
        assert!(unseen.kept().is_empty());
    }

    #[test]
    fn a_turn_that_ran_to_its_end_has_kept_them_all_and_another_says_nothing() {
        assert_eq!(given(&["a", "b"]).turn_ended(&ended("t", "completed")).len(), 2);
        for status in ["interrupted", "failed"] {
            let mut unseen = given(&["a"]);
            assert!(unseen.turn_ended(&ended("t", status)).is_empty());
            assert!(unseen.turn_ended(&ended("t", "completed")).is_empty(), "it is done with");
        }
        assert!(given(&["a"]).turn_ended(&ended("other", "completed")).is_empty());
    }
}
