//! Mail beside the programs that write to the same files: npm's proper-lockfile, which Claude Code's lock is like, and atm
//! 0.14.0. Each takes a lock that the other does not know; nobody's messages may be lost beside ours.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, SystemTime};

use atm_agent_mcp::home::Home;
use atm_agent_mcp::ids::{Address, AgentId, AgentName, MemberName, Team, TeamName};
use atm_agent_mcp::mail::{ClaudePost, Draft, Filter, Lead, NewMember, Post, Urgency, Which};
use atm_agent_mcp::steps;

/// Writers on each side.
const WRITERS: usize = 4;
/// Messages from each of them.
const EACH: usize = 250;

const PART: &str = "ATM_TEST_MAIL_PART";
const HOME: &str = "ATM_TEST_MAIL_HOME";

/// What `cargo xtask test` has installed: where it says, or where it does so by default.
fn installed(variable: &str, default: &str) -> PathBuf {
    let here = || Path::new(env!("CARGO_MANIFEST_DIR")).join("target").join(default);
    let path = std::env::var_os(variable).map_or_else(here, PathBuf::from);
    assert!(path.exists(), "{} is not there; `cargo xtask test` installs it and runs the tests", path.display());
    path
}

fn post(home: &Path) -> ClaudePost {
    ClaudePost::open(&Home::at(home), &TeamName::parse("tests").unwrap())
}

fn arch() -> MemberName {
    MemberName::parse("arch").unwrap()
}

fn draft(text: &str) -> Draft {
    let from = Address::parse("team-lead").unwrap();
    Draft { from, text: text.into(), summary: None, color: None, urgency: Urgency::Normal }
}

/// A team with its lead and `arch`.
struct Mailroom {
    dir: tempfile::TempDir,
    post: ClaudePost,
}

impl Mailroom {
    fn new() -> Mailroom {
        let dir = tempfile::tempdir().unwrap();
        let post = post(dir.path());
        let name = MemberName::parse("team-lead").unwrap();
        post.create(&Lead { name, session_id: None, model: "m".into(), cwd: "/work".into() }).unwrap();
        post.join(&NewMember {
            name: AgentName::parse("arch").unwrap(),
            agent: AgentId::new(),
            team: Team::parse("tests").unwrap(),
            agent_type: "codex".into(),
            model: "m".into(),
            prompt: None,
            color: "blue".into(),
            cwd: "/work".into(),
        })
        .unwrap();
        Mailroom { dir, post }
    }

    fn inbox(&self) -> PathBuf {
        self.post.inbox_path(&arch())
    }

    /// A process of ours; see [`the_part_of_another_process`].
    fn ours(&self, part: &str) -> Command {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "mail::the_part_of_another_process", "--nocapture"]);
        command.env(PART, part).env(HOME, self.dir.path()).stdout(Stdio::null());
        command
    }

    /// A process that writes under proper-lockfile's lock.
    fn locking(&self, name: &str, more: &[&str]) -> Command {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("testing/proper-lockfile-writer.cjs");
        let package = installed("ATM_TEST_PROPER_LOCKFILE", "proper-lockfile/4.1.2/node_modules/proper-lockfile");
        let mut command = Command::new("node");
        command.arg(script).arg(package).arg(self.inbox()).arg(name).args(more);
        command
    }

    /// Has atm send a message until it says that it has: it gives up a lock after 1.55 s, and keeps the message elsewhere.
    fn atm_sends(&self, text: &str) {
        loop {
            let mut atm = Command::new(installed("ATM_TEST_ATM", "atm/0.14.0/bin/atm"));
            atm.args(["send", "arch", text, "--json"]).env("ATM_HOME", self.dir.path()).env("ATM_LOG", "error");
            atm.env("ATM_TEAM", "tests").env("ATM_IDENTITY", "team-lead").current_dir(self.dir.path());
            let output = atm.output().unwrap();
            let said: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
            match said["outcome"].as_str() {
                Some("queued") => {}
                Some(_) => return,
                None => panic!("{}", String::from_utf8_lossy(&output.stderr)),
            }
        }
    }

    /// Ours write, read and mark while `others` write; then every message of everybody must be there.
    fn judge(&self, others: impl FnOnce() -> Vec<String>) {
        let ours: Vec<Child> = (0..WRITERS).map(|n| self.ours(&format!("write ours-{n}")).spawn().unwrap()).collect();
        let done = AtomicBool::new(false);
        let theirs = thread::scope(|scope| {
            let marker = scope.spawn(|| {
                let mut marked = 0;
                while !done.load(Ordering::Relaxed) {
                    let unread = self.post.unread(&arch(), 10).unwrap();
                    let ids: Vec<_> = unread.messages.into_iter().map(|message| message.id).collect();
                    // A lock that is taken for nothing is in everybody's way.
                    if !ids.is_empty() {
                        marked += self.post.mark_read(&arch(), &ids).unwrap().marked;
                    }
                }
                marked
            });
            let theirs = others();
            ours.into_iter().for_each(|mut writer| assert!(writer.wait().unwrap().success()));
            done.store(true, Ordering::Relaxed);
            assert!(marker.join().unwrap() > 0, "it read while they wrote");
            theirs
        });
        let expected = (0..WRITERS).flat_map(|w| (0..EACH).map(move |n| format!("ours-{w} {n}"))).chain(theirs);
        let all = self.post.read(&arch(), &Filter { which: Which::All, ..Filter::default() }).unwrap();
        let there: HashSet<&str> = all.messages.iter().map(|message| message.text.as_str()).collect();
        let lost: Vec<String> = expected.filter(|text| !there.contains(text.as_str())).collect();
        assert!(lost.is_empty(), "{} lost: {lost:?}", lost.len());
        assert_eq!((all.total, there.len()), (2 * WRITERS * EACH, 2 * WRITERS * EACH), "each once");
        assert!(!self.inbox().with_extension("json.lock").exists());
    }
}

/// What a process does that another test starts; as a test of its own it does nothing.
#[test]
fn the_part_of_another_process() {
    let Ok(part) = std::env::var(PART) else { return };
    let post = post(Path::new(&std::env::var(HOME).unwrap()));
    let Some(("write", name)) = part.split_once(' ') else { panic!("{part}") };
    for n in 0..EACH {
        post.send(&arch(), &[draft(&format!("{name} {n}"))]).unwrap();
    }
}

#[test]
fn nothing_is_lost_beside_writers_that_know_the_directory_lock_only() {
    let room = Mailroom::new();
    // The first of them all makes the inbox.
    room.post.send(&arch(), &[]).unwrap();
    room.judge(|| {
        let start =
            |n| room.locking(&format!("theirs-{n}"), &[&EACH.to_string()]).stdout(Stdio::piped()).spawn().unwrap();
        let writers: Vec<Child> = (0..WRITERS).map(start).collect();
        let written = writers.into_iter().flat_map(|writer| {
            let output = writer.wait_with_output().unwrap();
            assert!(output.status.success());
            String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect::<Vec<_>>()
        });
        written.collect()
    });
}

#[test]
fn nothing_is_lost_beside_writers_that_know_the_os_lock_only() {
    let room = Mailroom::new();
    room.judge(|| {
        thread::scope(|scope| {
            for writer in 0..WRITERS {
                let room = &room;
                scope.spawn(move || (0..EACH).for_each(|n| room.atm_sends(&format!("theirs-{writer} {n}"))));
            }
        });
        (0..WRITERS).flat_map(|w| (0..EACH).map(move |n| format!("theirs-{w} {n}"))).collect()
    });
}

/// The lock that a killed process has left is as old as it would be in a while.
fn age(lock: &Path) {
    File::open(lock).unwrap().set_modified(SystemTime::now() - Duration::from_secs(11)).unwrap();
}

#[test]
fn whoever_is_killed_with_the_lock_in_hand_the_other_goes_on() {
    let room = Mailroom::new();
    let lock = room.inbox().with_extension("json.lock");
    let died = room.ours("write ours").env(steps::KILL_AT, "mail.synced:3").status().unwrap();
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&died), Some(9));
    age(&lock);
    assert!(room.locking("theirs", &["1"]).stdout(Stdio::null()).status().unwrap().success());

    let mut holder = room.locking("holder", &["1", "hold"]).stdout(Stdio::piped()).spawn().unwrap();
    let said = BufReader::new(holder.stdout.take().unwrap()).lines().next().unwrap().unwrap();
    assert_eq!(said, "held");
    holder.kill().unwrap();
    holder.wait().unwrap();
    age(&lock);
    room.post.send(&arch(), &[draft("afterwards")]).unwrap();
    let unread = room.post.unread(&arch(), 9).unwrap();
    let texts: Vec<&str> = unread.messages.iter().map(|message| message.text.as_str()).collect();
    assert_eq!(texts, ["ours 0", "ours 1", "theirs 0", "afterwards"]);
    assert!(!lock.exists());
}

#[test]
fn atm_reads_what_we_write_and_we_read_what_atm_writes() {
    let room = Mailroom::new();
    room.post.send(&arch(), &[draft("from us")]).unwrap();
    room.atm_sends("from atm");
    let mut atm = Command::new(installed("ATM_TEST_ATM", "atm/0.14.0/bin/atm"));
    atm.args(["read", "--json", "--no-mark", "--no-update-seen"]).env("ATM_HOME", room.dir.path());
    atm.env("ATM_LOG", "error").env("ATM_TEAM", "tests").env("ATM_IDENTITY", "arch").current_dir(room.dir.path());
    let said: serde_json::Value = serde_json::from_slice(&atm.output().unwrap().stdout).unwrap();
    let theirs: Vec<&str> = said["messages"].as_array().unwrap().iter().filter_map(|m| m["text"].as_str()).collect();
    assert_eq!(theirs, ["from us", "from atm"]);
    assert_eq!(room.post.unread(&arch(), 9).unwrap().total, 2);
    let ours = room.post.roster().unwrap().pop().unwrap();
    assert!(ours.name == "arch" && ours.ours.is_some(), "atm keeps our mark when it rewrites the roster");
    assert!(
        fs::read_dir(room.inbox().parent().unwrap())
            .unwrap()
            .all(|file| { !file.unwrap().file_name().to_string_lossy().contains("corrupt") })
    );
}
