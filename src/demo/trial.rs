//! A trial: one agent of a temporary server, with somebody's Codex and the scripted model, tells what works.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::json;

use super::model::spoken;
use super::world::{Client, World};

const GREETING: &str = "the trial turn works";
const PRINTED: &str = "a command works";
/// What the tool that counts an agent's mail says in a new world.
const COUNTED: &str = "0 unread.";

/// What worked; the errors are what came instead.
#[derive(Debug, PartialEq, Eq)]
pub struct Trial {
    /// How long it took from the start of the server to the first answer.
    pub answered_after: Duration,
    /// A command in Codex's sandbox.
    pub command: Result<(), String>,
    /// A tool of the agent's team.
    pub tool: Result<(), String>,
}

/// Plays it with this Codex; the error says why there is not even a turn.
pub async fn play(codex: &Path) -> Result<Trial, String> {
    let since = Instant::now();
    let world = World::new(spoken).await.map_err(|error| format!("no temporary world: {error}"))?;
    let itself = std::env::current_exe().map_err(|error| format!("this program cannot find itself: {error}"))?;
    let mut command = world.command(&itself, codex);
    command.args(["serve", "--team", "trial"]).stderr(Stdio::null());
    let client = Client::start(command).await?;
    let greet = json!({"identity": "trial", "prompt": format!("SAY {GREETING}"), "sandbox": "read-only", "approval-policy": "never"});
    let said = turn(&client, "codex", greet).await?;
    same(&said, GREETING)
        .map_err(|said| format!("the scripted model was to say {GREETING:?}, and the answer is {said:?}"))?;
    let answered_after = since.elapsed();
    let reply = |prompt: String| turn(&client, "codex-reply", json!({"identity": "trial", "prompt": prompt}));
    let command = reply(format!("RUN echo {PRINTED}")).await.and_then(|printed| same(&printed, PRINTED));
    let tool = reply("CALL atm.pending_count {}".to_owned()).await.and_then(|counted| same(&counted, COUNTED));
    client.leave().await.map_err(|error| format!("the server cannot be waited for: {error}"))?;
    Ok(Trial { answered_after, command, tool })
}

fn same(said: &str, expected: &str) -> Result<(), String> {
    if said == expected { Ok(()) } else { Err(said.to_owned()) }
}

/// One turn; its answer, or the error that the tool tells.
async fn turn(client: &Client, tool: &'static str, arguments: serde_json::Value) -> Result<String, String> {
    let result = client.call(tool, arguments).await.map_err(|error| error.to_string())?;
    let content = result.structured_content.as_ref().and_then(|all| all["content"].as_str()).unwrap_or_default();
    let content = content.trim().to_owned();
    if result.is_error == Some(true) { Err(content) } else { Ok(content) }
}
