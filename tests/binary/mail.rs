//! `mail`: people take part in the mail of a team.

use std::fs;
use std::process::Stdio;

use jiff::Timestamp;
use jiff::tz::{TimeZone, offset};
use serde_json::{Value, json};

use crate::queue_cli::{Pair, said};

#[tokio::test]
async fn a_human_takes_part_in_the_mail_under_a_name_of_the_team() {
    let team = Pair::gather().await;
    let sent = team.hears(&["mail", "send", "ana", "--as", "sam"], "look\nat \u{1b}[2J this").await;
    assert!(sent.code == Some(0) && sent.stdout.contains("ana"), "{sent:?}");
    team.shows(&["mail", "send", "sam", "I am the lead"]).await;
    let agents = team.says(&["mail", "read", "--as", "ana"]).await;
    assert_eq!(agents.code, Some(2), "an agent's mail is its own: {agents:?}");
    let kept = team.shows(&["mail", "read", "--keep", "--as", "sam"]).await;
    assert!(kept.starts_with("team-lead (red), ") && kept.contains("\n  I am the lead\n"), "{kept}");
    assert_eq!(team.told(&["mail", "read", "--as", "sam"]).await["messages"][0]["text"], "I am the lead");
    assert_eq!(team.shows(&["mail", "read", "--as", "sam"]).await, "No mail.\n");
    let list = team.shows(&["mail", "list", "--as", "sam"]).await;
    assert!(list.starts_with("0 unread.\n") && list.contains("to ana: unread"), "{list}");
    assert!(!list.contains('\u{1b}'), "{list}");
    let unknown = team.says(&["mail", "send", "eve", "hello"]).await;
    assert!(unknown.code == Some(2) && unknown.stderr.contains("you can write to ana, bob, sam"), "{unknown:?}");
}

#[tokio::test]
async fn only_who_sends_makes_a_team_or_joins_it() {
    let team = Pair::gather().await;
    let before = team.stage.files();
    for args in
        [&["read"][..], &["list"], &["read", "--as", "eve"], &["list", "--as", "eve"], &["leave", "--as", "eve"]]
    {
        let said = team.says(&[&["mail"], args].concat()).await;
        assert_eq!((said.code, said.stdout.as_str()), (Some(2), ""), "{args:?}: {said:?}");
        assert!(said.stderr.contains("the team red has no mail") && said.stderr.contains("mail send"), "{said:?}");
    }
    assert_eq!(team.stage.files(), before);
    team.shows(&["mail", "send", "ana", "hello"]).await;
    let before = team.stage.files();
    for args in [["read", "--as", "eve"], ["list", "--as", "eve"], ["leave", "--as", "eve"]] {
        let said = team.says(&[&["mail"], &args[..]].concat()).await;
        assert!(said.code == Some(2) && said.stderr.contains("the team red has no member eve"), "{args:?}: {said:?}");
    }
    assert_eq!(team.stage.files(), before);
    let nobody = team.says(&["mail", "send", "zed", "hello", "--as", "eve"]).await;
    assert!(nobody.stderr.contains("there is no zed"), "{nobody:?}");
    assert_eq!(team.members().await, ["team-lead", "ana"], "who has said nothing has not joined");
}

impl Pair {
    async fn members(&self) -> Vec<String> {
        let config = fs::read(self.stage.home().join(".claude/teams/red/config.json")).unwrap();
        let config: Value = serde_json::from_slice(&config).unwrap();
        config["members"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap().to_owned()).collect()
    }
}

#[tokio::test]
async fn a_human_leaves_again_and_nobody_else_is_taken_out() {
    let team = Pair::gather().await;
    team.shows(&["mail", "send", "ana", "hello", "--as", "sam"]).await;
    assert_eq!(team.members().await, ["team-lead", "sam", "ana"]);
    team.close(&team.ana);
    let cases = [
        (&["--as", "ana"][..], "has not joined it by --as"),
        (&["--as", "bob"], "bob is an agent of this team"),
        (&["--as", "team-lead"], "does not leave it"),
        (&[], "does not leave it"),
    ];
    for (args, says) in cases {
        let said = team.says(&[&["mail", "leave"], args].concat()).await;
        assert!(said.code == Some(2) && said.stderr.contains(says), "{args:?}: {said:?}");
    }
    assert_eq!(team.shows(&["mail", "leave", "--as", "sam"]).await, "sam has left the team red.\n");
    assert_eq!(team.members().await, ["team-lead", "ana"]);
}

#[tokio::test]
async fn the_mail_of_a_member_whom_others_have_put_there_is_its_own() {
    let team = Pair::gather().await;
    team.shows(&["mail", "send", "ana", "hello"]).await;
    let path = team.stage.home().join(".claude/teams/red/config.json");
    let mut config: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    config["members"].as_array_mut().unwrap().push(json!({"agentId": "c1@red", "name": "c1"}));
    fs::write(&path, config.to_string()).unwrap();
    for args in [&["read"][..], &["list"], &["leave"], &["send", "ana", "I am c1"]] {
        let said = team.says(&[&["mail"], args, &["--as", "c1"]].concat()).await;
        assert!(said.code == Some(2) && said.stderr.contains("c1"), "{args:?}: {said:?}");
    }
}

#[tokio::test]
async fn wrong_arguments_of_mail_end_with_2_and_a_word_for_people() {
    let team = Pair::gather().await;
    team.shows(&["mail", "send", "ana", "hello"]).await;
    let long = "x".repeat(1024 * 1024 + 1);
    let cases: [(&[&str], &[u8], &str); 7] = [
        (&["read", "--limit", "0"], b"", "0 is not in 1..=200"),
        (&["send", "ana", " "], b"", "it is blank"),
        (&["send", "ana"], b"", "it is blank"),
        (&["send", "a/b", "hello"], b"", "a/b"),
        (&["send", "eve", "hello"], b"", "there is no eve to write to; you can write to ana, bob"),
        (&["send", "ana", "-"], b"h\xffllo", "is not UTF-8: byte 2 is wrong"),
        (&["send", "ana"], long.as_bytes(), "more than 1048576 bytes"),
    ];
    for (args, stdin, says) in cases {
        let said = team.hears_bytes(&[&["mail"], args].concat(), stdin).await;
        assert_eq!((said.code, said.stdout.as_str()), (Some(2), ""), "{args:?}: {said:?}");
        assert!(said.stderr.contains(says), "{args:?}: {said:?}");
    }
}

#[tokio::test]
async fn a_person_reads_a_long_letter_whole() {
    let team = Pair::gather().await;
    let long = "0123456789".repeat(20_000);
    for text in ["before", &long, "after"] {
        let sent = team.hears(&["mail", "send", "team-lead", "--as", "sam"], text).await;
        assert_eq!(sent.code, Some(0), "{sent:?}");
    }
    let read = team.told(&["mail", "read", "--keep"]).await;
    let texts: Vec<&str> =
        read["messages"].as_array().unwrap().iter().map(|one| one["text"].as_str().unwrap()).collect();
    assert!(texts == ["before", &long, "after"], "{:?}", texts.iter().map(|text| text.len()).collect::<Vec<_>>());
    let page = team.shows(&["mail", "read"]).await;
    assert!(page.contains(&format!("\n  {long}\n")) && page.ends_with("\n  after\n"), "{} bytes", page.len());
}

#[tokio::test]
async fn who_reads_a_part_of_the_mail_hears_that_there_is_more() {
    let team = Pair::gather().await;
    for text in ["one", "two", "three"] {
        team.shows(&["mail", "send", "team-lead", text, "--as", "sam"]).await;
    }
    let kept = team.says(&["mail", "read", "--keep", "--limit", "1"]).await;
    assert_eq!(kept.stderr, "2 more are unread: --limit shows more at once\n");
    let part = team.says(&["mail", "read", "--limit", "2"]).await;
    assert!(part.stdout.contains("  two\n") && !part.stdout.contains("three"), "{part:?}");
    assert_eq!(part.stderr, "1 more is unread: mail read again\n");
    let json = team.says(&["mail", "read", "--all", "--limit", "1", "--json"]).await;
    assert_eq!(json.stderr, "these are the newest 1 of 3: --limit shows more at once\n");
    assert_eq!(team.says(&["mail", "read"]).await.stderr, "");
}

#[tokio::test]
async fn a_message_that_is_refused_makes_nothing() {
    let team = Pair::gather().await;
    let before = team.stage.files();
    let known = "there is no eve to write to; you can write to ana, bob";
    let cases = [
        (&["eve", "hi"][..], known),
        (&["eve@red", "hi"], known),
        (&["eve", "hi", "--as", "sam"], known),
        (&["eve@blue", "hi", "--as", "sam"], "blue"),
        (&["team-lead", "hi"], "would write to itself"),
        (&["sam", "hi", "--as", "sam"], "would write to itself"),
    ];
    for (args, says) in cases {
        let said = team.says(&[&["mail", "send"], args].concat()).await;
        assert!(said.code == Some(2) && said.stderr.contains(says), "{args:?}: {said:?}");
        assert_eq!(team.stage.files(), before, "{args:?}");
    }
    team.shows(&["mail", "send", "team-lead", "hi", "--as", "sam"]).await;
    assert_eq!(team.members().await, ["team-lead", "sam"]);
}

#[tokio::test]
async fn people_are_told_the_time_of_here_and_programs_that_of_the_world() {
    let team = Pair::gather().await;
    let here = async |args: &[&str]| {
        let mut command = team.stage.program(&[args, &["--team", "red"]].concat());
        command.env("TZ", "<+14>-14").stdout(Stdio::piped()).stderr(Stdio::piped());
        let said = said(command, b"").await;
        assert_eq!(said.code, Some(0), "{args:?}: {said:?}");
        said.stdout
    };
    let local = |utc: &Value| {
        let at: Timestamp = utc.as_str().unwrap().parse().unwrap();
        at.to_zoned(TimeZone::fixed(offset(14))).strftime("%Y-%m-%d %H:%M:%S").to_string()
    };
    team.shows(&["mail", "send", "team-lead", "hi", "--as", "sam"]).await;
    let at = local(&team.told(&["mail", "list", "--as", "sam"]).await["sent"][0]["timestamp"]);
    let list = here(&["mail", "list", "--as", "sam"]).await;
    assert!(list.contains(&format!("\n{at} to team-lead: unread")), "{at}: {list}");
    let at = local(&team.told(&["mail", "read", "--keep"]).await["messages"][0]["timestamp"]);
    let read = here(&["mail", "read"]).await;
    assert!(read.starts_with(&format!("sam (red), {at}\n")), "{at}: {read}");
    let id = team.shows(&["queue", "push", "ana", "hi"]).await;
    let at = local(&team.told(&["queue", "show", id.trim()]).await["enqueued_at"]);
    let shown = here(&["queue", "show", id.trim()]).await;
    assert!(shown.contains(&format!("  {at} (")), "{at}: {shown}");
    team.close(&team.bob);
    let closed = team.told(&["sessions", "--name", "bob"]).await;
    let pruned = here(&["sessions", "--prune"]).await;
    assert!(pruned.ends_with(&format!("last active {}\n", local(&closed[0]["last_active"]))), "{pruned}");
}

#[tokio::test]
async fn who_leaves_hears_of_mail_that_is_unread() {
    let team = Pair::gather().await;
    team.shows(&["mail", "send", "ana", "hello", "--as", "sam"]).await;
    team.shows(&["mail", "send", "sam", "I am the lead"]).await;
    let left = team.says(&["mail", "leave", "--as", "sam"]).await;
    assert_eq!(left.stdout, "sam has left the team red.\n");
    assert_eq!(left.stderr, "1 message is unread; it stays in the inbox\n");
}
