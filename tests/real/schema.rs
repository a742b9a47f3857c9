//! What we send, answer and read, held against the schema that each Codex prints of itself.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use atm_agent_mcp::codex::tools::{Tool, Tools};
use atm_agent_mcp::codex::wire::ThreadOptions;
use atm_agent_mcp::codex::{Client, Codex, Environment, Launch};
use atm_agent_mcp::home::Home;
use atm_agent_mcp::ids::{DeliveryId, ThreadId, TurnId};
use atm_agent_mcp::policy::{ApprovalPolicy, Sandbox};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Map, Value, json};
use tokio::net::{UnixListener, UnixStream};
use tokio::process::Command;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use crate::stage::{Stage, installed};

on_each_codex! {
    whatever_we_ask_is_of_the_form_that_codex_takes,
    whatever_codex_asks_is_answered_in_the_form_that_it_takes,
    what_we_need_of_a_notification_is_always_in_it,
    what_we_need_of_an_answer_is_always_in_it,
}

/// Requests that may be answered with an error: they are about accounts and clocks, or of the protocol's first version,
/// in which nobody speaks to us.
const REFUSED: [&str; 5] = [
    "account/chatgptAuthTokens/refresh",
    "applyPatchApproval",
    "attestation/generate",
    "currentTime/read",
    "execCommandApproval",
];

async fn whatever_we_ask_is_of_the_form_that_codex_takes(stage: Stage) {
    let schema = Schema::printed_by(stage.codex()).await;
    let (played, client) = Played::start().await;
    for (sandbox, approval_policy) in Sandbox::ALL.into_iter().zip(ApprovalPolicy::ALL) {
        ask_everything(&client, sandbox, approval_policy).await;
    }
    let (said, _) = played.end().await;

    let requests = schema.file("ClientRequest.json");
    let mut methods = BTreeSet::new();
    for message in said.iter().filter(|message| message.get("id").is_some()) {
        let method = message["method"].as_str().unwrap();
        let variant = requests.variant(method);
        requests.holds(&variant, message);
        let known = requests.resolve(&variant["properties"]["params"]);
        for field in message["params"].as_object().unwrap().keys() {
            assert!(known["properties"].get(field).is_some(), "{method} has no field {field}: it would be passed over");
        }
        methods.insert(method);
    }
    let expected = [
        "config/read",
        "initialize",
        "thread/backgroundTerminals/clean",
        "thread/inject_items",
        "thread/resume",
        "thread/start",
        "thread/turns/list",
        "thread/unsubscribe",
        "turn/interrupt",
        "turn/start",
        "turn/steer",
    ];
    assert_eq!(methods, BTreeSet::from(expected));

    let notifications = schema.file("ClientNotification.json");
    let noted: Vec<_> = said.iter().filter(|message| message.get("id").is_none()).collect();
    assert_eq!(noted.len(), 1);
    notifications.holds(&notifications.variant("initialized"), noted[0]);
}

/// Calls every function that [`Client`] has for a method.
async fn ask_everything(client: &Client, sandbox: Sandbox, approval_policy: ApprovalPolicy) {
    let text = |text: &str| Some(text.to_owned());
    let options = ThreadOptions {
        cwd: text("/tmp"),
        model: text("gpt-5.5"),
        sandbox: Some(sandbox),
        approval_policy: Some(approval_policy),
        base_instructions: text("base"),
        developer_instructions: text("developer"),
        config: Map::from_iter([("features.multi_agent".to_owned(), json!(true))]),
    };
    let thread = client.thread_start(&options).await.unwrap().thread.id;
    let tool = Tool { name: "send".into(), description: "Sends.".into(), input_schema: json!({"type": "object"}) };
    let tools = Tools { name: "atm".into(), description: "Mail.".into(), tools: vec![tool] };
    client.thread_start_with(&options, &tools).await.unwrap();
    client.thread_resume(&thread, &options).await.unwrap();
    client.thread_resume(&thread, &ThreadOptions::default()).await.unwrap();
    client.tell(&thread, "news").await.unwrap();
    let (parts, delivery) = (["one".to_owned(), "two".to_owned()], DeliveryId::next());
    client.turn_start(&thread, &parts[..1], None).await.unwrap();
    let turn = client.turn_start(&thread, &parts, Some(&delivery)).await.unwrap();
    client.turn_steer(&thread, &turn, &parts, &delivery).await.unwrap();
    client.turn_interrupt(&thread, &turn).await.unwrap();
    client.turns(&thread, 50).await.unwrap();
    client.turn_page(&thread, Some("a cursor")).await.unwrap();
    client.own_config(Some("/tmp")).await.unwrap();
    client.release(client.subscribe(&thread)).await;
}

async fn whatever_codex_asks_is_answered_in_the_form_that_it_takes(stage: Stage) {
    let schema = Schema::printed_by(stage.codex()).await;
    let requests = schema.file("ServerRequest.json");
    let (played, client) = Played::start().await;
    for method in requests.methods() {
        let fields = json!({"threadId": "of-nobody", "command": "ls", "serverName": "s", "tool": "t"});
        played.ask.send((method.to_owned(), fields)).unwrap();
    }
    let (_, answers) = played.end().await;
    drop(client);

    assert_eq!(answers.len(), requests.methods().count());
    for (method, answer) in answers {
        if answer.get("error").is_some() {
            assert!(REFUSED.contains(&method.as_str()), "{method} is not known to us: {answer}");
            continue;
        }
        let params = requests.variant(&method)["properties"]["params"]["$ref"].as_str().unwrap().to_owned();
        let name = params.rsplit('/').next().unwrap().replace("Params", "Response");
        let response = schema.file(&format!("{name}.json"));
        response.holds(&response.root, &answer["result"]);
    }
    for (method, field) in [
        ("item/commandExecution/requestApproval", "threadId"),
        ("item/commandExecution/requestApproval", "command"),
        ("item/commandExecution/requestApproval", "reason"),
        ("item/fileChange/requestApproval", "threadId"),
        ("item/fileChange/requestApproval", "reason"),
        ("item/permissions/requestApproval", "threadId"),
        ("item/permissions/requestApproval", "reason"),
        ("item/tool/requestUserInput", "threadId"),
        ("mcpServer/elicitation/request", "threadId"),
        ("mcpServer/elicitation/request", "serverName"),
        ("item/tool/call", "threadId"),
        ("item/commandExecution/requestApproval", "turnId"),
        ("item/commandExecution/requestApproval", "itemId"),
        ("item/commandExecution/requestApproval", "cwd"),
        ("item/fileChange/requestApproval", "turnId"),
        ("item/fileChange/requestApproval", "itemId"),
        ("item/fileChange/requestApproval", "grantRoot"),
        ("item/permissions/requestApproval", "permissions"),
        ("item/tool/requestUserInput", "questions"),
        ("item/tool/call", "callId"),
        ("item/tool/call", "turnId"),
        ("item/tool/call", "namespace"),
        ("item/tool/call", "tool"),
        ("item/tool/call", "arguments"),
    ] {
        let params = requests.resolve(&requests.variant(method)["properties"]["params"]);
        assert!(params["properties"].get(field).is_some(), "{method} has no field {field}");
    }
}

async fn what_we_need_of_a_notification_is_always_in_it(stage: Stage) {
    let schema = Schema::printed_by(stage.codex()).await;
    let notifications = schema.file("ServerNotification.json");
    let counts = ["totalTokens", "inputTokens", "cachedInputTokens", "outputTokens", "reasoningOutputTokens"];
    let turn = ["threadId", "turn.id", "turn.status", "turn.items"].map(str::to_owned).to_vec();
    let item = ["threadId", "turnId", "item"].map(str::to_owned).to_vec();
    let mut usage = vec!["threadId".to_owned(), "turnId".to_owned()];
    usage.extend(["total", "last"].iter().flat_map(|of| counts.map(|count| format!("tokenUsage.{of}.{count}"))));
    let error = ["threadId", "turnId", "error.message", "willRetry"].map(str::to_owned).to_vec();
    let needed = [
        ("turn/started", turn.clone()),
        ("turn/completed", turn),
        ("item/started", item.clone()),
        ("item/completed", item),
        ("item/agentMessage/delta", ["threadId", "turnId", "itemId", "delta"].map(str::to_owned).to_vec()),
        ("thread/tokenUsage/updated", usage),
        ("thread/archived", vec!["threadId".to_owned()]),
        ("thread/deleted", vec!["threadId".to_owned()]),
        ("thread/status/changed", vec!["threadId".to_owned(), "status".to_owned()]),
        ("serverRequest/resolved", vec!["threadId".to_owned(), "requestId".to_owned()]),
        ("error", error),
        ("warning", vec!["message".to_owned()]),
    ];
    assert_eq!(BTreeSet::from(needed.each_ref().map(|(method, _)| *method)), read_by_us());
    for (method, paths) in needed {
        let params = notifications.resolve(&notifications.variant(method)["properties"]["params"]);
        for path in paths {
            notifications.requires(&params, &path);
        }
    }

    let item = notifications.definition("ThreadItem");
    for (kind, fields) in [
        ("userMessage", &["content"][..]),
        ("agentMessage", &["text"]),
        ("commandExecution", &["id", "command", "cwd", "status"]),
        ("fileChange", &["id", "changes", "status"]),
        ("mcpToolCall", &["server", "tool"]),
        ("dynamicToolCall", &["tool"]),
        ("collabAgentToolCall", &["tool", "receiverThreadIds"]),
        ("subAgentActivity", &["agentThreadId"]),
        ("webSearch", &["query"]),
        ("reasoning", &[]),
        ("contextCompaction", &[]),
    ] {
        let of_kind = |one: &&Value| one["properties"]["type"]["enum"][0] == kind;
        let variant = item["oneOf"].as_array().unwrap().iter().find(of_kind);
        let variant = variant.unwrap_or_else(|| panic!("there is no item {kind}"));
        for field in fields.iter().chain(&["type"]) {
            notifications.requires(variant, field);
        }
    }
    let known = |kind: &str, field: &str| {
        let of_kind = |one: &&Value| one["properties"]["type"]["enum"][0] == kind;
        let variants = [notifications.definition("ThreadItem"), notifications.definition("ThreadStatus")];
        let all: Vec<Value> = variants.iter().flat_map(|all| all["oneOf"].as_array().unwrap().clone()).collect();
        let variant = all.iter().find(of_kind).unwrap_or_else(|| panic!("there is no {kind}"));
        assert!(variant["properties"].get(field).is_some(), "{kind} has no {field}");
    };
    known("userMessage", "clientId");
    known("active", "activeFlags");
    known("dynamicToolCall", "namespace");
    for field in ["aggregatedOutput", "exitCode", "durationMs"] {
        known("commandExecution", field);
    }
    for (of, field) in [
        ("Turn", "startedAt"),
        ("Turn", "completedAt"),
        ("Turn", "durationMs"),
        ("TurnError", "codexErrorInfo"),
        ("WarningNotification", "threadId"),
    ] {
        assert!(notifications.definition(of)["properties"].get(field).is_some(), "{of} has no {field}");
    }
    let tools = notifications.definition("CollabAgentTool")["enum"].clone();
    assert!(["spawnAgent", "resumeAgent"].iter().all(|tool| tools.as_array().unwrap().contains(&json!(tool))));
    let flags = notifications.definition("ThreadActiveFlag")["enum"].clone();
    assert_eq!(flags, json!(["waitingOnApproval", "waitingOnUserInput"]));
    notifications.requires(&notifications.definition("FileUpdateChange"), "path");
    let statuses = notifications.definition("TurnStatus")["enum"].clone();
    assert_eq!(statuses, json!(["completed", "interrupted", "failed", "inProgress"]));
}

async fn what_we_need_of_an_answer_is_always_in_it(stage: Stage) {
    let schema = Schema::printed_by(stage.codex()).await;
    for (file, path) in [
        ("v1/InitializeResponse.json", "userAgent"),
        ("v2/ThreadStartResponse.json", "thread.id"),
        ("v2/ThreadStartResponse.json", "model"),
        ("v2/ThreadStartResponse.json", "sandbox"),
        ("v2/ThreadStartResponse.json", "modelProvider"),
        ("v2/ThreadStartResponse.json", "cwd"),
        ("v2/ThreadStartResponse.json", "approvalPolicy"),
        ("v2/ThreadResumeResponse.json", "sandbox"),
        ("v2/ConfigReadResponse.json", "config"),
        ("v2/ConfigReadResponse.json", "origins"),
        ("v2/ThreadResumeResponse.json", "thread.id"),
        ("v2/ThreadResumeResponse.json", "model"),
        ("v2/TurnStartResponse.json", "turn.id"),
        ("v2/TurnStartResponse.json", "turn.status"),
        ("v2/ThreadTurnsListResponse.json", "data"),
    ] {
        let response = schema.file(file);
        response.requires(&response.root, path);
    }
    let page = schema.file("v2/ThreadTurnsListResponse.json");
    let turn = page.resolve(&page.root["properties"]["data"]["items"]);
    assert!(page.root["properties"].get("nextCursor").is_some());
    for field in ["id", "status", "items"] {
        page.requires(&turn, field);
    }
}

/// One that no Codex has any more, or none has yet, would be asked for in vain. Held against the types that Codex
/// prints for TypeScript: its JSON schema leaves `rawResponseItem/completed` out (both versions).
#[tokio::test]
async fn every_notification_that_we_want_none_of_is_one_of_a_supported_codex() {
    let mut known = String::new();
    for version in ["0.144.6", "0.169.0"] {
        let types = Schema::printed(&installed(version), "generate-ts").await;
        known += &std::fs::read_to_string(types.dir.path().join("ServerNotification.ts")).unwrap();
    }
    let is_known = |method: &str| known.contains(&format!("\"method\": \"{method}\""));
    assert!(is_known("turn/completed") && !is_known("turn/invented"));
    let (played, client) = Played::start().await;
    let (said, _) = played.end().await;
    drop(client);
    let opted_out = said[0]["params"]["capabilities"]["optOutNotificationMethods"].as_array().unwrap();
    let unknown: Vec<_> = opted_out.iter().filter(|method| !is_known(method.as_str().unwrap())).collect();
    assert!(!opted_out.is_empty() && unknown.is_empty(), "{unknown:?}");
    let both: Vec<_> = opted_out.iter().filter(|method| read_by_us().contains(method.as_str().unwrap())).collect();
    assert_eq!(both, ["item/agentMessage/delta"], "read only if somebody wants the pieces of answers");
}

/// The notifications that `codex/event.rs` reads.
fn read_by_us() -> BTreeSet<&'static str> {
    let source = include_str!("../../src/codex/event.rs").split("#[cfg(test)]").next().unwrap();
    let arms = source.lines().filter_map(|line| line.trim().strip_prefix('"')?.split_once("\" =>"));
    let methods: BTreeSet<_> = arms.map(|(method, _)| method).collect();
    assert!(methods.contains("turn/completed"), "the arms are where they were");
    methods
}

/// The schema of one version: a file for each kind of message.
struct Schema {
    dir: tempfile::TempDir,
}

impl Schema {
    async fn printed_by(codex: &Path) -> Schema {
        Schema::printed(codex, "generate-json-schema").await
    }

    async fn printed(codex: &Path, as_what: &str) -> Schema {
        let dir = tempfile::tempdir().unwrap();
        let mut command = Command::new(codex);
        command.args(["app-server", as_what, "--experimental", "--out"]).arg(dir.path());
        command.env("CODEX_HOME", dir.path()).env("HOME", dir.path()).kill_on_drop(true);
        let output = command.output().await.unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Schema { dir }
    }

    fn file(&self, name: &str) -> File {
        let text = std::fs::read(self.dir.path().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        File { root: serde_json::from_slice(&text).unwrap() }
    }
}

/// One file of it.
struct File {
    root: Value,
}

impl File {
    /// The methods of a file of messages.
    fn methods(&self) -> impl Iterator<Item = &str> {
        let variants = self.root["oneOf"].as_array().unwrap().iter();
        variants.map(|variant| variant["properties"]["method"]["enum"][0].as_str().unwrap())
    }

    /// The message of that method.
    fn variant(&self, method: &str) -> Value {
        let variants = self.root["oneOf"].as_array().unwrap().iter();
        let mut named = variants.filter(|variant| variant["properties"]["method"]["enum"][0] == method);
        named.next().unwrap_or_else(|| panic!("there is no {method}")).clone()
    }

    fn definition(&self, name: &str) -> Value {
        let definition = self.root["definitions"].get(name);
        definition.unwrap_or_else(|| panic!("there is no definition {name}")).clone()
    }

    /// What a reference, alone or wrapped, points to.
    fn resolve(&self, schema: &Value) -> Value {
        let wrapped = schema["allOf"].as_array().and_then(|all| all.first());
        match wrapped.unwrap_or(schema)["$ref"].as_str() {
            Some(reference) => self.definition(reference.strip_prefix("#/definitions/").unwrap()),
            None => schema.clone(),
        }
    }

    /// Sees that a value is of this part of the file.
    fn holds(&self, part: &Value, value: &Value) {
        let mut schema = part.clone();
        for shared in ["definitions", "$schema"] {
            if let Some(value) = self.root.get(shared) {
                schema[shared] = value.clone();
            }
        }
        let errors: Vec<_> = jsonschema::validator_for(&schema)
            .unwrap()
            .iter_errors(value)
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert!(errors.is_empty(), "{value}\n{}", errors.join("\n"));
    }

    /// Sees that a field, in an object in an object, is always there.
    fn requires(&self, part: &Value, path: &str) {
        let mut part = self.resolve(part);
        for field in path.split('.') {
            let required = part["required"].as_array().is_some_and(|all| all.iter().any(|one| one == field));
            assert!(required, "{field} of {path} may be missing in {}", part["title"]);
            part = self.resolve(&part["properties"][field]);
        }
    }
}

/// All that the client said of its own accord, and its answers by method.
type Heard = (Vec<Value>, Vec<(String, Value)>);

/// An app-server that the test plays: it takes whatever it is asked, and asks whatever it is told to.
struct Played {
    ask: mpsc::UnboundedSender<(String, Value)>,
    playing: JoinHandle<Heard>,
    codex: Codex,
    _dir: tempfile::TempDir,
}

impl Played {
    /// Starts it, with our client connected.
    async fn start() -> (Played, Client) {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("played");
        let program = dir.path().join("codex");
        let script = format!("#!/bin/sh\nln -s '{}' \"${{3#unix://}}\"\nexec sleep 1000\n", socket.display());
        std::fs::write(&program, script).unwrap();
        std::fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let listener = UnixListener::bind(&socket).unwrap();
        let (ask, asked) = mpsc::unbounded_channel();
        let playing = tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            play(tokio_tungstenite::accept_async(stream).await.unwrap(), asked).await
        });
        let home = Home::at(dir.path().join("home"));
        let codex = Codex::new(Launch {
            program: Some(program),
            environment: Environment::default(),
            home,
            deadline: Duration::from_secs(60),
            pieces: false,
            overrides: &[],
        });
        let client = codex.connect().await.unwrap();
        (Played { ask, playing, codex, _dir: dir }, client)
    }

    /// What was heard, once each question is answered.
    async fn end(self) -> Heard {
        drop(self.ask);
        let heard = self.playing.await.unwrap();
        self.codex.shutdown().await;
        heard
    }
}

/// Plays until there is no more to ask and each question is answered.
async fn play(mut socket: WebSocketStream<UnixStream>, mut asked: mpsc::UnboundedReceiver<(String, Value)>) -> Heard {
    let (mut said, mut questions, mut answers) = (Vec::new(), Vec::new(), Vec::new());
    let mut more = true;
    while more || answers.len() < questions.len() || !initialized(&said) {
        let reply = tokio::select! {
            question = asked.recv(), if more => match question {
                Some((method, params)) => {
                    let id = questions.len();
                    questions.push(method.clone());
                    json!({"id": id, "method": method, "params": params})
                }
                None => {
                    more = false;
                    continue;
                }
            },
            frame = socket.next() => {
                let Message::Text(text) = frame.expect("a client that stays").unwrap() else { continue };
                let message: Value = serde_json::from_str(&text).unwrap();
                let Some(method) = message["method"].as_str().map(str::to_owned) else {
                    let question = usize::try_from(message["id"].as_u64().unwrap()).unwrap();
                    answers.push((questions[question].clone(), message));
                    continue;
                };
                let id = message["id"].clone();
                said.push(message);
                if id.is_null() {
                    continue;
                }
                json!({"id": id, "result": taken(&method)})
            }
        };
        socket.send(Message::text(reply.to_string())).await.unwrap();
    }
    (said, answers)
}

fn initialized(said: &[Value]) -> bool {
    said.iter().any(|message| message["method"] == "initialized")
}

/// As much of an answer as the client needs.
fn taken(method: &str) -> Value {
    let (thread, turn) = (ThreadId::parse("thread-1").unwrap(), TurnId::parse("turn-1").unwrap());
    match method {
        "initialize" => json!({"userAgent": "played/0.169.0 (a test)"}),
        "thread/start" | "thread/resume" => json!({"thread": {"id": thread}}),
        "turn/start" => json!({"turn": {"id": turn, "status": "inProgress", "items": []}}),
        "thread/turns/list" => json!({"data": []}),
        _ => json!({}),
    }
}
