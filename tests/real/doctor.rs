//! `doctor` with real Codex: what it is asked, what it tells, and that nothing of it is left.

use std::fs;
use std::process::Stdio;

use atm_agent_mcp::demo::model::{Reply, spoken};
use serde_json::{Value, json};
use tokio::io::AsyncReadExt;

use crate::stage::{Scene, Stage};
use crate::terminal::Terminal;

on_each_codex! {
    a_codex_that_is_well_is_found_so_and_keeps_nothing_of_it,
    a_configuration_that_codex_refuses_is_named_with_file_and_line,
    who_only_looks_lets_codex_ask_nobody_for_its_plugins,
    servers_that_slow_each_thread_are_named_and_the_others_are_not,
    who_has_no_login_is_told_by_codex_and_not_by_its_files,
    the_real_model_is_asked_for_one_word_in_a_thread_that_is_not_kept,
    a_model_that_fails_is_told_in_its_own_words,
    whoever_interrupts_it_leaves_none_of_the_servers_that_codex_has_started,
    in_a_terminal_it_shows_what_it_waits_for_and_then_the_report_in_colours,
}

/// Registers our program with Claude Code, so that nothing is missing.
fn registered(scene: &Scene) {
    let server = json!({"command": env!("CARGO_BIN_EXE_atm-agent-mcp"), "args": ["serve"]});
    let settings = json!({"mcpServers": {"codex": server}});
    fs::write(scene.home().join(".claude.json"), settings.to_string()).unwrap();
}

/// Adds to the configuration of Codex.
fn configured(scene: &Scene, more: &str) {
    let path = scene.codex_home().join("config.toml");
    fs::write(&path, fs::read_to_string(&path).unwrap() + more).unwrap();
}

/// What it found, and its exit code.
async fn found(scene: &Scene, args: &[&str]) -> (Option<i32>, Vec<Value>) {
    let mut command = scene.program(&[&["doctor", "--json"], args].concat());
    let output = command.stdin(Stdio::null()).output().await.unwrap();
    assert_eq!(scene.codexes(), [""; 0], "a Codex that outlives the look at it");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
    (output.status.code(), report["findings"].as_array().unwrap().clone())
}

/// Levels and words of what one check found.
fn of<'a>(found: &'a [Value], check: &str) -> Vec<(&'a str, &'a str)> {
    let of_check = found.iter().filter(|finding| finding["check"] == check);
    of_check.map(|finding| (finding["level"].as_str().unwrap(), finding["what"].as_str().unwrap())).collect()
}

/// The threads that Codex has kept.
fn kept(scene: &Scene) -> Vec<std::path::PathBuf> {
    let (mut files, mut places) = (Vec::new(), vec![scene.codex_home().join("sessions")]);
    while let Some(place) = places.pop() {
        for path in fs::read_dir(place).into_iter().flatten().map(|entry| entry.unwrap().path()) {
            if path.is_dir() { places.push(path) } else { files.push(path) }
        }
    }
    files
}

async fn a_codex_that_is_well_is_found_so_and_keeps_nothing_of_it(stage: Stage) {
    let scene = stage.plain().await;
    registered(&scene);
    let (code, found) = found(&scene, &[]).await;
    assert_eq!(code, Some(0), "{found:#?}");
    let known = of(&found, "codex");
    for word in
        ["starts, and answered", "steer, interrupt", "dynamic tools: known", "socket: it listens", "attach: its UI can"]
    {
        assert!(known.iter().any(|(level, what)| *level == "ok" && what.contains(word)), "no {word:?}: {known:?}");
    }
    let is_new = of(&found, "programs").iter().any(|(_, what)| what.starts_with("Codex 0.169.0 ("));
    let queue = if is_new { "queue: it has one of its own" } else { "queue: it has none of its own" };
    assert!(known.iter().any(|(_, what)| what.starts_with(queue)), "{known:?}");
    assert_eq!(of(&found, "login"), [("ok", "the model provider scripted needs no login with OpenAI")]);
    assert_eq!(of(&found, "mcp_servers"), [("ok", "none: threads start without delay")]);
    assert_eq!(of(&found, "trial").iter().map(|(level, _)| *level).collect::<Vec<_>>(), ["ok"; 3], "{found:#?}");
    assert_eq!(scene.model().requests().len(), 0, "the user's own model was not asked");
    assert_eq!(kept(&scene), [""; 0].map(std::path::PathBuf::from));
    assert!(!scene.home().join(".config").exists());
}

async fn a_configuration_that_codex_refuses_is_named_with_file_and_line(stage: Stage) {
    let scene = stage.plain().await;
    registered(&scene);
    let path = scene.codex_home().join("config.toml");
    let well = fs::read_to_string(&path).unwrap();
    for (broken, why) in [("notify = [1,\n", "in array"), ("sandbox_mode = \"nope\"\n", "unknown variant `nope`")] {
        fs::write(&path, format!("{broken}{well}")).unwrap();
        let (code, found) = found(&scene, &[]).await;
        let errors: Vec<&Value> = found.iter().filter(|finding| finding["level"] == "error").collect();
        assert_eq!((code, errors.len()), (Some(2), 1), "{found:#?}");
        let what = errors[0]["what"].as_str().unwrap();
        assert!(what.starts_with("Codex cannot read its configuration: ") && what.contains(why), "{what}");
        let mend = errors[0]["mend"].as_str().unwrap();
        assert!(mend.starts_with("mend line ") && mend.ends_with(&path.display().to_string()), "{mend}");
        for check in ["login", "mcp_servers"] {
            assert_eq!(of(&found, check), [("warning", "not known: Codex could not be asked")]);
        }
    }
}

async fn who_only_looks_lets_codex_ask_nobody_for_its_plugins(stage: Stage) {
    let scene = stage.plain().await;
    let path = scene.codex_home().join("config.toml");
    let well = fs::read_to_string(&path).unwrap();
    fs::write(&path, well.replace("[features]\nplugins = false\n", "")).unwrap();
    registered(&scene);
    let (code, found) = found(&scene, &[]).await;
    assert_eq!(code, Some(0), "{found:#?}");
    // It takes this lock before it asks (0.144.6 and 0.169.0).
    assert!(!scene.codex_home().join(".tmp").join("plugins.sync.lock").exists());
}

async fn servers_that_slow_each_thread_are_named_and_the_others_are_not(stage: Stage) {
    let scene = stage.plain().await;
    registered(&scene);
    let servers = r#"
[mcp_servers.hangs]
command = "/bin/sh"
args = ["-c", "exec sleep 1000"]
startup_timeout_sec = 1
[mcp_servers.absent]
command = "/nowhere/server"
env = { KEY = "sk-very-secret" }
[mcp_servers.off]
command = "/nowhere/server"
enabled = false
"#;
    let ours = env!("CARGO_BIN_EXE_atm-agent-mcp");
    configured(&scene, &format!("{servers}[mcp_servers.quick]\ncommand = \"{ours}\"\nargs = [\"serve\"]\n"));
    let (code, found) = found(&scene, &[]).await;
    assert_eq!(code, Some(1), "{found:#?}");
    let told = of(&found, "mcp_servers");
    let is_told = |level: &str, begins: &str| told.iter().any(|(of, what)| *of == level && what.starts_with(begins));
    assert!(is_told("warning", "absent: failed after ") && is_told("warning", "hangs: failed after "), "{told:?}");
    assert!(told.len() == 3 && told.iter().any(|(_, what)| what.starts_with("quick: ready after ")), "{told:?}");
    assert!(!format!("{found:?}").contains("sk-very-secret"));
}

async fn who_has_no_login_is_told_by_codex_and_not_by_its_files(stage: Stage) {
    let scene = stage.plain().await;
    let path = scene.codex_home().join("config.toml");
    let needs =
        fs::read_to_string(&path).unwrap().replace("env_key = \"SCRIPTED_MODEL_KEY\"", "requires_openai_auth = true");
    fs::write(&path, needs).unwrap();
    let (code, found) = self::found(&scene, &[]).await;
    assert_eq!((code, of(&found, "login")), (Some(2), vec![("error", "the user is not logged in, says Codex")]));
    let mut login = scene.foreign(scene.codex());
    let mut login = login.args(["login", "--with-api-key"]).stdin(Stdio::piped()).spawn().unwrap();
    let mut key = login.stdin.take().unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut key, b"sk-very-secret\n").await.unwrap();
    drop(key);
    assert!(login.wait().await.unwrap().success());
    let (_, found) = self::found(&scene, &[]).await;
    assert_eq!(of(&found, "login"), [("ok", "logged in with an API key, says Codex")]);
    assert!(!format!("{found:?}").contains("sk-very-secret"));
}

async fn the_real_model_is_asked_for_one_word_in_a_thread_that_is_not_kept(stage: Stage) {
    let scene = stage.with(|_| Reply::say("pong")).await;
    registered(&scene);
    let (code, found) = found(&scene, &["--live"]).await;
    let live = of(&found, "live");
    assert!(
        code == Some(0) && live[0].1.starts_with("gpt-5.5 answered after ") && live[0].1.ends_with(": pong"),
        "{live:?}"
    );
    assert_eq!(scene.model().requests().len(), 1);
    assert_eq!(kept(&scene), [""; 0].map(std::path::PathBuf::from));
}

async fn a_model_that_fails_is_told_in_its_own_words(stage: Stage) {
    let fails = |request: &_| match spoken(request) {
        Reply::Say(_) => Reply::Fail { status: 401, message: "no such account".to_owned() },
        other => other,
    };
    let scene = stage.with(fails).await;
    registered(&scene);
    let (code, found) = found(&scene, &["--live"]).await;
    let live = of(&found, "live");
    assert!(code == Some(2) && live[0].0 == "error" && live[0].1.contains("no such account"), "{live:?}");
}

/// It reads nothing, so it would outlive a Codex that is killed.
async fn whoever_interrupts_it_leaves_none_of_the_servers_that_codex_has_started(stage: Stage) {
    let scene = stage.plain().await;
    let fifo = scene.home().join("held");
    assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let mut held = tokio::net::unix::pipe::OpenOptions::new().open_receiver(&fifo).unwrap();
    let args = format!("[\"-c\", \"exec 3> '{}'; echo ready >&3; exec sleep 1000\"]", fifo.display());
    configured(
        &scene,
        &format!("\n[mcp_servers.held]\ncommand = \"/bin/sh\"\nargs = {args}\nstartup_timeout_sec = 60\n"),
    );
    let mut doctor = scene.program(&["doctor"]).stdout(Stdio::null()).spawn().unwrap();
    let mut said = [0; 6];
    held.read_exact(&mut said).await.unwrap();
    let pid = doctor.id().and_then(|pid| i32::try_from(pid).ok()).and_then(rustix::process::Pid::from_raw).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    assert_eq!(doctor.wait().await.unwrap().code(), Some(130));
    assert_eq!(scene.codexes(), [""; 0]);
    assert_eq!(held.read(&mut said).await.unwrap(), 0, "the server of Codex's is gone");
}

async fn in_a_terminal_it_shows_what_it_waits_for_and_then_the_report_in_colours(stage: Stage) {
    let scene = stage.plain().await;
    registered(&scene);
    let fifo = scene.home().join("held");
    assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let args = format!("[\"-c\", \"read -r word < '{}'\"]", fifo.display());
    configured(
        &scene,
        &format!("\n[mcp_servers.held]\ncommand = \"/bin/sh\"\nargs = {args}\nstartup_timeout_sec = 60\n"),
    );
    let terminal = Terminal::run(&scene, (140, 50), &["doctor"]).await;
    terminal.shows("looking: Codex").await;
    // It is opened when the server reads, so Codex has started it.
    let mut writer = scene.foreign(std::path::Path::new("/bin/sh"));
    let written = writer.args(["-c", "echo go > \"$0\""]).arg(&fifo).status().await.unwrap();
    assert!(written.success());
    let screen = terminal.shows("ended with 1").await;
    assert!(screen.contains("warning  held: failed after ") && screen.contains("1 warning: agents work"), "{screen}");
    assert!(!screen.contains("looking:"), "{screen}");
    let coloured = terminal.coloured().await;
    assert!(coloured.contains("\u{1b}[33mwarning") && coloured.contains("\u{1b}[32mok"), "{coloured}");
}
