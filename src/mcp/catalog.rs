//! The tools as the client sees them: names, descriptions for a model, schemas.

use std::sync::Arc;

use rmcp::model::{JsonObject, MetaObject, Tool, ToolAnnotations};
use serde_json::json;

use crate::tools::{BroadcastArgs, Nothing, ReadMailArgs, SendArgs};

use super::args::{
    AgentArgs, ApproveArgs, CloseArgs, CodexArgs, ReadArgs, ReplyArgs, SessionsArgs, StatusArgs, SteerArgs, WaitArgs,
    schema,
};

/// What the server says of itself to the client's model.
pub const INSTRUCTIONS: &str = "Runs a team of OpenAI Codex agents. `codex` starts an agent and returns its answer; \
`codex-reply` gives it the next prompt. Several agents at once: start each with background=true, then collect results \
with agent_wait (calls of one turn are often run one after another, so without background the second waits for the \
first). agent_steer tells a working agent something. atm_send and \
atm_read are the team's mail: agents, you and Claude Code members write to each other by name. agent_sessions lists the agents, those of earlier runs included; all of them can be continued.";

/// The tools, in a fixed order.
pub fn tools() -> Vec<Tool> {
    vec![
        turn_tool(
            "codex",
            "Codex",
            "Start a new Codex agent with a prompt and return its answer. The agent works in cwd, can run commands and \
             edit files within its sandbox, and stays available under its identity: continue it with codex-reply. Use \
             background=true for long work or to run several agents at once, then agent_wait. With agent_id an agent of \
             an earlier run is continued instead.",
            schema::<CodexArgs>(),
        ),
        turn_tool(
            "codex-reply",
            "Codex Reply",
            "Give an existing Codex agent its next prompt and return its answer. Name the agent by agent_id, identity or \
             threadId. If it is busy, the prompt waits for its turn to end. Agents of earlier runs are resumed with \
             their whole history.",
            schema::<ReplyArgs>(),
        ),
        reading(
            large(Tool::new(
                "agent_wait",
                "Wait for agents that work in the background and return their results as they come, with who is still \
                 running. Each result is returned once. Returns after timeout_ms at the latest; call it again while \
                 agents are running.",
                schema::<WaitArgs>(),
            )),
            "Wait for agents",
        ),
        reading(
            Tool::new(
                "agent_sessions",
                "List the team's agents: running ones, and those of earlier runs that can be continued, with identity, \
                 agent_id, threadId, status and working directory.",
                schema::<SessionsArgs>(),
            ),
            "List agents",
        ),
        reading(
            Tool::new(
                "agent_status",
                "Show the state of the server and of its live agents, or of one agent: what it does now, its turn, \
                 waiting calls, tokens.",
                schema::<StatusArgs>(),
            ),
            "Agent status",
        ),
        reading(
            large(Tool::new(
                "agent_read",
                "Read the last turns of an agent's thread: prompts, answers, commands, edits. Use it for the rest of an \
                 answer that was cut, or to see what an agent did.",
                schema::<ReadArgs>(),
            )),
            "Read an agent's thread",
        ),
        Tool::new(
            "agent_steer",
            "Tell an agent something while it works, without interrupting it: the text joins its running turn (after the \
             answer or command that is under way), or begins a turn if it is idle. Returns the receipt: delivered, or \
             queued if that takes longer; it is delivered once in any case.",
            schema::<SteerArgs>(),
        )
        .with_title("Steer an agent")
        .with_annotations(ToolAnnotations::from_raw(None, Some(false), Some(false), Some(false), Some(true))),
        acting(
            Tool::new(
                "agent_approve",
                "Decide on something that an agent has asked (status awaiting_approval): to run a command outside its sandbox, \
                 to change files, for permissions, a question. The agent's turn waits for it; undecided, it is declined after \
                 a while. Read what is asked before you accept.",
                schema::<ApproveArgs>(),
            ),
            "Decide for an agent",
        ),
        acting(
            Tool::new(
                "agent_interrupt",
                "Interrupt what an agent is doing now. The agent stays, with its history; calls that wait for it go on.",
                schema::<AgentArgs>(),
            ),
            "Interrupt an agent",
        ),
        acting(
            Tool::new(
                "agent_close",
                "Close an agent: its turn is interrupted, its name is free at once, its thread is kept. Closing it again \
                 is no error. Continue it later with codex and its agent_id.",
                schema::<CloseArgs>(),
            ),
            "Close an agent",
        ),
        writing(
            Tool::new(
                "atm_send",
                "Write to a member of the team: an agent of this server or of another, or a Claude Code member. Agents are \
                 told when they are idle; a message that begins with [urgent] joins what they do. Returns the message id \
                 and whether the recipient is there.",
                with_identity(schema::<SendArgs>()),
            ),
            "Send mail",
        ),
        writing(
            Tool::new(
                "atm_broadcast",
                "Write to every member of the team, at most once a minute and to 20 members. Prefer atm_send.",
                with_identity(schema::<BroadcastArgs>()),
            ),
            "Send mail to everybody",
        ),
        large(
            Tool::new(
                "atm_read",
                "Read your mail, and mark it read: what is unread, or with all what was read too; with sent, what became of \
                 what you sent.",
                with_identity(schema::<ReadMailArgs>()),
            )
            .with_title("Read mail")
            .with_annotations(ToolAnnotations::from_raw(None, Some(false), Some(false), Some(false), Some(false))),
        ),
        reading(
            Tool::new(
                "atm_pending_count",
                "How many messages are unread.",
                with_identity(schema::<Nothing>()),
            ),
            "Count mail",
        ),
    ]
}

fn writing(tool: Tool, title: &str) -> Tool {
    let annotations = ToolAnnotations::from_raw(None, Some(false), Some(false), Some(false), Some(true));
    tool.with_title(title).with_annotations(annotations)
}

/// Every tool of mail takes it.
fn with_identity(mut schema: Arc<JsonObject>) -> Arc<JsonObject> {
    let identity = json!({
        "type": "string",
        "description": "Speak as one of the agents of this server, by its name. Left out, you speak as yourself."
    });
    let properties = Arc::make_mut(&mut schema).entry("properties").or_insert_with(|| json!({}));
    if let Some(properties) = properties.as_object_mut() {
        properties.insert("identity".to_owned(), identity);
    }
    schema
}

fn turn_tool(name: &'static str, title: &str, description: &'static str, input: Arc<JsonObject>) -> Tool {
    let annotations = ToolAnnotations::from_raw(None, Some(false), Some(true), Some(false), Some(true));
    large(Tool::new(name, description, input))
        .with_title(title)
        .with_raw_output_schema(turn_output())
        .with_annotations(annotations)
}

/// Reading tools are run in parallel by clients that otherwise run the calls of one turn one after another.
fn reading(tool: Tool, title: &str) -> Tool {
    let annotations = ToolAnnotations::from_raw(None, Some(true), Some(false), Some(true), Some(false));
    tool.with_title(title).with_annotations(annotations)
}

fn acting(tool: Tool, title: &str) -> Tool {
    let annotations = ToolAnnotations::from_raw(None, Some(false), Some(true), Some(true), Some(false));
    tool.with_title(title).with_annotations(annotations)
}

/// Claude Code puts results over some 25,000 tokens into a file unless the tool asks for more (2.1.330).
fn large(tool: Tool) -> Tool {
    let mut meta = MetaObject::default();
    meta.insert("anthropic/maxResultSizeChars".to_owned(), json!(200_000));
    tool.with_meta(meta)
}

/// The result of a turn: the two fields of the lost tool, and ours.
///
/// A call that fails before there is a thread has no `threadId`. It must not be required: the TypeScript SDK (1.32.2) and
/// the Inspector (2.12.0) hold errors to the schema too, and would show their complaint instead of our reason.
fn turn_output() -> Arc<JsonObject> {
    let schema = json!({
        "type": "object",
        "properties": {
            "threadId": { "type": "string", "description": "The agent's Codex thread." },
            "content": { "type": "string", "description": "What the agent answered, or what went wrong." },
            "agent_id": { "type": "string" },
            "identity": { "type": "string", "description": "The agent's name in the team." },
            "status": { "type": "string", "description": "completed, running, awaiting_approval, failed, interrupted, timed_out, cancelled, refused, lost, closed, or error." },
            "turn_id": { "type": "string" },
            "usage": { "type": "object", "description": "Tokens of the last answer, and thread_total_tokens." },
            "duration_ms": { "type": "integer" },
            "notes": { "type": "array", "items": { "type": "string" }, "description": "What to know beside the answer." },
            "asks": { "type": "array", "items": { "type": "object" }, "description": "What waits for a decision: agent_approve with the ask_id." },
            "error": { "type": "string", "description": "A word, if something went wrong." },
            "code": { "type": "integer", "description": "The number of that word." },
            "error_source": { "type": "string", "description": "proxy or child: whose error it is." },
            "codex_error_info": { "description": "What kind of failure a turn had, in Codex's own form." }
        },
        "required": ["content"]
    });
    match schema {
        serde_json::Value::Object(object) => Arc::new(object),
        _ => Arc::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lost_tools_are_there_with_their_arguments_and_results() {
        let lost: serde_json::Value =
            serde_json::from_str(include_str!("../../tests/samples/mcp-server-0.153.4-tools-list.json")).unwrap();
        let ours = tools();
        for tool in lost["tools"].as_array().unwrap() {
            let same = ours.iter().find(|t| tool["name"] == *t.name).expect("a tool of that name");
            let properties = same.input_schema["properties"].as_object().unwrap();
            for (argument, schema) in tool["inputSchema"]["properties"].as_object().unwrap() {
                assert_eq!(properties[argument]["type"], schema["type"], "{argument}");
            }
            let output = same.output_schema.as_ref().unwrap()["properties"].as_object().unwrap();
            for (field, schema) in tool["outputSchema"]["properties"].as_object().unwrap() {
                assert_eq!(output[field]["type"], schema["type"], "{field}");
            }
        }
    }

    #[test]
    fn tools_that_only_read_say_so() {
        let reading: Vec<_> = tools()
            .into_iter()
            .filter(|tool| tool.annotations.as_ref().is_some_and(|a| a.read_only_hint == Some(true)))
            .map(|tool| tool.name)
            .collect();
        assert_eq!(reading, ["agent_wait", "agent_sessions", "agent_status", "agent_read", "atm_pending_count"]);
    }
}
