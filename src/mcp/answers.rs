//! What the client's user answers to a form, in the words of MCP or in those of the lost tool.

use serde_json::Value;

use super::asks::has_fields;
use crate::session::{Ask, Decision, Verdict};

/// What is said of an answer that is no decision.
pub(super) const UNCLEAR: &str = "the answer is no decision: give {\"action\": \"accept\", \"content\": {\"decision\": …}} as its form says, or decline";

/// What came of a form.
#[derive(Debug, PartialEq)]
pub(super) enum Answered {
    /// A decision, and why it was made.
    Decided(Verdict, Option<String>),
    /// None: nobody was asked, or somebody closed the form.
    Closed,
    /// Something that cannot be understood, and is taken for no decision.
    Unclear,
}

/// What the client's user answered.
///
/// Both forms are taken: that of MCP (`action`, and `content` with a decision), and that of the lost tool (`decision`). Who
/// accepts and fills in nothing at all accepts this once; whatever else is not exactly a decision is none.
pub(super) fn answered(ask: &Ask, answer: &Value) -> Answered {
    if let Some(word) = answer.get("decision") {
        return word.as_str().and_then(legacy).map_or(Answered::Unclear, |decision| decided(decision, None));
    }
    let content = answer.get("content").filter(|content| !content.is_null());
    match answer["action"].as_str() {
        Some("accept") => {}
        Some("decline") => return decided(Decision::Decline, None),
        Some("cancel") => return Answered::Closed,
        _ if answer.is_null() => return Answered::Closed,
        _ => return Answered::Unclear,
    }
    let asks_for_content = match ask {
        Ask::UserInput { .. } => true,
        Ask::Elicitation { form: Some(form), .. } => has_fields(form),
        _ => false,
    };
    if asks_for_content {
        return Answered::Decided(Verdict { decision: Decision::Accept, content: content.cloned() }, None);
    }
    let Some(content) = content else { return decided(Decision::Accept, None) };
    match (content.as_object(), content["decision"].as_str()) {
        (Some(fields), _) if fields.is_empty() => decided(Decision::Accept, None),
        (_, Some(word)) => match Decision::parse(word).or_else(|| legacy(word)) {
            Some(decision) => decided(decision, content["reason"].as_str()),
            None => Answered::Unclear,
        },
        (_, None) => Answered::Unclear,
    }
}

fn decided(decision: Decision, reason: Option<&str>) -> Answered {
    Answered::Decided(decision.into(), reason.filter(|reason| !reason.trim().is_empty()).map(str::to_owned))
}

/// The words of the lost tool.
fn legacy(word: &str) -> Option<Decision> {
    match word {
        "approved" => Some(Decision::Accept),
        "approved_for_session" => Some(Decision::AcceptForSession),
        "denied" => Some(Decision::Decline),
        "abort" => Some(Decision::Cancel),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn command() -> Ask {
        Ask::Command { command: "ls".to_owned(), cwd: None, reason: None }
    }

    #[test]
    fn an_answer_is_understood_in_either_form() {
        for (answer, expected) in [
            (json!({"action": "accept", "content": {"decision": "accept"}}), Decision::Accept),
            (json!({"action": "accept", "content": {"decision": "accept_for_session"}}), Decision::AcceptForSession),
            (json!({"action": "accept", "content": {"decision": "decline"}}), Decision::Decline),
            (json!({"action": "accept", "content": {"decision": "cancel"}}), Decision::Cancel),
            (json!({"action": "accept", "content": {"decision": "approved"}}), Decision::Accept),
            (json!({"action": "accept"}), Decision::Accept),
            (json!({"action": "accept", "content": {}}), Decision::Accept),
            (json!({"action": "decline"}), Decision::Decline),
            (json!({"decision": "approved"}), Decision::Accept),
            (json!({"decision": "approved_for_session"}), Decision::AcceptForSession),
            (json!({"decision": "denied"}), Decision::Decline),
            (json!({"decision": "abort"}), Decision::Cancel),
        ] {
            assert_eq!(answered(&command(), &answer), decided(expected, None), "{answer}");
        }
        let why = json!({"action": "accept", "content": {"decision": "decline", "reason": "use make"}});
        assert_eq!(answered(&command(), &why), decided(Decision::Decline, Some("use make")));
    }

    #[test]
    fn what_is_not_exactly_a_decision_is_none() {
        for closed in [json!({"action": "cancel"}), json!({"action": "cancel", "content": {}}), Value::Null] {
            assert_eq!(answered(&command(), &closed), Answered::Closed, "{closed}");
        }
        for content in [
            json!({"decision": "perhaps"}),
            json!({"decision": 7}),
            json!({"decision": null}),
            json!({"decision": ["decline"]}),
            json!({"Decision": "decline"}),
            json!({"reason": "no"}),
            json!(7),
            json!("decline"),
            json!(["decline"]),
            json!(false),
        ] {
            let answer = json!({"action": "accept", "content": content});
            assert_eq!(answered(&command(), &answer), Answered::Unclear, "{answer}");
        }
        for answer in [
            json!({"decision": "Approved!"}),
            json!({"decision": null, "action": "accept"}),
            json!({"action": "Accept"}),
            json!({"action": true}),
            json!({}),
            json!(7),
            json!([]),
        ] {
            assert_eq!(answered(&command(), &answer), Answered::Unclear, "{answer}");
        }
    }

    #[test]
    fn answers_to_questions_are_the_content() {
        let ask = Ask::UserInput { questions: vec![Default::default()] };
        let verdict = Verdict { decision: Decision::Accept, content: Some(json!({"q": "x"})) };
        let answer = json!({"action": "accept", "content": {"q": "x"}});
        assert_eq!(answered(&ask, &answer), Answered::Decided(verdict, None));
    }
}
