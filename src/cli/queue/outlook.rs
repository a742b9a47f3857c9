//! What will become of a message that waits, in a sentence.

use super::team::Presence;
use crate::queue::Urgency;
use crate::session::Record;

/// Says it of a message to this agent.
pub(super) fn outlook(record: &Record, presence: &Presence, urgency: Urgency) -> String {
    let name = &record.identity;
    match (presence, urgency) {
        (Presence::Running, Urgency::Normal) => {
            format!("{name} is running: it is delivered as soon as it is idle")
        }
        (Presence::Running, Urgency::Urgent) => format!("{name} is running: it joins the turn, or begins one"),
        (Presence::Absent, _) => format!("{name} is not running: it is delivered when the agent runs again"),
        (Presence::Closed, _) => {
            let agent = &record.agent_id;
            format!(
                "{name} was closed: it is delivered only when somebody continues it with codex {{\"agent_id\": \"{agent}\"}}"
            )
        }
    }
}
