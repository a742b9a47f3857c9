//! The reference of JSON is what the commands print.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use atm_agent_mcp::home::Home;
use atm_agent_mcp::ids::{DeliveryId, EntryId, Team, ThreadId, TurnId};
use atm_agent_mcp::journal::{Entry, Journal};
use atm_agent_mcp::queue::{Limits, Queue, Receipt, Text, Urgency};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::queue_cli::Pair;

/// What is not always to be had: of a kernel that tells no start, of a delivery that another server has taken over, of lines
/// that were lost.
const RARE: [&str; 3] = ["holder.boot", "holder.heir_of", "lost"];

/// The fields of the table under this heading.
fn documented(heading: &str) -> BTreeSet<String> {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reference/json.md")).unwrap();
    let (_, after) = page.split_once(&format!("\n## {heading}\n")).unwrap_or_else(|| panic!("no heading {heading}"));
    let section = after.split("\n## ").next().unwrap();
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    rows.map(str::to_owned).collect()
}

/// The paths of all fields in this value, as the document writes them.
fn fields(value: &Value, path: &str, found: &mut BTreeSet<String>) {
    match value {
        Value::Array(all) => {
            let path = if path.is_empty() { String::new() } else { format!("{path}[]") };
            all.iter().for_each(|one| fields(one, &path, found));
        }
        Value::Object(object) => {
            for (name, value) in object {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                fields(value, &path, found);
                found.insert(path);
            }
        }
        _ => {}
    }
}

fn is_as_documented(heading: &str, printed: &[Value]) {
    let mut found = BTreeSet::new();
    printed.iter().for_each(|value| fields(value, "", &mut found));
    let mut documented = documented(heading);
    documented.retain(|field| found.contains(field) || !RARE.contains(&field.as_str()));
    assert_eq!(found, documented, "{heading}: {printed:#?}");
}

#[tokio::test]
async fn the_fields_of_sessions_are_those_of_the_reference() {
    let team = Pair::gather().await;
    is_as_documented("`sessions --json`", &[team.told(&["sessions"]).await]);
}

#[tokio::test]
async fn the_fields_of_the_queue_are_those_of_the_reference() {
    let team = Pair::gather().await;
    let queue = team.queue();
    let text = |text: &str| Text { text: text.to_owned(), ..Text::default() };
    let expires_at = Some(Timestamp::now() + Duration::from_secs(3600));
    let (from, kind) = (Some("ci".to_owned()), Some("hook".to_owned()));
    let whole = Text { from, kind, urgency: Urgency::Urgent, expires_at, ..text("whole") };
    let arrived = queue.enqueue(&text("arrives")).unwrap();
    let receipt = Receipt { thread: ThreadId::parse("thread-1").unwrap(), turn: TurnId::parse("turn-7").unwrap() };
    team.claim().ack(&receipt).unwrap();
    queue.enqueue(&whole).unwrap();
    let unusable = queue.dir().join(format!("{}.json", EntryId::next()));
    fs::write(&unusable, b"\xff").unwrap();
    let long_ago = SystemTime::now() - Duration::from_secs(60);
    fs::File::options().write(true).open(&unusable).unwrap().set_modified(long_ago).unwrap();
    let _held = team.claim();
    let of_bob = Queue::at(team.dir.queue(&team.bob.agent_id), Limits::default());
    of_bob.enqueue(&text("fails")).unwrap();
    of_bob.claimer().claim(1, &DeliveryId::next()).unwrap().pop().unwrap().failed("no answer").unwrap();
    let dead = queue.enqueue(&text("dead")).unwrap();
    assert!(queue.bury(&dead, "nobody wants it").unwrap());
    let waits = team.told(&["queue", "list"]).await;
    is_as_documented("`queue list --json`", &[waits, team.told(&["queue", "list", "--dead"]).await]);
    is_as_documented(
        "`queue show ID --json`, of one that has arrived",
        &[team.told(&["queue", "show", arrived.as_str()]).await],
    );
}

#[tokio::test]
async fn the_fields_of_mail_are_those_of_the_reference() {
    let team = Pair::gather().await;
    team.shows(&["mail", "send", "ana", "hello"]).await;
    is_as_documented("`mail list --json`", &[team.told(&["mail", "list"]).await]);
    let inbox = team.stage.home().join(".claude/teams/red/inboxes/team-lead.json");
    let mail =
        json!([{"from": "c1", "text": "hi", "timestamp": "2026-01-31T12:00:00Z", "read": false, "summary": "hi"}]);
    fs::write(inbox, mail.to_string()).unwrap();
    is_as_documented("`mail read --json`", &[team.told(&["mail", "read"]).await]);
}

#[tokio::test]
async fn the_fields_of_the_log_are_those_of_the_reference() {
    let team = Pair::gather().await;
    let journal = Journal::open(&Home::at(team.stage.home()), &Team::parse("red").unwrap());
    let [agent, from, to, id, text] = ["ana", "ben", "ana", "id", "hi"].map(Some);
    journal.note(Entry { agent, who: "courier", action: "deliver", from, to, id, text, result: "delivered" });
    journal.close();
    let lines = team.shows(&["log", "--json"]).await;
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    is_as_documented("`log --json`", &lines);
}
