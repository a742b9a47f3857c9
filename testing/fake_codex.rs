//! A stand-in for `codex app-server` whose faults are written in a script.
//!
//! `FAKE_CODEX_SCRIPT` names a JSON file, a [`Script`]. What is not in it goes well: threads are opened, and a turn
//! starts, says `done` and completes. Everything that the fake receives is told to the stage, a TCP port of the test's,
//! one JSON text a line; the stage's connection ends when the process does. The stage says `go` to let a turn go on
//! that is at a `wait`; any other line comes back as it is, which shows that the fake lives.

mod carriers;

use std::collections::HashMap;
use std::process::exit;
use std::sync::Arc;

use carriers::Out;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::sync::{Notify, Semaphore, mpsc, oneshot};

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Script {
    /// Where the test listens.
    stage: String,
    /// 0.169.0 if it is not there.
    version: Option<String>,
    /// Whether `--listen` is unknown.
    without_listen: bool,
    /// Printed to stderr at the start.
    prints: Vec<String>,
    start: Start,
    /// Sent as it is before each answer.
    noise: Vec<String>,
    /// Methods that get an error, with its message.
    refuses: HashMap<String, String>,
    /// What these methods answer.
    answers: HashMap<String, Value>,
    /// Methods that get no answer and do nothing.
    ignores: Vec<String>,
    /// Whether SIGTERM does nothing.
    stubborn: bool,
    /// What happens in the first turn, the second, and so on; the last one repeats.
    turns: Vec<Vec<Step>>,
}

#[derive(Default, Deserialize, PartialEq)]
#[serde(rename_all = "snake_case")]
enum Start {
    /// As it should.
    #[default]
    Well,
    /// Ends with this code.
    Exit(i32),
    /// Does nothing, for ever; over a socket it does not even listen.
    Silent,
    /// Closes its connection at the first request, and stays.
    HangUp,
}

#[derive(Deserialize, Clone)]
#[serde(rename_all = "snake_case")]
enum Step {
    /// Until the stage says `go`.
    Wait,
    /// `turn/started`.
    Started,
    /// A whole message of the agent's.
    Say(String),
    /// A request, whose answer is awaited.
    Ask(String, Value),
    /// The same notification so many times.
    Notify(usize, String, Value),
    /// This text as it is.
    Raw(String),
    /// The process ends with code 9.
    Die,
    /// For ever.
    Never,
}

struct Turn {
    id: String,
    started: bool,
    interrupted: Arc<Notify>,
}

struct Fake {
    script: Script,
    out: mpsc::UnboundedSender<Out>,
    go: Arc<Semaphore>,
    running: std::sync::Mutex<HashMap<String, Turn>>,
    asked: std::sync::Mutex<Vec<oneshot::Sender<()>>>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let path = std::env::var("FAKE_CODEX_SCRIPT").expect("FAKE_CODEX_SCRIPT names the script");
    let script: Script = serde_json::from_slice(&std::fs::read(path).expect("the script")).expect("a script");
    let args: Vec<String> = std::env::args().skip(1).collect();
    let version = script.version.as_deref().unwrap_or("0.169.0");
    let alone = match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--version"] => Some(format!("codex-cli {version}")),
        ["resume", "--help"] => Some("  --remote <ADDR>".to_owned()),
        _ => None,
    };
    if let Some(said) = alone {
        return std::io::Write::write_all(&mut std::io::stdout(), format!("{said}\n").as_bytes()).expect("a reader");
    }
    if script.without_listen && args.iter().any(|arg| arg == "--listen") {
        eprintln!("error: unexpected argument '--listen' found\n\nUsage: codex app-server [OPTIONS]");
        exit(2);
    }
    #[cfg(unix)]
    let _kept = script.stubborn.then(|| tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()));
    let go = Arc::new(Semaphore::new(0));
    let report = appear(&script.stage, go.clone()).await;
    report.send(json!({ "here": { "pid": std::process::id(), "args": args } })).ok();
    for line in &script.prints {
        eprintln!("{line}");
    }
    match script.start {
        Start::Well | Start::HangUp => {}
        Start::Exit(code) => exit(code),
        Start::Silent => return std::future::pending().await,
    }
    let (to_peer, out) = mpsc::unbounded_channel();
    let (from_peer, mut incoming) = mpsc::unbounded_channel();
    let _open = from_peer.clone();
    // What goes before its own configuration does not matter to it.
    let carrier = match args.iter().position(|arg| arg == "-c") {
        Some(at) => [&args[..at], &args[at + 2..]].concat(),
        None => args.clone(),
    };
    match carrier.as_slice() {
        [server] if server == "app-server" => {
            tokio::spawn(carriers::over_pipes(from_peer, out));
        }
        #[cfg(unix)]
        [server, listen, at] if server == "app-server" && listen == "--listen" => {
            let listener = tokio::net::UnixListener::bind(at.strip_prefix("unix://").expect("a Unix socket"));
            tokio::spawn(carriers::over_socket(listener.expect("a socket"), from_peer, out));
        }
        other => panic!("app-server [--listen unix://PATH], not {other:?}"),
    }
    let fake = Fake { script, out: to_peer, go, running: Default::default(), asked: Default::default() };
    let fake: &'static Fake = Box::leak(Box::new(fake));
    let mut turns = 0;
    while let Some(text) = incoming.recv().await {
        let message: Value = serde_json::from_str(&text).expect("JSON from our own program");
        report.send(message.clone()).ok();
        fake.take(&message, &mut turns);
    }
}

impl Fake {
    fn take(&'static self, message: &Value, turns: &mut usize) {
        let Some(method) = message["method"].as_str() else {
            let answered = self.asked.lock().unwrap().remove(0);
            answered.send(()).ok();
            return;
        };
        if self.script.start == Start::HangUp {
            self.out.send(Out::Close).ok();
        }
        if message["id"].is_null() || self.script.ignores.iter().any(|ignored| ignored == method) {
            return;
        }
        for noise in &self.script.noise {
            self.text(noise.clone());
        }
        let answer = match (self.script.refuses.get(method), self.script.answers.get(method)) {
            (Some(refusal), _) => Err(refusal.clone()),
            (None, Some(answer)) => Ok(answer.clone()),
            (None, None) => self.answer(method, &message["params"]),
        };
        self.send(&match answer {
            Ok(result) => json!({ "id": message["id"], "result": result }),
            Err(refusal) => json!({ "id": message["id"], "error": { "code": -32600, "message": refusal } }),
        });
        let thread = message["params"]["threadId"].as_str().unwrap_or_default().to_owned();
        if method == "turn/start" && self.running.lock().unwrap().contains_key(&thread) {
            let steps = self.script.turns.get(*turns).or(self.script.turns.last()).cloned();
            let steps = steps.unwrap_or_else(|| vec![Step::Started, Step::Say("done".into())]);
            *turns += 1;
            tokio::spawn(self.play(thread, steps));
        }
    }

    fn answer(&self, method: &str, params: &Value) -> Result<Value, String> {
        let mut running = self.running.lock().unwrap();
        let thread = params["threadId"].as_str().unwrap_or_default();
        match method {
            "initialize" => {
                let version = self.script.version.as_deref().unwrap_or("0.169.0");
                Ok(json!({ "userAgent": format!("fake/{version} (a test) fake") }))
            }
            // Its user trusts every directory.
            "config/read" => Ok(json!({ "config": { "projects": { "/": { "trust_level": "trusted" } } } })),
            "thread/start" if params["dynamicTools"].is_number() => Err("expected a sequence".into()),
            "thread/start" => Ok(
                json!({ "thread": { "id": uuid::Uuid::now_v7() }, "model": params["model"].as_str().unwrap_or("m") }),
            ),
            "thread/resume" => Ok(json!({ "thread": { "id": thread }, "model": "m" })),
            "thread/turns/list" => Ok(json!({ "data": [] })),
            "turn/start" => {
                let id = uuid::Uuid::now_v7().to_string();
                let turn = Turn { id: id.clone(), started: false, interrupted: Arc::default() };
                running.insert(thread.to_owned(), turn);
                Ok(json!({ "turn": { "id": id, "status": "inProgress", "items": [] } }))
            }
            "turn/interrupt" => match running.get(thread).filter(|turn| turn.started) {
                Some(turn) => {
                    turn.interrupted.notify_one();
                    Ok(json!({}))
                }
                None => Err("no active turn to interrupt".into()),
            },
            _ => Ok(json!({})),
        }
    }

    async fn play(&self, thread: String, steps: Vec<Step>) {
        let (id, interrupted) = {
            let running = self.running.lock().unwrap();
            (running[&thread].id.clone(), running[&thread].interrupted.clone())
        };
        let status = tokio::select! {
            () = self.steps(&thread, &id, steps) => "completed",
            () = interrupted.notified() => "interrupted",
        };
        self.running.lock().unwrap().remove(&thread);
        self.note("turn/completed", json!({ "threadId": thread, "turn": { "id": id, "status": status, "items": [] } }));
    }

    async fn steps(&self, thread: &str, turn: &str, steps: Vec<Step>) {
        for (number, step) in steps.into_iter().enumerate() {
            match step {
                Step::Wait => self.go.acquire().await.expect("open").forget(),
                Step::Started => {
                    self.running.lock().unwrap().get_mut(thread).expect("a turn").started = true;
                    let turn = json!({ "id": turn, "status": "inProgress", "items": [] });
                    self.note("turn/started", json!({ "threadId": thread, "turn": turn }));
                }
                Step::Say(text) => {
                    let item = json!({ "type": "agentMessage", "id": number.to_string(), "text": text });
                    self.note("item/completed", placed(json!({ "item": item }), thread, turn));
                }
                Step::Ask(method, params) => {
                    let (answered, answer) = oneshot::channel();
                    self.asked.lock().unwrap().push(answered);
                    // Codex numbers its requests from 0, beside the client's own numbers.
                    self.send(&json!({ "id": number, "method": method, "params": placed(params, thread, turn) }));
                    answer.await.ok();
                }
                Step::Notify(times, method, params) => {
                    for _ in 0..times {
                        self.note(&method, placed(params.clone(), thread, turn));
                    }
                }
                Step::Raw(text) => self.text(text),
                Step::Die => {
                    self.out.send(Out::Die).ok();
                    std::future::pending().await
                }
                Step::Never => std::future::pending().await,
            }
        }
    }

    fn note(&self, method: &str, params: Value) {
        self.send(&json!({ "method": method, "params": params, "emittedAtMs": 1 }));
    }

    fn send(&self, message: &Value) {
        self.text(message.to_string());
    }

    fn text(&self, text: String) {
        self.out.send(Out::Text(text)).ok();
    }
}

/// The parameters with the thread and the turn; the protocol's first version spoke of conversations.
fn placed(mut params: Value, thread: &str, turn: &str) -> Value {
    if let Some(conversation) = params.get_mut("conversationId") {
        *conversation = thread.into();
    } else if let Some(params) = params.as_object_mut() {
        params.extend(Map::from_iter([("threadId".into(), thread.into()), ("turnId".into(), turn.into())]));
    }
    params
}

/// Comes on the stage.
async fn appear(stage: &str, go: Arc<Semaphore>) -> mpsc::UnboundedSender<Value> {
    let (report, mut reports) = mpsc::unbounded_channel::<Value>();
    let (hears, mut says) = TcpStream::connect(stage).await.expect("a stage").into_split();
    let echo = report.clone();
    tokio::spawn(async move {
        let mut lines = BufReader::new(hears).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            match line.as_str() {
                "go" => go.add_permits(1),
                _ => drop(echo.send(json!({ "echo": line }))),
            }
        }
    });
    tokio::spawn(async move {
        while let Some(line) = reports.recv().await {
            says.write_all(format!("{line}\n").as_bytes()).await.ok();
        }
    });
    report
}
