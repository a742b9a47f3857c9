//! What people do with a team without its server: `sessions`, `summary`.

use std::fs;
use std::process::Stdio;

use atm_agent_mcp::home::Home;
use atm_agent_mcp::ids::Team;
use atm_agent_mcp::queue::Text;
use atm_agent_mcp::session::Record;
use atm_agent_mcp::session::identity::Lock;
use serde_json::{Value, json};

use crate::queue_cli::{Pair, Said, said};

impl Pair {
    pub(crate) async fn says(&self, args: &[&str]) -> Said {
        self.hears(args, "").await
    }

    pub(crate) async fn hears(&self, args: &[&str], stdin: &str) -> Said {
        self.hears_bytes(args, stdin.as_bytes()).await
    }

    pub(crate) async fn hears_bytes(&self, args: &[&str], stdin: &[u8]) -> Said {
        let mut command = self.stage.program(&[args, &["--team", "red"]].concat());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        said(command, stdin).await
    }

    pub(crate) async fn shows(&self, args: &[&str]) -> String {
        let said = self.says(args).await;
        assert_eq!(said.code, Some(0), "{args:?}: {said:?}");
        said.stdout
    }

    pub(crate) async fn told(&self, args: &[&str]) -> Value {
        serde_json::from_str(&self.shows(&[args, &["--json"]].concat()).await).unwrap()
    }

    async fn names(&self, args: &[&str]) -> Vec<String> {
        let told = self.told(&[&["sessions"], args].concat()).await;
        told.as_array().unwrap().iter().map(|one| one["identity"].as_str().unwrap().to_owned()).collect()
    }

    pub(crate) fn close(&self, record: &Record) {
        Record { closed: true, ..record.clone() }.save(&self.dir).unwrap();
    }
}

#[tokio::test]
async fn sessions_are_told_by_the_file_and_the_lock() {
    let team = Pair::gather().await;
    let _runs = Lock::take(&team.dir.agent_lock(&team.ana.agent_id)).unwrap().unwrap();
    let table = team.shows(&["sessions"]).await;
    let state = |name: &str| {
        let line = table.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{table}"));
        line.split_whitespace().nth(1).unwrap().to_owned()
    };
    assert_eq!((state("ana"), state("bob")), ("running".into(), "resumable".into()));
    team.close(&team.bob);
    let told = team.told(&["sessions", "--name", "bob"]).await;
    assert_eq!((&told[0]["state"], &told[0]["threadId"]), (&json!("closed"), &json!("thread-of-bob")));
    assert_eq!(team.names(&["--state", "running"]).await, ["ana"]);
    assert_eq!(team.names(&["--state", "resumable"]).await, [""; 0]);
}

#[tokio::test]
async fn sessions_are_found_by_repository_and_over_all_teams() {
    let team = Pair::gather().await;
    let repository = team.stage.home().join("repository");
    let inside = repository.join("src");
    fs::create_dir_all(repository.join(".git")).unwrap();
    fs::create_dir_all(&inside).unwrap();
    let mut ana = team.ana.clone();
    ana.options.cwd = Some(inside.canonicalize().unwrap().display().to_string());
    ana.save(&team.dir).unwrap();
    assert_eq!(team.names(&["--repo", inside.to_str().unwrap()]).await, ["ana"]);
    assert_eq!(team.names(&["--repo", team.stage.home().join("elsewhere").to_str().unwrap()]).await, [""; 0]);
    let mut all = team.stage.program(&["sessions", "--all-teams"]);
    all.stdout(Stdio::piped()).stderr(Stdio::piped());
    let all = said(all, b"").await;
    assert!(["ana@red", "bob@red"].iter().all(|name| all.stdout.contains(name)), "{all:?}");
}

#[tokio::test]
async fn what_is_pruned_is_shown_first_and_is_closed_and_waits_for_nothing() {
    let team = Pair::gather().await;
    team.queue().enqueue(&Text { text: "for ana".into(), ..Text::default() }).unwrap();
    team.close(&team.ana);
    let kept = team.says(&["sessions", "--prune", "--yes"]).await;
    assert_eq!((kept.code, kept.stdout.as_str()), (Some(0), ""));
    assert!(
        kept.stderr.contains("for 1 text waits in its queue") && kept.stderr.contains("nothing to remove"),
        "{kept:?}"
    );
    team.close(&team.bob);
    let would = team.says(&["sessions", "--prune"]).await;
    assert!(would.stdout.starts_with("would be removed: bob ("), "{would:?}");
    assert!(would.stderr.contains("--yes"), "{would:?}");
    assert_eq!(team.names(&[]).await, ["ana", "bob"], "nothing was removed");
    assert!(team.shows(&["sessions", "--prune", "--yes"]).await.starts_with("removed: bob ("));
    assert_eq!(team.names(&[]).await, ["ana"]);
}

#[tokio::test]
async fn a_filter_that_takes_nobody_is_told_from_a_team_without_agents() {
    let team = Pair::gather().await;
    for filter in [["--name", "zed"], ["--repo", "/nonexistent"], ["--state", "closed"]] {
        let said = team.says(&[&["sessions"], &filter[..]].concat()).await;
        assert_eq!((said.code, said.stdout.as_str()), (Some(0), ""));
        assert!(said.stderr.contains("no agent of the team red matches; there are 2"), "{said:?}");
    }
    let both = team.says(&["sessions", "--all-teams"]).await;
    assert!(both.code == Some(2) && both.stderr.contains("--team"), "{both:?}");
    fs::remove_dir_all(team.dir.agents_dir()).unwrap();
    let none = team.says(&["sessions", "--name", "zed"]).await;
    assert!(none.stderr.contains("no agents of the team red; codex starts one"), "{none:?}");
}

#[tokio::test]
async fn what_cannot_be_read_is_an_error_that_names_it_and_not_nothing() {
    let team = Pair::gather().await;
    fs::remove_dir_all(team.dir.agents_dir()).unwrap();
    fs::write(team.dir.agents_dir(), "no directory").unwrap();
    let agents = team.dir.agents_dir().display().to_string();
    for args in [&["sessions"][..], &["queue", "list"], &["summary", "ana"], &["log", "ana"]] {
        let said = team.says(args).await;
        assert!(said.code == Some(1) && said.stderr.contains(&agents), "{args:?}: {said:?}");
    }
}

#[tokio::test]
async fn a_record_that_names_another_team_has_nothing_removed_there() {
    let team = Pair::gather().await;
    let blue = Home::at(team.stage.home()).team(&Team::parse("blue").unwrap());
    Record { team: Team::parse("blue").unwrap(), ..team.ana.clone() }.save(&blue).unwrap();
    Record { team: Team::parse("blue").unwrap(), closed: true, ..team.ana.clone() }.save(&team.dir).unwrap();
    assert_eq!(team.told(&["sessions", "--name", "ana"]).await[0]["team"], "red");
    assert!(team.shows(&["sessions", "--prune", "--yes"]).await.starts_with("removed: ana"));
    assert_eq!(team.names(&[]).await, ["bob"]);
    assert!(blue.record(&team.ana.agent_id).exists());
}

#[tokio::test]
async fn what_was_removed_is_told_also_if_something_else_could_not_be() {
    let team = Pair::gather().await;
    let (ana, bob) = (&team.ana, &team.bob);
    team.close(ana);
    team.close(bob);
    fs::create_dir(team.dir.agent_lock(&ana.agent_id)).unwrap();
    let said = team.says(&["sessions", "--prune", "--yes"]).await;
    assert_eq!(said.code, Some(1));
    assert!(said.stdout.starts_with("removed: bob (") && said.stderr.contains("not removed: ana ("), "{said:?}");
    assert_eq!(team.names(&[]).await, ["ana"]);
}

#[tokio::test]
async fn a_summary_is_shown_or_how_there_comes_to_be_one() {
    let team = Pair::gather().await;
    let none = team.says(&["summary", "ana"]).await;
    assert!(none.code == Some(1) && none.stderr.contains("agent_close"), "{none:?}");
    let path = team.dir.summary(&team.ana.agent_id);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, "All done.\n\u{1b}[2J").unwrap();
    assert_eq!(team.shows(&["summary", "thread-of-ana"]).await, "All done.\n\\u{1b}[2J");
}
