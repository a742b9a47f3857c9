//! The agents' own counter: the thread says who speaks, and no argument does.

use std::collections::BTreeMap;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::args::{BroadcastArgs, Nothing, ReadMailArgs, SendArgs, object_schema, parse};
use super::office::{Answer, Office, Speaker};
use super::reading::{Marking, Reading};
use super::refusal::Refusal;
use crate::plain::shown;
use crate::session::{Caller, Given, McpServer, Tool, ToolResult, Toolbox, Tools};

/// What an agent is told of them at its start.
const INTRODUCTION: &str = "You are a member of a team. With the tools `send`, `read`, `broadcast` and `pending_count` of \
`atm` you write to its members and read your mail; mail to you is also shown to you when you are idle. Mail is from your \
colleagues, not from your user.";

/// The tools of mail, for agents.
#[derive(Debug)]
pub struct AgentTools {
    office: Office,
    tools: Tools,
    server: Option<McpServer>,
}

impl AgentTools {
    /// Those of this office. `server` has them too, for a thread that cannot have them otherwise; it is told whose they are
    /// by the variable [`AgentTools::AGENT`].
    pub fn new(office: Office, server: Option<McpServer>) -> AgentTools {
        AgentTools { office, tools: tools(), server }
    }

    /// The variable that tells such a server for which agent it speaks.
    pub const AGENT: &str = "ATM_AGENT_MCP_SPEAKS_AS";

    /// Calls a tool as this agent, of which nobody says when its model has the answer.
    pub async fn run(&self, caller: Caller, tool: &str, arguments: Value) -> Result<Answer, Refusal> {
        let (answer, marking) = self.ask(caller, tool, arguments).await?;
        if let Some(marking) = marking {
            marking.mark().await?;
        }
        Ok(answer)
    }

    /// Calls a tool; what it has read is marked when the agent's model has it.
    async fn ask(&self, caller: Caller, tool: &str, arguments: Value) -> Result<(Answer, Option<Marking>), Refusal> {
        let speaker = Speaker::Agent(caller);
        let answer = match tool {
            "send" => self.office.send(&speaker, self.read::<SendArgs>(&speaker, tool, arguments)?).await,
            "read" => {
                let args = self.read::<ReadMailArgs>(&speaker, tool, arguments)?;
                let Reading { answer, marking } = self.office.read(&speaker, args).await?;
                return Ok((answer, Some(marking)));
            }
            "broadcast" => {
                self.office.broadcast(&speaker, self.read::<BroadcastArgs>(&speaker, tool, arguments)?).await
            }
            "pending_count" => {
                let Nothing {} = self.read(&speaker, tool, arguments)?;
                self.office.pending_count(&speaker).await
            }
            unknown => self.refuse(&speaker, tool, Refusal::argument(format!("there is no tool {}", shown(unknown)))),
        };
        Ok((answer?, None))
    }

    /// The same from a process that does not run the agent, and so is not told when that is closed: it looks.
    pub async fn run_beside(&self, caller: Caller, tool: &str, arguments: Value) -> Result<Answer, Refusal> {
        match self.office.is_open(&caller).await {
            Ok(()) => self.run(caller, tool, arguments).await,
            Err(refusal) => self.refuse(&Speaker::Agent(caller), tool, refusal),
        }
    }

    /// Reads arguments; that they cannot be read is written down.
    fn read<T: DeserializeOwned + Default>(
        &self,
        speaker: &Speaker,
        tool: &str,
        arguments: Value,
    ) -> Result<T, Refusal> {
        parse(arguments).or_else(|refusal| self.refuse(speaker, tool, refusal))
    }

    fn refuse<T>(&self, speaker: &Speaker, tool: &str, refusal: Refusal) -> Result<T, Refusal> {
        self.office.refused(speaker, tool, &refusal);
        Err(refusal)
    }
}

impl Toolbox for AgentTools {
    fn tools(&self) -> &Tools {
        &self.tools
    }

    fn introduction(&self) -> Option<&str> {
        Some(INTRODUCTION)
    }

    fn server(&self, caller: &Caller) -> Option<McpServer> {
        let McpServer { command, args, mut env } = self.server.clone()?;
        env.extend(BTreeMap::from([(AgentTools::AGENT.to_owned(), caller.agent.to_string())]));
        Some(McpServer { command, args, env })
    }

    fn call<'a>(&'a self, caller: Caller, tool: &'a str, arguments: Value) -> BoxFuture<'a, ToolResult> {
        let called = async move {
            let (answer, marking) = self.ask(caller, tool, arguments).await?;
            let once_seen = match marking.filter(|marking| !marking.is_empty()) {
                Some(marking) => Some(marked(marking.written_down().await?)),
                None => None,
            };
            Ok(Given { text: answer.text, once_seen })
        };
        called.map(|done| done.map_err(|refusal: Refusal| refusal.message)).boxed()
    }
}

/// What cannot be marked is settled by the courier.
fn marked(marking: Marking) -> BoxFuture<'static, ()> {
    let marked = async {
        if let Err(refusal) = marking.mark().await {
            tracing::warn!(why = refusal.message, "what an agent has read cannot be marked");
        }
    };
    marked.boxed()
}

fn tools() -> Tools {
    let tool = |name: &str, description: &str, schema| Tool {
        name: name.to_owned(),
        description: description.to_owned(),
        input_schema: Value::Object(schema),
    };
    Tools {
        name: "atm".to_owned(),
        description: "The mail of your team.".to_owned(),
        tools: vec![
            tool("send", "Write to a member of your team. It comes from you.", object_schema::<SendArgs>()),
            tool(
                "read",
                "Read your mail: what is unread, or with all what was read too; with sent, what became of what you sent.",
                object_schema::<ReadMailArgs>(),
            ),
            tool(
                "broadcast",
                "Write to every member of your team, at most once a minute.",
                object_schema::<BroadcastArgs>(),
            ),
            tool("pending_count", "How many messages you have not read.", object_schema::<Nothing>()),
        ],
    }
}
