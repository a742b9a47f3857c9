//! Whoever reads the output of a command may leave: it ends then, without a word.

use std::fs;
use std::process::Stdio;

use atm_agent_mcp::queue::Text;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};

use crate::log::line;
use crate::queue_cli::Pair;
use crate::server::within;

/// As of a program that SIGPIPE has ended.
const UNREAD: Option<i32> = Some(141);

impl Pair {
    /// What a command ends with, and says, of which nobody reads what it prints.
    async fn unread(&self, args: &[&str]) -> (Option<i32>, String) {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = self.stage.program(&[args, &["--team", "red"]].concat());
        let child = command.stdin(Stdio::null()).stdout(writer).stderr(Stdio::piped()).spawn().unwrap();
        let output = within("its end", child.wait_with_output()).await.unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    }
}

#[tokio::test]
async fn a_reader_that_leaves_ends_every_command_quietly() {
    let team = Pair::gather().await;
    team.queue().enqueue(&Text { text: "for ana".into(), ..Text::default() }).unwrap();
    team.shows(&["mail", "send", "ana", "for ana"]).await;
    fs::create_dir_all(team.dir.summary(&team.ana.agent_id).parent().unwrap()).unwrap();
    fs::write(team.dir.summary(&team.ana.agent_id), "without an end of line").unwrap();
    let commands: [&[&str]; 11] = [
        &["sessions"],
        &["sessions", "--json"],
        &["log"],
        &["log", "--follow"],
        &["log", "--json"],
        &["queue", "list"],
        &["queue", "list", "--json"],
        &["mail", "list"],
        &["mail", "read"],
        &["config"],
        &["summary", "ana"],
    ];
    for args in commands {
        assert_eq!(team.unread(args).await, (UNREAD, String::new()), "{args:?}");
    }
}

#[tokio::test]
async fn what_is_told_beside_the_output_need_not_be_read() {
    let team = Pair::gather().await;
    let cases: [(&[&str], Option<i32>); 4] = [
        (&["sessions", "--name", "zed"], Some(0)),
        (&["queue", "list"], Some(0)),
        (&["log"], Some(0)),
        (&["summary", "zed"], Some(2)),
    ];
    for (args, code) in cases {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = team.stage.program(&[args, &["--team", "red"]].concat());
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(writer).spawn();
        assert_eq!(within("its end", child.unwrap().wait()).await.unwrap().code(), code, "{args:?}");
    }
}

#[tokio::test]
async fn a_log_that_is_followed_ends_when_nobody_reads_any_more() {
    let team = Pair::gather().await;
    let audit = team.dir.audit();
    fs::write(&audit, line("ana", "2026-07-01T12:00:00Z")).unwrap();
    let mut command = team.stage.program(&["log", "--follow", "--team", "red"]);
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut first = String::new();
    within("the first line", output.read_line(&mut first)).await.unwrap();
    assert!(first.contains("→ ana"), "{first}");
    drop(output);
    let ended = within("its end", child.wait()).await.unwrap();
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).await.unwrap();
    assert_eq!((ended.code(), said.as_str()), (UNREAD, ""));
}

#[tokio::test]
async fn mail_that_nobody_was_shown_stays_unread() {
    let team = Pair::gather().await;
    team.shows(&["mail", "send", "ana", "hello", "--as", "sam"]).await;
    team.shows(&["mail", "send", "sam", "look"]).await;
    assert_eq!(team.unread(&["mail", "read", "--as", "sam"]).await.0, UNREAD);
    assert!(team.shows(&["mail", "read", "--as", "sam"]).await.contains("look"));
}
