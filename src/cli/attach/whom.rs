//! Which of a team's agents is meant by a word, at a terminal.

use std::path::Path;

use super::error::AttachFailure;
use crate::cli::error::CliError;
use crate::cli::output;
use crate::cli::queue::{Presence, QueueFailure, TeamQueues};
use crate::home::TeamDir;
use crate::ids::Team;
use crate::session::{Record, Who};

/// Finds it: by its agent id, its name or its thread id. Of one name the one that runs is meant, or else the one that was not
/// closed; if that does not tell, the error has their ids. Says which records cannot be read.
pub(super) fn meant(word: &str, team: &Team, dir: &TeamDir, queues: &TeamQueues) -> Result<Record, CliError> {
    let (records, unreadable) = Record::look(dir)?;
    match unreadable.as_slice() {
        [] => {}
        [(path, _)] => output::note(format_args!("Warning: 1 record cannot be read: {}", path.display())),
        [(path, _), ..] => {
            let place = path.parent().unwrap_or(Path::new("."));
            output::note(format_args!("Warning: {} records cannot be read, in {}", unreadable.len(), place.display()));
        }
    }
    let runs = |record: &&Record| matches!(queues.presence(record), Presence::Running);
    for who in Who::meanings(word) {
        let of_it: Vec<&Record> = records.iter().filter(|record| record.is(&who)).collect();
        let running: Vec<&Record> = of_it.iter().copied().filter(runs).collect();
        let open: Vec<&Record> = of_it.iter().copied().filter(|record| !record.closed).collect();
        let likeliest = [running, open, of_it].into_iter().find(|records| !records.is_empty());
        match likeliest.as_deref() {
            None => {}
            Some([record]) => return Ok((*record).clone()),
            Some(several) => {
                let agents = several.iter().map(|record| record.agent_id.clone()).collect();
                return Err(AttachFailure::Ambiguous { word: word.to_owned(), agents }.into());
            }
        }
        if let Who::Agent(id) = &who
            && let Some((path, why)) = unreadable.iter().find(|(path, _)| *path == dir.record(id))
        {
            let (path, why) = (path.clone(), why.clone());
            return Err(crate::session::RosterError::Unreadable { path, why }.into());
        }
    }
    let mut known: Vec<_> = records.into_iter().map(|record| record.identity).collect();
    known.sort();
    known.dedup();
    Err(QueueFailure::UnknownAgent { word: word.to_owned(), team: team.clone(), known }.into())
}
