//! What is left in a queue's directory when everything is done: what is explained, and what is not.

use std::fs;
use std::io;
use std::time::Duration;

use atm_agent_mcp::ids::EntryId;
use atm_agent_mcp::queue::{Queue, Standing};

use crate::drainer::WHY;
use crate::mark::Mark;

/// Why the courier buries what too many servers have died with.
const DEATHS: &str = "its server ended before it had arrived";

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct Remains {
    /// There was no time for it.
    pub(crate) waiting: Vec<Mark>,
    /// Buried because the run wanted it so.
    pub(crate) buried: Vec<Mark>,
    /// Pieces of texts that a dead writer has left: buried, or files in which nothing was written yet.
    pub(crate) fragments: Vec<Option<Mark>>,
    /// What nobody can explain.
    pub(crate) strange: Vec<String>,
}

/// Which entries wait that can be delivered; a file that stays empty is no entry.
pub(crate) fn waiting(queue: &Queue) -> io::Result<Vec<String>> {
    let entries = fs::read_dir(queue.dir())?.filter_map(|file| {
        let file = file.ok()?;
        let name = file.file_name().into_string().ok()?;
        EntryId::parse(name.strip_suffix(".json")?).ok()?;
        (file.metadata().ok()?.len() > 0).then_some(name)
    });
    Ok(entries.collect())
}

/// Whether an entry waits under the claim of this process, dead or alive. The files are read and not locked: that would be
/// in a claimer's way.
#[cfg(unix)]
pub(crate) fn is_claimed_by(queue: &Queue, pid: u32) -> io::Result<bool> {
    let claims = waiting(queue)?.into_iter().filter_map(|name| {
        let lock = queue.dir().join(name).with_extension("lock");
        serde_json::from_slice::<atm_agent_mcp::queue::Holder>(&fs::read(lock).ok()?).ok()
    });
    Ok(claims.into_iter().any(|holder| holder.process.pid == pid))
}

/// Sweeps a queue that nobody uses any more, and looks.
pub(crate) fn inspect(queue: &Queue) -> io::Result<Remains> {
    queue.sweep(Duration::ZERO);
    let mut remains = Remains::default();
    for file in fs::read_dir(queue.dir())? {
        let file = file?;
        let name = file.file_name().to_string_lossy().into_owned();
        let is_entry = name.strip_suffix(".json").is_some_and(|id| EntryId::parse(id).is_ok());
        if is_entry && file.metadata()?.len() == 0 {
            remains.fragments.push(None);
        } else if name != "dead" && name != "delivered.jsonl" && name != "delivered.1.jsonl" {
            remains.strange.push(format!("left behind: {name}"));
        }
    }
    let texts = queue.list()?.into_iter().filter_map(|listed| listed.text);
    remains.waiting = texts.filter_map(|text| Mark::of(&text.text)).collect();
    let dead = queue.list_dead()?;
    for listed in &dead {
        let why = match &listed.state {
            Standing::Dead(Some(reason)) => reason.why.as_str(),
            _ => "nobody knows why",
        };
        let text = listed.text.as_ref().map_or("", |text| &text.text);
        let is_wanted = why == WHY || why.contains(DEATHS);
        match Mark::of(text) {
            Some(mark) if is_wanted => remains.buried.push(mark),
            None if is_wanted || why.starts_with("it is not UTF-8") => remains.fragments.push(Mark::begun_in(text)),
            _ => remains.strange.push(format!("{} is buried: {why}", listed.id)),
        }
    }
    let beside = fs::read_dir(queue.dir().join("dead")).map_or(0, Iterator::count);
    if beside != dead.len() * 2 {
        remains.strange.push(format!("dead/ has {beside} files for {} entries", dead.len()));
    }
    Ok(remains)
}
