//! `docs/queue.md` holds for other programs: its examples are run as they stand there.

use std::fs::File;
use std::path::Path;
use std::process::Output;
use std::time::{Duration, SystemTime};

use atm_agent_mcp::ids::{DeliveryId, EntryId, ThreadId, TurnId};
use atm_agent_mcp::queue::{Claim, Fate, Queue, Receipt, Urgency};

use crate::queue_cli::Pair;
use crate::server::within;

/// What the first example says.
const MESSAGE: &str = "Look at the failing test first.\nThen say \"what\" you found.\n";

/// The blocks of this language in the document, in order, without their indentation.
fn examples(language: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/queue.md");
    let text = std::fs::read_to_string(path).unwrap();
    let mut found = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if line.trim_start() == format!("```{language}") {
            let indent = line.len() - line.trim_start().len();
            let block = lines.by_ref().take_while(|line| line.trim_start() != "```");
            found.push(block.map(|line| line.get(indent..).unwrap_or_default().to_owned() + "\n").collect());
        }
    }
    found
}

/// The three examples in sh: write, wait, take.
fn scripts() -> [String; 3] {
    examples("sh").try_into().expect("three examples")
}

async fn run(pair: &Pair, script: &str) -> Output {
    within("the script's end", pair.stage.shell(script).env("ATM_TEAM", "red").output()).await.unwrap()
}

/// The only entry; its file is made so old that nobody can be writing it.
fn only_entry(queue: &Queue) -> EntryId {
    let listed = queue.list().unwrap();
    assert_eq!(listed.len(), 1, "{listed:?}");
    let path = queue.dir().join(format!("{}.json", listed[0].id));
    let old = SystemTime::now() - Duration::from_secs(60);
    File::options().write(true).open(path).unwrap().set_modified(old).unwrap();
    listed[0].id.clone()
}

fn claim(queue: &Queue) -> Claim {
    queue.claimer().claim(9, &DeliveryId::next()).unwrap().pop().expect("it waits")
}

#[tokio::test]
async fn the_example_writes_a_message_that_is_claimed_unchanged() {
    let pair = Pair::gather().await;
    let [write, ..] = scripts();
    let output = run(&pair, &write).await;
    assert_eq!((output.status.code(), &*output.stderr), (Some(0), &b""[..]), "{output:?}");
    let id = only_entry(&pair.queue());
    let claim = claim(&pair.queue());
    assert_eq!((claim.id(), claim.text().text.as_str()), (&id, MESSAGE));
    assert_eq!((claim.text().urgency, claim.text().from.as_deref()), (Urgency::Normal, None));
}

#[tokio::test]
async fn the_example_that_waits_says_what_became_of_the_message() {
    type End = fn(&Queue, Claim) -> std::io::Result<()>;
    let ack: End = |_, claim| {
        let (thread, turn) = (ThreadId::parse("thread-1").unwrap(), TurnId::parse("turn-7").unwrap());
        claim.ack(&Receipt { thread, turn })
    };
    let discard: End = |queue, claim| {
        let id = claim.id().clone();
        claim.release()?;
        queue.discard(&id).map_err(std::io::Error::other)
    };
    let cases: [(End, &str); 3] =
        [(ack, "delivered"), (|_, claim| claim.bury("the test says so"), "the test says so"), (discard, "dropped")];
    for (end, says) in cases {
        let pair = Pair::gather().await;
        let [write, wait, _] = scripts();
        // The end of the first example is told by a line, so that the second is at work when the message is taken.
        let script = format!("{write}echo written >&2\n{wait}");
        let mut command = pair.stage.shell(&script);
        command.env("ATM_TEAM", "red").stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut written = [0; 8];
        let stderr = child.stderr.as_mut().unwrap();
        within("its word", tokio::io::AsyncReadExt::read_exact(stderr, &mut written)).await.unwrap();
        only_entry(&pair.queue());
        end(&pair.queue(), claim(&pair.queue())).unwrap();
        let output = within("its end", child.wait_with_output()).await.unwrap();
        let stdout = String::from_utf8(output.stdout).unwrap();
        let last = stdout.lines().last().unwrap();
        let is_said = if says == "the test says so" { last.contains(says) } else { last == says };
        assert!(output.status.success() && is_said, "{stdout}");
    }
}

#[tokio::test]
async fn the_example_that_takes_a_message_leaves_nothing_and_takes_nothing_that_is_held() {
    let pair = Pair::gather().await;
    let [write, _, take] = scripts();
    assert!(run(&pair, &write).await.status.success());
    let id = only_entry(&pair.queue());
    let take = format!("queue='{}'\nid={id}\n{take}", pair.queue().dir().display());
    let held = claim(&pair.queue());
    assert_eq!(&*run(&pair, &take).await.stdout, b"");
    held.release().unwrap();
    assert_eq!(String::from_utf8(run(&pair, &take).await.stdout).unwrap(), MESSAGE);
    assert_eq!((pair.queue().fate(&id), std::fs::read_dir(pair.queue().dir()).unwrap().count()), (Fate::Gone, 0));
}

#[tokio::test]
async fn the_example_in_json_is_an_entry_with_every_field() {
    let pair = Pair::gather().await;
    pair.queue().make().unwrap();
    let [json] = examples("json").try_into().expect("one example");
    let id = EntryId::next();
    std::fs::write(pair.queue().dir().join(format!("{id}.json")), json).unwrap();
    let claim = claim(&pair.queue());
    let text = claim.text();
    assert_eq!((claim.id(), text.text.as_str()), (&id, "Look at the failing test first."));
    assert_eq!((text.from.as_deref(), text.kind.as_deref()), (Some("ci"), Some("hook")));
    assert_eq!((text.urgency, text.expires_at), (Urgency::Urgent, Some("2100-01-01T00:00:00Z".parse().unwrap())));
    assert_eq!(claim.enqueued_at(), "2026-01-01T00:00:00Z".parse().unwrap());
}
