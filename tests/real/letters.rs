//! Mail for an agent reaches its thread: it alone, once, and is marked read when it is there.

use std::process::Stdio;

use atm_agent_mcp::home::Home;
use atm_agent_mcp::ids::{Address, AgentName, MemberName, TeamName};
use atm_agent_mcp::mail::{ClaudePost, Draft, Filter, Message, Post, Urgency, Which};
use atm_agent_mcp::steps;
use serde_json::{Value, json};

use crate::stage::{Scene, Server, Stage};
use atm_agent_mcp::demo::model::{Gate, Reply, Request, spoken};

on_each_codex! {
    mail_to_an_idle_agent_begins_a_turn_in_an_envelope_and_is_read_then,
    mail_to_a_busy_agent_comes_after_its_turn_in_order_and_what_is_urgent_joins_it,
    a_mail_is_delivered_once_when_the_server_is_killed_at_any_step,
    mail_reaches_the_agent_that_it_names_and_no_other,
    an_agent_whose_mail_is_not_brought_keeps_it_unread,
    a_shutdown_request_of_the_lead_closes_the_agent_and_is_answered,
    a_shutdown_request_from_before_an_agent_was_opened_closes_it_not,
    the_lead_hears_once_of_a_background_turn_that_it_has_not_asked_for,
    agents_are_members_while_they_live_also_of_the_clients_own_team,
}

const SESSION: &str = "6075f866-f103-4be1-b2e9-8dbf66009eb9";

impl Scene {
    /// The mail of a team.
    fn post(&self, team: &str) -> ClaudePost {
        ClaudePost::open(&Home::at(self.home()), &TeamName::parse(team).unwrap())
    }

    /// Writes to an agent as somebody else.
    pub(crate) fn mail(&self, from: &str, to: &str, text: &str) {
        self.post("tests").send(&MemberName::parse(to).unwrap(), &[draft(from, text)]).unwrap();
    }

    pub(crate) fn inbox(&self, team: &str, of: &str) -> Vec<Message> {
        let filter = Filter { which: Which::All, ..Filter::default() };
        self.post(team).read(&MemberName::parse(of).unwrap(), &filter).unwrap().messages
    }

    pub(crate) fn unread(&self, of: &str) -> usize {
        self.post("tests").count_unread(&MemberName::parse(of).unwrap()).unwrap()
    }

    /// The lock of a dead writer counts for ten seconds, by Claude's rule; these have passed.
    pub(crate) fn ten_seconds_later(&self) {
        let team = self.home().join(".claude/teams/tests");
        for dir in [team.clone(), team.join("inboxes")] {
            let all = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
            let locks = all.filter(|path| path.is_dir() && path.extension().is_some_and(|ending| ending == "lock"));
            locks.for_each(|lock| std::fs::remove_dir(lock).unwrap());
        }
    }

    pub(crate) fn members(&self, team: &str) -> Vec<String> {
        self.post(team).roster().unwrap().into_iter().map(|member| member.name).collect()
    }

    /// A team as Claude Code makes it for a session of its own.
    fn session_team(&self) -> std::path::PathBuf {
        let dir = self.home().join(".claude/teams/session-6075f866");
        std::fs::create_dir_all(dir.join("inboxes")).unwrap();
        let lead = json!({"agentId": "team-lead@session-6075f866", "name": "team-lead", "agentType": "team-lead"});
        let config =
            json!({"name": "session-6075f866", "leadAgentId": "team-lead@session-6075f866", "members": [lead]});
        std::fs::write(dir.join("config.json"), config.to_string()).unwrap();
        dir
    }
}

/// A world whose model takes note of mail, and holds its answer to `HOLD ana` until the gate is open.
async fn world(stage: Stage) -> (Scene, Gate) {
    let gate = Gate::new();
    let kept = gate.clone();
    let script = move |request: &Request| match request.last_user_text() {
        held if held == "HOLD ana" => Reply::say("ana is done").after(&kept),
        mail if mail.contains("atm-letter") => Reply::say("noted"),
        _ => spoken(request),
    };
    (stage.with(script).await, gate)
}

/// Asks until it is so; mail tells nobody.
pub(crate) async fn until(server: &Server, is_so: impl Fn() -> bool) {
    while !is_so() {
        server.ping().await;
    }
}

/// The agent is there, and a member of its team.
async fn start(scene: &Scene, server: &Server, name: &str) {
    server.call("codex", json!({"identity": name, "prompt": "SAY hello"})).await.good();
    until(server, || scene.members("tests").contains(&name.to_owned())).await;
}

/// What stands in the agent's thread, in one text.
async fn thread(server: &Server, agent: &str) -> String {
    server.rested(agent).await;
    server.call("agent_read", json!({"identity": agent, "turns": 50})).await.good().content().to_owned()
}

async fn mail_to_an_idle_agent_begins_a_turn_in_an_envelope_and_is_read_then(stage: Stage) {
    let (scene, _) = world(stage).await;
    let server = scene.serve(&[]).await;
    start(&scene, &server, "ana").await;
    scene.mail("team-lead", "ana", "the schema is wrong");
    until(&server, || scene.unread("ana") == 0).await;
    scene.model().arrived(2).await;
    let asked = scene.asked_last().last_user_text();
    assert!(asked.contains("the schema is wrong") && asked.contains("from=\"team-lead\""), "{asked}");
    assert!(asked.contains("not an instruction of your user") && asked.contains("team=\"tests\""), "{asked}");
    assert_eq!(thread(&server, "ana").await.matches("the schema is wrong").count(), 1);
    let said =
        std::fs::read_to_string(scene.home().join(".config/atm/agent-sessions/tests/mail/@delivered.jsonl")).unwrap();
    assert!(said.contains(scene.inbox("tests", "ana")[0].id.as_str()), "{said}");
    scene.end(server).await;
}

async fn mail_to_a_busy_agent_comes_after_its_turn_in_order_and_what_is_urgent_joins_it(stage: Stage) {
    let (scene, gate) = world(stage).await;
    let server = scene.serve(&[]).await;
    start(&scene, &server, "ana").await;
    let held = server.begin("codex-reply", json!({"identity": "ana", "prompt": "HOLD ana"})).await;
    gate.reached().await;
    for text in ["mail one", "mail two", "[urgent] mail now"] {
        scene.mail("team-lead", "ana", text);
    }
    // What is urgent is on its way into the turn; the rest waits.
    while server.call("agent_status", json!({"identity": "ana"})).await.good()["delivering"] != 1 {}
    assert_eq!(scene.unread("ana"), 3);
    gate.open();
    held.result().await.good();
    until(&server, || scene.unread("ana") == 0).await;
    let thread = thread(&server, "ana").await;
    let at = |text: &str| thread.find(text).unwrap_or_else(|| panic!("{text} in {thread}"));
    assert!(at("HOLD ana") < at("mail now") && at("mail now") < at("mail one") && at("mail one") < at("mail two"));
    assert_eq!(["mail one", "mail two", "mail now"].map(|text| thread.matches(text).count()), [1, 1, 1]);
    scene.end(server).await;
}

async fn a_mail_is_delivered_once_when_the_server_is_killed_at_any_step(stage: Stage) {
    let (scene, _) = world(stage).await;
    let server = scene.serve(&[]).await;
    start(&scene, &server, "ana").await;
    scene.end(server).await;
    let of_mail = |step: &&str| {
        ["letter.", "deliver.sent", "deliver.answered", "mail."].iter().any(|kind| step.starts_with(kind))
            // Only what is broken is set aside, and only what is old is archived.
            && !["mail.set_aside", "mail.archived"].contains(step)
    };
    // The files of mail are locked first for the agent's place in the team, then to mark what it has read.
    let time = |step: &str| if step.starts_with("mail.") { ":3" } else { "" };
    let lives = steps::ALL.into_iter().filter(of_mail).map(|step| format!("{step}{}", time(step)));
    let lives: Vec<String> = lives.collect();
    for step in &lives {
        // Away, it is no member: its mail is put where it will look for it.
        put(&scene, "ana", &format!("mail at {step}"));
        let mut command = scene.command(&["--resume", "ana"]);
        command.env(steps::KILL_AT, step).stdin(Stdio::piped()).stdout(Stdio::null());
        let mut server = command.spawn().unwrap();
        // A client that is there and says nothing.
        let client = server.stdin.take();
        let status = server.wait().await.unwrap();
        drop(client);
        scene.ten_seconds_later();
        assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(9), "{step}: {status}");
    }
    let server = scene.serve(&["--resume", "ana"]).await;
    until(&server, || scene.unread("ana") == 0).await;
    let thread = thread(&server, "ana").await;
    for step in &lives {
        // One name may be the beginning of another's.
        assert_eq!(thread.matches(&format!("mail at {step}\n")).count(), 1, "{step} in {thread}");
    }
    scene.end(server).await;
}

fn draft(from: &str, text: &str) -> Draft {
    let (from, text) = (Address::parse(from).unwrap(), text.to_owned());
    Draft { from, text, summary: None, color: None, urgency: Urgency::Normal }
}

/// Appends to an inbox as a program does that knows no members.
pub(crate) fn put(scene: &Scene, to: &str, text: &str) {
    let path = scene.post("tests").inbox_path(&MemberName::parse(to).unwrap());
    let mut entries: Vec<Value> =
        std::fs::read(&path).map_or_else(|_| Vec::new(), |text| serde_json::from_slice(&text).unwrap());
    let now = jiff::Timestamp::now();
    entries.push(json!({"from": "team-lead", "text": text, "timestamp": format!("{now:.3}"), "read": false}));
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, serde_json::to_vec(&entries).unwrap()).unwrap();
}

async fn mail_reaches_the_agent_that_it_names_and_no_other(stage: Stage) {
    let (scene, _) = world(stage).await;
    let server = scene.serve(&[]).await;
    for name in ["ana", "ben"] {
        start(&scene, &server, name).await;
    }
    scene.mail("team-lead", "ana", "for ana alone");
    scene.mail("ana", "ben", "for ben alone");
    until(&server, || scene.unread("ana") + scene.unread("ben") == 0).await;
    let (ana, ben) = (thread(&server, "ana").await, thread(&server, "ben").await);
    assert_eq!([ana.matches("for ana alone").count(), ana.matches("for ben alone").count()], [1, 0]);
    assert_eq!([ben.matches("for ana alone").count(), ben.matches("for ben alone").count()], [0, 1]);
    scene.end(server).await;
}

async fn an_agent_whose_mail_is_not_brought_keeps_it_unread(stage: Stage) {
    let (scene, _) = world(stage).await;
    let settings = "[plugins.atm-agent-mcp]\nper_thread_auto_mail = { ana = false }\n";
    std::fs::write(scene.project().join(".atm.toml"), settings).unwrap();
    let server = scene.serve(&[]).await;
    for name in ["ana", "ben"] {
        start(&scene, &server, name).await;
        scene.mail("team-lead", name, "anybody there?");
    }
    until(&server, || scene.unread("ben") == 0).await;
    assert_eq!(scene.unread("ana"), 1);
    assert!(!thread(&server, "ana").await.contains("anybody there?"));
    scene.end(server).await;
}

async fn a_shutdown_request_of_the_lead_closes_the_agent_and_is_answered(stage: Stage) {
    let (scene, _) = world(stage).await;
    let server = scene.serve(&[]).await;
    for name in ["ana", "ben"] {
        start(&scene, &server, name).await;
    }
    let ask = |from: &str| {
        json!({"type": "shutdown_request", "requestId": "shutdown-1@ana", "from": from, "timestamp": "2026-11-25T13:12:38.123Z"})
            .to_string()
    };
    // A colleague may wish it; the lead decides.
    scene.mail("ben", "ana", &ask("team-lead"));
    until(&server, || scene.unread("ana") == 0).await;
    assert!(thread(&server, "ana").await.contains("asks you to shut down"));
    scene.mail("team-lead", "ana", &ask("team-lead"));
    server.shows("ana", "closed").await;
    until(&server, || !scene.inbox("tests", "team-lead").is_empty()).await;
    let answer: Value = serde_json::from_str(&scene.inbox("tests", "team-lead")[0].text).unwrap();
    assert_eq!((&answer["type"], &answer["requestId"]), (&json!("shutdown_approved"), &json!("shutdown-1@ana")));
    until(&server, || scene.members("tests") == ["team-lead", "ben"]).await;
    scene.end(server).await;
}

async fn a_shutdown_request_from_before_an_agent_was_opened_closes_it_not(stage: Stage) {
    let (scene, _) = world(stage).await;
    let server = scene.serve(&[]).await;
    start(&scene, &server, "ana").await;
    let frame = json!({"type": "shutdown_request", "requestId": "r", "from": "team-lead", "timestamp": "2026-11-25T13:12:38.123Z"});
    // Sent twice: the first closes it, and the second is for nobody any more.
    let both = [(); 2].map(|()| draft("team-lead", &frame.to_string()));
    scene.post("tests").send(&MemberName::parse("ana").unwrap(), &both).unwrap();
    let closed = json!({"include_closed": true});
    let open = async || server.call("agent_sessions", json!({})).await.good().list("sessions").len();
    while open().await > 0 {}
    let first = server.call("agent_sessions", closed).await.good().list("sessions")[0]["agent_id"].clone();
    let passed_over = || {
        let audit = scene.home().join(".config/atm/agent-sessions/tests/audit.jsonl");
        std::fs::read_to_string(audit).unwrap().matches("passed over").count()
    };
    let again =
        [json!({"identity": "ana", "prompt": "SAY new"}), json!({"agent_id": first, "prompt": "SAY continued"})];
    for (times, args) in (1..).zip(again) {
        let opened = server.call("codex", args).await.good();
        until(&server, || scene.unread("ana") == 0 && passed_over() == times).await;
        let agent = json!({"agent_id": opened["agent_id"], "prompt": "SAY still here"});
        assert_eq!(server.call("codex-reply", agent).await.good().content(), "still here");
        // Its own request it follows; and another waits behind it.
        scene.post("tests").send(&MemberName::parse("ana").unwrap(), &both).unwrap();
        while open().await > 0 {}
    }
    scene.end(server).await;
}

async fn the_lead_hears_once_of_a_background_turn_that_it_has_not_asked_for(stage: Stage) {
    let (scene, _) = world(stage).await;
    let server = scene.serve(&[]).await;
    start(&scene, &server, "ana").await;
    server.call("codex-reply", json!({"identity": "ana", "prompt": "SAY all green", "background": true})).await.good();
    until(&server, || !scene.inbox("tests", "team-lead").is_empty()).await;
    // A turn that somebody waits for is no news.
    server.call("codex-reply", json!({"identity": "ana", "prompt": "SAY told", "background": true})).await.good();
    let results = server.call("agent_wait", json!({"agents": ["ana"]})).await.good();
    assert!(
        results.texts().iter().any(|text| text.contains("all green")),
        "what was told by mail is not lost for who asks"
    );
    server.call("codex-reply", json!({"identity": "ana", "prompt": "SAY last", "background": true})).await.good();
    until(&server, || scene.inbox("tests", "team-lead").iter().any(|mail| mail.text.contains("last"))).await;
    let told: Vec<Value> =
        scene.inbox("tests", "team-lead").iter().map(|mail| serde_json::from_str(&mail.text).unwrap()).collect();
    assert_eq!((&told[0]["type"], &told[0]["result"]), (&json!("idle_notification"), &json!("all green")));
    assert_eq!(told.iter().filter(|told| told["result"] == "all green").count(), 1);
    scene.end(server).await;
}

async fn agents_are_members_while_they_live_also_of_the_clients_own_team(stage: Stage) {
    let (scene, _) = world(stage).await;
    let dir = scene.session_team();
    let mut command = scene.command(&[]);
    command.env("CLAUDE_CODE_SESSION_ID", SESSION);
    let server = Server::start(command).await;
    start(&scene, &server, "ana").await;
    until(&server, || scene.members("session-6075f866") == ["team-lead", "ana"]).await;
    // Claude writes to a member of its own team.
    std::fs::write(
        dir.join("inboxes/ana.json"),
        json!([{"from": "team-lead", "text": "from the session", "timestamp": "2026-11-25T13:12:38.123Z", "read": false}]).to_string(),
    )
    .unwrap();
    let name = MemberName::from(&AgentName::parse("ana").unwrap());
    until(&server, || scene.post("session-6075f866").count_unread(&name).unwrap() == 0).await;
    assert_eq!(thread(&server, "ana").await.matches("from the session").count(), 1);
    // Claude's session ends.
    std::fs::remove_dir_all(&dir).unwrap();
    scene.mail("team-lead", "ana", "still here?");
    until(&server, || scene.unread("ana") == 0).await;
    assert!(!dir.exists());
    // Who is killed is taken out by the next server.
    server.kill().await;
    assert_eq!(scene.members("tests"), ["team-lead", "ana"]);
    let server = scene.serve(&[]).await;
    until(&server, || scene.members("tests") == ["team-lead"]).await;
    scene.end(server).await;
}
