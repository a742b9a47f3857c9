//! An audit as it is read: a line each, over the files that were begun anew.

use std::collections::VecDeque;
use std::fs::{File, Metadata};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::Deserialize;

/// How much of a text is shown, in characters.
const TEXT_MAX: usize = 80;

/// One line. What a later version writes beside is passed over.
#[derive(Debug, Clone, Deserialize)]
pub struct Told {
    /// When.
    pub at: Timestamp,
    /// The agent whom it concerns.
    pub agent: Option<String>,
    /// Who did it.
    pub who: String,
    /// What.
    pub action: String,
    /// Who wrote what was delivered.
    pub from: Option<String>,
    /// To whom.
    pub to: Option<String>,
    /// Of which message, turn or ask.
    pub id: Option<String>,
    /// What it said.
    pub text: Option<String>,
    /// What came of it.
    #[serde(default)]
    pub result: String,
}

impl Told {
    /// Reads a line; one that is none is nothing.
    pub fn parse(line: &str) -> Option<Told> {
        serde_json::from_str(line).ok()
    }

    /// Whom it concerns, in every role: some may be named twice.
    pub fn parties(&self) -> impl Iterator<Item = &str> {
        let named = [self.agent.as_deref(), Some(self.who.as_str()), self.from.as_deref(), self.to.as_deref()];
        named.into_iter().flatten()
    }

    /// What happened, for a person, without when.
    pub fn line(&self) -> String {
        let word = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        let who = word(&self.from).map_or_else(|| self.who.clone(), |from| format!("{from} ({})", self.who));
        let to = word(&self.to).or_else(|| word(&self.agent).filter(|agent| *agent != self.who));
        let to = to.map(|to| format!(" → {to}")).unwrap_or_default();
        let text = word(&self.text).map(|text| format!("  {:?}", beginning(&text))).unwrap_or_default();
        format!("{who}{to}  {}: {}{text}", self.action, beginning(&self.result))
    }
}

fn beginning(text: &str) -> String {
    match text.char_indices().nth(TEXT_MAX) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}

/// How much is read at a time, in bytes.
const BATCH: u64 = 1024 * 1024;

/// The lines of an audit, those that are added later too.
#[derive(Debug)]
pub struct Reader {
    path: PathBuf,
    /// How much of what is there at first is read; all of it, and the older files, if nothing is said.
    last: Option<u64>,
    open: Option<File>,
    /// What is to be read after it, the oldest first.
    next: VecDeque<File>,
    /// What is read of a line that is not complete.
    begun: Vec<u8>,
}

impl Reader {
    /// From the oldest line that is kept.
    pub fn open(path: PathBuf) -> Reader {
        Reader { path, last: None, open: None, next: VecDeque::new(), begun: Vec::new() }
    }

    /// The lines in the last so many bytes, and those after them.
    pub fn of_the_end(path: PathBuf, bytes: u64) -> Reader {
        Reader { last: Some(bytes), ..Reader::open(path) }
    }

    /// The next lines that were not read before; none when all that are there were.
    pub fn read(&mut self) -> io::Result<Vec<String>> {
        if self.open.is_none() {
            self.first()?;
        }
        let mut lines = Vec::new();
        while lines.is_empty() {
            let mut bytes = Vec::new();
            if let Some(file) = &mut self.open {
                file.take(BATCH).read_to_end(&mut bytes)?;
            }
            if !bytes.is_empty() {
                self.take(&bytes, &mut lines);
            } else if let Some(file) = self.next.pop_front() {
                self.begun.clear();
                self.open = Some(file);
            } else if self.is_begun_anew() {
                // What was added before it was renamed is read first.
                self.next.extend(there(&self.path)?);
            } else {
                break;
            }
        }
        Ok(lines)
    }

    fn first(&mut self) -> io::Result<()> {
        let Some(bytes) = self.last.take() else {
            // All at once: each is renamed when the newest is full.
            self.next = older(&self.path).iter().map(File::open).collect::<io::Result<_>>()?;
            self.next.extend(there(&self.path)?);
            return Ok(());
        };
        if let Some(mut file) = there(&self.path)? {
            // What of a line is not there from its beginning reads as none.
            file.seek(SeekFrom::Start(file.metadata()?.len().saturating_sub(bytes)))?;
            self.open = Some(file);
        }
        Ok(())
    }

    fn take(&mut self, bytes: &[u8], lines: &mut Vec<String>) {
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.begun.extend(part);
            if self.begun.pop_if(|byte| *byte == b'\n').is_some() {
                lines.push(String::from_utf8_lossy(&self.begun).into_owned());
                self.begun.clear();
            }
        }
    }

    /// Whether another file has the name by now.
    fn is_begun_anew(&mut self) -> bool {
        let Some(file) = &mut self.open else { return self.path.exists() };
        let read = file.stream_position().unwrap_or(0);
        let open = file.metadata();
        std::fs::metadata(&self.path)
            .is_ok_and(|there| there.len() < read || !open.is_ok_and(|open| is_same(&open, &there)))
    }
}

/// The file, if it is there.
fn there(path: &Path) -> io::Result<Option<File>> {
    match File::open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(unix)]
fn is_same(open: &Metadata, there: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    (open.dev(), open.ino()) == (there.dev(), there.ino())
}

/// A file that is open keeps its name here.
#[cfg(not(unix))]
fn is_same(_: &Metadata, _: &Metadata) -> bool {
    true
}

/// The full files beside it, the oldest first.
fn older(path: &Path) -> Vec<PathBuf> {
    let numbered = (1..10).rev().map(|number| {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".{number}"));
        PathBuf::from(name)
    });
    numbered.filter(|kept| kept.exists()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn of_a_long_file_the_end_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("audit.jsonl");
        fs::write(&path, "a line of old\n".repeat(5000) + "new\n").unwrap();
        let read = read(&mut Reader::of_the_end(path, 20_000));
        assert!((1000..2000).contains(&read.len()), "{}", read.len());
        assert_eq!(read.last().unwrap(), "new");
    }

    /// All that is there.
    fn read(reader: &mut Reader) -> Vec<String> {
        std::iter::repeat_with(|| reader.read().unwrap()).take_while(|lines| !lines.is_empty()).flatten().collect()
    }

    #[test]
    fn what_is_longer_than_is_read_at_a_time_is_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("audit.jsonl");
        let long = "x".repeat(2 * BATCH as usize + 7);
        let lines: Vec<String> = (0..200_000).map(|n| n.to_string()).chain([long]).collect();
        fs::write(dir.path().join("audit.jsonl.1"), lines.join("\n") + "\n").unwrap();
        fs::write(&path, "last\n").unwrap();
        let read = read(&mut Reader::open(path));
        assert!(read == [lines, vec!["last".to_owned()]].concat(), "{}", read.len());
    }

    #[test]
    fn what_is_added_before_a_file_is_begun_anew_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("audit.jsonl");
        fs::write(&path, "one\n").unwrap();
        let mut reader = Reader::open(path.clone());
        assert_eq!(read(&mut reader), ["one"]);
        let mut file = fs::OpenOptions::new().append(true).open(&path).unwrap();
        fs::rename(&path, dir.path().join("audit.jsonl.1")).unwrap();
        io::Write::write_all(&mut file, b"two\n").unwrap();
        fs::write(&path, "three\n").unwrap();
        assert_eq!(read(&mut reader), ["two", "three"]);
    }

    #[test]
    fn a_line_says_who_did_what_to_whom() {
        let line = r#"{"v":1,"at":"2026-11-25T13:12:38Z","agent":"ben","who":"courier","action":"deliver","from":"ana","to":"ben","text":"hi","result":"delivered"}"#;
        let told = Told::parse(line).unwrap();
        assert_eq!(told.line(), "ana (courier) → ben  deliver: delivered  \"hi\"");
        assert_eq!(told.parties().collect::<Vec<_>>(), ["ben", "courier", "ana", "ben"]);
    }

    #[test]
    fn lines_are_read_once_whole_and_over_a_file_that_is_begun_anew() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("audit.jsonl");
        let mut reader = Reader::open(path.clone());
        assert_eq!(read(&mut reader), [""; 0]);
        fs::write(dir.path().join("audit.jsonl.1"), "one\n").unwrap();
        fs::write(&path, "two\nthr").unwrap();
        assert_eq!(read(&mut reader), ["one", "two"]);
        let mut file = fs::OpenOptions::new().append(true).open(&path).unwrap();
        io::Write::write_all(&mut file, b"ee\n").unwrap();
        assert_eq!(read(&mut reader), ["three"]);
        fs::rename(&path, dir.path().join("audit.jsonl.1")).unwrap();
        fs::write(&path, "4\n").unwrap();
        assert_eq!(read(&mut reader), ["4"]);
        assert_eq!(read(&mut reader), [""; 0]);
    }
}
