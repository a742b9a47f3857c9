//! What became of what somebody sent.

use std::collections::HashMap;

use serde_json::json;

use super::args::ReadMailArgs;
use super::office::{Answer, Inner, Speaker};
use super::reading::limit;
use super::refusal::Refusal;
use crate::ids::{Address, MemberName, MessageId, TeamName};
use crate::mail::{Fate, MailError, SentLine};

impl Inner {
    pub(super) fn sent(&self, speaker: &Speaker, args: &ReadMailArgs) -> Result<Answer, Refusal> {
        let limit = limit(args)?;
        let from = Address { name: self.name(speaker), team: None };
        let delivered = self.ledger.all_delivered();
        let sent = self.ledger.sent_by(&from, limit);
        let fates = self.fates(sent.iter().filter(|line| !delivered.contains_key(&line.id)));
        let mut lines = Vec::new();
        let mut shown = Vec::new();
        for line in &sent {
            let fate = match delivered.get(&line.id) {
                Some(arrived) => format!("delivered in turn {}", arrived.turn),
                None => fates[&line.id].clone(),
            };
            lines.push(format!("{} to {}: {fate} (message {}, {:?})", line.at, line.to, line.id, line.begins));
            shown.push(json!({
                "message_id": line.id, "to": line.to, "team": line.team, "timestamp": line.at, "fate": fate,
                "begins": line.begins,
            }));
        }
        let text = if lines.is_empty() { "You have sent nothing.".to_owned() } else { lines.join("\n") };
        Ok(Answer { text, value: json!({ "messages": shown }) })
    }

    /// What became of each of these; an inbox is read once for all that it was sent.
    fn fates<'a>(&self, sent: impl Iterator<Item = &'a SentLine>) -> HashMap<MessageId, String> {
        let mut inboxes: HashMap<(&TeamName, &str), Vec<MessageId>> = HashMap::new();
        for line in sent {
            inboxes.entry((&line.team, &line.to)).or_default().push(line.id.clone());
        }
        let fates = inboxes.into_iter().flat_map(|((team, to), ids)| {
            let fates = match self.fates_in(team, to, &ids) {
                Ok(fates) => fates.into_iter().map(|fate| word(fate).to_owned()).collect(),
                // One inbox that cannot be read hides no other.
                Err(refusal) => vec![format!("not known: {}", refusal.message); ids.len()],
            };
            ids.into_iter().zip(fates)
        });
        fates.collect()
    }

    fn fates_in(&self, team: &TeamName, to: &str, ids: &[MessageId]) -> Result<Vec<Fate>, Refusal> {
        let to = MemberName::parse(to).map_err(MailError::from)?;
        Ok(self.teams.of(team).fates(&to, ids)?)
    }
}

fn word(fate: Fate) -> &'static str {
    match fate {
        Fate::Unread => "unread",
        Fate::Read => "read",
        Fate::Gone => "taken out of the inbox",
    }
}
