//! What the client has had done, for the journal.

use rmcp::model::{CallToolResult, JsonObject};

use super::server::Shared;
use crate::journal::Entry;

/// The arguments by which an agent is named, and those that say something to it.
const NAMES: [&str; 6] = ["identity", "agent", "agent_id", "threadId", "conversationId", "to"];
const TEXTS: [&str; 4] = ["prompt", "text", "message", "agent_file"];

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
    pub(super) fn ended(self, shared: &Shared, result: &CallToolResult) {
        if self.tool.starts_with("atm_") {
            return;
        }
        let said = result.structured_content.as_ref();
        let word = |key: &str| said.and_then(|said| said[key].as_str());
        let result = word("error").or_else(|| word("status")).unwrap_or("done");
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
