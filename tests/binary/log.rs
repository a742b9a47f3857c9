//! `log`: who did what in a team.

use std::fs;

use serde_json::{Value, json};

use crate::queue_cli::Pair;

#[tokio::test]
async fn the_log_shows_who_did_what_from_when_on_and_to_whom() {
    let team = Pair::gather().await;
    team.shows(&["mail", "send", "ana", "for ana"]).await;
    team.shows(&["mail", "send", "bob", "for bob"]).await;
    let log = team.shows(&["log"]).await;
    let lines: Vec<&str> = log.lines().collect();
    assert_eq!(lines.len(), 2, "{log}");
    assert!(lines[0].contains("team-lead → ana  send: ") && lines[0].ends_with("\"for ana\""), "{log}");
    assert_eq!(team.shows(&["log", "bob"]).await.trim_end(), lines[1]);
    assert_eq!(team.shows(&["log", "--since", "1h"]).await, log);
    assert_eq!(team.shows(&["log", "--since", "2200-01-01T00:00:00Z"]).await, "");
    assert_eq!(team.shows(&["log", "--since", "1d2h"]).await, log);
    assert_eq!(team.shows(&["log", "--since", "1 week"]).await, log);
    assert_eq!(team.shows(&["log", "--since", "2026-01-31 12:00"]).await, log);
    let raw = team.shows(&["log", "--json"]).await;
    assert_eq!(serde_json::from_str::<Value>(raw.lines().next().unwrap()).unwrap()["to"], "ana");
    let wrong = team.says(&["log", "--since", "yesterday"]).await;
    assert!(wrong.code == Some(2) && wrong.stderr.contains("10m, 2h, 3d"), "{wrong:?}");
}

/// A line of an audit of long ago, about a call of the lead's.
pub(crate) fn line(to: &str, at: &str) -> String {
    let line =
        json!({"v": 1, "at": at, "who": "team-lead", "action": "send", "to": to, "text": "hi", "result": "sent"});
    format!("{line}\n")
}

#[tokio::test]
async fn the_log_is_told_in_the_time_of_here() {
    let team = Pair::gather().await;
    fs::write(team.dir.audit(), line("ana", "2026-07-01T12:00:00Z")).unwrap();
    let mut here = team.stage.program(&["log", "--team", "red", "--since", "2026-07-01 07:59"]);
    here.env("TZ", "America/New_York").stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let said = crate::queue_cli::said(here, b"").await;
    assert!(said.stdout.starts_with("2026-07-01 08:00:00  team-lead"), "{said:?}");
}

#[tokio::test]
async fn whoever_is_looked_for_in_the_log_is_an_agent_by_any_of_its_ids_or_stands_in_it() {
    let team = Pair::gather().await;
    fs::write(team.dir.audit(), line("ana", "2026-07-01T12:00:00Z") + &line("gone", "2026-07-01T12:00:01Z")).unwrap();
    let of_ana = team.shows(&["log", "ana"]).await;
    assert_eq!(of_ana.lines().count(), 1);
    for word in [team.ana.agent_id.as_str(), "thread-of-ana"] {
        assert_eq!(team.shows(&["log", word]).await, of_ana, "{word}");
    }
    assert!(team.shows(&["log", "gone"]).await.contains("→ gone"), "of whom no record is left");
    assert_eq!(team.shows(&["log", "team-lead"]).await.lines().count(), 2);
    let old = team.says(&["log", "gone", "--since", "2026-07-02"]).await;
    assert!(old.code == Some(0) && old.stderr.contains("nothing of that"), "{old:?}");
    let unknown = team.says(&["log", "an"]).await;
    assert_eq!((unknown.code, unknown.stdout.as_str()), (Some(2), ""), "{unknown:?}");
    assert!(
        unknown.stderr.contains("no agent \"an\": it has ana, bob") && unknown.stderr.contains("Hint"),
        "{unknown:?}"
    );
}

#[tokio::test]
async fn a_team_without_an_audit_is_told_to_have_none() {
    let team = Pair::gather().await;
    for args in [&["log"][..], &["log", "ana"]] {
        let said = team.says(args).await;
        assert_eq!((said.code, said.stdout.as_str()), (Some(0), ""), "{said:?}");
        assert!(said.stderr.contains("nothing is written down of the team red yet"), "{said:?}");
    }
}
