//! Mail beside the programs that write to the same files: npm's proper-lockfile, which Claude Code's lock is like, and atm
//! 0.14.0. Each takes a lock that the other does not know, so each is met alone; nobody's messages may be lost beside ours.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, SystemTime};

use atm_agent_mcp::home::Home;
use atm_agent_mcp::ids::{Address, AgentId, AgentName, MemberName, MessageId, Team, TeamName};
use atm_agent_mcp::mail::{ClaudePost, Draft, Fate, Filter, Lead, NewMember, Post, Urgency, Which};
use atm_agent_mcp::steps;
use serde_json::{Value, json};

use crate::clients::{installed, target};

/// Writers on each side.
const WRITERS: usize = 4;
/// Messages from each of them, 2,000 in all.
const EACH: usize = 250;

const PART: &str = "ATM_TEST_MAIL_PART";
const PLACE: &str = "ATM_TEST_MAIL_HOME";

fn proper_lockfile() -> PathBuf {
    let here = || target().join("proper-lockfile/4.1.2/node_modules/proper-lockfile");
    installed(std::env::var_os("ATM_TEST_PROPER_LOCKFILE").map_or_else(here, PathBuf::from))
}

fn atm() -> PathBuf {
    let here = || target().join("atm/0.14.0/bin/atm");
    installed(std::env::var_os("ATM_TEST_ATM").map_or_else(here, PathBuf::from))
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

/// As the courier does when the agent has them.
fn mark_all(post: &ClaudePost) {
    let unread = post.unread(&arch(), usize::MAX).unwrap();
    let ids: Vec<_> = unread.messages.into_iter().map(|message| message.id).collect();
    post.mark_read_of_ours(&AgentName::parse("arch").unwrap(), &ids).unwrap();
}

/// A team with its lead and `arch`, an agent of ours.
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
        post.send(&arch(), &[]).unwrap();
        Mailroom { dir, post }
    }

    fn inbox(&self) -> PathBuf {
        self.post.inbox_path(&arch())
    }

    /// The entries as they stand in the file.
    fn entries(&self) -> Vec<Value> {
        serde_json::from_slice(&fs::read(self.inbox()).unwrap()).unwrap()
    }

    /// The entries that went to the archive.
    fn archived(&self) -> Vec<Value> {
        let path = self.dir.path().join(".config/atm/agent-sessions/tests/mail/arch.jsonl");
        let lines = fs::read_to_string(path).unwrap();
        lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["entry"].take()).collect()
    }

    fn ids(&self) -> Vec<MessageId> {
        let all = self.post.read(&arch(), &Filter { which: Which::All, ..Filter::default() }).unwrap();
        all.messages.into_iter().map(|message| message.id).collect()
    }

    fn lock(&self) -> PathBuf {
        self.inbox().with_extension("json.lock")
    }

    /// The lock of somebody who was killed, if one is left, is as old as it would be in a while.
    fn age_lock(&self) {
        if let Ok(lock) = File::open(self.lock()) {
            lock.set_modified(SystemTime::now() - Duration::from_secs(11)).unwrap();
        }
    }

    /// A process of ours; see [`the_part_of_another_process`].
    fn ours(&self, part: &str) -> Command {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "mail::the_part_of_another_process", "--nocapture"]);
        command.env(PART, part).env(PLACE, self.dir.path()).stdout(Stdio::null());
        command
    }

    /// A process that writes under proper-lockfile's lock.
    fn locking(&self, name: &str, more: &[&str]) -> Command {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("testing/proper-lockfile-writer.cjs");
        let mut command = Command::new("node");
        command.arg(script).arg(proper_lockfile()).arg(self.inbox()).arg(name).args(more);
        command
    }

    /// Has it write so many messages, and answers the entries that it says it has written.
    fn locking_writes(&self, name: &str, count: usize) -> Vec<Value> {
        let output = self.locking(name, &[&count.to_string()]).stderr(Stdio::inherit()).output().unwrap();
        assert!(output.status.success());
        let said = String::from_utf8(output.stdout).unwrap();
        said.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn atm(&self, identity: &str, args: &[&str]) -> Value {
        let mut command = Command::new(atm());
        command.args(args).arg("--json").env("ATM_HOME", self.dir.path()).env("ATM_LOG", "error");
        command.env("ATM_TEAM", "tests").env("ATM_IDENTITY", identity).current_dir(self.dir.path());
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Has atm send a message until it says that it is in the inbox, and answers the entry. It waits for a lock for 1.55 s,
    /// then says "queued", and keeps the message in a file of its own.
    fn atm_sends(&self, from: &str, text: &str) -> Value {
        loop {
            let said = self.atm(from, &["send", "arch", text]);
            match said["outcome"].as_str() {
                Some("queued") => {}
                // Not "conflict_resolved": then somebody has written under its lock.
                Some("success") => {
                    let id = &said["message_id"];
                    return json!({"from": from, "text": text, "summary": text, "message_id": id});
                }
                _ => panic!("{said}"),
            }
        }
    }

    /// Ours write, read and mark while `theirs` write; then every entry of everybody must be there, once, and as it was
    /// written but for `read`.
    fn judge(&self, theirs: impl Fn(usize) -> Vec<Value> + Sync) {
        let ours: Vec<_> = (0..WRITERS).map(|n| self.ours(&format!("write ours-{n}")).spawn().unwrap()).collect();
        let written: Vec<Value> = thread::scope(|scope| {
            let theirs = &theirs;
            let writers: Vec<_> = (0..WRITERS).map(|n| scope.spawn(move || theirs(n))).collect();
            writers.into_iter().flat_map(|writer| writer.join().unwrap()).collect()
        });
        ours.into_iter().for_each(|mut writer| assert!(writer.wait().unwrap().success()));
        let archived = self.archived();
        assert!(!archived.is_empty(), "it was read while they wrote");
        let mut there: HashMap<String, Value> = HashMap::new();
        for entry in archived.into_iter().chain(self.entries()) {
            let twice = there.insert(entry["text"].as_str().unwrap().to_owned(), entry);
            assert!(twice.is_none(), "{twice:?}");
        }
        assert_eq!(written.len(), WRITERS * EACH);
        for text in (0..WRITERS).flat_map(|w| (0..EACH).map(move |n| format!("ours-{w} {n}"))) {
            let entry = there.remove(&text).unwrap_or_else(|| panic!("{text} of ours is lost"));
            assert!(entry["msg_id"].is_string() && entry["msg_id"] == entry["message_id"], "{entry}");
            assert!(entry["type"] == "message" && entry["msgV"] == 1 && entry["from"] == "team-lead", "{entry}");
        }
        for expected in &written {
            let text = expected["text"].as_str().unwrap();
            let entry = there.remove(text).unwrap_or_else(|| panic!("{text} of theirs is lost"));
            assert_same(&entry, expected);
        }
        assert!(there.is_empty(), "{there:?}");
        assert!(!self.lock().exists());
    }
}

/// The entry has the fields that were written, and none besides but `read` and a time that its writer did not tell.
fn assert_same(entry: &Value, written: &Value) {
    let (entry, written) = (entry.as_object().unwrap(), written.as_object().unwrap());
    for (name, value) in written.iter().filter(|(name, _)| *name != "read") {
        assert_eq!(entry.get(name), Some(value), "{name}");
    }
    for name in entry.keys() {
        assert!(written.contains_key(name) || name == "read" || name == "timestamp", "{name} of {entry:?}");
    }
}

/// What a process does that another test starts; as a test of its own it does nothing.
#[test]
fn the_part_of_another_process() {
    let Ok(part) = std::env::var(PART) else { return };
    let post = post(Path::new(&std::env::var(PLACE).unwrap()));
    let Some(("write", name)) = part.split_once(' ') else { return mark_all(&post) };
    // One message alone, then four in one go; and sometimes it reads.
    for n in (0..EACH).step_by(5) {
        let five: Vec<Draft> = (n..n + 5).map(|n| draft(&format!("{name} {n}"))).collect();
        post.send(&arch(), &five[..1]).unwrap();
        post.send(&arch(), &five[1..]).unwrap();
        if n % 10 == 0 {
            mark_all(&post);
        }
    }
}

#[test]
fn nothing_is_lost_beside_writers_that_know_the_directory_lock_only() {
    let room = Mailroom::new();
    room.judge(|n| room.locking_writes(&format!("theirs-{n}"), EACH));
}

#[test]
fn nothing_is_lost_beside_writers_that_know_the_os_lock_only() {
    let room = Mailroom::new();
    // One of them is a member: with each message atm also writes into the roster that it is active.
    let from = ["team-lead", "outsider-1", "outsider-2", "outsider-3"];
    room.judge(|w| {
        let send = |n| {
            // The inbox stays short, also when ours are done: a long one takes atm so long that the others give up.
            if n % 25 == 24 {
                mark_all(&room.post);
            }
            room.atm_sends(from[w], &format!("theirs-{w} {n}"))
        };
        (0..EACH).map(send).collect()
    });
}

#[test]
fn a_reader_that_is_killed_at_any_step_leaves_nothing_broken_to_anybody() {
    for step in steps::ALL.into_iter().filter(|step| step.starts_with("mail.")) {
        let room = Mailroom::new();
        let broken = step == "mail.set_aside";
        let old = |n: usize| json!({"from": "c1", "text": format!("{n}"), "timestamp": "2026-11-25T13:12:38.123Z", "read": n < 210});
        let content =
            if broken { "broken".to_owned() } else { json!((0..212).map(old).collect::<Vec<_>>()).to_string() };
        fs::write(room.inbox(), content).unwrap();
        let before = if broken { Vec::new() } else { room.ids() };
        let died = room.ours("mark").env(steps::KILL_AT, step).status().unwrap();
        assert_eq!(died.signal(), Some(9), "{step}: {died}");
        room.age_lock();
        let written = [room.locking_writes("theirs", 1).remove(0), room.atm_sends("team-lead", "from atm")];
        room.post.send(&arch(), &[draft("afterwards")]).unwrap();
        let entries = room.entries();
        let [.., theirs, atm, afterwards] = &entries[..] else { panic!("{step}: {entries:?}") };
        assert_same(theirs, &written[0]);
        assert_same(atm, &written[1]);
        assert_eq!(afterwards["text"], "afterwards", "{step}");
        let fates = room.post.fates(&arch(), &before).unwrap();
        assert!(!fates.contains(&Fate::Gone) && fates.len() == before.len(), "{step}: {fates:?}");
        assert!(!room.lock().exists(), "{step}");
        let kept = fs::read_dir(room.inbox().parent().unwrap()).unwrap().map(|file| file.unwrap().path());
        let kept: Vec<_> = kept.filter(|file| file.to_string_lossy().contains("corrupt")).collect();
        assert_eq!(kept.len(), usize::from(broken), "{step}: {kept:?}");
        assert!(kept.iter().all(|kept| fs::read_to_string(kept).unwrap() == "broken"), "{step}");
    }
}

#[test]
fn a_writer_of_theirs_that_is_killed_with_the_lock_in_hand_is_in_nobodys_way() {
    let room = Mailroom::new();
    let mut holder = room.locking("holder", &["1", "hold"]).stdout(Stdio::piped()).spawn().unwrap();
    let said = BufReader::new(holder.stdout.take().unwrap()).lines().next().unwrap().unwrap();
    assert_eq!(said, "held");
    holder.kill().unwrap();
    holder.wait().unwrap();
    room.age_lock();
    room.post.send(&arch(), &[draft("afterwards")]).unwrap();
    room.locking_writes("theirs", 1);
    let texts: Vec<Value> = room.entries().into_iter().map(|entry| entry["text"].clone()).collect();
    assert_eq!(texts, ["afterwards", "theirs 0"]);
    assert!(!room.lock().exists());
}

#[test]
fn atm_reads_what_we_write_and_we_read_what_atm_writes() {
    let room = Mailroom::new();
    room.post.send(&arch(), &[draft("from us")]).unwrap();
    room.atm_sends("team-lead", "from atm");
    let said = room.atm("arch", &["read", "--no-mark", "--no-update-seen"]);
    let theirs: Vec<&str> = said["messages"].as_array().unwrap().iter().filter_map(|m| m["text"].as_str()).collect();
    assert_eq!(theirs, ["from us", "from atm"]);
    assert_eq!(room.post.unread(&arch(), 9).unwrap().total, 2);
    room.atm("arch", &["read"]);
    assert_eq!(room.post.count_unread(&arch()).unwrap(), 0, "what atm marks is read");
    let ours = room.post.roster().unwrap().pop().unwrap();
    assert!(ours.name == "arch" && ours.ours.is_some(), "atm keeps our mark when it rewrites the roster");
}
