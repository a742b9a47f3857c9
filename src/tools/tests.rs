//! What the office promises to whoever writes and reads, with real files.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use futures_util::FutureExt;
use serde_json::{Value, json};

use super::*;
use crate::home::Home;
use crate::ids::{AgentName, DeliveryId, MemberName, MessageId, Team, TeamName, ThreadId, TurnId};
use crate::journal::Journal;
use crate::mail::{DeliveredLine, Ledger, MailError, NewMember, Teams, TeamsSetup};
use crate::session::identity::Lock;
use crate::session::{Caller, Record, ThreadOptions, Toolbox};

const SESSION: &str = "6075f866-f103-4be1-b2e9-8dbf66009eb9";
const SESSION_TEAM: &str = "session-6075f866";

/// Our team `red`, which nobody has named, and its client, who has a Claude Code session.
struct World {
    dir: tempfile::TempDir,
    home: Home,
    teams: Teams,
    office: Office,
    journal: Journal,
}

/// An agent of ours; it runs as long as this lives.
struct Running {
    speaker: Speaker,
    record: Record,
    _lock: Lock,
}

fn world() -> World {
    world_of("team-lead")
}

fn world_of(lead: &str) -> World {
    let dir = tempfile::tempdir().unwrap();
    let (home, team) = (Home::at(dir.path()), Team::parse("red").unwrap());
    let (lead, cwd, session_id) = (AgentName::parse(lead).unwrap(), dir.path().to_owned(), Some(SESSION.to_owned()));
    let setup =
        TeamsSetup { home: home.clone(), team: team.clone(), is_named: false, lead: lead.clone(), cwd, session_id };
    let (teams, journal) = (Teams::open(setup), Journal::open(&home, &team));
    let office = Office::new(teams.clone(), home.team(&team), lead, journal.clone());
    World { dir, home, teams, office, journal }
}

fn member(name: &str) -> MemberName {
    MemberName::parse(name).unwrap()
}

impl Running {
    fn caller(&self) -> Caller {
        Caller { agent: self.record.agent_id.clone(), name: self.record.identity.clone() }
    }
}

impl World {
    /// An agent that nobody runs.
    fn away(&self, name: &str) -> Record {
        let (name, team) = (AgentName::parse(name).unwrap(), self.teams.ours().clone());
        let record = Record::new(name, true, team, None, ThreadOptions::default());
        record.save(&self.home.team(self.teams.ours())).unwrap();
        record
    }

    fn running(&self, name: &str) -> Running {
        let record = self.away(name);
        let lock = Lock::take(&self.home.team(self.teams.ours()).agent_lock(&record.agent_id)).unwrap().unwrap();
        let caller = Caller { agent: record.agent_id.clone(), name: record.identity.clone() };
        Running { speaker: Speaker::Agent(caller), record, _lock: lock }
    }

    /// A team of somebody else's, or that of the session, with these members.
    fn team(&self, team: &str, members: &[&str]) {
        let members: Vec<Value> =
            members.iter().map(|name| json!({"agentId": format!("{name}@{team}"), "name": name})).collect();
        let config = self.home.claude_team(&TeamName::parse(team).unwrap()).config();
        fs::create_dir_all(config.parent().unwrap()).unwrap();
        fs::write(config, json!({"name": team, "members": members}).to_string()).unwrap();
    }

    fn inbox_path(&self, team: &str, name: &str) -> PathBuf {
        self.home.claude_team(&TeamName::parse(team).unwrap()).inbox(&member(name))
    }

    /// Whom each message in an inbox is from, and what it says.
    fn inbox(&self, team: &str, name: &str) -> Vec<(String, String)> {
        let text = fs::read_to_string(self.inbox_path(team, name)).unwrap_or_else(|_| "[]".to_owned());
        let entries: Vec<Value> = serde_json::from_str(&text).unwrap();
        let word = |entry: &Value, field: &str| entry[field].as_str().unwrap().to_owned();
        entries.iter().map(|entry| (word(entry, "from"), word(entry, "text"))).collect()
    }

    /// Unread messages as somebody else has written them.
    fn fill(&self, team: &str, name: &str, texts: impl Iterator<Item = String>) {
        let entry = |(at, text)| json!({"from": "c1", "text": text, "timestamp": "2026-11-25T13:12:38.123Z", "read": false, "msg_id": format!("m-{at}")});
        let entries: Vec<Value> = texts.enumerate().map(entry).collect();
        let path = self.inbox_path(team, name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, Value::from(entries).to_string()).unwrap();
    }

    async fn send(&self, speaker: &Speaker, to: &str, message: &str) -> Result<Answer, Refusal> {
        let args = SendArgs { to: Some(to.to_owned()), message: Some(message.to_owned()), summary: None };
        self.office.send(speaker, args).await
    }

    async fn broadcast(&self, speaker: &Speaker, message: &str) -> Result<Answer, Refusal> {
        let message = Some(message.to_owned());
        self.office.broadcast(speaker, BroadcastArgs { message, ..BroadcastArgs::default() }).await
    }

    async fn read(&self, speaker: &Speaker, args: ReadMailArgs) -> Result<Answer, Refusal> {
        self.office.read(speaker, args).await?.marked().await
    }

    /// Everything that was sent was sent so many seconds ago.
    fn sent_at(&self, secs: i64) {
        let path = self.home.team(self.teams.ours()).mail_dir().join("@sent.jsonl");
        let at = jiff::Timestamp::now() - jiff::SignedDuration::from_secs(secs);
        let of_then = |line: &str| {
            let mut line: Value = serde_json::from_str(line).unwrap();
            line["at"] = json!(at);
            format!("{line}\n")
        };
        let lines: String = fs::read_to_string(&path).unwrap().lines().map(of_then).collect();
        fs::write(path, lines).unwrap();
    }

    /// The lines of the journal, which ends.
    fn audit(&self) -> Vec<Value> {
        self.journal.close();
        let text = fs::read_to_string(self.home.team(self.teams.ours()).audit()).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    async fn unread(&self, speaker: &Speaker) -> u64 {
        self.office.pending_count(speaker).await.unwrap().value["unread"].as_u64().unwrap()
    }
}

fn all() -> ReadMailArgs {
    ReadMailArgs { all: true, ..ReadMailArgs::default() }
}

fn sent() -> ReadMailArgs {
    ReadMailArgs { sent: true, ..ReadMailArgs::default() }
}

fn said(from: &str, text: &str) -> Vec<(String, String)> {
    vec![(from.to_owned(), text.to_owned())]
}

#[tokio::test]
async fn the_first_mail_makes_the_team_and_reaches_an_agent_that_nobody_has_put_into_it_yet() {
    let world = world();
    let ana = world.running("ana");
    assert!(!world.dir.path().join(".claude").exists());
    let told = world.send(&Speaker::Lead, "ana", "hello").await.unwrap();
    assert_eq!(told.value["recipient"], "running here");
    assert_eq!(world.inbox("red", "ana"), said("team-lead", "hello"));
    assert_eq!(world.unread(&ana.speaker).await, 1);
}

#[tokio::test]
async fn a_broadcast_reaches_agents_that_nobody_has_put_into_the_team_yet_and_not_its_sender() {
    let world = world();
    let (ana, _ben) = (world.running("ana"), world.running("ben"));
    world.broadcast(&ana.speaker, "stop").await.unwrap();
    assert_eq!(
        (world.inbox("red", "ben"), world.inbox("red", "team-lead")),
        (said("ana", "stop"), said("ana", "stop"))
    );
    assert!(world.inbox("red", "ana").is_empty());
}

#[tokio::test]
async fn mail_for_an_agent_that_is_away_is_kept_for_it() {
    let world = world();
    let record = world.away("ana");
    let told = world.send(&Speaker::Lead, "ana", "when you are back").await.unwrap();
    assert_eq!(told.value["recipient"], "away");
    let members = world.teams.own().roster().unwrap();
    let ana = members.iter().find(|member| member.name == "ana").unwrap();
    assert_eq!((ana.active, &ana.ours.as_ref().unwrap().agent_id), (Some(false), &record.agent_id));
    assert_eq!(world.inbox("red", "ana"), said("team-lead", "when you are back"));
}

#[tokio::test]
async fn an_agent_of_another_server_runs_elsewhere() {
    let world = world();
    let ana = world.running("ana");
    Record { server_pid: 1, ..ana.record.clone() }.save(&world.home.team(world.teams.ours())).unwrap();
    assert_eq!(world.send(&Speaker::Lead, "ana", "hello").await.unwrap().value["recipient"], "running elsewhere");
}

#[tokio::test]
async fn a_sender_among_an_agents_arguments_is_refused_and_nothing_is_sent() {
    let world = world();
    let (ana, _ben) = (world.running("ana"), world.running("ben"));
    let Speaker::Agent(caller) = &ana.speaker else { unreachable!() };
    let tools = AgentTools::new(world.office.clone(), None);
    for tool in &tools.tools().tools {
        assert_eq!(tool.input_schema["additionalProperties"], false, "{}", tool.name);
    }
    for argument in ["from", "identity", "sender", "team-lead"] {
        let forged = json!({"to": "ben", "message": "x", argument: "team-lead"});
        let refused = tools.run(caller.clone(), "send", forged).await.unwrap_err();
        assert!(refused.code == "INVALID_ARGUMENT" && refused.message.contains("unknown field"), "{refused:?}");
        let forged = json!({argument: "team-lead"});
        assert!(tools.run(caller.clone(), "pending_count", forged).await.is_err());
    }
    assert!(world.inbox("red", "ben").is_empty());
    tools.run(caller.clone(), "send", json!({"to": "ben", "message": "x"})).await.unwrap();
    assert_eq!(world.inbox("red", "ben"), said("ana", "x"));
}

#[tokio::test]
async fn who_is_not_known_is_refused_with_who_is() {
    let world = world();
    world.team(SESSION_TEAM, &["team-lead", "tester", "ig\nnore this: \u{1b}[2J"]);
    let (ana, _ben) = (world.running("ana"), world.running("ben"));
    let refused = world.send(&ana.speaker, "nobody", "x").await.unwrap_err();
    assert_eq!(refused.code, "UNKNOWN_RECIPIENT");
    assert!(refused.message.ends_with("you can write to ben, team-lead, tester"), "{refused:?}");
    let refused = world.send(&ana.speaker, "ana", "x").await.unwrap_err();
    assert!(refused.code == "UNKNOWN_RECIPIENT" && refused.message.contains("itself"), "{refused:?}");
    assert_eq!(world.send(&ana.speaker, "ben@nowhere", "x").await.unwrap_err().code, "UNKNOWN_TEAM");
}

#[tokio::test]
async fn an_agent_that_was_closed_is_not_written_to() {
    let world = world();
    let record = world.away("ana");
    world.send(&Speaker::Lead, "ana", "one").await.unwrap();
    Record { closed: true, ..record }.save(&world.home.team(world.teams.ours())).unwrap();
    let refused = world.send(&Speaker::Lead, "ana", "two").await.unwrap_err();
    assert!(refused.code == "UNKNOWN_RECIPIENT" && refused.message.contains("was closed"), "{refused:?}");
    assert_eq!(world.inbox("red", "ana"), said("team-lead", "one"));
}

#[tokio::test]
async fn what_cannot_be_a_name_or_a_message_is_refused_and_touches_nothing() {
    let world = world();
    let ana = world.running("ana");
    let long = "x".repeat(300);
    for to in ["", " ", ".", "..", "../../x", "a/b", "a\\b", "a b", "a\u{7}b", ".a", "-a", "a@", "@red", "a@b@c", &long]
    {
        let refused = world.send(&ana.speaker, to, "x").await.unwrap_err();
        assert!(refused.code == "INVALID_ARGUMENT" && refused.message.len() < 600, "{to:?}: {refused:?}");
    }
    for message in ["", " \n"] {
        assert_eq!(world.send(&ana.speaker, "team-lead", message).await.unwrap_err().code, "INVALID_ARGUMENT");
    }
    assert!(!world.dir.path().join(".claude").exists());
    let refused = world.send(&ana.speaker, "team-lead", &"x".repeat(2_000_000)).await.unwrap_err();
    assert!(refused.code == "INVALID_ARGUMENT" && refused.message.contains("2000000 bytes"), "{refused:?}");
    assert!(!world.inbox_path("red", "team-lead").exists());
}

#[tokio::test]
async fn to_another_team_its_sender_says_where_it_is_and_finds_it_in_what_it_sent() {
    let world = world();
    world.team("blue", &["bea"]);
    let ana = world.running("ana");
    world.send(&ana.speaker, "bea@blue", "hello").await.unwrap();
    assert_eq!(world.inbox("blue", "bea"), said("ana@red", "hello"));
    let told = world.read(&ana.speaker, sent()).await.unwrap();
    assert_eq!((&told.value["messages"][0]["to"], &told.value["messages"][0]["team"]), (&json!("bea"), &json!("blue")));
    assert!(world.read(&Speaker::Lead, sent()).await.unwrap().value["messages"].as_array().unwrap().is_empty());
}

#[tokio::test]
async fn an_agent_neither_reads_nor_speaks_as_somebody_of_its_name_in_the_session() {
    let world = world();
    world.team(SESSION_TEAM, &["team-lead", "ana", "tester"]);
    world.fill(SESSION_TEAM, "ana", std::iter::once("for Claude's ana".to_owned()));
    let ana = world.running("ana");
    assert_eq!(world.unread(&ana.speaker).await, 0);
    assert!(world.read(&ana.speaker, all()).await.unwrap().value["messages"].as_array().unwrap().is_empty());
    assert!(!fs::read_to_string(world.inbox_path(SESSION_TEAM, "ana")).unwrap().contains("true"));
    world.send(&ana.speaker, "tester", "hello").await.unwrap();
    assert_eq!(world.inbox(SESSION_TEAM, "tester"), said("ana@red", "hello"));
}

#[tokio::test]
async fn an_agent_whose_name_is_anothers_in_our_team_does_not_speak_as_that() {
    let world = world();
    world.team("red", &["team-lead", "ana"]);
    let (ana, _ben) = (world.running("ana"), world.running("ben"));
    let refused = world.send(&ana.speaker, "ben", "x").await.unwrap_err();
    assert_eq!(refused.code, "IDENTITY_CONFLICT");
    assert_eq!(world.unread(&ana.speaker).await, 0);
}

#[tokio::test]
async fn a_member_of_the_session_speaks_and_reads_there_in_its_own_name() {
    let world = world();
    world.team(SESSION_TEAM, &["team-lead", "tester"]);
    let ana = world.running("ana");
    let session = world.teams.session().unwrap();
    let Record { identity: name, agent_id: agent, team, .. } = ana.record.clone();
    let (agent_type, model, color, cwd) = ("codex".into(), "m".into(), "green".into(), world.dir.path().to_owned());
    session.join(&NewMember { name, agent, team, agent_type, model, prompt: None, color, cwd }).unwrap();
    world.fill(SESSION_TEAM, "ana", std::iter::once("hello".to_owned()));
    assert_eq!(world.unread(&ana.speaker).await, 1);
    world.send(&ana.speaker, "tester", "hello").await.unwrap();
    assert_eq!(world.inbox(SESSION_TEAM, "tester"), said("ana", "hello"));
}

#[tokio::test]
async fn the_client_is_its_sessions_lead_there_whatever_we_call_it() {
    let world = world_of("boss");
    world.team(SESSION_TEAM, &["team-lead", "tester", "boss"]);
    world.send(&Speaker::Lead, "tester", "hello").await.unwrap();
    assert_eq!(world.inbox(SESSION_TEAM, "tester"), said("team-lead", "hello"));
    let refused = world.send(&Speaker::Lead, "team-lead", "x").await.unwrap_err();
    assert!(refused.message.contains("itself"), "{refused:?}");
    let told = world.broadcast(&Speaker::Lead, "stop").await.unwrap();
    assert_eq!(told.value["sent"].as_array().unwrap().len(), 2);
    assert!(world.inbox(SESSION_TEAM, "team-lead").is_empty());
}

#[tokio::test]
async fn what_claude_shows_its_lead_stays_unread_and_the_reader_is_told_so() {
    let world = world();
    world.team(SESSION_TEAM, &["team-lead"]);
    world.fill(SESSION_TEAM, "team-lead", std::iter::once("hello".to_owned()));
    let told = world.read(&Speaker::Lead, ReadMailArgs::default()).await.unwrap();
    assert!(told.text.contains("stays unread") && told.text.contains("mark_read=true"), "{}", told.text);
    assert_eq!(world.unread(&Speaker::Lead).await, 1);
    let wish = ReadMailArgs { mark_read: Some(true), ..ReadMailArgs::default() };
    assert!(!world.read(&Speaker::Lead, wish).await.unwrap().text.contains("stays unread"));
    assert_eq!(world.unread(&Speaker::Lead).await, 0);
}

#[tokio::test]
async fn what_is_read_is_marked_and_nothing_else() {
    let world = world();
    let ana = world.running("ana");
    for text in ["one", "two", "three"] {
        world.send(&Speaker::Lead, "ana", text).await.unwrap();
    }
    let unmarked = ReadMailArgs { mark_read: Some(false), ..ReadMailArgs::default() };
    assert_eq!(world.read(&ana.speaker, unmarked).await.unwrap().value["total"], 3);
    assert_eq!(world.unread(&ana.speaker).await, 3);
    let first = ReadMailArgs { limit: Some(1), ..ReadMailArgs::default() };
    let told = world.read(&ana.speaker, first).await.unwrap();
    assert_eq!((&told.value["messages"][0]["text"], world.unread(&ana.speaker).await), (&json!("one"), 2));
    let told = world.read(&ana.speaker, ReadMailArgs::default()).await.unwrap();
    let texts: Vec<&Value> = told.value["messages"].as_array().unwrap().iter().map(|m| &m["text"]).collect();
    assert_eq!((texts, world.unread(&ana.speaker).await), (vec![&json!("two"), &json!("three")], 0));
    let newest = ReadMailArgs { limit: Some(1), ..all() };
    assert_eq!(world.read(&ana.speaker, newest).await.unwrap().value["messages"][0]["text"], "three");
}

#[tokio::test]
async fn what_an_agent_has_in_hand_is_given_to_it_once_and_is_unread_until_it_is_marked() {
    let world = world();
    let ana = world.running("ana");
    for text in ["one", "two"] {
        world.send(&Speaker::Lead, "ana", text).await.unwrap();
    }
    let first = ReadMailArgs { limit: Some(1), ..ReadMailArgs::default() };
    let reading = world.office.read(&ana.speaker, first).await.unwrap();
    let told = world.office.read(&ana.speaker, ReadMailArgs::default()).await.unwrap();
    assert_eq!(told.answer.value["messages"][0]["text"], "two");
    assert!(told.answer.text.contains("1 more are being shown to you"), "{}", told.answer.text);
    drop(told);
    assert_eq!(world.unread(&ana.speaker).await, 2, "nobody has said that it was seen");
    reading.marked().await.unwrap();
    let told = world.read(&ana.speaker, ReadMailArgs::default()).await.unwrap();
    assert_eq!((&told.value["messages"][0]["text"], world.unread(&ana.speaker).await), (&json!("two"), 0));
}

#[tokio::test]
async fn a_team_whose_files_are_broken_hides_no_other() {
    let world = world();
    let ana = world.running("ana");
    world.team(SESSION_TEAM, &["team-lead", "c1"]);
    world.send(&Speaker::Lead, "ana", "from us").await.unwrap();
    let config = world.home.claude_team(&TeamName::parse(SESSION_TEAM).unwrap()).config();
    fs::write(config, "[").unwrap();
    let told = world.read(&ana.speaker, ReadMailArgs::default()).await.unwrap();
    assert_eq!(told.value["messages"][0]["text"], "from us");
    assert!(
        told.text.contains("Not all of your mail can be read") && told.text.contains(SESSION_TEAM),
        "{}",
        told.text
    );
    world.send(&ana.speaker, "team-lead", "to you").await.unwrap();
    world.running("ben");
    world.send(&Speaker::Lead, "ben", "to you too").await.unwrap();
}

#[tokio::test]
async fn a_frame_is_read_in_words() {
    let world = world();
    let ana = world.running("ana");
    let ask = r#"{"type":"task_assignment","taskId":"7","subject":"the parser","description":"Mend it.","assignedBy":"team-lead","timestamp":"2026-11-25T13:12:38.123Z"}"#;
    world.send(&Speaker::Lead, "ana", ask).await.unwrap();
    let told = world.read(&ana.speaker, ReadMailArgs::default()).await.unwrap();
    assert!(
        told.text.contains("team-lead gives you task 7: the parser") && !told.text.contains("taskId"),
        "{}",
        told.text
    );
}

#[tokio::test]
async fn whose_name_is_anothers_is_told_so() {
    let world = world();
    let ana = AgentName::parse("ana").unwrap();
    world.running("ana");
    assert_eq!(world.office.member_called(&ana), None);
    world.team("red", &["team-lead", "ana"]);
    assert!(world.office.member_called(&ana).unwrap().contains("team red has a member ana"));
}

#[tokio::test]
async fn a_request_to_shut_down_is_not_done_with_by_being_read() {
    let world = world();
    let ana = world.running("ana");
    let ask =
        r#"{"type":"shutdown_request","requestId":"r","from":"team-lead","timestamp":"2026-11-25T13:12:38.123Z"}"#;
    for text in [ask, "and this"] {
        world.send(&Speaker::Lead, "ana", text).await.unwrap();
    }
    assert_eq!(world.read(&ana.speaker, ReadMailArgs::default()).await.unwrap().value["total"], 2);
    assert_eq!(world.unread(&ana.speaker).await, 1, "whoever brings mail finds it still");
}

#[tokio::test]
async fn a_limit_or_a_time_that_is_none_is_refused() {
    let world = world();
    for limit in [0, 201] {
        for sent in [false, true] {
            let args = ReadMailArgs { limit: Some(limit), sent, ..ReadMailArgs::default() };
            assert_eq!(world.read(&Speaker::Lead, args).await.unwrap_err().code, "INVALID_ARGUMENT");
        }
    }
    let args = ReadMailArgs { since: Some("yesterday".to_owned()), ..ReadMailArgs::default() };
    assert!(world.read(&Speaker::Lead, args).await.unwrap_err().message.contains("since"));
}

#[tokio::test]
async fn whatever_is_in_an_inbox_so_much_is_shown_as_its_reader_takes_and_what_is_not_shown_is_not_marked() {
    for (count, length) in [(200, 10), (200, 2_000), (60, 10_000), (1, 900_000), (50_000, 10)] {
        let world = world();
        let ana = world.running("ana");
        world.team("red", &["team-lead"]);
        for (name, speaker, most) in [("ana", &ana.speaker, 10_200), ("team-lead", &Speaker::Lead, 58_200)] {
            world.fill("red", name, (0..count).map(|_| "é".repeat(length)));
            let before = world.unread(speaker).await;
            let args = ReadMailArgs { limit: Some(200), ..ReadMailArgs::default() };
            let told = world.read(speaker, args).await.unwrap();
            let (shown, size) = (told.value["messages"].as_array().unwrap().len() as u64, told.text.len());
            assert!(shown > 0 && size <= most, "{name}, {count} of {length}: {shown} in {size}");
            assert_eq!(world.unread(speaker).await, before - shown, "{name}, {count} of {length}");
            assert_eq!(told.text.contains("more are unread"), shown < before, "{name}, {count} of {length}");
        }
    }
}

#[tokio::test]
async fn a_long_message_can_be_read_to_its_end() {
    let world = world();
    let ana = world.running("ana");
    let text: String = ('a'..='z').cycle().take(150_000).collect();
    let told = world.send(&Speaker::Lead, "ana", &text).await.unwrap();
    let id = told.value["message_id"].as_str().map(str::to_owned);
    let mut read = String::new();
    loop {
        let offset = Some(read.chars().count());
        let told = world.read(&ana.speaker, ReadMailArgs { id: id.clone(), offset, ..ReadMailArgs::default() }).await;
        let told = told.unwrap();
        read.push_str(told.value["messages"][0]["text"].as_str().unwrap());
        if told.value["messages"][0].get("cut").is_none() {
            break;
        }
        assert!(told.text.contains(&format!("Go on with offset {}", read.chars().count())));
    }
    assert_eq!(read, text);
    let args = ReadMailArgs { id: Some("other".to_owned()), ..ReadMailArgs::default() };
    assert_eq!(world.read(&ana.speaker, args).await.unwrap_err().code, "NOT_FOUND");
}

#[tokio::test]
async fn what_became_of_each_message_is_told() {
    let world = world();
    let ana = world.running("ana");
    let mut ids = Vec::new();
    for text in ["delivered", "gone", "read", "unread"] {
        let told = world.send(&Speaker::Lead, "ana", text).await.unwrap();
        ids.push(MessageId::parse(told.value["message_id"].as_str().unwrap()).unwrap());
    }
    let ledger = Ledger::of(&world.home.team(world.teams.ours()));
    let (thread, turn) = (ThreadId::parse("t").unwrap(), TurnId::parse("u-7").unwrap());
    ledger.delivered(&[DeliveredLine::now(ids[0].clone(), DeliveryId::next(), thread, turn)]);
    let path = world.inbox_path("red", "ana");
    let mut entries: Vec<Value> = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    entries.retain(|entry| entry["text"] != "gone");
    fs::write(&path, Value::from(entries).to_string()).unwrap();
    let args = ReadMailArgs { id: Some(ids[2].to_string()), ..ReadMailArgs::default() };
    world.read(&ana.speaker, args).await.unwrap();
    let fates = |told: &Answer| -> Vec<String> {
        let messages = told.value["messages"].as_array().unwrap();
        messages.iter().map(|m| format!("{}: {}", m["begins"].as_str().unwrap(), m["fate"].as_str().unwrap())).collect()
    };
    let told = world.read(&Speaker::Lead, sent()).await.unwrap();
    let expected = ["unread: unread", "read: read", "gone: taken out of the inbox", "delivered: delivered in turn u-7"];
    assert_eq!(fates(&told), expected);
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    let told = fates(&world.read(&Speaker::Lead, sent()).await.unwrap());
    assert!(told[0].contains("not known") && told[3].ends_with("delivered in turn u-7"), "{told:?}");
}

#[tokio::test]
async fn what_is_kept_of_a_sent_message_has_no_secret_in_it() {
    let world = world();
    let (ana, _ben) = (world.running("ana"), world.running("ben"));
    let secret = format!("{} token=sk-proj-Abc123def456ghi789", "x".repeat(60));
    world.send(&ana.speaker, "ben", &secret).await.unwrap();
    world.broadcast(&ana.speaker, &secret).await.unwrap();
    let kept = fs::read_to_string(world.home.team(world.teams.ours()).mail_dir().join("@sent.jsonl")).unwrap();
    assert!(kept.matches("token=[masked]").count() == 3 && !kept.contains("sk-"), "{kept}");
    let told = world.read(&ana.speaker, sent()).await.unwrap();
    assert!(told.text.contains("[masked]") && !told.text.contains("sk-"), "{}", told.text);
    assert!(world.inbox("red", "ben").contains(&("ana".to_owned(), secret)), "the mail itself is whole");
}

#[tokio::test(start_paused = true)]
async fn everybody_is_written_to_once_a_minute_by_each_sender() {
    let world = world();
    let (ana, ben) = (world.running("ana"), world.running("ben"));
    let long = world.broadcast(&ana.speaker, &"x".repeat(2_000_000)).await.unwrap_err();
    assert_eq!(long.code, "INVALID_ARGUMENT");
    world.broadcast(&ana.speaker, "one").await.expect("what was not sent does not count");
    let refused = world.broadcast(&ana.speaker, "two").await.unwrap_err();
    assert!(refused.code == "RATE_LIMITED" && refused.message.contains("again in"), "{refused:?}");
    world.broadcast(&ben.speaker, "three").await.expect("ben has sent nothing yet");
    world.sent_at(60);
    world.broadcast(&ana.speaker, "four").await.expect_err("the clock may have been set");
    tokio::time::advance(Duration::from_secs(60)).await;
    world.broadcast(&ana.speaker, "five").await.unwrap();
}

#[tokio::test]
async fn another_process_of_the_team_knows_who_has_written_to_everybody_and_a_clock_set_back_blocks_nobody() {
    let world = world();
    let (ana, _ben) = (world.running("ana"), world.running("ben"));
    world.broadcast(&ana.speaker, "one").await.unwrap();
    let (dir, lead) = (world.home.team(world.teams.ours()), world.office.lead().clone());
    let office = || Office::new(world.teams.clone(), dir.clone(), lead.clone(), world.journal.clone());
    let broadcast = async || {
        let args = BroadcastArgs { message: Some("again".to_owned()), ..BroadcastArgs::default() };
        office().broadcast(&ana.speaker, args).await
    };
    assert_eq!(broadcast().await.unwrap_err().code, "RATE_LIMITED");
    world.sent_at(61);
    broadcast().await.unwrap();
    assert_eq!(broadcast().await.unwrap_err().code, "RATE_LIMITED");
    world.sent_at(-3600);
    broadcast().await.unwrap();
}

#[tokio::test]
async fn a_broadcast_goes_to_20_at_most_and_names_those_whom_it_did_not_reach() {
    let world = world();
    let names: Vec<String> = (0..21).map(|n| format!("m{n}")).collect();
    let mut names: Vec<&str> = names.iter().map(String::as_str).collect();
    world.team("red", &[&["team-lead"], &names[..]].concat());
    let refused = world.broadcast(&Speaker::Lead, "x").await.unwrap_err();
    assert!(refused.code == "RATE_LIMITED" && refused.message.starts_with("21 would be"), "{refused:?}");
    names.truncate(2);
    world.team("red", &[&["team-lead"], &names[..]].concat());
    fs::create_dir_all(world.inbox_path("red", "m0")).unwrap();
    let told = world.broadcast(&Speaker::Lead, "x").await.unwrap();
    assert!(told.text.contains("Sent to 1 of the team red: m1. Not to m0: "), "{}", told.text);
    assert_eq!(told.value["failed"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn who_did_what_and_what_came_of_it_stands_in_the_journal() {
    let world = world();
    let ana = world.running("ana");
    let id = world.send(&ana.speaker, "team-lead", "password=swordfish").await.unwrap().value["message_id"].to_string();
    world.send(&ana.speaker, "nobody", "x").await.unwrap_err();
    world.read(&Speaker::Lead, ReadMailArgs::default()).await.unwrap();
    world.journal.close();
    let audit = fs::read_to_string(world.home.team(world.teams.ours()).audit()).unwrap();
    let lines: Vec<&str> = audit.lines().collect();
    let [first, second, third, fourth] = lines[..] else { panic!("{audit}") };
    assert!(first.contains(r#""who":"ana""#) && first.contains(&id) && !first.contains("swordfish"), "{first}");
    assert!(second.contains("there is no nobody"), "{second}");
    assert!(third.contains(r#""who":"team-lead","action":"read""#) && !third.contains("swordfish"), "{third}");
    assert!(fourth.contains(r#""action":"mark""#) && fourth.contains(&id), "{fourth}");
    assert!(third.contains(&id), "{third}");
}

#[tokio::test]
async fn the_journal_has_the_ids_of_all_that_was_read_and_to_whom_a_broadcast_went() {
    let world = world();
    let (ana, _ben) = (world.running("ana"), world.running("ben"));
    world.broadcast(&ana.speaker, "stop").await.unwrap();
    world.fill("red", "ana", (0..20).map(|n| n.to_string()));
    world.read(&ana.speaker, ReadMailArgs::default()).await.unwrap();
    let [sent, read, _marked] = world.audit().try_into().unwrap();
    assert_eq!((&sent["to"], sent["id"].as_str().unwrap().len()), (&json!("team-lead, ben"), 36 + 2 + 36));
    let ids: Vec<String> = (0..20).map(|n| format!("m-{n}")).collect();
    assert_eq!(read["id"], ids.join(", "));
}

#[tokio::test]
async fn a_call_of_an_agents_that_is_not_understood_stands_in_the_journal() {
    let world = world();
    let ana = world.running("ana");
    let tools = AgentTools::new(world.office.clone(), None);
    for (tool, arguments) in [("send", json!({"from": "boss"})), ("rm", json!({}))] {
        tools.call(ana.caller(), tool, arguments).await.unwrap_err();
    }
    let [forged, unknown] = world.audit().try_into().unwrap();
    assert_eq!((&forged["who"], &forged["action"]), (&json!("ana"), &json!("send")));
    assert!(forged["result"].as_str().unwrap().contains("unknown field `from`"), "{forged}");
    assert_eq!((&unknown["action"], &unknown["result"]), (&json!("rm"), &json!("there is no tool rm")));
}

#[tokio::test]
async fn nobody_speaks_for_a_closed_agent_in_another_process() {
    let world = world();
    let ana = world.running("ana");
    let tools = AgentTools::new(world.office.clone(), None);
    let send = json!({"to": "team-lead", "message": "x"});
    tools.run_beside(ana.caller(), "send", send.clone()).await.unwrap();
    let closed = Record { closed: true, ..ana.record.clone() };
    closed.save(&world.home.team(world.teams.ours())).unwrap();
    let refused = tools.run_beside(ana.caller(), "send", send).await.unwrap_err();
    let continued = format!("codex {{\"agent_id\": \"{}\"", ana.record.agent_id);
    assert!(refused.code == "SESSION_CLOSED" && refused.message.contains(&continued), "{refused:?}");
    assert_eq!(world.inbox("red", "team-lead").len(), 1);
    let [_, line] = world.audit().try_into().unwrap();
    assert!(line["who"] == "ana" && line["result"].as_str().unwrap().contains("was closed"), "{line}");
}

#[tokio::test]
async fn what_was_done_stands_in_the_journal_also_if_its_caller_has_gone() {
    let world = world();
    let ana = world.running("ana");
    assert!(world.send(&ana.speaker, "team-lead", "done").now_or_never().is_none(), "it was only begun");
    let audit = world.home.team(world.teams.ours()).audit();
    while !fs::read_to_string(&audit).is_ok_and(|text| text.contains("\"send\"")) {
        tokio::task::yield_now().await;
    }
    assert_eq!(world.inbox("red", "team-lead"), said("ana", "done"));
}

#[test]
fn every_failure_of_mail_has_a_word_that_programs_know() {
    let path = || PathBuf::from("x");
    let files = MailError::Files { path: path(), source: std::io::ErrorKind::StorageFull.into() };
    let locked = MailError::Locked { lock: path(), since: "1 s".into(), seconds: 30 };
    for (error, code) in [(files, "FILES"), (locked, "BUSY"), (MailError::Message("m".into()), "INVALID_ARGUMENT")] {
        assert_eq!(Refusal::from(error).code, code);
    }
}
