//! Full access to the machine that nobody asked us for: the user's own Codex may give it, a repository may not.

use serde_json::json;

use crate::stage::{Scene, Stage};

on_each_codex! {
    full_access_that_the_user_has_set_in_codex_itself_holds,
    a_repositorys_codex_settings_take_no_sandbox_away,
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

/// Codex trusts a directory for good once a thread with workspace-write was started there.
async fn a_repositorys_codex_settings_take_no_sandbox_away(stage: Stage) {
    let scene = stage.plain().await;
    in_a_repository(&scene);
    let theirs = scene.project().join(".codex");
    std::fs::create_dir(&theirs).unwrap();
    std::fs::write(theirs.join("config.toml"), FULL).unwrap();
    let server = scene.serve(&[]).await;
    server.call("codex", json!({"prompt": "SAY one", "sandbox": "workspace-write"})).await.good();
    let config = std::fs::read_to_string(scene.codex_home().join("config.toml")).unwrap();
    assert!(config.contains("trust_level = \"trusted\""), "{config}");

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
