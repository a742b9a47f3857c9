//! Which mail is on its way to an agent of ours, kept on disk until it is marked.

use std::collections::HashSet;
use std::fs;
use std::io;

use serde::{Deserialize, Serialize};

use super::slip::Slip;
use crate::home::TeamDir;
use crate::ids::{AgentId, DeliveryId, MessageId, TeamName};

/// The version of the stored form.
const VERSION: u32 = 1;

/// Messages that were given to Codex, or are about to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sending {
    v: u32,
    /// Under which delivery.
    pub delivery: DeliveryId,
    /// Which.
    pub messages: Vec<MessageId>,
    /// Whether they are known not to have arrived.
    pub is_lost: bool,
    /// How often the first of them was lost.
    pub losses: u32,
}

impl Sending {
    /// These, under this delivery, after so many losses.
    pub fn new(delivery: DeliveryId, messages: Vec<MessageId>, losses: u32) -> Sending {
        Sending { v: VERSION, delivery, messages, is_lost: false, losses }
    }

    /// They have not arrived.
    pub fn lost(self) -> Sending {
        Sending { is_lost: true, losses: self.losses + 1, ..self }
    }
}

/// The file of what is brought from one inbox.
#[derive(Debug)]
pub struct SendingFile {
    slip: Slip<Sending>,
    /// Sent by us: what was read of a crash is another's.
    is_ours: bool,
}

impl SendingFile {
    /// That of this agent for its inbox in this team.
    pub fn of(dir: &TeamDir, agent: &AgentId, team: &TeamName) -> SendingFile {
        SendingFile { slip: Slip::at(dir.mail_under_way(agent, team)), is_ours: false }
    }

    /// Whether it was this process that sent what is on its way.
    pub fn is_ours(&self) -> bool {
        self.is_ours
    }

    /// What is on its way. A file that nobody can read is an error: to go on without it could repeat what it speaks of.
    pub fn read(&self) -> io::Result<Option<Sending>> {
        self.slip.read()
    }

    /// Writes it down; when this returns, it is there, whatever happens then.
    pub fn write(&mut self, sending: &Sending) -> io::Result<()> {
        self.slip.write(sending)?;
        self.is_ours = true;
        Ok(())
    }

    /// Nothing is on its way any more.
    pub fn clear(&self) -> io::Result<()> {
        self.slip.clear()
    }
}

/// Messages that an agent was given by its own tool, or is about to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Given {
    v: u32,
    letters: Vec<GivenLetter>,
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GivenLetter {
    /// Which.
    pub id: MessageId,
    /// How the letter ends that the model was shown: by this it is found among what the model has.
    pub end: String,
}

/// The file of what an agent was given at one time.
#[derive(Debug)]
pub struct GivenFile(Slip<Given>);

impl GivenFile {
    /// Writes down what an agent is about to be given of its inbox in this team.
    pub fn write(dir: &TeamDir, agent: &AgentId, team: &TeamName, letters: Vec<GivenLetter>) -> io::Result<GivenFile> {
        let name = format!("{}.json", DeliveryId::next());
        let file = GivenFile(Slip::at(dir.mail_read(agent, team).join(name)));
        file.0.write(&Given { v: VERSION, letters })?;
        Ok(file)
    }

    /// All of them that are not settled, and what they speak of.
    pub fn all(dir: &TeamDir, agent: &AgentId, team: &TeamName) -> io::Result<Vec<(GivenFile, Vec<GivenLetter>)>> {
        let entries = match fs::read_dir(dir.mail_read(agent, team)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut all = Vec::new();
        for entry in entries {
            let path = entry?.path();
            // What is not whole yet is called otherwise.
            if path.extension().is_some_and(|ending| ending == "json") {
                let file = GivenFile(Slip::at(path));
                all.extend(file.0.read()?.map(|given| (file, given.letters)));
            }
        }
        Ok(all)
    }

    /// It is settled.
    pub fn clear(&self) -> io::Result<()> {
        self.0.clear()
    }
}

/// The messages in an agent's inbox of which nobody knows whether its model has them, or it is known and they are not marked
/// yet: whatever has been killed, they are not to be shown to it until that is settled.
pub fn in_doubt(dir: &TeamDir, agent: &AgentId, team: &TeamName) -> io::Result<HashSet<MessageId>> {
    let sending = SendingFile::of(dir, agent, team).read()?.filter(|sending| !sending.is_lost);
    let given = GivenFile::all(dir, agent, team)?.into_iter().flat_map(|(_, letters)| letters);
    let brought = sending.into_iter().flat_map(|sending| sending.messages);
    Ok(brought.chain(given.map(|letter| letter.id)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::home::Home;
    use crate::ids::Team;

    #[test]
    fn what_is_on_its_way_is_known_after_a_crash_and_told_apart_from_what_is_lost() {
        let root = tempfile::tempdir().unwrap();
        let dir = Home::at(root.path()).team(&Team::parse("red").unwrap());
        let (agent, team) = (AgentId::new(), TeamName::parse("red").unwrap());
        let in_doubt = || in_doubt(&dir, &agent, &team);
        let mut file = SendingFile::of(&dir, &agent, &team);
        assert!(file.read().unwrap().is_none() && in_doubt().unwrap().is_empty());
        let sending = Sending::new(DeliveryId::next(), vec![MessageId::next()], 0);
        file.write(&sending).unwrap();
        assert!(file.is_ours());
        let after = SendingFile::of(&dir, &agent, &team);
        assert_eq!((after.read().unwrap(), after.is_ours()), (Some(sending.clone()), false));
        assert_eq!(in_doubt().unwrap(), HashSet::from([sending.messages[0].clone()]));
        file.write(&sending.lost()).unwrap();
        let lost = after.read().unwrap().unwrap();
        assert!(lost.is_lost && lost.losses == 1 && in_doubt().unwrap().is_empty());
        std::fs::write(dir.mail_under_way(&agent, &team), "{").unwrap();
        assert!(after.read().unwrap_err().to_string().contains("mail-red.json") && in_doubt().is_err());
        after.clear().unwrap();
        assert_eq!(after.read().unwrap(), None);
    }

    #[test]
    fn what_an_agent_was_given_is_in_doubt_until_it_is_settled() {
        let root = tempfile::tempdir().unwrap();
        let dir = Home::at(root.path()).team(&Team::parse("red").unwrap());
        let (agent, team) = (AgentId::new(), TeamName::parse("red").unwrap());
        let letters = [1, 2].map(|_| vec![GivenLetter { id: MessageId::next(), end: "</x>".into() }]);
        let files = letters.clone().map(|letters| GivenFile::write(&dir, &agent, &team, letters).unwrap());
        fs::write(dir.mail_read(&agent, &team).join(".tmpTorn"), "{").unwrap();
        let all = GivenFile::all(&dir, &agent, &team).unwrap();
        assert!(all.len() == 2 && letters.iter().all(|given| all.iter().any(|(_, letters)| letters == given)));
        files[0].clear().unwrap();
        files[0].clear().unwrap();
        assert_eq!(in_doubt(&dir, &agent, &team).unwrap(), HashSet::from([letters[1][0].id.clone()]));
    }
}
