//! What the post promises, with real files, threads and processes.

use std::fs;
use std::path::Path;
use std::process::Command;
#[cfg(unix)]
use std::process::ExitStatus;
use std::time::Duration;

use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::value::RawValue;

use super::*;
use crate::home::Home;
use crate::ids::{Address, AgentId, AgentName, MemberName, MessageId, Team, TeamName};
use crate::steps;

/// A team with its lead, an agent of ours (`arch`) and a member that is not ours (`c1`).
struct World {
    dir: tempfile::TempDir,
    post: ClaudePost,
}

fn world() -> World {
    let dir = tempfile::tempdir().unwrap();
    let post = post(dir.path());
    let lead = Lead { name: name("team-lead"), session_id: None, model: "m".into(), cwd: "/work".into() };
    post.create(&lead).unwrap();
    post.join(&member("arch")).unwrap();
    let config = post_config(dir.path());
    let with_c1 = fs::read_to_string(&config)
        .unwrap()
        .replace("\"members\": [", r#""members": [{"agentId":"c1@t","name":"c1"},"#);
    fs::write(&config, with_c1).unwrap();
    World { dir, post }
}

fn post(home: &Path) -> ClaudePost {
    ClaudePost::open(&Home::at(home), &TeamName::parse("tests").unwrap())
}

fn post_config(home: &Path) -> std::path::PathBuf {
    Home::at(home).claude_team(&TeamName::parse("tests").unwrap()).config()
}

fn name(text: &str) -> MemberName {
    MemberName::parse(text).unwrap()
}

fn arch() -> AgentName {
    AgentName::parse("arch").unwrap()
}

fn member(name: &str) -> NewMember {
    NewMember {
        name: AgentName::parse(name).unwrap(),
        agent: AgentId::new(),
        team: Team::parse("tests").unwrap(),
        agent_type: "codex".into(),
        model: "m".into(),
        prompt: None,
        color: "blue".into(),
        cwd: "/work".into(),
    }
}

fn draft(text: &str) -> Draft {
    let from = Address::parse("team-lead").unwrap();
    Draft { from, text: text.into(), summary: None, color: None, urgency: Urgency::Normal }
}

fn texts(page: &Page) -> Vec<&str> {
    page.messages.iter().map(|message| message.text.as_str()).collect()
}

fn ids(page: &Page) -> Vec<MessageId> {
    page.messages.iter().map(|message| message.id.clone()).collect()
}

impl World {
    fn inbox(&self) -> std::path::PathBuf {
        self.post.inbox_path(&name("arch"))
    }

    fn write(&self, content: &str) {
        fs::create_dir_all(self.inbox().parent().unwrap()).unwrap();
        fs::write(self.inbox(), content).unwrap();
    }

    fn raw(&self) -> String {
        fs::read_to_string(self.inbox()).unwrap()
    }

    fn send(&self, text: &str) -> MessageId {
        self.post.send(&name("arch"), &[draft(text)]).unwrap().ids.remove(0)
    }

    fn unread(&self) -> Page {
        self.post.unread(&name("arch"), usize::MAX).unwrap()
    }

    fn all(&self) -> Page {
        self.post.read(&name("arch"), &Filter { which: Which::All, ..Filter::default() }).unwrap()
    }

    /// What stands beside the inbox, but for the files of OS locks.
    fn beside(&self) -> Vec<String> {
        let all = fs::read_dir(self.inbox().parent().unwrap()).unwrap();
        let names = all.map(|file| file.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> =
            names.filter(|name| !["arch.json", "arch.lock"].contains(&name.as_str())).collect();
        names.sort();
        names
    }

    /// Has another process play a part; see [`the_part_of_another_process`].
    fn play(&self, part: &str, kill_at: Option<&str>) -> std::process::Child {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "mail::tests::the_part_of_another_process", "--nocapture"]);
        command.env(PART, part).env("ATM_TEST_MAIL_HOME", self.dir.path()).stdout(std::process::Stdio::null());
        if let Some(step) = kill_at {
            command.env(steps::KILL_AT, step);
        }
        command.spawn().unwrap()
    }

    /// The lock of a process that was killed is as old as it would be in a while.
    #[cfg(unix)]
    fn age_locks(&self) {
        for lock in [self.inbox().with_extension("json.lock"), post_config(self.dir.path()).with_extension("json.lock")]
        {
            if let Ok(lock) = fs::File::open(lock) {
                lock.set_modified(std::time::SystemTime::now() - Duration::from_secs(11)).unwrap();
            }
        }
    }
}

const PART: &str = "ATM_TEST_MAIL_PART";

/// What a process does that another test starts; as a test of its own it does nothing.
#[test]
fn the_part_of_another_process() {
    let Ok(part) = std::env::var(PART) else { return };
    let post = post(Path::new(&std::env::var("ATM_TEST_MAIL_HOME").unwrap()));
    match part.split_once(' ') {
        Some(("send", text)) => drop(post.send(&name("arch"), &[draft(text)]).unwrap()),
        Some(("race", writer)) => race(&post, writer),
        _ => {
            let unread = post.unread(&name("arch"), 2).unwrap();
            post.mark_read_of_ours(&arch(), &ids(&unread)).unwrap();
        }
    }
}

const RACE: usize = 25;

/// Two threads that write, one that reads and marks.
fn race(post: &ClaudePost, writer: &str) {
    std::thread::scope(|scope| {
        for thread in 0..2 {
            scope.spawn(move || {
                for n in 0..RACE {
                    post.send(&name("arch"), &[draft(&format!("{writer} {thread} {n}"))]).unwrap();
                }
            });
        }
        scope.spawn(|| {
            for _ in 0..RACE {
                let page = post.unread(&name("arch"), 3).unwrap();
                post.mark_read_of_ours(&arch(), &ids(&page)).unwrap();
            }
        });
    });
}

#[test]
fn what_is_sent_is_unread_until_it_is_marked_and_is_listed_in_its_order() {
    let world = world();
    let sent = world.post.send(&name("arch"), &[draft("one"), draft("two")]).unwrap();
    let three = world.send("three");
    assert_eq!((texts(&world.unread()), world.unread().total), (vec!["one", "two", "three"], 3));
    assert_eq!(ids(&world.unread()), [&sent.ids[..], &[three]].concat());
    assert_eq!(texts(&world.post.unread(&name("arch"), 2).unwrap()), ["one", "two"]);
    let marked = world.post.mark_read(&name("arch"), &[sent.ids[1].clone(), MessageId::next()]).unwrap();
    assert_eq!(marked.marked, 1);
    assert_eq!(world.post.mark_read(&name("arch"), &sent.ids[1..]).unwrap().marked, 0, "marked once");
    assert_eq!((texts(&world.unread()), world.post.count_unread(&name("arch")).unwrap()), (vec!["one", "three"], 2));
    assert_eq!(texts(&world.all()), ["one", "two", "three"]);
    let filter = |filter| texts(&world.post.read(&name("arch"), &filter).unwrap()).join(" ");
    let all = || Filter { which: Which::All, ..Filter::default() };
    assert_eq!(filter(Filter { limit: Some(2), ..all() }), "two three");
    assert_eq!(filter(Filter { from: Some("c1".into()), ..all() }), "");
    assert_eq!(filter(Filter { since: Some("2200-01-01T00:00:00Z".parse().unwrap()), ..all() }), "");
    assert_eq!(filter(Filter { since: Some(Timestamp::UNIX_EPOCH), limit: Some(9), ..all() }), "one two three");
    assert!(world.beside().is_empty(), "{:?}", world.beside());
}

#[test]
fn a_team_that_is_not_there_has_no_mail_and_is_not_touched() {
    let dir = tempfile::tempdir().unwrap();
    let open = |team| ClaudePost::open(&Home::at(dir.path()), &TeamName::parse(team).unwrap());
    let (post, session) = (open("absent"), open("session-6075f866"));
    assert!(!post.exists() && post.roster().unwrap().is_empty());
    assert_eq!((post.unread(&name("arch"), 9).unwrap().total, post.count_unread(&name("arch")).unwrap()), (0, 0));
    assert_eq!(post.mark_read_of_ours(&arch(), &[MessageId::next()]).unwrap().marked, 0);
    assert_eq!(post.fates(&name("arch"), &[MessageId::next()]).unwrap(), [Fate::Gone]);
    post.leave(&AgentId::new()).unwrap();
    let error = post.send(&name("arch"), &[draft("x")]).unwrap_err().to_string();
    assert!(error.contains("no team absent") && error.contains("config.json"), "{error}");
    assert!(matches!(session.send(&name("c1"), &[draft("x")]), Err(MailError::TeamGone(_))));
    assert!(matches!(session.broadcast(&draft("x")), Err(MailError::TeamGone(_))));
    assert!(matches!(session.join(&member("arch")), Err(MailError::TeamGone(_))));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn what_is_refused_is_told_why_and_nothing_is_stored() {
    let world = world();
    let why = |to: &str, draft: Draft| world.post.send(&name(to), &[draft]).unwrap_err().to_string();
    assert_eq!(why("nobody", draft("x")), "there is no nobody in the team tests; it has c1, team-lead, arch");
    assert!(why("team-lead", draft("x")).contains("write to itself"));
    let with_team = Draft { from: Address::parse("team-lead@tests").unwrap(), ..draft("x") };
    assert!(why("team-lead", with_team).contains("write to itself"));
    assert!(why("arch", draft("\n")).contains("blank"));
    assert!(why("arch", draft(&"x".repeat(2 << 20))).contains("2097152 bytes"));
    assert!(!world.inbox().parent().unwrap().exists(), "no inbox");
    let elsewhere = Draft { from: Address::parse("team-lead@other").unwrap(), ..draft("x") };
    world.post.send(&name("team-lead"), &[elsewhere]).unwrap();
    let page = world.post.unread(&name("team-lead"), 1).unwrap();
    assert_eq!(page.messages[0].from, "team-lead@other");
}

#[test]
fn members_who_share_an_inbox_get_no_mail_that_the_other_would_read() {
    let world = world();
    let config = post_config(world.dir.path());
    let two = fs::read_to_string(&config).unwrap().replace("\"c1\"", "\"arch-2\"").replace("\"arch\"", "\"arch 2\"");
    fs::write(&config, two).unwrap();
    let error = world.post.send(&name("arch-2"), &[draft("x")]).unwrap_err().to_string();
    assert!(error.contains("arch-2 and arch 2 have the same inbox"), "{error}");
}

#[test]
fn a_recipient_that_vanishes_after_the_check_gets_nothing_and_leaves_no_inbox() {
    let world = world();
    fs::create_dir(world.inbox().parent().unwrap()).unwrap();
    let inbox = inbox::Inbox { path: world.inbox(), patience: Duration::from_secs(30) };
    let gone = || Err(MailError::TeamGone(TeamName::parse("tests").unwrap()));
    assert!(matches!(inbox.append(&["1".into()], gone), Err(MailError::TeamGone(_))));
    assert!(!world.inbox().exists() && world.beside().is_empty());
    world.write("[]");
    assert!(inbox.append(&["1".into()], gone).is_err() && world.raw() == "[]", "one that was there stays");
}

#[test]
fn a_broken_inbox_is_set_aside_and_told_and_mail_goes_on() {
    for broken in ["", " \n", "{}", "null", "[{\"from\":\"c1\",\"text\":\"half", "[1]x", "\u{feff}[]"] {
        type Act = fn(&World) -> Option<std::path::PathBuf>;
        let acts: [(Act, usize); 3] = [
            (|world| world.post.send(&name("arch"), &[draft("x")]).unwrap().set_aside, 1),
            (|world| world.unread().set_aside, 0),
            (|world| world.post.mark_read_of_ours(&arch(), &[]).unwrap().set_aside, 0),
        ];
        for (act, left) in acts {
            let world = world();
            world.write(broken);
            let aside = act(&world).expect("it is told");
            assert_eq!(fs::read_to_string(&aside).unwrap(), broken);
            assert!(aside.file_name().unwrap().to_str().unwrap().starts_with("arch.json.corrupt-20"), "{aside:?}");
            assert_eq!((world.all().total, world.all().set_aside), (left, None), "{broken:?}");
            assert_eq!(world.beside().len(), 1);
        }
    }
}

#[test]
fn half_an_inbox_that_its_writer_is_still_writing_is_waited_for() {
    let world = world();
    world.write("[{\"from\":\"c1\",\"te");
    let lock = world.inbox().with_extension("json.lock");
    fs::create_dir(&lock).unwrap();
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| world.unread());
        world.write("[{\"from\":\"c1\",\"text\":\"whole\",\"timestamp\":\"t\"}]");
        fs::remove_dir(&lock).unwrap();
        let page = reader.join().unwrap();
        assert_eq!((texts(&page), &page.set_aside), (vec!["whole"], &None));
    });
}

#[test]
fn text_that_is_no_utf_8_is_read_as_claude_reads_it() {
    let world = world();
    world.write("");
    fs::write(world.inbox(), b"[{\"from\":\"c1\",\"text\":\"a\xff\",\"timestamp\":\"t\"}]").unwrap();
    assert_eq!(texts(&world.unread()), ["a\u{fffd}"]);
}

#[test]
fn what_the_file_system_refuses_is_told_with_its_path_and_what_to_do() {
    let world = world();
    fs::create_dir_all(world.inbox()).unwrap();
    for error in [
        world.post.send(&name("arch"), &[draft("x")]).unwrap_err(),
        world.post.unread(&name("arch"), 1).unwrap_err(),
        world.post.mark_read_of_ours(&arch(), &[]).unwrap_err(),
    ] {
        let error = error.to_string();
        // Windows does not tell a directory from a file that is not ours.
        let what_to_do = if cfg!(windows) { "Let this user write there" } else { "move it away" };
        assert!(error.contains("arch.json: ") && error.contains(what_to_do), "{error}");
    }
    assert!(world.beside().is_empty(), "no lock is left: {:?}", world.beside());
    let copies = world.post.broadcast(&draft("to all")).unwrap();
    let told: Vec<_> = copies.iter().map(|copy| (copy.to.as_str(), copy.sent.is_ok())).collect();
    assert_eq!(told, [("c1", true), ("arch", false)], "one that fails hinders no other");
}

#[cfg(unix)]
#[test]
fn a_read_only_inbox_is_told_and_keeps_what_it_has() {
    use std::os::unix::fs::PermissionsExt;
    // Nothing is read-only to root.
    if rustix::process::geteuid().is_root() {
        return;
    }
    let world = world();
    world.send("before");
    let dir = world.inbox().parent().unwrap().to_owned();
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o500)).unwrap();
    let error = world.post.send(&name("arch"), &[draft("x")]).unwrap_err().to_string();
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o700)).unwrap();
    assert!(error.contains("Let this user write there"), "{error}");
    assert_eq!(texts(&world.unread()), ["before"]);
}

#[test]
fn every_copy_of_a_broadcast_has_an_id_of_its_own_and_none_goes_to_the_sender() {
    let world = world();
    let copies = world.post.broadcast(&draft("to all")).unwrap();
    assert_eq!(copies.iter().map(|copy| copy.to.as_str()).collect::<Vec<_>>(), ["c1", "arch"]);
    let sent: Vec<MessageId> = copies.into_iter().flat_map(|copy| copy.sent.unwrap().ids).collect();
    assert_ne!(sent[0], sent[1]);
    assert_eq!(ids(&world.unread()), sent[1..]);
    assert_eq!(world.post.count_unread(&name("team-lead")).unwrap(), 0);
}

#[test]
fn what_became_of_a_message_is_told_as_far_as_files_can_tell() {
    let world = world();
    let sent = world.post.send(&name("arch"), &[draft("one"), draft("two"), draft("three")]).unwrap().ids;
    world.post.mark_read_of_ours(&arch(), &sent[..1]).unwrap();
    assert_eq!(world.post.fates(&name("arch"), &sent).unwrap(), [Fate::Read, Fate::Unread, Fate::Unread]);
    // Claude takes out what it has delivered.
    world.write("[]");
    assert_eq!(world.post.fates(&name("arch"), &sent[1..]).unwrap(), [Fate::Gone, Fate::Gone]);
}

/// An inbox with this many read messages of this age, and one unread.
fn old_mail(world: &World, read: usize, age: Duration) {
    let at = Timestamp::now() - age;
    let entries =
        (0..read).map(|n| format!("{{\"from\":\"c1\",\n\"text\":\"{n}\",\"timestamp\":\"{at}\",\"read\":true}}"));
    let unread = format!(r#"{{"from":"c1","text":"unread","timestamp":"{at}"}}"#);
    let all: Vec<String> = entries.chain([unread, "[\"no message\"]".into()]).collect();
    world.write(&splice::array(all.iter().map(String::as_str)));
}

#[test]
fn an_inbox_of_ours_keeps_200_that_were_read_and_the_archive_the_rest() {
    let world = world();
    old_mail(&world, 230, Duration::from_secs(60));
    let unread = ids(&world.unread());
    let before = ids(&world.all());
    world.post.mark_read(&name("arch"), &[]).unwrap();
    assert_eq!(world.all().total, 231, "only when it is ours");
    world.post.mark_read_of_ours(&arch(), &unread).unwrap();
    let kept = world.all();
    assert_eq!((kept.total, kept.messages[0].text.as_str(), kept.messages[199].text.as_str()), (200, "31", "unread"));
    assert!(world.raw().contains("no message"));
    let fates = world.post.fates(&name("arch"), &before).unwrap();
    assert!(fates.iter().all(|fate| *fate == Fate::Read), "what is archived is not gone");
    let archive = world.dir.path().join(".config/atm/agent-sessions/tests/mail/arch.jsonl");
    assert_eq!(fs::read_to_string(archive).unwrap().lines().count(), 31);
}

#[test]
fn what_was_read_a_week_ago_goes_to_the_archive_and_what_is_unread_stays() {
    let world = world();
    old_mail(&world, 3, Duration::from_secs(8 * 24 * 3600));
    world.post.mark_read_of_ours(&arch(), &[]).unwrap();
    assert_eq!(texts(&world.all()), ["unread"]);
}

#[test]
fn a_read_message_stays_as_long_as_an_equal_one_waits() {
    let world = world();
    let bare = |read: &str| format!(r#"{{"from":"c1","text":"ok","timestamp":"2020-01-01T00:00:00Z"{read}}}"#);
    world.write(&format!("[{},{}]", bare(r#","read":true"#), bare("")));
    let unread = ids(&world.unread());
    world.post.mark_read_of_ours(&arch(), &[]).unwrap();
    assert_eq!(ids(&world.unread()), unread, "or it would be taken for the one that was read");
    world.post.mark_read_of_ours(&arch(), &unread).unwrap();
    assert_eq!(world.raw(), "[]");
}

#[test]
fn half_a_line_in_the_archive_hides_no_other() {
    let world = world();
    let archive = world.dir.path().join(".config/atm/agent-sessions/tests/mail/arch.jsonl");
    fs::create_dir_all(archive.parent().unwrap()).unwrap();
    fs::write(&archive, "{\"v\":1,\"id\":\"cut o").unwrap();
    old_mail(&world, 2, Duration::from_secs(8 * 24 * 3600));
    let before = ids(&world.all());
    world.post.mark_read_of_ours(&arch(), &[]).unwrap();
    assert_eq!(world.post.fates(&name("arch"), &before[..2]).unwrap(), [Fate::Read, Fate::Read]);
}

#[test]
fn an_inbox_of_50_000_entries_works() {
    let world = world();
    old_mail(&world, 50_000, Duration::from_secs(60));
    world.send("after all these");
    let unread = world.unread();
    assert_eq!(texts(&unread), ["unread", "after all these"]);
    world.post.mark_read_of_ours(&arch(), &ids(&unread)).unwrap();
    assert_eq!(world.all().total, 200);
}

#[test]
fn several_threads_and_processes_that_write_and_mark_lose_nothing() {
    let world = world();
    let other = world.play("race other", None);
    race(&world.post, "ours");
    let mut other = other;
    assert!(other.wait().unwrap().success());
    let mut texts: Vec<String> = world.all().messages.into_iter().map(|message| message.text).collect();
    texts.sort();
    let mut expected: Vec<String> = Vec::new();
    for writer in ["ours", "other"] {
        expected.extend((0..2 * RACE).map(|n| format!("{writer} {} {}", n / RACE, n % RACE)));
    }
    expected.sort();
    assert_eq!(texts, expected);
    assert!(world.beside().is_empty(), "{:?}", world.beside());
}

#[cfg(unix)]
fn was_killed(status: ExitStatus) -> bool {
    std::os::unix::process::ExitStatusExt::signal(&status) == Some(9)
}

#[cfg(unix)]
#[test]
fn a_sender_or_a_reader_that_is_killed_at_any_step_leaves_nothing_broken() {
    for step in steps::ALL.into_iter().filter(|step| step.starts_with("mail.")) {
        for part in ["send killed", "mark"] {
            let world = world();
            let broken = step == "mail.set_aside";
            if broken {
                world.write("broken");
            } else {
                old_mail(&world, 210, Duration::from_secs(60));
            }
            let before = if broken { Vec::new() } else { ids(&world.all()) };
            let killed = was_killed(world.play(part, Some(step)).wait().unwrap());
            assert_eq!(killed, !(step == "mail.archived" && part == "send killed"), "{part} at {step}");
            world.age_locks();
            world.send("afterwards");
            let unread = ids(&world.unread());
            world.post.mark_read_of_ours(&arch(), &unread).unwrap();
            let all = texts(&world.all()).iter().filter(|text| **text == "afterwards").count();
            assert_eq!(all, 1, "{part} at {step}");
            let fates = world.post.fates(&name("arch"), &before).unwrap();
            assert!(fates.iter().all(|fate| *fate == Fate::Read), "{part} at {step}: {fates:?}");
            assert!(!world.inbox().with_extension("json.lock").exists(), "{part} at {step}");
            if broken {
                let kept = world.beside().into_iter().find(|file| file.contains("corrupt")).unwrap();
                assert_eq!(fs::read_to_string(world.inbox().with_file_name(kept)).unwrap(), "broken");
            }
        }
    }
}

/// Any JSON, as anybody may have written it: with blanks, line breaks and numbers that do not survive a rewriting.
fn any_json() -> impl Strategy<Value = String> {
    let text = any::<String>().prop_map(|text| serde_json::to_string(&text).unwrap());
    let leaf = prop_oneof![
        text.clone(),
        Just("1.50e3".to_owned()),
        Just("\"\\ud83d\"".into()),
        Just("null".into()),
        Just("true".into())
    ];
    let blank = prop_oneof![Just(""), Just(" "), Just("\n  ")];
    leaf.prop_recursive(3, 16, 4, move |inner| {
        let name = prop_oneof![
            Just("\"read\"".to_owned()),
            Just("\"from\"".into()),
            Just("\"text\"".into()),
            Just("\"msg_id\"".into()),
            text.clone()
        ];
        let field =
            (name, blank.clone(), inner.clone()).prop_map(|(name, blank, value)| format!("{name}{blank}:{value}"));
        let join = |parts: Vec<String>, blank: &str| parts.join(&format!("{blank},{blank}"));
        prop_oneof![
            (proptest::collection::vec(inner, 0..4), blank.clone())
                .prop_map(move |(v, b)| format!("[{b}{}{b}]", join(v, b))),
            (proptest::collection::vec(field, 0..6), blank.clone())
                .prop_map(move |(v, b)| format!("{{{b}{}{b}}}", join(v, b))),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn whatever_others_wrote_keeps_its_place_and_every_byte(entries in proptest::collection::vec(any_json(), 0..8)) {
        let world = world();
        world.write(&splice::array(entries.iter().map(String::as_str)));
        let ours = world.send("ours");
        world.post.mark_read_of_ours(&arch(), &[ours]).unwrap();
        let raw = world.raw();
        let after: Vec<&str> = splice::elements(&raw).unwrap().into_iter().map(RawValue::get).collect();
        prop_assert_eq!(&after[..entries.len()], &entries[..]);
        prop_assert_eq!(after.len(), entries.len() + 1);
    }
}
