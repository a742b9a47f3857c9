//! What the client has had done, for the journal.

use rmcp::model::{CallToolResponse, JsonObject};

use super::server::Shared;
use crate::journal::Entry;

/// The arguments by which an agent is named, and those that say something to it.
const NAMES: [&str; 6] = ["identity", "agent", "agent_id", "threadId", "conversationId", "ask_id"];
const TEXTS: [&str; 5] = ["prompt", "text", "message", "agent_file", "reason"];

/// How the tools of mail are called here; in the journal they have the names that they have for agents.
const OF_MAIL: &str = "atm_";

/// A call on its way.
pub(super) struct Call {
    tool: String,
    agent: Option<String>,
    to: Option<String>,
    text: Option<String>,
}

impl Call {
    /// What of it is written down.
    pub(super) fn of(tool: &str, arguments: Option<&JsonObject>) -> Call {
        let first = |names: &[&str]| {
            let mut given = names.iter().filter_map(|name| arguments?.get(*name)?.as_str());
            given.next().map(str::to_owned)
        };
        Call { tool: tool.to_owned(), agent: first(&NAMES), to: first(&["to"]), text: first(&TEXTS) }
    }

    /// It has ended so. The tools of mail write for themselves, for the agents call them too.
    pub(super) fn ended(self, shared: &Shared, response: &CallToolResponse) {
        if self.tool.starts_with(OF_MAIL) && shared.tools.iter().any(|tool| tool.name == self.tool) {
            return;
        }
        let said = match response {
            CallToolResponse::Complete(result) => result.structured_content.as_ref(),
            _ => None,
        };
        let word = |key: &str| said.and_then(|said| said[key].as_str());
        let otherwise = match response {
            CallToolResponse::Complete(_) => "done",
            CallToolResponse::Task(_) => "task",
            _ => "input_required",
        };
        let result = word("error").or_else(|| word("status")).or_else(|| word("decision")).unwrap_or(otherwise);
        self.note(shared, &self.tool, word("turn_id"), result);
    }

    /// A call for mail came to nothing before anybody knew who speaks and what is wanted.
    pub(super) fn refused(&self, shared: &Shared, why: &str) {
        self.note(shared, self.tool.trim_start_matches(OF_MAIL), None, why);
    }

    fn note(&self, shared: &Shared, action: &str, id: Option<&str>, result: &str) {
        let (agent, to, text) = (self.agent.as_deref(), self.to.as_deref(), self.text.as_deref());
        let who = shared.office.lead().as_str();
        shared.journal.note(Entry { agent, who, action, from: None, to, id, text, result });
    }
}
