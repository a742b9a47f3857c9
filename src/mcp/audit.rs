//! What the client has had done, for the journal.

use rmcp::model::{CallToolResult, JsonObject};

use super::server::Shared;
use crate::journal::Entry;

/// The arguments by which an agent is named, and those that say something to it.
const NAMES: [&str; 5] = ["identity", "agent", "agent_id", "threadId", "conversationId"];
const TEXTS: [&str; 4] = ["prompt", "text", "message", "agent_file"];

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
    pub(super) fn ended(self, shared: &Shared, result: &CallToolResult) {
        if self.tool.starts_with(OF_MAIL) && shared.tools.iter().any(|tool| tool.name == self.tool) {
            return;
        }
        let said = result.structured_content.as_ref();
        let word = |key: &str| said.and_then(|said| said[key].as_str());
        let result = word("error").or_else(|| word("status")).unwrap_or("done");
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
