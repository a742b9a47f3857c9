//! Full access to the machine that nobody asked us for: the user's own Codex may give it, a repository may not.

use serde_json::json;

use crate::stage::{Scene, Stage};

on_each_codex! {
    full_access_that_the_user_has_set_in_codex_itself_holds,
    a_repositorys_codex_settings_take_no_sandbox_away,
    a_repository_that_the_user_has_not_trusted_lets_no_command_out_of_the_sandbox,
    no_model_decides_in_the_place_of_people,
    an_agents_commands_reach_neither_codexs_socket_nor_our_files,
}

const FULL: &str = "sandbox_mode = \"danger-full-access\"\n";
/// Writes where no sandbox would let it.
const WRITE: &str = "RUN touch \"$HOME/written\" && echo wrote";

fn in_a_repository(scene: &Scene) {
    let git = scene.project().join(".git");
    std::fs::create_dir(&git).unwrap();
    std::fs::write(git.join("HEAD"), "ref: refs/heads/main\n").unwrap();
}

async fn full_access_that_the_user_has_set_in_codex_itself_holds(stage: Stage) {
    let scene = stage.plain().await;
    let path = scene.codex_home().join("config.toml");
    let settings = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, format!("{FULL}approval_policy = \"never\"\n{settings}")).unwrap();
    let server = scene.serve(&[]).await;
    let told = server.call("codex", json!({"prompt": WRITE})).await.good();
    assert!(told.content().contains("wrote") && scene.home().join("written").exists(), "{told:?}");
    scene.end(server).await;
}

/// The user has told Codex to trust this world's directory.
fn trusted(scene: &Scene) {
    let path = scene.codex_home().join("config.toml");
    let settings = std::fs::read_to_string(&path).unwrap();
    let project = scene.project().canonicalize().unwrap();
    let trust = format!("\n[projects.{:?}]\ntrust_level = \"trusted\"\n", project.display().to_string());
    std::fs::write(path, settings + &trust).unwrap();
}

/// By itself Codex trusts a directory for good once a thread with workspace-write is started there, and then runs what the
/// directory's rules allow outside of the sandbox.
async fn a_repository_that_the_user_has_not_trusted_lets_no_command_out_of_the_sandbox(stage: Stage) {
    let scene = stage.plain().await;
    in_a_repository(&scene);
    let rules = scene.project().join(".codex/rules");
    std::fs::create_dir_all(&rules).unwrap();
    std::fs::write(rules.join("x.rules"), "prefix_rule(pattern=[\"touch\"], decision=\"allow\")\n").unwrap();
    let touch = format!("RUN touch '{}'", scene.home().join("written").display());
    let settings = std::fs::read_to_string(scene.codex_home().join("config.toml")).unwrap();
    let server = scene.serve(&[]).await;
    for (name, sandbox) in [("ana", "workspace-write"), ("ben", "read-only")] {
        let start = json!({"identity": name, "prompt": touch, "sandbox": sandbox, "approval-policy": "never"});
        let told = server.call("codex", start).await.good();
        assert!(!scene.home().join("written").exists(), "{told:?}");
    }
    // No more is asked than where nobody has said anything of the directory.
    server.call("codex", json!({"identity": "cat", "prompt": "RUN ls", "sandbox": "workspace-write"})).await.good();
    scene.end(server).await;
    assert_eq!(std::fs::read_to_string(scene.codex_home().join("config.toml")).unwrap(), settings);

    // With the user's word they hold.
    trusted(&scene);
    let server = scene.serve(&[]).await;
    let start = json!({"identity": "dan", "prompt": touch, "sandbox": "workspace-write", "approval-policy": "never"});
    server.call("codex", start).await.good();
    assert!(scene.home().join("written").exists());
    scene.end(server).await;
}

async fn no_model_decides_in_the_place_of_people(stage: Stage) {
    let scene = stage.plain().await;
    let theirs = scene.project().join(".codex");
    std::fs::create_dir(&theirs).unwrap();
    std::fs::write(theirs.join("config.toml"), "approvals_reviewer = \"auto_review\"\n").unwrap();
    trusted(&scene);
    let server = scene.serve(&[]).await;
    let touch = json!({
        "identity": "ana", "prompt": "RUN touch made", "sandbox": "workspace-write", "approval-policy": "untrusted",
    });
    let asked = server.call("codex", touch.clone()).await.good();
    assert_eq!(asked.text("status"), "awaiting_approval", "{asked:?}");
    let mut wanted = touch;
    wanted["identity"] = json!("ben");
    wanted["config"] = json!({"approvals_reviewer": "auto_review"});
    let refused = server.call("codex", wanted).await.bad();
    assert!(refused.content().contains("approvals_reviewer"), "{refused:?}");
    scene.end(server).await;
}

/// Not even of a repository that the user trusts.
async fn a_repositorys_codex_settings_take_no_sandbox_away(stage: Stage) {
    let scene = stage.plain().await;
    in_a_repository(&scene);
    trusted(&scene);
    let theirs = scene.project().join(".codex");
    std::fs::create_dir(&theirs).unwrap();
    std::fs::write(theirs.join("config.toml"), FULL).unwrap();
    let server = scene.serve(&[]).await;
    let refused = server.call("codex", json!({"prompt": WRITE})).await.bad();
    assert!(refused.content().contains("allow_full_access = true"), "{refused:?}");
    assert!(!scene.home().join("written").exists());
    let named = json!({"prompt": "SAY two", "identity": "ana", "sandbox": "read-only"});
    server.call("codex", named).await.good();
    scene.end(server).await;

    // With the user's word it is as Codex says.
    let server = scene.serve(&["--allow-full-access"]).await;
    server.call("codex", json!({"prompt": WRITE})).await.good();
    assert!(scene.home().join("written").exists());
    scene.end(server).await;
}

/// Over its socket anybody could start a thread without a sandbox. (With `network_access` 0.144.6 lets commands reach it,
/// 0.169.0 does not.)
async fn an_agents_commands_reach_neither_codexs_socket_nor_our_files(stage: Stage) {
    let scene = stage.plain().await;
    let server = scene.serve(&[]).await;
    let ana = json!({"identity": "ana", "prompt": "SAY one", "sandbox": "workspace-write", "approval-policy": "never"});
    server.call("codex", ana).await.good();
    let socket = server.codex().await.socket;
    let script = "const s = require(\"net\").connect(process.argv[1]); \
                  const say = (word) => { console.log(word); process.exit(); }; \
                  s.on(\"connect\", () => say(\"connected\")).on(\"error\", (e) => say(`refused: ${e.code}`))";
    let connect = format!("RUN node -e '{script}' '{}'", socket.display());
    let told = server.call("codex-reply", json!({"identity": "ana", "prompt": connect})).await.good();
    assert!(told.content().contains("refused: EPERM"), "{told:?}");
    let agents = scene.home().join(".config/atm/agent-sessions/tests/agents");
    let write = format!("RUN touch '{}' || echo refused", agents.join("x").display());
    let told = server.call("codex-reply", json!({"identity": "ana", "prompt": write})).await.good();
    assert!(told.content().contains("refused") && !agents.join("x").exists(), "{told:?}");
    scene.end(server).await;
}
