//! A file of lines that several processes append to, begun anew when it is full.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use crate::home::{append_lines, private_dir};

/// The file, and how it is rotated: `audit.jsonl` becomes `audit.jsonl.1`, that one `audit.jsonl.2` …
#[derive(Debug)]
pub(super) struct Log {
    pub(super) path: PathBuf,
    /// How large the file becomes, in bytes; the last write may go beyond it.
    pub(super) most: u64,
    /// How many full files are kept beside it.
    pub(super) keep: u32,
}

impl Log {
    /// Appends whole lines with one write. Nobody waits for anybody: writes in append mode do not mix, whoever else writes,
    /// and what is written to a file while it is renamed is in it under its new name.
    ///
    /// A line that a crash has torn stays alone: ours begin on a new one. Two that see this at once leave a blank line.
    pub(super) fn append(&self, lines: &[u8]) -> io::Result<()> {
        private_dir(self.path.parent().ok_or_else(|| io::Error::other("a file needs a directory"))?)?;
        append_lines(&self.path, lines).map(drop)
    }

    /// Begins the file anew if it is full. One does it at a time; who finds another at it, appends meanwhile. If it cannot be
    /// done the file grows: its lines are worth more than its size.
    pub(super) fn rotate(&self) -> io::Result<()> {
        let is_full = || fs::metadata(&self.path).is_ok_and(|file| file.is_file() && file.len() >= self.most);
        if !is_full() {
            return Ok(());
        }
        let lock = open(&beside(&self.path, "lock"))?;
        if lock.try_lock().is_err() || !is_full() {
            return Ok(());
        }
        for number in (1..self.keep).rev() {
            match fs::rename(self.kept(number), self.kept(number + 1)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        fs::rename(&self.path, self.kept(1))
    }

    fn kept(&self, number: u32) -> PathBuf {
        beside(&self.path, &number.to_string())
    }
}

fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.create(true).append(true).read(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(".");
    name.push(ending);
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::process::{Command, Stdio};

    fn log(dir: &Path, most: u64, keep: u32) -> Log {
        Log { path: dir.join("team").join("audit.jsonl"), most, keep }
    }

    /// Every line there is, in the file and in those kept beside it.
    fn lines(log: &Log) -> Vec<String> {
        let files = (1..=log.keep).rev().map(|number| log.kept(number)).chain([log.path.clone()]);
        let text: String = files.filter_map(|file| fs::read_to_string(file).ok()).collect();
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn a_line_is_appended_for_the_user_only() {
        let dir = tempfile::tempdir().unwrap();
        let log = log(dir.path(), 1000, 3);
        log.append(b"one\n").unwrap();
        log.append(b"two\n").unwrap();
        assert_eq!(fs::read_to_string(&log.path).unwrap(), "one\ntwo\n");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
            assert_eq!((mode(&log.path), mode(log.path.parent().unwrap())), (0o600, 0o700));
        }
    }

    #[test]
    fn a_torn_line_takes_no_other_with_it() {
        let dir = tempfile::tempdir().unwrap();
        let log = log(dir.path(), 1000, 3);
        log.append(b"one\n{\"torn").unwrap();
        log.append(b"two\n").unwrap();
        assert_eq!(lines(&log), ["one", "{\"torn", "two"]);
    }

    #[test]
    fn a_full_file_is_begun_anew_and_the_oldest_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let log = log(dir.path(), 10, 2);
        for line in ["one 56789\n", "two 56789\n", "three 789\n", "four 6789\n"] {
            log.rotate().unwrap();
            log.append(line.as_bytes()).unwrap();
        }
        assert_eq!(lines(&log), ["two 56789", "three 789", "four 6789"]);
        let names = fs::read_dir(log.path.parent().unwrap()).unwrap();
        let names: BTreeSet<_> = names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        let expected = ["audit.jsonl", "audit.jsonl.1", "audit.jsonl.2", "audit.jsonl.lock"];
        assert_eq!(names, expected.map(str::to_owned).into());
    }

    #[test]
    fn a_file_that_cannot_be_rotated_still_takes_lines() {
        let dir = tempfile::tempdir().unwrap();
        let log = log(dir.path(), 10, 1);
        fs::create_dir_all(log.kept(1).join("in the way")).unwrap();
        log.append(b"one 56789\n").unwrap();
        assert!(log.rotate().is_err());
        log.append(b"two\n").unwrap();
        assert_eq!(fs::read_to_string(&log.path).unwrap(), "one 56789\ntwo\n");
    }

    const WRITER: &str = "ATM_TEST_JOURNAL_WRITER";
    const EACH: usize = 400;

    /// Not a test of its own: the other process of the next one.
    #[test]
    fn a_writer_of_another_process() {
        if let Some(given) = std::env::var_os(WRITER) {
            append_all(&log(Path::new(&given), 4096, 50));
        }
    }

    /// Two threads, and each append opens the file for itself, as processes do.
    fn append_all(log: &Log) {
        std::thread::scope(|scope| {
            for thread in 0..2 {
                scope.spawn(move || {
                    for n in 0..EACH {
                        let line = format!("{} {thread} {n} {}\n", std::process::id(), "x".repeat(n % 90));
                        log.rotate().unwrap();
                        log.append(line.as_bytes()).unwrap();
                    }
                });
            }
        });
    }

    #[test]
    fn processes_that_append_and_rotate_lose_no_line_and_tear_none() {
        let dir = tempfile::tempdir().unwrap();
        let log = log(dir.path(), 4096, 50);
        let child = || {
            let mut command = Command::new(std::env::current_exe().unwrap());
            command.args(["--exact", "journal::log::tests::a_writer_of_another_process"]);
            command.env(WRITER, dir.path()).stdout(Stdio::null()).spawn().unwrap()
        };
        let mut others = [child(), child()];
        append_all(&log);
        for other in &mut others {
            assert!(other.wait().unwrap().success());
        }
        let pids = others.iter().map(std::process::Child::id).chain([std::process::id()]);
        let expected: BTreeSet<String> = pids
            .flat_map(|pid| (0..2).map(move |thread| (pid, thread)))
            .flat_map(|(pid, thread)| (0..EACH).map(move |n| format!("{pid} {thread} {n} {}", "x".repeat(n % 90))))
            .collect();
        let found: Vec<String> = lines(&log).into_iter().filter(|line| !line.is_empty()).collect();
        assert_eq!(found.len(), expected.len());
        assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), expected);
        assert!(log.kept(1).exists(), "it was rotated while all were writing");
    }
}
