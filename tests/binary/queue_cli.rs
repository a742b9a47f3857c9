//! `atm-agent-mcp queue`: what it puts into a queue, shows of it, and does with it.

use std::process::Stdio;

use atm_agent_mcp::home::{Home, TeamDir};
use atm_agent_mcp::ids::{AgentName, DeliveryId, EntryId, Team, ThreadId, TurnId};
use atm_agent_mcp::queue::{Claim, Fate, Limits, Queue, Receipt, Text, Urgency};
use atm_agent_mcp::session::identity::Lock;
use atm_agent_mcp::session::{Record, ThreadOptions};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdout};

use crate::server::within;
use crate::stage::Stage;

/// A team of two, on disk alone.
pub(crate) struct Pair {
    pub(crate) stage: Stage,
    pub(crate) dir: TeamDir,
    pub(crate) ana: Record,
    pub(crate) bob: Record,
}

/// What a command has said.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Pair {
    pub(crate) async fn gather() -> Pair {
        let stage = Stage::set(json!({})).await;
        let team = Team::parse("red").unwrap();
        let dir = Home::at(stage.home()).team(&team);
        let record = |name: &str| {
            let name = AgentName::parse(name).unwrap();
            let record = Record::new(name, true, team.clone(), None, ThreadOptions::default());
            let thread_id = Some(ThreadId::parse(&format!("thread-of-{}", record.identity)).unwrap());
            let record = Record { thread_id, ..record };
            record.save(&dir).unwrap();
            record
        };
        let (ana, bob) = (record("ana"), record("bob"));
        Pair { stage, dir, ana, bob }
    }

    pub(crate) fn queue(&self) -> Queue {
        Queue::at(self.dir.queue(&self.ana.agent_id), Limits::default())
    }

    fn command(&self, args: &[&str]) -> tokio::process::Command {
        let mut command = self.stage.program(&[&["queue"], args, &["--team", "red"]].concat());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// `atm-agent-mcp queue` with these arguments.
    async fn queue_says(&self, args: &[&str]) -> Said {
        said(self.command(args), b"").await
    }

    /// The same, which must succeed; its stdout.
    async fn done(&self, args: &[&str]) -> String {
        let said = self.queue_says(args).await;
        assert_eq!(said.code, Some(0), "{args:?}: {said:?}");
        said.stdout
    }

    /// The same, which must fail with this code; its stderr.
    async fn fails(&self, args: &[&str], code: i32) -> String {
        let said = self.queue_says(args).await;
        assert_eq!((said.code, said.stdout.as_str()), (Some(code), ""), "{args:?}: {said:?}");
        said.stderr
    }

    /// Enqueues, and gives the entry.
    async fn push(&self, args: &[&str]) -> EntryId {
        entry(&self.done(&[&["push"], args].concat()).await)
    }

    async fn json(&self, args: &[&str]) -> Value {
        serde_json::from_str(&self.done(args).await).unwrap()
    }

    pub(crate) fn claim(&self) -> Claim {
        self.queue().claimer().claim(1, &DeliveryId::next()).unwrap().pop().expect("it waits")
    }
}

pub(crate) async fn said(mut command: tokio::process::Command, stdin: &[u8]) -> Said {
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    let mut pipe = child.stdin.take().unwrap();
    // One that has read enough reads no more.
    pipe.write_all(stdin).await.ok();
    drop(pipe);
    let output = within("its end", child.wait_with_output()).await.unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Said { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

fn entry(line: &str) -> EntryId {
    EntryId::parse(line.strip_suffix('\n').expect("a line")).unwrap()
}

fn receipt() -> Receipt {
    Receipt { thread: ThreadId::parse("thread-1").unwrap(), turn: TurnId::parse("turn-7").unwrap() }
}

/// A `push --wait` that has enqueued its message.
struct Waiting {
    child: Child,
    stdout: BufReader<ChildStdout>,
    id: EntryId,
}

impl Waiting {
    async fn begin(team: &Pair, args: &[&str]) -> Waiting {
        let mut child = team.command(&[&["push"], args, &["--wait"]].concat()).spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        within("the entry's id", stdout.read_line(&mut line)).await.unwrap();
        Waiting { child, stdout, id: entry(&line) }
    }

    async fn end(mut self) -> Said {
        let mut stdout = String::new();
        within("its end", self.stdout.read_to_string(&mut stdout)).await.unwrap();
        let output = within("its end", self.child.wait_with_output()).await.unwrap();
        Said { code: output.status.code(), stdout, stderr: String::from_utf8(output.stderr).unwrap() }
    }
}

#[tokio::test]
async fn push_puts_the_text_unchanged_into_the_queue_of_whomever_the_word_means() {
    let team = Pair::gather().await;
    let text = "  two\r\nlines, \"quoted\", not trimmed \n\n";
    let words = ["ana", team.ana.agent_id.as_str(), "thread-of-ana"];
    let mut ids = Vec::new();
    for word in words {
        ids.push(team.push(&[word, text]).await);
    }
    let flags = ["--urgent", "--from", "ci", "--kind", "hook", "--ttl", "10m"];
    ids.push(team.push(&[&["ana", "with all"][..], &flags].concat()).await);
    let claims = team.queue().claimer().claim(9, &DeliveryId::next()).unwrap();
    assert_eq!(claims.iter().map(Claim::id).collect::<Vec<_>>(), ids.iter().collect::<Vec<_>>());
    assert!(claims[..3].iter().all(|c| *c.text() == Text { text: text.to_owned(), ..Text::default() }));
    let with_all = claims[3].text();
    assert_eq!((with_all.from.as_deref(), with_all.kind.as_deref()), (Some("ci"), Some("hook")));
    assert_eq!(with_all.urgency, Urgency::Urgent);
    assert!(with_all.expires_at.unwrap().duration_since(claims[3].enqueued_at()).as_secs().abs_diff(600) < 60);
}

#[tokio::test]
async fn push_reads_the_message_from_stdin_to_its_end() {
    let team = Pair::gather().await;
    let text = format!("{}\n\u{1F600}\n", "long ".repeat(50_000));
    for args in [&["push", "ana"][..], &["push", "ana", "-"]] {
        let said = said(team.command(args), text.as_bytes()).await;
        assert_eq!(said.code, Some(0), "{said:?}");
        let claim = team.claim();
        assert_eq!((claim.id(), claim.text().text == text), (&entry(&said.stdout), true));
        claim.ack(&receipt()).unwrap();
    }
    let said = said(team.command(&["push", "ana"]), b"ab\xff").await;
    assert_eq!((said.code, said.stdout.as_str()), (Some(2), ""), "{said:?}");
    assert!(said.stderr.contains("not UTF-8: byte 3 is wrong"), "{said:?}");
}

#[tokio::test]
async fn push_says_when_the_message_will_be_delivered() {
    let team = Pair::gather().await;
    let absent = team.queue_says(&["push", "ana", "x"]).await.stderr;
    assert_eq!(absent, "ana is not running: it is delivered when the agent runs again\n");
    let _server = Lock::take(&team.dir.agent_lock(&team.ana.agent_id)).unwrap().unwrap();
    let running = team.queue_says(&["push", "ana", "x"]).await.stderr;
    assert_eq!(running, "ana is running: it is delivered as soon as it is idle (--urgent: it joins the turn)\n");
    let urgent = team.queue_says(&["push", "ana", "x", "--urgent"]).await.stderr;
    assert_eq!(urgent, "ana is running: it joins the turn, or begins one\n");
    Record { closed: true, ..team.bob.clone() }.save(&team.dir).unwrap();
    let closed = team.queue_says(&["push", "bob", "x"]).await.stderr;
    let how = format!("only when somebody continues it with codex {{\"agent_id\": \"{}\"}}", team.bob.agent_id);
    assert!(closed.starts_with("bob was closed: ") && closed.contains(&how), "{closed}");
}

#[tokio::test]
async fn what_cannot_be_meant_is_refused_with_2_and_stores_nothing() {
    let team = Pair::gather().await;
    let before = team.stage.files();
    let cases: [(&[&str], &str); 10] = [
        (&["push", "eve", "x"], "the team red has no agent \"eve\": it has ana, bob"),
        (&["push", "../ana", "x"], "no agent \"../ana\""),
        (&["push", "ana", " \n"], "its text is blank"),
        (&["push", "ana", "x", "--ttl", "soon"], "a time such as 90s, 10m, 2h or 3d, at most 365d"),
        (&["push", "ana", "x", "--timeout", "5m"], "--wait"),
        (&["push", "ana", "x", "--kind", "two words"], "use 1 to 64 of"),
        (&["show", "x"], "it is a UUID, as `queue list` shows it"),
        (&["show", "c0ffee00-0000-4000-8000-000000000001"], "no queue of the team red has an entry c0ffee00-"),
        (&["list", "eve"], "it has ana, bob"),
        (&["path", "eve"], "it has ana, bob"),
    ];
    for (args, says) in cases {
        let stderr = team.fails(args, 2).await;
        assert!(stderr.contains(says), "{args:?}: {stderr}");
    }
    assert_eq!(team.stage.files(), before);
    let mut elsewhere = team.stage.program(&["queue", "push", "ana", "x", "--team", "blue"]);
    elsewhere.stdout(Stdio::piped()).stderr(Stdio::piped());
    let said = said(elsewhere, b"").await;
    assert!(said.code == Some(2) && said.stderr.contains("the team blue has no agent \"ana\": it has none yet"));
}

#[tokio::test]
async fn the_limits_of_the_settings_hold_and_are_named() {
    let team = Pair::gather().await;
    let with = |variable: &str, args: &[&str]| {
        let mut command = team.command(args);
        command.env(format!("ATM_AGENT_MCP_{variable}"), "3");
        command
    };
    let bytes = said(with("QUEUE_MAX_BYTES", &["push", "ana", "four"]), b"").await;
    assert!(bytes.code == Some(2) && bytes.stderr.contains("4 bytes, at most 3 are allowed"), "{bytes:?}");
    let stdin = said(with("QUEUE_MAX_BYTES", &["push", "ana"]), &vec![b'x'; 1 << 20]).await;
    assert!(stdin.code == Some(2) && stdin.stderr.contains("more than 3 bytes"), "{stdin:?}");
    for _ in 0..3 {
        team.push(&["ana", "x"]).await;
    }
    let full = said(with("QUEUE_MAX_ENTRIES", &["push", "ana", "x"]), b"").await;
    assert!(full.code == Some(1) && full.stderr.contains("queue_max_entries"), "{full:?}");
    assert_eq!(team.queue().depth().unwrap().waiting, 3);
}

#[tokio::test]
async fn list_shows_every_queue_in_order_and_where_each_entry_stands() {
    let team = Pair::gather().await;
    let none = team.queue_says(&["list"]).await;
    assert_eq!((none.stdout.as_str(), none.stderr.as_str(), none.code), ("", "nothing waits\n", Some(0)));
    assert_eq!(team.json(&["list", "--dead", "--json"]).await, json!([]));

    let first = team.push(&["bob", "of bob"]).await;
    let second = team.push(&["ana", "look\u{1b}[2J\nat it", "--urgent", "--from", "ci"]).await;
    let third = team.push(&["ana", &"long ".repeat(100)]).await;
    let held = team.claim();
    // The queue of somebody whose record is gone.
    std::fs::remove_file(team.dir.record(&team.bob.agent_id)).unwrap();

    let table = team.done(&["list"]).await;
    let rows: Vec<&str> = table.lines().collect();
    assert_eq!(rows.len(), 4, "{table}");
    let row = |id: &EntryId| *rows.iter().find(|row| row.starts_with(id.as_str())).unwrap();
    assert!(row(&first).contains(team.bob.agent_id.as_str()) && row(&first).ends_with("of bob"), "{table}");
    let words: Vec<&str> = row(&second).split_whitespace().collect();
    assert_eq!(words[1], "ana");
    assert_eq!(words[3..], ["being", "delivered", "urgent", "0", "ci", "look[2J…"], "{table}");
    assert!(row(&third).contains("waiting  ") && row(&third).ends_with('…'), "{table}");
    assert!(rows.iter().all(|row| row.chars().count() < 200), "{table}");
    assert_eq!(team.done(&["list", team.bob.agent_id.as_str()]).await.lines().count(), 2);

    let listed = team.json(&["list", "ana", "--json"]).await;
    let ids: Vec<&str> = listed.as_array().unwrap().iter().map(|entry| entry["id"].as_str().unwrap()).collect();
    assert_eq!(ids, [second.as_str(), third.as_str()]);
    assert_eq!((&listed[0]["state"], &listed[0]["text"]), (&json!("being_delivered"), &json!("look\u{1b}[2J\nat it")));
    assert_eq!(listed[0]["holder"]["pid"], std::process::id());
    assert_eq!((&listed[1]["state"], &listed[1]["agent"]), (&json!("waiting"), &json!("ana")));
    drop(held);
}

#[tokio::test]
async fn show_tells_everything_about_an_entry_from_its_arrival_to_its_receipt() {
    let team = Pair::gather().await;
    let id = team.push(&["ana", "look\u{1b}[2J\nat it\n", "--from", "ci"]).await;
    let id = id.as_str();
    let page = team.done(&["show", id]).await;
    for line in ["state     waiting\n", "agent     ana\n", "from      ci\n", "\n\nlook\\u{1b}[2J\nat it\n"] {
        assert!(page.contains(line), "{line:?}: {page}");
    }
    team.claim().failed("Codex refused it").unwrap();
    let shown = team.json(&["show", id, "--json"]).await;
    assert_eq!((&shown["attempts"], &shown["last_failure"]["what"]), (&json!(1), &json!("Codex refused it")));
    assert_eq!(shown["text"], "look\u{1b}[2J\nat it\n");

    team.claim().bury("it was refused too often").unwrap();
    let page = team.done(&["show", id]).await;
    assert!(page.contains("state     dead: it was refused too often (") && page.contains("at it\n"), "{page}");

    team.done(&["retry", id]).await;
    team.claim().ack(&receipt()).unwrap();
    let page = team.done(&["show", id]).await;
    assert!(page.contains("state     delivered\nthread    thread-1\nturn      turn-7\n"), "{page}");
    let shown = team.json(&["show", id, "--json"]).await;
    assert_eq!(
        (&shown["state"], &shown["turn"], &shown["agent"]),
        (&json!("delivered"), &json!("turn-7"), &json!("ana"))
    );
}

#[tokio::test]
async fn a_buried_entry_comes_back_into_its_place_or_goes_for_good() {
    let team = Pair::gather().await;
    let (one, two) = (team.push(&["ana", "one", "--ttl", "10m"]).await, team.push(&["ana", "two"]).await);
    let stderr = team.fails(&["retry", one.as_str()], 2).await;
    assert!(stderr.contains("was not buried: it waits"), "{stderr}");
    team.claim().bury("the test says so").unwrap();
    assert_eq!(team.json(&["list", "--json"]).await.as_array().unwrap().len(), 1);
    let dead = team.json(&["list", "--dead", "--json"]).await;
    assert_eq!((&dead[0]["id"], &dead[0]["reason"]["why"]), (&json!(one), &json!("the test says so")));

    let retried = team.queue_says(&["retry", one.as_str()]).await;
    assert_eq!(retried.stderr, "ana is not running: it is delivered when the agent runs again\n");
    let claim = team.claim();
    assert_eq!((claim.id(), claim.text().expires_at), (&one, None));
    let stderr = team.fails(&["drop", one.as_str()], 1).await;
    assert!(stderr.contains("is being delivered now"), "{stderr}");
    claim.bury("again").unwrap();
    team.done(&["drop", one.as_str()]).await;
    team.done(&["drop", two.as_str()]).await;
    assert_eq!((team.queue().fate(&one), team.queue().fate(&two)), (Fate::Gone, Fate::Gone));

    let three = team.push(&["ana", "three"]).await;
    team.claim().ack(&receipt()).unwrap();
    for command in ["drop", "retry"] {
        let stderr = team.fails(&[command, three.as_str()], 2).await;
        assert!(stderr.contains("was delivered"), "{stderr}");
    }
}

#[tokio::test]
async fn wait_returns_with_thread_and_turn_when_the_proof_is_there() {
    let team = Pair::gather().await;
    let waiting = Waiting::begin(&team, &["ana", "x"]).await;
    let claim = team.claim();
    assert_eq!(*claim.id(), waiting.id);
    claim.ack(&receipt()).unwrap();
    let said = waiting.end().await;
    assert_eq!((said.code, said.stdout.as_str()), (Some(0), "delivered thread=thread-1 turn=turn-7\n"), "{said:?}");
    assert!(said.stderr.contains("ana is not running") && said.stderr.contains("waiting"), "{said:?}");
}

#[tokio::test]
async fn wait_says_why_a_message_was_not_delivered() {
    let team = Pair::gather().await;
    let buried = Waiting::begin(&team, &["ana", "x"]).await;
    team.claim().bury("Codex does not want it").unwrap();
    let buried = buried.end().await;
    assert_eq!((buried.code, buried.stdout.as_str()), (Some(1), ""), "{buried:?}");
    assert!(buried.stderr.contains("was not delivered: Codex does not want it"), "{buried:?}");

    let dropped = Waiting::begin(&team, &["ana", "x"]).await;
    team.done(&["drop", dropped.id.as_str()]).await;
    let dropped = dropped.end().await;
    assert!(dropped.code == Some(1) && dropped.stderr.contains("is gone without a receipt"), "{dropped:?}");
}

#[tokio::test]
async fn a_message_that_expires_while_nobody_takes_it_is_buried_and_said_so() {
    let team = Pair::gather().await;
    let expired = Waiting::begin(&team, &["ana", "x", "--ttl", "20ms"]).await;
    let id = expired.id.clone();
    let said = expired.end().await;
    assert!(said.code == Some(1) && said.stderr.contains("it has expired: nobody took it"), "{said:?}");
    assert!(matches!(team.queue().fate(&id), Fate::Dead(Some(_))));
}

#[tokio::test]
async fn a_wait_that_is_over_leaves_the_message_where_it_is() {
    let team = Pair::gather().await;
    let waiting = Waiting::begin(&team, &["ana", "x", "--timeout", "20ms"]).await;
    let id = waiting.id.clone();
    let said = waiting.end().await;
    let words = [id.as_str(), "was not delivered within 0.02 s: it still waits"];
    assert!(said.code == Some(1) && words.iter().all(|word| said.stderr.contains(word)), "{said:?}");
    assert_eq!(team.queue().fate(&id), Fate::Waiting);
}

#[tokio::test]
async fn path_prints_a_directory_that_is_there() {
    let team = Pair::gather().await;
    let path = team.done(&["path", "ana"]).await;
    let path = std::path::Path::new(path.strip_suffix('\n').unwrap());
    assert_eq!(path, team.queue().dir());
    assert!(path.is_dir());
}
