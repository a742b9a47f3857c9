//! What the tools take: argument types, their schemas, and errors that name the argument.

use std::sync::Arc;

use rmcp::model::JsonObject;
use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::error::ToolError;
use crate::ids::{AgentId, AgentName, ThreadId};
use crate::plain::shown;
use crate::session::Who;
use crate::tools::{object_schema, unread};

/// The longest text that goes into a turn, in characters. Codex refuses more (0.144.6 and 0.169.0: 1,048,576).
pub const PROMPT_MAX: usize = 1024 * 1024;

/// Starts a Codex agent, or continues one, and gives it a prompt.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct CodexArgs {
    /// The initial prompt for the agent. Required unless agent_file is given. At most 1048576 characters.
    pub prompt: Option<String>,
    /// A file that holds the prompt, instead of prompt. Relative to cwd.
    #[serde(rename = "agent_file")]
    pub agent_file: Option<String>,
    /// A name for the new agent, unique in the team: 1 to 64 of a-z, 0-9 and "-". Without it the agent is called codex, codex-2 and so on.
    pub identity: Option<String>,
    /// Continue this agent of an earlier time, closed ones included, with its whole history, instead of starting a new one.
    #[serde(rename = "agent_id")]
    pub agent_id: Option<String>,
    /// A role from the settings: a bundle of model, sandbox, approval policy and reasoning effort.
    pub role: Option<String>,
    /// Answer at once with status "running" and let the agent work; get the result with agent_wait. Use it to have several agents work at the same time.
    pub background: bool,
    /// The agent's working directory. If relative, it is resolved against the client's root, else against the server's own directory, which is also the default.
    pub cwd: Option<String>,
    /// Override for the model name.
    pub model: Option<String>,
    /// How hard the model thinks (for example minimal, low, medium, high).
    pub reasoning_effort: Option<String>,
    /// When Codex asks before it runs a command: untrusted, on-request or never. (on-failure is taken as on-request.)
    #[schemars(extend("enum" = ["untrusted", "on-request", "never", "on-failure"]))]
    pub approval_policy: Option<String>,
    /// What commands may write: read-only, workspace-write, or danger-full-access, which the user must have allowed.
    #[schemars(extend("enum" = ["read-only", "workspace-write", "danger-full-access"]))]
    pub sandbox: Option<String>,
    /// Individual Codex config settings that override what is in CODEX_HOME/config.toml.
    pub config: Map<String, Value>,
    /// Instructions to use instead of Codex's default ones.
    pub base_instructions: Option<String>,
    /// Instructions given in the role of the developer, beside Codex's own.
    pub developer_instructions: Option<String>,
    /// The prompt with which the conversation is compacted.
    pub compact_prompt: Option<String>,
    /// Not taken any more; refused with what to do instead.
    #[schemars(skip)]
    pub profile: Option<Value>,
}

/// Gives an agent its next prompt. Name it by exactly one of agent_id, identity, threadId, conversationId.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["prompt"]))]
pub struct ReplyArgs {
    /// The next prompt for the agent. At most 1048576 characters.
    pub prompt: Option<String>,
    /// Which agent, by its id.
    pub agent_id: Option<String>,
    /// Which agent, by its name.
    pub identity: Option<String>,
    /// Which agent, by the id of its Codex thread.
    #[serde(rename = "threadId")]
    pub thread_id: Option<String>,
    /// DEPRECATED: use threadId instead.
    #[serde(rename = "conversationId")]
    pub conversation_id: Option<String>,
    /// Answer at once with status "running" and let the agent work; get the result with agent_wait.
    pub background: bool,
}

/// Names one agent.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AgentArgs {
    /// Which agent, by its id.
    pub agent_id: Option<String>,
    /// Which agent, by its name.
    pub identity: Option<String>,
    /// Which agent, by the id of its Codex thread.
    #[serde(rename = "threadId")]
    pub thread_id: Option<String>,
}

/// Which agent to close, and how.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CloseArgs {
    /// Which agent, by its id.
    pub agent_id: Option<String>,
    /// Which agent, by its name.
    pub identity: Option<String>,
    /// Which agent, by the id of its Codex thread.
    #[serde(rename = "threadId")]
    pub thread_id: Option<String>,
    /// Have it say first what it did and what is left, within 10 seconds; it is kept, and returned. Without that its last answer is kept.
    pub summary: bool,
}

/// What to tell an agent while it works.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["agent", "text"]))]
pub struct SteerArgs {
    /// Which agent: its name, its agent_id or its threadId.
    pub agent: Option<String>,
    /// What to tell it; it joins what the agent does now. At most 1048576 bytes.
    pub text: Option<String>,
    /// How long to wait for the receipt, in milliseconds: 0 to 600000, default 15000. It is delivered all the same later.
    #[schemars(range(min = 0, max = 600_000))]
    pub timeout_ms: Option<u64>,
}

/// Decides on something that an agent has asked.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["ask_id", "decision"]))]
pub struct ApproveArgs {
    /// Which ask: the ask_id in a result, or in agent_status.
    pub ask_id: Option<String>,
    /// accept: yes, this once. accept_for_session: yes, and the like of it from now on. decline: no, the agent goes on without it. cancel: no, and its turn ends.
    #[schemars(extend("enum" = ["accept", "accept_for_session", "decline", "cancel"]))]
    pub decision: Option<String>,
    /// Why, for the agent's model: say what to do instead.
    pub reason: Option<String>,
    /// With accept, for questions: an object with an answer for each question's id, or with the fields of the form.
    #[schemars(with = "Option<Map<String, Value>>")]
    pub content: Option<Value>,
}

/// Which agents to wait for, and how long.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct WaitArgs {
    /// Names or ids of agents. Left out: all that are running or have a result waiting.
    pub agents: Option<Vec<String>>,
    /// any: return with the first results (default). all: return when every one of the agents has finished.
    #[schemars(extend("enum" = ["any", "all"]))]
    pub mode: Option<String>,
    /// How long to wait at most, in milliseconds: 0 to 600000, default 50000. Keep it below your client's own time-out.
    #[schemars(range(min = 0, max = 600_000))]
    pub timeout_ms: Option<u64>,
}

/// Which agents to list.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SessionsArgs {
    /// Also the closed ones.
    pub include_closed: bool,
}

/// Nothing, or one agent.
pub type StatusArgs = AgentArgs;

/// Which part of an agent's thread to read.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ReadArgs {
    /// Which agent, by its id.
    pub agent_id: Option<String>,
    /// Which agent, by its name.
    pub identity: Option<String>,
    /// Which agent, by the id of its Codex thread.
    #[serde(rename = "threadId")]
    pub thread_id: Option<String>,
    /// How many of the last turns: 1 to 50, default 1.
    #[schemars(range(min = 1, max = 50))]
    pub turns: Option<u32>,
    /// answer: only what the agent answered. all: also prompts, commands and edits (default).
    #[schemars(extend("enum" = ["all", "answer"]))]
    pub what: Option<String>,
    /// Where to begin, in characters; a cut result says where to go on.
    pub offset: Option<usize>,
}

/// Reads the arguments of a call.
pub fn parse<T: DeserializeOwned>(arguments: Option<JsonObject>) -> Result<T, ToolError> {
    let value = Value::Object(arguments.unwrap_or_default());
    serde_path_to_error::deserialize(value).map_err(|error| ToolError::arguments(unread(error)))
}

/// The prompt, checked.
pub fn prompt(text: String) -> Result<String, ToolError> {
    let length = text.chars().count();
    if text.trim().is_empty() {
        Err(ToolError::arguments("argument prompt: it is empty; say what the agent is to do"))
    } else if length > PROMPT_MAX {
        Err(ToolError::arguments(format!(
            "argument prompt: it has {length} characters, at most {PROMPT_MAX} are allowed; put the rest into a file \
             and name that in the prompt"
        )))
    } else {
        Ok(text)
    }
}

/// The one agent that is named in one of the ways.
pub fn who(
    agent_id: Option<&str>,
    identity: Option<&str>,
    thread_id: Option<&str>,
    conversation_id: Option<&str>,
) -> Result<Option<Who>, ToolError> {
    let wrong = |e: crate::ids::IdError| ToolError::arguments(e.to_string());
    let given = [
        agent_id.map(|id| AgentId::parse(id).map(Who::Agent).map_err(|_| unknown("agent_id", id))),
        identity.map(|name| AgentName::parse(name).map(Who::Name).map_err(wrong)),
        thread_id
            .or(conversation_id)
            .map(|id| ThreadId::parse(id).map(Who::Thread).map_err(|_| unknown("thread_id", id))),
    ];
    let mut given = given.into_iter().flatten();
    match (given.next(), given.next()) {
        (None, _) => Ok(None),
        (Some(who), None) => who.map(Some),
        (Some(_), Some(_)) => {
            Err(ToolError::arguments("name the agent by exactly one of agent_id, identity, threadId, conversationId"))
        }
    }
}

/// The same where somebody must be named.
pub fn somebody(named: Option<Who>) -> Result<Who, ToolError> {
    let nobody =
        || ToolError::arguments("name the agent by one of agent_id, identity, threadId (agent_sessions lists them)");
    named.ok_or_else(nobody)
}

/// An id that nobody can have is one that is not found.
pub fn unknown(what: &str, id: &str) -> ToolError {
    ToolError::not_found(&format!("Session not found for {what}: {}", shown(id)))
}

/// The schema of an argument type.
pub fn schema<T: JsonSchema>() -> Arc<JsonObject> {
    Arc::new(object_schema::<T>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn refused<T: DeserializeOwned>(arguments: Value) -> String {
        let Value::Object(arguments) = arguments else { panic!("an object") };
        let error = parse::<T>(Some(arguments)).err().expect("it is refused");
        error.into_result().content[0].as_text().unwrap().text.clone()
    }

    #[test]
    fn a_wrong_argument_is_named_with_what_is_allowed() {
        let wrong_type = refused::<CodexArgs>(json!({"prompt": 7}));
        assert!(wrong_type.contains("argument prompt") && wrong_type.contains("expected a string"), "{wrong_type}");
        let unknown = refused::<CodexArgs>(json!({"promt": "x"}));
        assert!(unknown.contains("promt") && unknown.contains("`prompt`"), "{unknown}");
        let config = refused::<CodexArgs>(json!({"prompt": "x", "config": "a=1"}));
        assert!(config.contains("argument config"), "{config}");
        let timeout = refused::<WaitArgs>(json!({"timeout_ms": -1}));
        assert!(timeout.contains("argument timeout_ms"), "{timeout}");
    }

    #[test]
    fn a_prompt_is_bounded_and_not_empty() {
        assert!(prompt("x".repeat(PROMPT_MAX)).is_ok());
        assert!(prompt("x".repeat(20_000_000)).is_err());
        assert!(prompt(" \n".into()).is_err());
    }

    #[test]
    fn an_agent_is_named_in_one_way() {
        assert!(who(None, Some("a"), Some("t"), None).is_err());
        assert!(who(None, Some("../../x"), None, None).is_err());
        assert_eq!(who(None, None, Some("t"), Some("t")).unwrap(), Some(Who::Thread(ThreadId::parse("t").unwrap())));
        assert_eq!(who(None, None, None, None).unwrap(), None);
    }

    #[test]
    fn schemas_are_plain() {
        for schema in [schema::<CodexArgs>(), schema::<ReplyArgs>(), schema::<WaitArgs>(), schema::<ReadArgs>()] {
            let text = serde_json::to_string(&*schema).unwrap();
            assert!(!text.contains("null") && !text.contains("$ref") && !text.contains("format"), "{text}");
            assert_eq!(schema["type"], "object");
        }
        assert_eq!(schema::<ReplyArgs>()["required"], json!(["prompt"]));
        assert!(schema::<CodexArgs>()["properties"].get("profile").is_none());
    }
}
