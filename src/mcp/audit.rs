//! What the client has had done, for the journal.

use rmcp::model::{CallToolResponse, JsonObject};

use super::server::Shared;
use crate::journal::Entry;

/// The arguments by which an agent is named, and those that say something to it.
const NAMES: [&str; 7] = ["identity", "agent", "agent_id", "threadId", "conversationId", "to", "ask_id"];
const TEXTS: [&str; 5] = ["prompt", "text", "message", "agent_file", "reason"];

/// A call on its way.
pub(super) struct Call {
    tool: String,
    agent: Option<String>,
    text: Option<String>,
}

impl Call {
    /// What of it is written down.
    pub(super) fn of(tool: &str, arguments: Option<&JsonObject>) -> Call {
        let first = |names: &[&str]| {
            let mut given = names.iter().filter_map(|name| arguments?.get(*name)?.as_str());
            given.next().map(str::to_owned)
        };
        Call { tool: tool.to_owned(), agent: first(&NAMES), text: first(&TEXTS) }
    }

    /// It has ended so. The tools of mail write for themselves, for the agents call them too.
    pub(super) fn ended(self, shared: &Shared, response: &CallToolResponse) {
        if self.tool.starts_with("atm_") {
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
        let Call { tool, agent, text } = &self;
        shared.journal.note(Entry {
            agent: agent.as_deref(),
            who: shared.office.lead().as_str(),
            action: tool,
            text: text.as_deref(),
            id: word("turn_id"),
            result,
            ..Entry::default()
        });
    }
}
