//! The directory of one running server: its socket, and enough to find and end a child that outlived it.
//!
//! `run/{id}/owner.lock` is locked by the living server. A directory whose lock is free belongs to a dead one; the
//! process that it names is ended if it still carries the directory's id in its environment.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::home::{Home, private_dir, write_atomic};

/// Locked by who makes or clears away such directories.
const SWEEP_LOCK: &str = "sweep.lock";

/// The variable that marks a child, and what it starts, with the id of its server's directory.
pub const MARK: &str = "ATM_AGENT_MCP_RUN";

/// The longest path that every Unix takes for a socket (macOS: 104 bytes with the end).
#[cfg(unix)]
const SOCKET_PATH_MAX: usize = 100;

/// A running server's directory; it goes with its owner.
#[derive(Debug)]
pub struct RunDir {
    path: PathBuf,
    id: String,
    /// As long as we live.
    owner: Option<File>,
    /// Where the socket is when the path above is too long for one.
    #[cfg(unix)]
    elsewhere: Option<tempfile::TempDir>,
}

#[derive(Serialize, Deserialize)]
struct ChildNote {
    v: u32,
    pid: u32,
}

impl RunDir {
    /// Makes a new one, and clears away what dead servers left.
    pub fn create(home: &Home) -> io::Result<RunDir> {
        let all = home.run_dir();
        private_dir(&all)?;
        let _only_one = locked(&all.join(SWEEP_LOCK))?;
        sweep_all(&all);
        let id = uuid::Uuid::new_v4().simple().to_string();
        let path = all.join(&id);
        private_dir(&path)?;
        let owner = locked(&path.join("owner.lock"))?;
        #[cfg(unix)]
        let elsewhere = if path.join(SOCKET_NAME).as_os_str().len() > SOCKET_PATH_MAX {
            let elsewhere = tempfile::Builder::new().prefix(ELSEWHERE).tempdir()?;
            write_atomic(&path.join(ELSEWHERE), elsewhere.path().as_os_str().as_encoded_bytes())?;
            Some(elsewhere)
        } else {
            None
        };
        Ok(RunDir {
            path,
            id,
            owner: Some(owner),
            #[cfg(unix)]
            elsewhere,
        })
    }

    /// The id: unique, and in the environment of the child.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Where the app-server is to listen.
    #[cfg(unix)]
    pub fn socket(&self) -> PathBuf {
        self.elsewhere.as_ref().map_or(self.path.as_path(), tempfile::TempDir::path).join(SOCKET_NAME)
    }

    /// Notes the child, so that it is found if we cannot end it.
    pub fn note_child(&self, pid: u32) -> io::Result<()> {
        write_atomic(&self.path.join("child.json"), &serde_json::to_vec(&ChildNote { v: 1, pid })?)
    }
}

#[cfg(unix)]
const SOCKET_NAME: &str = "s";
/// How often what carries a mark is looked for. What was just killed is found again until it is gone.
#[cfg(target_os = "linux")]
const LOOKS_MAX: usize = 100;
/// How a socket's directory elsewhere is called, and the file that names it.
#[cfg(unix)]
const ELSEWHERE: &str = "atm-socket-";

/// A command without a sandbox has a session of its own and outlives an app-server that is killed.
impl Drop for RunDir {
    fn drop(&mut self) {
        end_all_marked(&self.id);
        // Windows keeps a directory with an open file in it.
        self.owner = None;
        fs::remove_dir_all(&self.path).ok();
    }
}

/// Ends what dead servers left, and removes their directories. Whoever does so already, does it for us too.
pub fn sweep(home: &Home) {
    let all = home.run_dir();
    let Ok(only_one) = OpenOptions::new().write(true).open(all.join(SWEEP_LOCK)) else { return };
    if only_one.try_lock().is_ok() {
        sweep_all(&all);
    }
}

/// What a dead server left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Left {
    /// Its directory.
    pub path: PathBuf,
    /// Its child, if that still runs.
    pub child: Option<u32>,
}

/// What [`sweep`] would end and remove, and how many servers are alive. Nothing is touched.
pub fn look(home: &Home) -> (Vec<Left>, usize) {
    let (mut left, mut living) = (Vec::new(), 0);
    for entry in fs::read_dir(home.run_dir()).into_iter().flatten().flatten() {
        let path = entry.path();
        let Ok(owner) = OpenOptions::new().write(true).open(path.join("owner.lock")) else { continue };
        match owner.try_lock_shared() {
            Ok(()) => {
                let id = entry.file_name().to_string_lossy().into_owned();
                let child = child_of(&path).filter(|pid| is_marked(*pid, &id));
                left.push(Left { path, child });
            }
            Err(_) => living += 1,
        }
    }
    left.sort_by(|a, b| a.path.cmp(&b.path));
    (left, living)
}

fn child_of(dir: &Path) -> Option<u32> {
    let note = fs::read(dir.join("child.json")).ok()?;
    serde_json::from_slice::<ChildNote>(&note).ok().map(|note| note.pid)
}

fn locked(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(path)?;
    file.lock()?;
    Ok(file)
}

fn sweep_all(all: &Path) {
    for entry in fs::read_dir(all).into_iter().flatten().flatten() {
        let dir = entry.path();
        let Ok(owner) = OpenOptions::new().write(true).open(dir.join("owner.lock")) else { continue };
        if owner.try_lock().is_err() {
            continue;
        }
        let id = entry.file_name();
        if let Some(pid) = child_of(&dir)
            && end_if_marked(pid, &id.to_string_lossy())
        {
            tracing::info!(pid, "ended an app-server that had outlived its server");
        }
        end_all_marked(&id.to_string_lossy());
        #[cfg(unix)]
        remove_elsewhere(&dir);
        drop(owner);
        fs::remove_dir_all(&dir).ok();
    }
}

/// Removes the directory that held a dead server's socket, if it is one of ours.
#[cfg(unix)]
fn remove_elsewhere(dir: &Path) {
    use std::os::unix::ffi::OsStringExt;
    let Ok(bytes) = fs::read(dir.join(ELSEWHERE)) else { return };
    let path = std::path::PathBuf::from(std::ffi::OsString::from_vec(bytes));
    if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(ELSEWHERE)) {
        fs::remove_dir_all(path).ok();
    }
}

/// Ends the process group of `pid` if that process carries our mark: the number alone may be another's by now.
#[cfg(unix)]
fn end_if_marked(pid: u32, id: &str) -> bool {
    let group = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw);
    group.is_some_and(|group| {
        is_marked(pid, id) && rustix::process::kill_process_group(group, rustix::process::Signal::KILL).is_ok()
    })
}

/// Whether a process has our mark in its environment.
#[cfg(target_os = "linux")]
fn is_marked(pid: u32, id: &str) -> bool {
    let mark = format!("{MARK}={id}");
    let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    environment.split(|byte| *byte == 0).any(|variable| variable == mark.as_bytes())
}

/// Whether a process has our mark in its environment, which `ps` shows behind its command.
#[cfg(all(unix, not(target_os = "linux")))]
fn is_marked(pid: u32, id: &str) -> bool {
    let shown = std::process::Command::new("ps").args(["-E", "-ww", "-o", "command=", "-p", &pid.to_string()]).output();
    shown.is_ok_and(|shown| String::from_utf8_lossy(&shown.stdout).contains(&format!("{MARK}={id}")))
}

/// Ends every process that carries our mark, whatever group it has put itself into. Whoever is just starting another is
/// found at the next look, until nobody is found.
#[cfg(target_os = "linux")]
fn end_all_marked(id: &str) {
    for _ in 0..LOOKS_MAX {
        if !end_marked(id) {
            return;
        }
    }
}

/// One look; whether there was somebody.
#[cfg(target_os = "linux")]
fn end_marked(id: &str) -> bool {
    let mut is_found = false;
    let names = fs::read_dir("/proc").into_iter().flatten().flatten().map(|entry| entry.file_name());
    for number in names.filter_map(|name| name.to_str()?.parse::<u32>().ok()).filter(|number| is_marked(*number, id)) {
        if let Some(pid) = i32::try_from(number).ok().and_then(rustix::process::Pid::from_raw) {
            rustix::process::kill_process(pid, rustix::process::Signal::KILL).ok();
            is_found = true;
        }
    }
    is_found
}

/// On Windows the job object has ended them; on other systems the app-server's group is what can be found.
#[cfg(not(target_os = "linux"))]
fn end_all_marked(_: &str) {}

/// On Windows the job object has ended the child together with its server.
#[cfg(windows)]
fn end_if_marked(_: u32, _: &str) -> bool {
    false
}

/// The same.
#[cfg(windows)]
fn is_marked(_: u32, _: &str) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_directory_goes_with_its_owner_and_a_living_one_stays() {
        let root = tempfile::tempdir().unwrap();
        let home = Home::at(root.path());
        let living = RunDir::create(&home).unwrap();
        let gone = RunDir::create(&home).unwrap();
        let path = gone.path.clone();
        drop(gone);
        assert!(!path.exists());
        assert_eq!(look(&home), (Vec::new(), 1));
        sweep(&home);
        assert!(living.path.exists());
    }

    #[cfg(unix)]
    #[test]
    fn a_child_that_outlived_its_server_is_ended_and_a_stranger_with_its_number_is_not() {
        use std::os::unix::process::{CommandExt, ExitStatusExt};
        let root = tempfile::tempdir().unwrap();
        let home = Home::at(root.path());
        let sleeper = |mark: &str| {
            std::process::Command::new("sleep").arg("1000").env(MARK, mark).process_group(0).spawn().unwrap()
        };
        let left = |id: &str, pid: u32| {
            let dir = home.run_dir().join(id);
            private_dir(&dir).unwrap();
            fs::write(dir.join("owner.lock"), "").unwrap();
            fs::write(dir.join("child.json"), format!("{{\"v\":1,\"pid\":{pid}}}")).unwrap();
        };
        let (mut ours, mut stranger) = (sleeper("aaa"), sleeper("other"));
        left("aaa", ours.id());
        left("bbb", stranger.id());
        fs::write(home.run_dir().join(SWEEP_LOCK), "").unwrap();
        let (seen, living) = look(&home);
        let children: Vec<_> = seen.into_iter().map(|left| left.child).collect();
        assert_eq!((children, living), (vec![Some(ours.id()), None], 0));
        sweep(&home);
        assert_eq!(ours.wait().unwrap().signal(), Some(9));
        assert!(stranger.try_wait().unwrap().is_none());
        stranger.kill().unwrap();
        stranger.wait().unwrap();
        let left = fs::read_dir(home.run_dir()).unwrap().flatten().filter(|e| e.path().is_dir()).count();
        assert_eq!(left, 0);
    }

    #[cfg(unix)]
    #[test]
    fn a_home_with_a_long_path_still_has_a_socket() {
        let root = tempfile::tempdir().unwrap();
        let home = Home::at(root.path().join("x".repeat(120)));
        let run = RunDir::create(&home).unwrap();
        assert!(run.socket().as_os_str().len() <= SOCKET_PATH_MAX);
        let elsewhere = run.socket().parent().unwrap().to_owned();
        let left = home.run_dir().join("left");
        fs::create_dir(&left).unwrap();
        fs::write(left.join("owner.lock"), "").unwrap();
        fs::copy(run.path.join(ELSEWHERE), left.join(ELSEWHERE)).unwrap();
        sweep(&home);
        assert!(!elsewhere.exists(), "what a dead server had elsewhere goes too");
    }
}
