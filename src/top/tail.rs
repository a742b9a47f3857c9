//! The last lines of a team's audit, and those that are added to it.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::PathBuf;

use jiff::Timestamp;
use serde::Deserialize;

use crate::ids::AgentName;

/// How much of what is there already is read: some minutes of a busy team.
const BEFORE: u64 = 256 * 1024;

/// A line of it, as far as we read it; anything may be in its texts.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(super) struct Noted {
    pub(super) at: Timestamp,
    #[serde(default)]
    agent: Option<String>,
    #[serde(default)]
    who: String,
    #[serde(default)]
    action: String,
    #[serde(default)]
    from: Option<String>,
    #[serde(default)]
    to: Option<String>,
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    result: String,
}

impl Noted {
    pub(super) fn parse(line: &str) -> Option<Noted> {
        serde_json::from_str(line).ok()
    }

    /// The agents whom it concerns, each once.
    pub(super) fn concerns(&self) -> Vec<AgentName> {
        let named = [self.agent.as_deref(), self.from.as_deref(), self.to.as_deref()];
        let mut names: Vec<AgentName> =
            named.into_iter().flatten().filter_map(|name| AgentName::parse(name).ok()).collect();
        names.sort();
        names.dedup();
        names
    }

    /// The same for a person.
    pub(super) fn line(&self) -> String {
        let time = self.at.strftime("%H:%M:%S");
        let about = |word: &str, name: &Option<String>| name.as_ref().map(|name| format!(" {word} {name}"));
        let parties = [about("from", &self.from), about("to", &self.to)].into_iter().flatten().collect::<String>();
        let text = self.text.as_ref().map(|text| format!(": {text}")).unwrap_or_default();
        format!("{time} {} {}{parties} [{}]{text}", self.who, self.action, self.result)
    }
}

/// A file that others append to, and begin anew.
#[derive(Debug)]
pub(super) struct Tail {
    path: PathBuf,
    file: Option<File>,
    /// What of the last line is there.
    begun: Vec<u8>,
}

impl Tail {
    pub(super) fn of(path: PathBuf) -> Tail {
        Tail { path, file: None, begun: Vec::new() }
    }

    /// What was added since the last time; the first time, the end of what is there.
    pub(super) fn read(&mut self) -> io::Result<Vec<Noted>> {
        let mut bytes = Vec::new();
        if let Some(file) = &mut self.file {
            file.read_to_end(&mut bytes)?;
        }
        let mut noted = self.lines(&bytes);
        if self.is_another()? {
            let is_first = self.file.is_none();
            let mut file = match File::open(&self.path) {
                Ok(file) => file,
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(noted),
                Err(error) => return Err(error),
            };
            let mut bytes = Vec::new();
            let behind = file.metadata()?.len().saturating_sub(BEFORE);
            if is_first && behind > 0 {
                file.seek(SeekFrom::Start(behind))?;
            }
            file.read_to_end(&mut bytes)?;
            // What of a line is not there from its beginning is no line.
            self.begun.clear();
            noted.extend(self.lines(&bytes));
            self.file = Some(file);
        }
        Ok(noted)
    }

    fn lines(&mut self, bytes: &[u8]) -> Vec<Noted> {
        self.begun.extend_from_slice(bytes);
        let Some(end) = self.begun.iter().rposition(|byte| *byte == b'\n') else { return Vec::new() };
        let rest = self.begun.split_off(end + 1);
        let whole = std::mem::replace(&mut self.begun, rest);
        String::from_utf8_lossy(&whole).lines().filter_map(Noted::parse).collect()
    }

    /// Whether the name is another file's than the one that is read.
    fn is_another(&mut self) -> io::Result<bool> {
        let Some(file) = &mut self.file else { return Ok(true) };
        let Ok(there) = std::fs::metadata(&self.path) else { return Ok(false) };
        let ours = file.metadata()?;
        #[cfg(unix)]
        let is_same = {
            use std::os::unix::fs::MetadataExt;
            (ours.dev(), ours.ino()) == (there.dev(), there.ino())
        };
        #[cfg(not(unix))]
        let is_same = ours.created().ok() == there.created().ok();
        Ok(!is_same || there.len() < file.stream_position()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn line(action: &str) -> String {
        format!(r#"{{"v":1,"at":"2026-11-25T12:00:00Z","agent":"ana","who":"lead","action":"{action}","result":"ok"}}"#)
            + "\n"
    }

    fn actions(tail: &mut Tail) -> Vec<String> {
        tail.read().unwrap().into_iter().map(|noted| noted.action).collect()
    }

    #[test]
    fn each_line_is_read_once_over_a_file_that_is_begun_anew() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("audit.jsonl");
        let mut tail = Tail::of(path.clone());
        assert!(actions(&mut tail).is_empty(), "nothing is there yet");
        let mut file = File::create(&path).unwrap();
        file.write_all((line("one") + "no line\n" + &line("two")[..20]).as_bytes()).unwrap();
        assert_eq!(actions(&mut tail), ["one"]);
        file.write_all(&line("two").as_bytes()[20..]).unwrap();
        assert_eq!(actions(&mut tail), ["two"]);
        file.write_all(line("three").as_bytes()).unwrap();
        std::fs::rename(&path, dir.path().join("audit.jsonl.1")).unwrap();
        std::fs::write(&path, line("four")).unwrap();
        assert_eq!(actions(&mut tail), ["three", "four"]);
        assert!(actions(&mut tail).is_empty());
    }

    #[test]
    fn of_a_long_file_the_end_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("audit.jsonl");
        std::fs::write(&path, line("old").repeat(5000) + &line("new")).unwrap();
        let read = actions(&mut Tail::of(path));
        assert!(read.len() > 1000 && read.len() < 4000, "{}", read.len());
        assert_eq!(read.last().unwrap(), "new");
    }

    #[test]
    fn a_line_concerns_everybody_in_it_and_is_told_in_one() {
        let text = r#"{"at":"2026-11-25T12:00:00Z","agent":"ben","who":"courier","action":"deliver","from":"ana","to":"ben","text":"hi","result":"delivered"}"#;
        let noted = Noted::parse(text).unwrap();
        assert_eq!(noted.concerns().iter().map(AgentName::as_str).collect::<Vec<_>>(), ["ana", "ben"]);
        assert_eq!(noted.line(), "12:00:00 courier deliver from ana to ben [delivered]: hi");
    }
}
