//! The demo: two named agents of real Codex, a reply, mail between them, a restart and a resume, told as a timeline.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rmcp::model::CallToolResult;
use serde_json::{Value, json};

use super::model::{Reply, Request, spoken};
use super::world::{Client, World};
use crate::codex::program;

/// Why it did not come to its end.
#[derive(Debug)]
pub enum PlayError {
    /// Something in it did not go as it should.
    Failed(String),
    /// The timeline cannot be written.
    Output(io::Error),
}

impl From<String> for PlayError {
    fn from(why: String) -> PlayError {
        PlayError::Failed(why)
    }
}

/// Plays it with `codex`, else with the one on PATH; the timeline goes to `out`.
pub async fn play(codex: Option<&Path>, out: &mut (dyn Write + Send)) -> Result<(), PlayError> {
    let codex = program::find(codex).map_err(|error| error.to_string())?;
    let itself = std::env::current_exe().map_err(|error| format!("this program cannot find itself: {error}"))?;
    let world = World::new(script).await.map_err(|error| format!("no temporary world: {error}"))?;
    let mut stage = Stage { world, itself, codex, since: Instant::now(), out };
    stage.tell("demo", "real Codex, a scripted model on this machine, everything in a temporary directory")?;
    let played = stage.play().await;
    match &played {
        Ok(()) => {
            stage.tell("done", "two agents that wrote to each other, a steer, one restart; nothing was kept")?;
            let next = format!("claude mcp add --scope user codex -- {} serve", called(&stage.itself));
            writeln!(stage.out, "\nYour own agents, with the real model, are one line away:\n\n    {next}")
                .map_err(PlayError::Output)?;
        }
        Err(PlayError::Failed(why)) => stage.tell("failed", why)?,
        Err(PlayError::Output(_)) => {}
    }
    played
}

/// What a shell calls this program: by its name, if it finds it so.
fn called(itself: &Path) -> String {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let name = itself.file_name().unwrap_or(itself.as_os_str());
    let is_it =
        |dir: PathBuf| dir.join(name).canonicalize().is_ok_and(|found| Some(found) == itself.canonicalize().ok());
    let shown = if std::env::split_paths(&path).any(is_it) { Path::new(name) } else { itself };
    let shown = shown.display().to_string();
    if shown.contains(char::is_whitespace) { format!("\"{shown}\"") } else { shown }
}

/// What the model does: what it is told; to mail with a question it answers with mail.
fn script(request: &Request) -> Reply {
    match request.last_user_text() {
        _ if request.last_item_is_output() => spoken(request),
        mail if mail.contains("<atm-letter") && mail.contains(QUESTION) => {
            Reply::call("atm.send", json!({"to": "ana", "message": ANSWER}))
        }
        mail if mail.contains("<atm-letter") => Reply::say("I have read it."),
        _ => spoken(request),
    }
}

/// How often it is looked whether mail has arrived, and how long.
const LOOKS: (u32, Duration) = (300, Duration::from_millis(100));
const QUESTION: &str = "Is the note ready?";
const ANSWER: &str = "Yes, it is in note.txt.";

struct Stage<'a> {
    world: World,
    itself: PathBuf,
    codex: PathBuf,
    since: Instant,
    out: &'a mut (dyn Write + Send),
}

impl Stage<'_> {
    async fn play(&mut self) -> Result<(), PlayError> {
        let client = self.open().await?;
        let ana =
            self.turn(&client, "codex", "ana", json!({"identity": "ana", "prompt": "SAY Hello, I am ana."})).await?;
        expect(&ana, "Hello, I am ana.")?;
        let run = "RUN echo made in the sandbox > note.txt && cat note.txt";
        let ben = json!({"identity": "ben", "prompt": run, "sandbox": "workspace-write", "approval-policy": "never"});
        let ben = self.turn(&client, "codex", "ben", ben).await?;
        expect(&ben, "made in the sandbox")?;
        if !self.world.project().join("note.txt").is_file() {
            return Err(PlayError::Failed("ben's command has written no file".to_owned()));
        }
        let reply = json!({"identity": "ana", "prompt": "SAY I am still ana, in the same thread."});
        let again = self.turn(&client, "codex-reply", "ana", reply).await?;
        expect(&again, "I am still ana, in the same thread.")?;
        expect_same_thread(&ana, &again)?;

        self.steer(&client).await?;
        self.mail(&client).await?;

        let left = client.leave().await.map_err(|error| format!("the server cannot be waited for: {error}"))?;
        self.tell("server", &format!("stopped ({left}); its Codex with it"))?;
        let client = self.open().await?;
        let resume = json!({"agent_id": field(&ben, "agent_id"), "prompt": "SAY I remember the note."});
        let resumed = self.turn(&client, "codex", "ben", resume).await?;
        expect(&resumed, "I remember the note.")?;
        expect_same_thread(&ben, &resumed)?;
        let heard =
            self.world.model().requests().pop().map(|request| request.texts("user").join("\n")).unwrap_or_default();
        if !heard.contains("made in the sandbox") {
            return Err(PlayError::Failed("the resumed thread has lost its history".to_owned()));
        }
        self.tell("ben", "the model was given the whole history of before the restart")?;
        client.leave().await.map_err(|error| format!("the server cannot be waited for: {error}"))?;
        Ok(())
    }

    /// A text into a running turn: it is there when the command is through, and the agent answers to it.
    async fn steer(&mut self, client: &Client) -> Result<(), PlayError> {
        let work = json!({"identity": "ana", "prompt": "RUN sleep 1 && echo worked", "background": true});
        self.turn(client, "codex-reply", "ana", work).await?;
        let text = "SAY I was told this while I worked.";
        self.tell("ana", &format!("agent_steer <- {text}"))?;
        let steer = json!({"agent": "ana", "text": text, "timeout_ms": 60_000});
        let receipt = client.call("agent_steer", steer).await.map_err(|error| error.to_string())?;
        self.tell("ana", &format!("            -> {}", field(&receipt, "content")))?;
        let wait = json!({"agents": ["ana"], "mode": "all"});
        let waited = client.call("agent_wait", wait).await.map_err(|error| error.to_string())?;
        let answer = waited.structured_content.as_ref().and_then(|all| all["results"][0]["content"].as_str());
        self.tell("ana", &format!("agent_wait  -> {}", answer.unwrap_or("nothing")))?;
        match (field(&receipt, "status").as_str(), answer) {
            ("delivered", Some("I was told this while I worked.")) => Ok(()),
            (status, answer) => Err(PlayError::Failed(format!("the steer is {status}, the answer {answer:?}"))),
        }
    }

    /// One agent writes to another with its own tool, and is answered.
    async fn mail(&mut self, client: &Client) -> Result<(), PlayError> {
        let ask = format!("CALL atm.send {}", json!({"to": "ben", "message": QUESTION}));
        self.turn(client, "codex-reply", "ana", json!({"identity": "ana", "prompt": ask})).await?;
        for (agent, text) in [("ana", QUESTION), ("ben", ANSWER)] {
            let fate = self.fate(client, agent, text).await?;
            self.tell(agent, &format!("mail <- {text}"))?;
            self.tell(agent, &format!("     -> {fate}"))?;
        }
        Ok(())
    }

    /// What became of mail that an agent has sent, once it is delivered.
    async fn fate(&self, client: &Client, agent: &str, text: &str) -> Result<String, String> {
        let (looks, pause) = LOOKS;
        for _ in 0..looks {
            let sent = client.call("atm_read", json!({"sent": true, "identity": agent})).await;
            let sent = sent.map_err(|error| error.to_string())?.structured_content.unwrap_or_default();
            let all = sent["messages"].as_array().cloned().unwrap_or_default();
            let fate = all.iter().find(|sent| sent["begins"] == text).and_then(|sent| sent["fate"].as_str());
            if let Some(fate) = fate.filter(|fate| fate.starts_with("delivered")) {
                return Ok(fate.to_owned());
            }
            tokio::time::sleep(pause).await;
        }
        Err(format!("{agent}'s mail {text:?} did not arrive"))
    }

    async fn open(&mut self) -> Result<Client, PlayError> {
        let mut command = self.world.command(&self.itself, &self.codex);
        command.args(["serve", "--team", "demo"]);
        let client = Client::start(command).await?;
        self.tell("server", "atm-agent-mcp serve --team demo; an MCP client is connected")?;
        Ok(client)
    }

    async fn turn(
        &mut self,
        client: &Client,
        tool: &'static str,
        agent: &str,
        arguments: Value,
    ) -> Result<CallToolResult, PlayError> {
        let prompt = arguments["prompt"].as_str().unwrap_or_default().to_owned();
        self.tell(agent, &format!("{tool} <- {prompt}"))?;
        let result = client.call(tool, arguments).await.map_err(|error| error.to_string())?;
        let answer = field(&result, "content");
        if result.is_error == Some(true) {
            return Err(PlayError::Failed(format!("{tool} for {agent}: {answer}")));
        }
        self.tell(agent, &format!("{:width$} -> {}", "", answer.trim(), width = tool.len()))?;
        Ok(result)
    }

    fn tell(&mut self, who: &str, what: &str) -> Result<(), PlayError> {
        let seconds = self.since.elapsed().as_secs_f32();
        writeln!(self.out, "{seconds:6.2} s  {who:<7} {what}").map_err(PlayError::Output)
    }
}

fn field(result: &CallToolResult, name: &str) -> String {
    let value = result.structured_content.as_ref().and_then(|structure| structure[name].as_str());
    value.unwrap_or_default().to_owned()
}

fn expect(result: &CallToolResult, answer: &str) -> Result<(), String> {
    match field(result, "content") {
        content if content.trim() == answer => Ok(()),
        other => Err(format!("expected the answer {answer:?}, got {other:?}")),
    }
}

fn expect_same_thread(before: &CallToolResult, after: &CallToolResult) -> Result<(), String> {
    match (field(before, "threadId"), field(after, "threadId")) {
        (one, other) if one == other && !one.is_empty() => Ok(()),
        (one, other) => Err(format!("the thread should be the same, but was {one} and is {other}")),
    }
}
