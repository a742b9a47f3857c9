//! The recording sink: a file that plays a thread's transcript, a line a delivery.
//!
//! A line is there when its end is there: a writer that is killed in its write leaves a piece, which the next one cuts off.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use atm_agent_mcp::ids::DeliveryId;

#[derive(Debug)]
pub(crate) struct Sink {
    file: File,
    /// Which deliveries are known to be there: those up to this place.
    seen: HashSet<DeliveryId>,
    read: u64,
}

impl Sink {
    pub(crate) fn open(path: &Path) -> io::Result<Sink> {
        let file = File::options().read(true).append(true).create(true).open(path)?;
        Ok(Sink { file, seen: HashSet::new(), read: 0 })
    }

    /// These texts arrive, all or none.
    pub(crate) fn append(&mut self, delivery: &DeliveryId, texts: &[&str]) -> io::Result<()> {
        let line = format!("{delivery} {}\n", serde_json::to_string(texts)?);
        self.locked(|sink| {
            sink.catch_up()?;
            sink.file.set_len(sink.read)?;
            sink.file.write_all(line.as_bytes())
        })
    }

    /// Whether this delivery has arrived.
    pub(crate) fn has(&mut self, delivery: &DeliveryId) -> io::Result<bool> {
        self.locked(Sink::catch_up)?;
        Ok(self.seen.contains(delivery))
    }

    /// Every text that has arrived, in order.
    pub(crate) fn texts(&mut self) -> io::Result<Vec<String>> {
        let lines = self.lines_from(0)?;
        let texts = lines.lines().filter_map(|line| line.split_once(' '));
        let texts: Result<Vec<Vec<String>>, _> = texts.map(|(_, texts)| serde_json::from_str(texts)).collect();
        Ok(texts?.concat())
    }

    fn catch_up(&mut self) -> io::Result<()> {
        let lines = self.lines_from(self.read)?;
        let ids = lines.lines().filter_map(|line| DeliveryId::parse(line.split(' ').next()?).ok());
        self.seen.extend(ids);
        self.read += lines.len() as u64;
        Ok(())
    }

    /// The whole lines from here on.
    fn lines_from(&mut self, from: u64) -> io::Result<String> {
        self.file.seek(SeekFrom::Start(from))?;
        let mut lines = Vec::new();
        self.file.read_to_end(&mut lines)?;
        lines.truncate(lines.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1));
        String::from_utf8(lines).map_err(io::Error::other)
    }

    fn locked(&mut self, act: impl FnOnce(&mut Sink) -> io::Result<()>) -> io::Result<()> {
        self.file.lock()?;
        let done = act(self);
        self.file.unlock()?;
        done
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delivery_is_there_whole_or_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sink");
        let (mut one, mut other) = (Sink::open(&path).unwrap(), Sink::open(&path).unwrap());
        let ids = [(); 3].map(|()| DeliveryId::next());
        one.append(&ids[0], &["a", "two\nlines"]).unwrap();
        other.append(&ids[1], &["c"]).unwrap();
        assert!(one.has(&ids[1]).unwrap() && other.has(&ids[0]).unwrap());
        one.file.write_all(format!("{} [\"half a te", ids[2]).as_bytes()).unwrap();
        assert!(!other.has(&ids[2]).unwrap());
        other.append(&ids[2], &["d"]).unwrap();
        assert!(one.has(&ids[2]).unwrap());
        assert_eq!(one.texts().unwrap(), ["a", "two\nlines", "c", "d"]);
    }
}
