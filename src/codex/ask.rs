//! What Codex asks of its client, and how it is answered.

use serde::Deserialize;
use serde_json::{Value, json};

use super::form::unfit;
use super::tools::{self, ToolCall};
use super::wire::Change;
use crate::ids::{ThreadId, TurnId};
pub use crate::rpc::Id as RequestId;
use crate::rpc::{Peer, RpcError};

/// A request of Codex's. Unanswered, its turn would hang for ever (0.169.0 has no time-out for them).
#[derive(Debug, Clone, PartialEq)]
pub enum Ask {
    /// To run a command.
    Command {
        /// As a shell line.
        command: String,
        /// Where.
        cwd: Option<String>,
        /// Why, in the model's words.
        reason: Option<String>,
    },
    /// To change files.
    FileChange {
        /// Which, and how: the request does not say, the item of the same id does.
        changes: Vec<Change>,
        /// Under which directory everything may be changed from then on, if that is asked too.
        grant_root: Option<String>,
        /// Why, in the model's words.
        reason: Option<String>,
    },
    /// To have more permissions.
    Permissions {
        /// Which, in Codex's form.
        permissions: Value,
        /// Why, in the model's words.
        reason: Option<String>,
    },
    /// What the user thinks.
    UserInput {
        /// Each of its questions.
        questions: Vec<Question>,
    },
    /// A question of an MCP server, the approval of one of its tools included.
    Elicitation {
        /// Which server.
        server: String,
        /// The question.
        message: String,
        /// The form of the answer, a JSON schema of an object; none for what only a browser could answer.
        form: Option<Value>,
    },
    /// To call a tool of ours.
    ToolCall(ToolCall),
    /// Something that we do not know, or that only the protocol's first version asked (`execCommandApproval`).
    Unknown {
        /// The method.
        method: String,
    },
}

/// A question to the user.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Question {
    /// By which its answer is known.
    pub id: String,
    /// What is asked.
    pub question: String,
    /// What may be answered; another answer may be allowed too.
    pub options: Option<Vec<Choice>>,
    /// Whether it is.
    pub is_other: bool,
}

/// One of the answers to choose from.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Choice {
    /// The answer.
    pub label: String,
}

/// In which turn, and with which item, something is asked.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AskedIn {
    /// The thread: the agent's, or one of its sub-agents.
    pub thread_id: Option<ThreadId>,
    /// The turn.
    pub turn_id: Option<TurnId>,
    /// The item that waits for the answer.
    pub item_id: Option<String>,
}

/// What somebody decided.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// What.
    pub decision: Decision,
    /// What was asked for beside: the answers by their questions' ids, or the form.
    pub content: Option<Value>,
}

/// A decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Yes, this once.
    Accept,
    /// Yes, and to the like of it from now on.
    AcceptForSession,
    /// No; the turn goes on.
    Decline,
    /// No; the turn ends.
    Cancel,
}

impl Decision {
    /// Each of them.
    pub const ALL: [Decision; 4] = [Decision::Accept, Decision::AcceptForSession, Decision::Decline, Decision::Cancel];

    /// In one word.
    pub fn word(self) -> &'static str {
        match self {
            Decision::Accept => "accept",
            Decision::AcceptForSession => "accept_for_session",
            Decision::Decline => "decline",
            Decision::Cancel => "cancel",
        }
    }

    /// The decision of that word.
    pub fn parse(word: &str) -> Option<Decision> {
        Decision::ALL.into_iter().find(|decision| decision.word() == word)
    }

    /// Whether it is a yes.
    pub fn is_yes(self) -> bool {
        matches!(self, Decision::Accept | Decision::AcceptForSession)
    }

    fn of_codex(self) -> &'static str {
        match self {
            Decision::AcceptForSession => "acceptForSession",
            other => other.word(),
        }
    }
}

impl From<Decision> for Verdict {
    fn from(decision: Decision) -> Verdict {
        Verdict { decision, content: None }
    }
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Params {
    command: Value,
    cwd: Option<String>,
    reason: Option<String>,
    grant_root: Option<String>,
    permissions: Value,
    questions: Vec<Question>,
    server_name: String,
    message: String,
    mode: Option<String>,
    requested_schema: Option<Value>,
}

/// An answer that Codex waits for. It is given when this is dropped: the refusal, unless there is a better one.
#[derive(Debug)]
pub struct Owed {
    peer: Peer,
    id: RequestId,
    answer: Result<Value, RpcError>,
}

impl Owed {
    pub(super) fn new(peer: &Peer, id: RequestId, ask: &Ask) -> Owed {
        Owed { peer: peer.clone(), id, answer: ask.refusal() }
    }

    /// Whether it is owed to this request.
    pub fn is_to(&self, request: &RequestId) -> bool {
        self.id == *request
    }

    /// Answers the call of a tool with what it gave, or with what went wrong.
    pub fn gave(mut self, result: &Result<String, String>) {
        self.answer = Ok(tools::answer(result));
    }

    /// Answers with what [`Ask::answer`] made of a verdict.
    pub fn decided(mut self, answer: Value) {
        self.answer = Ok(answer);
    }
}

impl Drop for Owed {
    fn drop(&mut self) {
        self.peer.answer(&self.id, &self.answer);
    }
}

impl Ask {
    /// Reads a request.
    pub(super) fn read(method: &str, params: &str) -> Ask {
        let asked: Params = serde_json::from_str(params).unwrap_or_default();
        let Params { command, cwd, reason, grant_root, permissions, questions, message, .. } = asked;
        match method {
            "item/commandExecution/requestApproval" => {
                Ask::Command { command: command.as_str().unwrap_or_default().to_owned(), cwd, reason }
            }
            "item/fileChange/requestApproval" => Ask::FileChange { changes: Vec::new(), grant_root, reason },
            "item/permissions/requestApproval" => Ask::Permissions { permissions, reason },
            "item/tool/requestUserInput" => Ask::UserInput { questions },
            "mcpServer/elicitation/request" => Ask::Elicitation {
                server: asked.server_name,
                message,
                form: asked.requested_schema.filter(|_| asked.mode.is_none_or(|mode| mode == "form")),
            },
            "item/tool/call" => Ask::ToolCall(serde_json::from_str(params).unwrap_or_default()),
            _ => Ask::Unknown { method: method.to_owned() },
        }
    }

    /// Whether somebody is to decide on it.
    pub fn is_question(&self) -> bool {
        !matches!(self, Ask::ToolCall(_) | Ask::Unknown { .. })
    }

    /// What can be decided. A form in a browser is filled in by whoever sees it: an attached human.
    pub fn decisions(&self) -> &'static [Decision] {
        match self {
            Ask::Elicitation { form: None, .. } => &[Decision::Decline, Decision::Cancel],
            _ => &Decision::ALL,
        }
    }

    /// The answer that says what was decided; the error says what is missing in the verdict.
    pub fn answer(&self, verdict: &Verdict) -> Result<Value, String> {
        let Verdict { decision, content } = verdict;
        if !decision.is_yes() {
            return Ok(match self {
                Ask::Command { .. } | Ask::FileChange { .. } => json!({ "decision": decision.of_codex() }),
                Ask::Elicitation { .. } => json!({ "action": decision.word(), "content": null }),
                _ => self.refusal().map_err(|error| error.message)?,
            });
        }
        match self {
            Ask::Command { .. } | Ask::FileChange { .. } => Ok(json!({ "decision": decision.of_codex() })),
            Ask::Permissions { permissions, .. } => {
                let scope = if *decision == Decision::AcceptForSession { "session" } else { "turn" };
                Ok(json!({ "permissions": permissions, "scope": scope }))
            }
            Ask::UserInput { questions } => answers(questions, content.as_ref()),
            Ask::Elicitation { form: None, .. } => {
                Err("it can be answered in a browser only, by whoever is attached; decline it, or cancel".to_owned())
            }
            Ask::Elicitation { form: Some(form), .. } => {
                let content = content.clone().unwrap_or_else(|| json!({}));
                if let Some(unfit) = unfit(form, &content) {
                    return Err(format!("content {unfit}: give an object of the form {form}"));
                }
                let mut answer = json!({ "action": "accept", "content": content });
                if *decision == Decision::AcceptForSession {
                    answer["_meta"] = json!({ "persist": "session" });
                }
                Ok(answer)
            }
            Ask::ToolCall(_) | Ask::Unknown { .. } => Err("nobody is to decide on it".to_owned()),
        }
    }

    /// The answer that refuses it and lets the turn go on.
    fn refusal(&self) -> Result<Value, RpcError> {
        match self {
            Ask::Command { .. } | Ask::FileChange { .. } => Ok(json!({ "decision": "decline" })),
            Ask::Permissions { .. } => Ok(json!({ "permissions": {}, "scope": "turn" })),
            Ask::UserInput { .. } => Ok(json!({ "answers": {} })),
            Ask::Elicitation { .. } => Ok(json!({ "action": "decline", "content": null })),
            Ask::ToolCall(ToolCall { tool, .. }) => Ok(tools::answer(&Err(format!(
                "The tool {tool} gave no answer: no agent of this server has this thread now, or the turn of the call is over."
            )))),
            Ask::Unknown { method } => {
                Err(RpcError { code: -32601, message: format!("this client does not know {method}"), data: None })
            }
        }
    }

    /// What was asked, in one line that goes on from "asks".
    pub fn summary(&self) -> String {
        let because = |reason: &Option<String>| reason.as_ref().map(|r| format!(" ({r})")).unwrap_or_default();
        match self {
            Ask::Command { command, reason, .. } => format!("to run `{command}`{}", because(reason)),
            Ask::FileChange { changes, grant_root, reason } => {
                let paths: Vec<&str> = changes.iter().map(|change| change.path.as_str()).collect();
                let paths = if paths.is_empty() { "files".to_owned() } else { paths.join(", ") };
                let root = grant_root.as_ref().map(|root| format!(", and everything under {root} from then on"));
                format!("to change {paths}{}{}", root.unwrap_or_default(), because(reason))
            }
            Ask::Permissions { reason, .. } => format!("for more permissions{}", because(reason)),
            Ask::UserInput { questions } => {
                let all: Vec<&str> = questions.iter().map(|question| question.question.as_str()).collect();
                format!("its user: {}", all.join(" "))
            }
            Ask::Elicitation { server, message, .. } => format!("for the MCP server {server}: {message}"),
            Ask::ToolCall(ToolCall { tool, .. }) => format!("to call the tool {tool}"),
            Ask::Unknown { method } => format!("{method}, which this version does not know"),
        }
    }
}

/// The answers in Codex's form, from an object with a text, or several, for each question's id; one question may be
/// answered by a text alone.
fn answers(questions: &[Question], content: Option<&Value>) -> Result<Value, String> {
    let texts = |answer: &Value| match answer {
        Value::String(text) => Some(vec![text.clone()]),
        Value::Array(all) => all.iter().map(|one| one.as_str().map(str::to_owned)).collect(),
        _ => None,
    };
    let mut answers = serde_json::Map::new();
    for question in questions {
        let given = match (questions, content) {
            ([_], Some(text @ Value::String(_))) => Some(text),
            (_, content) => content.and_then(|content| content.get(&question.id)),
        };
        let Some(texts) = given.and_then(texts) else {
            let ids: Vec<&str> = questions.iter().map(|question| question.id.as_str()).collect();
            return Err(format!(
                "content has no answer to {:?}: give an object with a text for each of {ids:?}",
                question.id
            ));
        };
        answers.insert(question.id.clone(), json!({ "answers": texts }));
    }
    Ok(json!({ "answers": answers }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_asked_has_an_answer() {
        let command = Ask::read("item/commandExecution/requestApproval", r#"{"command":"touch a","reason":"need it"}"#);
        assert_eq!(command.summary(), "to run `touch a` (need it)");
        assert_eq!(command.refusal().unwrap()["decision"], "decline");
        let unknown = Ask::read("item/new/thing", "not even JSON");
        assert_eq!(unknown.refusal().unwrap_err().code, -32601);
        for garbage in ["not even JSON", "[]", r#"{"tool": 7}"#, r#"{"turnId": ""}"#] {
            assert_eq!(Ask::read("item/tool/call", garbage).refusal().unwrap()["success"], false, "{garbage}");
        }
    }

    #[test]
    fn each_decision_on_each_kind_of_ask_is_said_in_codexs_form() {
        let [accept, session, decline, cancel] = Decision::ALL.map(Verdict::from);
        for method in ["item/commandExecution/requestApproval", "item/fileChange/requestApproval"] {
            let ask = Ask::read(method, "{}");
            let decisions =
                [&accept, &session, &decline, &cancel].map(|verdict| ask.answer(verdict).unwrap()["decision"].clone());
            assert_eq!(decisions, ["accept", "acceptForSession", "decline", "cancel"]);
        }
        let ask = Ask::read("item/permissions/requestApproval", r#"{"permissions":{"network":{"enabled":true}}}"#);
        assert_eq!(
            ask.answer(&accept).unwrap(),
            json!({"permissions": {"network": {"enabled": true}}, "scope": "turn"})
        );
        assert_eq!(ask.answer(&session).unwrap()["scope"], "session");
        for no in [&decline, &cancel] {
            assert_eq!(ask.answer(no).unwrap()["permissions"], json!({}));
        }
    }

    #[test]
    fn questions_are_answered_by_their_ids_or_what_is_missing_is_named() {
        let two =
            r#"{"questions":[{"id":"a","question":"Which?","options":[{"label":"x"}]},{"id":"b","question":"Why?"}]}"#;
        let ask = Ask::read("item/tool/requestUserInput", two);
        assert_eq!(ask.summary(), "its user: Which? Why?");
        let verdict = |content| Verdict { decision: Decision::Accept, content };
        let given = ask.answer(&verdict(Some(json!({"a": "x", "b": ["p", "q"]})))).unwrap();
        assert_eq!(given, json!({"answers": {"a": {"answers": ["x"]}, "b": {"answers": ["p", "q"]}}}));
        assert!(ask.answer(&verdict(Some(json!({"a": "x"})))).unwrap_err().contains("\"b\""));
        assert!(ask.answer(&verdict(None)).is_err());
        let one = Ask::read("item/tool/requestUserInput", r#"{"questions":[{"id":"a","question":"Which?"}]}"#);
        assert_eq!(one.answer(&verdict(Some(json!("x")))).unwrap()["answers"]["a"]["answers"], json!(["x"]));
        assert_eq!(one.answer(&Decision::Decline.into()).unwrap(), json!({"answers": {}}));
    }

    #[test]
    fn a_form_of_an_mcp_server_is_filled_in_or_what_is_missing_is_named() {
        let params = r#"{"serverName":"s","message":"Your name?","mode":"form","requestedSchema":{"type":"object","properties":{"name":{"type":"string"}},"required":["name"]}}"#;
        let ask = Ask::read("mcpServer/elicitation/request", params);
        assert!(ask.answer(&Decision::Accept.into()).unwrap_err().contains("name"));
        for wrong in [json!({"name": 7}), json!({"name": null}), json!("x"), json!(["x"])] {
            let verdict = Verdict { decision: Decision::Accept, content: Some(wrong.clone()) };
            assert!(ask.answer(&verdict).is_err(), "{wrong}");
        }
        let verdict = Verdict { decision: Decision::AcceptForSession, content: Some(json!({"name": "x"})) };
        assert_eq!(
            ask.answer(&verdict).unwrap(),
            json!({"action": "accept", "content": {"name": "x"}, "_meta": {"persist": "session"}})
        );
        assert_eq!(ask.answer(&Decision::Cancel.into()).unwrap()["action"], "cancel");
        let url = Ask::read(
            "mcpServer/elicitation/request",
            r#"{"serverName":"s","message":"m","mode":"url","url":"https://x"}"#,
        );
        assert!(url.answer(&Decision::Accept.into()).is_err());
        assert_eq!(url.decisions(), [Decision::Decline, Decision::Cancel]);
    }
}
