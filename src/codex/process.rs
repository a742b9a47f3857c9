//! The child process: started in a group of its own, ended with us however we end, its last words kept.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{ChildStdin, ChildStdout, Command};
use tokio::task::JoinHandle;

use super::environment::Environment;
use super::group::{self, Child};
use super::run_dir::{MARK, RunDir};

/// How many of the child's last lines are kept for the error that speaks of its end.
const LAST_LINES: usize = 12;
/// How long a line of them may be, in characters.
const LINE_MAX: usize = 400;
/// How long the child may take to go when it is asked to (0.169.0 needs 0.1 s).
const PATIENCE: Duration = Duration::from_secs(1);

/// A running child.
#[derive(Debug)]
pub struct Process {
    child: Child,
    #[cfg(unix)]
    tether: tokio::process::Child,
    pid: u32,
    /// Whether it ended of itself: what it had started may still be there.
    left_alone: bool,
    last_words: LastWords,
    listening: JoinHandle<()>,
}

impl Process {
    /// Starts `program`; with `piped`, its stdin and stdout are ours.
    pub fn start(
        program: &Path,
        args: &[OsString],
        environment: &Environment,
        run: &RunDir,
        piped: bool,
    ) -> io::Result<Process> {
        let mut command = Command::new(program);
        for (name, _) in std::env::vars_os().filter(|(name, _)| environment.lacks(name)) {
            command.env_remove(name);
        }
        let pipe = || if piped { Stdio::piped() } else { Stdio::null() };
        command.args(args).env(MARK, run.id()).stdin(pipe()).stdout(pipe()).stderr(Stdio::piped()).kill_on_drop(true);
        // From its first moment on it ends with us.
        #[cfg(unix)]
        let tether = tether(run.id())?;
        let mut child = group::start(command)?;
        let pid = child.id().ok_or_else(|| io::Error::other("it has no process id"))?;
        #[cfg(unix)]
        tell(&tether, pid)?;
        run.note_child(pid)?;
        let last_words = LastWords::default();
        let listening = tokio::spawn(listen(last_words.clone(), stderr_of(&mut child)));
        Ok(Process {
            #[cfg(unix)]
            tether,
            child,
            pid,
            left_alone: false,
            last_words,
            listening,
        })
    }

    /// The number of the process, which on Unix is also that of its group.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// The child's pipes, once.
    pub fn pipes(&mut self) -> Option<(ChildStdout, ChildStdin)> {
        #[cfg(unix)]
        return Some((self.child.stdout.take()?, self.child.stdin.take()?));
        #[cfg(windows)]
        return Some((self.child.stdout().take()?, self.child.stdin().take()?));
    }

    /// Awaits its end, and tells how it ended and what it said last.
    pub async fn ended(&mut self) -> String {
        let status = self.child.wait().await;
        self.left_alone = true;
        // What it wrote is in the pipe already; a grandchild may hold the pipe open for ever.
        tokio::time::timeout(Duration::from_millis(200), &mut self.listening).await.ok();
        let how = status.map_or_else(|e| format!("it cannot be waited for: {e}"), |status| how_it_ended(&status));
        self.last_words.after(&how)
    }

    /// What it said last, for the error that it does not answer.
    pub fn last_words(&self) -> &LastWords {
        &self.last_words
    }

    /// Ends it: asked first, killed with its group if it does not go. If it has ended of itself, its group is killed.
    pub async fn end(mut self) {
        if self.left_alone {
            self.kill();
        } else {
            ask_to_go(self.pid);
            if tokio::time::timeout(PATIENCE, self.child.wait()).await.is_err() {
                tracing::warn!(pid = self.pid, "Codex does not go when asked to; it is killed");
                self.kill();
                self.child.wait().await.ok();
            }
        }
        self.listening.abort();
        #[cfg(unix)]
        {
            self.tether.start_kill().ok();
            self.tether.wait().await.ok();
        }
    }

    #[cfg(unix)]
    fn kill(&mut self) {
        group::kill(self.pid);
    }

    #[cfg(windows)]
    fn kill(&mut self) {
        self.child.start_kill().ok();
    }
}

#[cfg(unix)]
fn stderr_of(child: &mut Child) -> Option<tokio::process::ChildStderr> {
    child.stderr.take()
}

#[cfg(windows)]
fn stderr_of(child: &mut Child) -> Option<tokio::process::ChildStderr> {
    child.stderr().take()
}

/// What the tether does. What an app-server starts has sessions of its own; on Linux it is known by its mark. Whoever is just
/// starting another is found at a second look, or a third.
#[cfg(unix)]
const TETHER: &str = r#"
read -r child
read -r _
[ -n "$child" ] && kill -s KILL -- "-$child"
for _ in 1 2 3; do
  for found in $(grep -lzx -- "$1" /proc/[0-9]*/environ 2>/dev/null); do
    found=${found#/proc/}
    kill -s KILL "${found%/environ}"
  done
done
"#;

/// Starts a shell that waits for the end of a pipe that only we hold, and then ends the child and what that has started.
///
/// A listening app-server does not notice that we are gone, and after SIGKILL we can do nothing ourselves. The shell
/// is in a group of its own, so that what is sent to ours does not reach it. Who drops a child without ending it leaves that to it.
#[cfg(unix)]
fn tether(run: &str) -> io::Result<tokio::process::Child> {
    Command::new("/bin/sh")
        .args(["-c", TETHER, "sh", &format!("{MARK}={run}")])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .env_clear()
        .process_group(0)
        .spawn()
}

/// Tells the tether which group it is to end. An empty pipe takes a line at once.
#[cfg(unix)]
fn tell(tether: &tokio::process::Child, pid: u32) -> io::Result<()> {
    let pipe = tether.stdin.as_ref().ok_or_else(|| io::Error::other("the tether has no stdin"))?;
    rustix::io::write(pipe, format!("{pid}\n").as_bytes())?;
    Ok(())
}

#[cfg(unix)]
fn ask_to_go(number: u32) {
    if let Some(pid) = group::pid(number) {
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).ok();
    }
}

/// On Windows it is asked by the end of its stdin, which has happened when we come here.
#[cfg(windows)]
fn ask_to_go(_: u32) {}

fn how_it_ended(status: &ExitStatus) -> String {
    #[cfg(unix)]
    if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(status) {
        return format!("it was killed by signal {signal}");
    }
    format!("it ended with {status}")
}

/// The last lines that a child wrote to its stderr.
#[derive(Debug, Clone, Default)]
pub struct LastWords {
    lines: Arc<Mutex<VecDeque<String>>>,
}

impl LastWords {
    fn add(&self, line: String) {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() == LAST_LINES {
            lines.pop_front();
        }
        lines.push_back(line);
    }

    /// `what` with the last lines behind it, if there are any.
    pub fn after(&self, what: &str) -> String {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.is_empty() {
            return what.to_owned();
        }
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        format!("{what}; its last lines:\n{}", lines.join("\n"))
    }

    /// Whether one of the lines speaks of `word`.
    pub fn mention(&self, word: &str) -> bool {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).iter().any(|line| line.contains(word))
    }
}

async fn listen(last_words: LastWords, stderr: Option<impl AsyncRead + Unpin>) {
    let Some(stderr) = stderr else { return };
    let mut reader = BufReader::new(stderr);
    let mut line = Vec::new();
    while matches!(reader.read_until(b'\n', &mut line).await, Ok(1..)) {
        let plain = without_colours(&String::from_utf8_lossy(line.trim_ascii()));
        if !plain.is_empty() {
            tracing::debug!(target: "codex", "{plain}");
            last_words.add(plain);
        }
        line.clear();
    }
}

/// The line without terminal sequences and control characters, cut at [`LINE_MAX`].
fn without_colours(line: &str) -> String {
    let mut plain = String::new();
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        if c == '\u{1b}' {
            chars.by_ref().find(char::is_ascii_alphabetic);
        } else if !c.is_control() {
            plain.push(c);
        }
    }
    plain.chars().take(LINE_MAX).collect()
}

#[cfg(all(test, unix))]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;
    use crate::home::Home;

    fn shell(script: &str, run: &RunDir) -> Process {
        Process::start(Path::new("/bin/sh"), &["-c".into(), script.into()], &Environment::default(), run, false)
            .unwrap()
    }

    #[tokio::test]
    async fn the_end_of_a_child_is_told_with_its_last_lines_in_plain_letters() {
        let root = tempfile::tempdir().unwrap();
        let run = RunDir::create(&Home::at(root.path())).unwrap();
        let mut process = shell("printf '\\033[31mERROR\\033[0m no config\\n' >&2; exit 3", &run);
        let told = process.ended().await;
        assert!(told.contains("exit status: 3") && told.ends_with("ERROR no config"), "{told}");
        assert!(process.last_words().mention("config"));
    }

    #[tokio::test]
    async fn a_child_that_does_not_go_when_asked_is_killed_with_its_group() {
        let root = tempfile::tempdir().unwrap();
        let run = RunDir::create(&Home::at(root.path())).unwrap();
        let fifo = root.path().join("held");
        std::process::Command::new("mkfifo").arg(&fifo).status().unwrap();
        let mut held = tokio::net::unix::pipe::OpenOptions::new().open_receiver(&fifo).unwrap();
        let script = format!("trap '' TERM; exec 3>'{}'; echo ready >&3; sleep 1000 & wait; wait", fifo.display());
        let process = shell(&script, &run);
        let mut said = [0; 6];
        held.read_exact(&mut said).await.unwrap();
        process.end().await;
        assert_eq!(held.read(&mut said).await.unwrap(), 0, "the shell and its child are both gone");
    }

    /// The end of the pipe is all that our own SIGKILL leaves to the tether.
    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn when_we_are_killed_what_has_a_session_of_its_own_ends_too() {
        let root = tempfile::tempdir().unwrap();
        let run = RunDir::create(&Home::at(root.path())).unwrap();
        let fifo = root.path().join("held");
        std::process::Command::new("mkfifo").arg(&fifo).status().unwrap();
        let mut held = tokio::net::unix::pipe::OpenOptions::new().open_receiver(&fifo).unwrap();
        let script = format!("exec 3>'{}'; setsid sh -c 'echo ready >&3; sleep 1000; :' & wait", fifo.display());
        let mut process = shell(&script, &run);
        let mut said = [0; 6];
        held.read_exact(&mut said).await.unwrap();
        drop(process.tether.stdin.take());
        assert_eq!(held.read(&mut said).await.unwrap(), 0, "the shell, the session and its child are gone");
        process.ended().await;
    }

    /// We may be killed between the start of a child and the moment when its number is known.
    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn a_child_of_which_the_tether_was_not_told_ends_with_us_too() {
        let root = tempfile::tempdir().unwrap();
        let run = RunDir::create(&Home::at(root.path())).unwrap();
        let mut tether = tether(run.id()).unwrap();
        let mut child = Command::new("sleep").arg("1000").env(MARK, run.id()).process_group(0).spawn().unwrap();
        drop(tether.stdin.take());
        assert!(!child.wait().await.unwrap().success());
    }
}
