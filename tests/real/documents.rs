//! What the documents show can be done as it is shown.

use std::path::Path;

use serde_json::Value;

use crate::stage::{self, Scene, Server, Stage};

const CODEX: &str = "0.169.0";

fn page(name: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
}

/// What a page shows in blocks of this kind, line by line.
fn lines<'a>(page: &'a str, kind: &str) -> Vec<&'a str> {
    let fence = format!("```{kind}\n");
    let blocks = page.split(&fence).skip(1).map(|rest| rest.split("```").next().unwrap());
    blocks.flat_map(str::lines).filter(|line| !line.trim().is_empty()).collect()
}

/// Makes the calls that a page shows, in their order.
async fn calls(server: &Server, page: &str) -> usize {
    let calls = lines(page, "json");
    for line in &calls {
        let call: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"));
        let name: &'static str = call["name"].as_str().unwrap().to_owned().leak();
        server.call(name, call["arguments"].clone()).await.good();
    }
    calls.len()
}

/// What is not run here, and what shows that it works.
const SHOWN_ELSEWHERE: [(&str, &str); 8] = [
    ("cargo xtask", "CI runs it; the demo: the_demo_plays_to_its_end_and_says_what_to_type_next"),
    ("npm install", "installs what every test of this kind runs"),
    ("cargo install", "package::an_install_puts_exactly_one_program_on_the_path"),
    ("claude mcp add", "claude::claude_code_says_that_it_is_connected"),
    ("atm-agent-mcp top", "top::"),
    ("atm-agent-mcp attach", "people::"),
    ("atm-agent-mcp setup", "setup::"),
    ("atm-agent-mcp doctor", "doctor::"),
];

/// Runs the commands that a page shows; how many there are.
async fn commands(scene: &Scene, page: &str) -> usize {
    let is_elsewhere = |line: &&str| SHOWN_ELSEWHERE.iter().any(|(command, _)| line.starts_with(command));
    let here: Vec<&str> = lines(page, "sh").into_iter().filter(|line| !is_elsewhere(line)).collect();
    for line in &here {
        let program = Path::new(env!("CARGO_BIN_EXE_atm-agent-mcp")).parent().unwrap();
        let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap());
        let mut shell = scene.foreign(Path::new("sh"));
        let output = shell.env("PATH", path).env("ATM_TEAM", "tests").args(["-c", line]).output().await.unwrap();
        assert!(output.status.success(), "{line}: {output:?}");
    }
    here.len()
}

#[tokio::test]
async fn the_tutorial_can_be_followed() {
    stage::play(CODEX, async |stage: Stage| {
        let scene = stage.plain().await;
        let server = scene.serve(&[]).await;
        let tutorial = page("docs/tutorial.md");
        let (before, after) = tutorial.split_once("## Go on tomorrow").unwrap();
        assert!(calls(&server, before).await > 5);
        assert_eq!(commands(&scene, before).await, 2);
        scene.end(server).await;
        let server = scene.serve(&[]).await;
        assert_eq!(calls(&server, after).await, 2);
        scene.end(server).await;
    })
    .await;
}

#[tokio::test]
async fn what_the_readme_and_the_guides_show_works() {
    stage::play(CODEX, async |stage: Stage| {
        let scene = stage.plain().await;
        let server = scene.serve(&[]).await;
        let changed = "git init -q && echo a > file && git add file && echo b > file";
        assert!(scene.foreign(Path::new("sh")).args(["-c", changed]).status().await.unwrap().success());
        let readme = page("README.md");
        assert!(calls(&server, &readme).await > 5);
        assert!(commands(&scene, &readme).await >= 7);
        let arch = serde_json::json!({"identity": "arch", "prompt": "SAY ready"});
        server.call("codex", arch).await.good();
        for (name, least) in [("docs/guides/people.md", 5), ("docs/guides/scripts.md", 5)] {
            assert!(commands(&scene, &page(name)).await >= least, "{name}");
        }
        scene.end(server).await;
    })
    .await;
}

#[tokio::test]
async fn the_demo_plays_to_its_end_and_says_what_to_type_next() {
    stage::play(CODEX, async |stage: Stage| {
        let scene = stage.plain().await;
        let program = env!("CARGO_BIN_EXE_atm-agent-mcp");
        let mut demo = scene.foreign(Path::new(program));
        let output = demo.args(["demo", "--codex-bin"]).arg(scene.codex()).output().await.unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{said}");
        assert!(said.ends_with(&format!("\n    claude mcp add --scope user codex -- {program} serve\n")), "{said}");
    })
    .await;
}
