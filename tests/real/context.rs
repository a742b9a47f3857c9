//! What an agent is told of its place, and when.

use std::path::Path;

use serde_json::{Value, json};

use crate::stage::{Scene, Stage};

on_each_codex! {
    an_agent_is_told_its_place_behind_the_callers_own_instructions,
    a_new_branch_is_told_once_before_the_next_turn,
    outside_a_repository_nothing_is_made_up,
    an_empty_git_directory_is_no_repository,
    an_agent_that_moved_while_nobody_ran_it_is_told_so,
    the_developers_words_reach_the_model_again_after_a_restart,
}

/// Runs git out of reach of the user's own settings.
fn git(dir: &Path, args: &[&str]) {
    let mut command = std::process::Command::new("git");
    for variable in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"] {
        command.env_remove(variable);
    }
    command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1").current_dir(dir);
    let output = command.args(["-c", "init.defaultBranch=main"]).args(args).output().expect("git");
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// All that the developer said in the last request to the model.
fn told(scene: &Scene) -> String {
    scene.asked_last().texts("developer").join("\n\n")
}

/// The places in it, in order.
fn places(scene: &Scene) -> Vec<Value> {
    let told = told(scene);
    let contexts = told.split("<session_context>").skip(1).map(|rest| rest.split("</session_context>").next().unwrap());
    let facts = contexts.map(|context| context.lines().find(|line| line.starts_with('{')).expect("the facts"));
    facts.map(|facts| serde_json::from_str(facts).expect("JSON")).collect()
}

async fn an_agent_is_told_its_place_behind_the_callers_own_instructions(stage: Stage) {
    let scene = stage.plain().await;
    git(&scene.project(), &["init", "--quiet"]);
    std::fs::create_dir(scene.project().join("below")).unwrap();
    let server = scene.serve(&[]).await;
    let own = "Be brief.\nAnd kind.";
    let start = json!({"identity": "ana", "prompt": "SAY one", "cwd": "below", "developer-instructions": own});
    server.call("codex", start).await.good();

    let root = scene.project().display().to_string();
    let place = json!({
        "agent": "ana", "team": "tests", "lead": "team-lead", "repository_root": root, "repository": "project", "branch": "main",
        "cwd": scene.project().join("below").display().to_string(),
    });
    assert_eq!(places(&scene), [place]);
    let told = told(&scene);
    assert!(told.contains(&format!("{own}\n\n<session_context>")), "{told}");
    assert_eq!(told.matches(own).count(), 1, "{told}");
    scene.end(server).await;
}

async fn a_new_branch_is_told_once_before_the_next_turn(stage: Stage) {
    let scene = stage.plain().await;
    git(&scene.project(), &["init", "--quiet"]);
    let server = scene.serve(&[]).await;
    let branches = || places(&scene).iter().map(|place| place["branch"].clone()).collect::<Vec<_>>();
    server.call("codex", json!({"identity": "ana", "prompt": "SAY one"})).await.good();
    server.call("codex-reply", json!({"identity": "ana", "prompt": "SAY two"})).await.good();
    assert_eq!(branches(), ["main"]);

    git(&scene.project(), &["symbolic-ref", "HEAD", "refs/heads/fix/it"]);
    for prompt in ["SAY three", "SAY four"] {
        let reply = server.call("codex-reply", json!({"identity": "ana", "prompt": prompt})).await.good();
        assert_eq!(branches(), ["main", "fix/it"]);
        assert_eq!(scene.asked_last().last_user_text(), prompt, "told by the developer, not by the user: {reply:?}");
    }
    scene.end(server).await;
}

async fn outside_a_repository_nothing_is_made_up(stage: Stage) {
    let scene = stage.plain().await;
    let server = scene.serve(&[]).await;
    server.call("codex", json!({"prompt": "SAY one"})).await.good();
    let place = json!({
        "agent": "codex", "team": "tests", "lead": "team-lead", "repository_root": null, "repository": null, "branch": null,
        "cwd": scene.project().display().to_string(),
    });
    assert_eq!(places(&scene), [place]);
    scene.end(server).await;
}

/// Codex's sandbox leaves such a directory behind when its command is ended.
async fn an_empty_git_directory_is_no_repository(stage: Stage) {
    let scene = stage.plain().await;
    std::fs::create_dir(scene.project().join(".git")).unwrap();
    let server = scene.serve(&[]).await;
    server.call("codex", json!({"identity": "ana", "prompt": "SAY one"})).await.good();
    assert_eq!(places(&scene)[0]["repository_root"], Value::Null);
    scene.end(server).await;
}

async fn an_agent_that_moved_while_nobody_ran_it_is_told_so(stage: Stage) {
    let scene = stage.plain().await;
    let server = scene.serve(&[]).await;
    let first = server.call("codex", json!({"identity": "ana", "prompt": "SAY one"})).await.good();
    scene.end(server).await;

    git(&scene.project(), &["init", "--quiet"]);
    let server = scene.serve(&[]).await;
    let again = json!({"agent_id": first.text("agent_id"), "identity": "eva", "prompt": "SAY two"});
    server.call("codex", again).await.good();
    server.call("codex-reply", json!({"identity": "eva", "prompt": "SAY three"})).await.good();
    let places = places(&scene);
    let seen: Vec<_> = places.iter().map(|place| (&place["agent"], &place["branch"])).collect();
    assert_eq!(seen, [(&json!("ana"), &Value::Null), (&json!("eva"), &json!("main"))]);
    scene.end(server).await;

    let server = scene.serve(&[]).await;
    server.call("codex-reply", json!({"identity": "eva", "prompt": "SAY four"})).await.good();
    assert_eq!(self::places(&scene), places, "what it was told before the restart it is not told again");
    scene.end(server).await;
}

async fn the_developers_words_reach_the_model_again_after_a_restart(stage: Stage) {
    let scene = stage.plain().await;
    let server = scene.serve(&[]).await;
    let start = json!({"identity": "ana", "prompt": "SAY one", "developer-instructions": "Be brief."});
    server.call("codex", start).await.good();
    scene.end(server).await;
    let server = scene.serve(&[]).await;
    server.call("codex-reply", json!({"identity": "ana", "prompt": "SAY two"})).await.good();
    assert_eq!((told(&scene).matches("Be brief.").count(), places(&scene).len()), (1, 1));
    scene.end(server).await;
}
