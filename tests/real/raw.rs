//! An MCP client of single lines, for what a library's client does not do: to be asked, and to answer in any form.

use std::process::Stdio;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

/// Such a client, and the server that it has started.
pub(crate) struct Raw {
    process: Child,
    writer: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
    heard: Vec<Value>,
}

impl Raw {
    /// One of 2025-11-25 that can be shown forms.
    pub(crate) async fn with_forms(command: Command) -> Raw {
        Raw::open(command, &json!({ "elicitation": { "form": {} } })).await
    }

    async fn open(command: Command, capabilities: &Value) -> Raw {
        let mut raw = Raw::start(command);
        let hello = json!({ "protocolVersion": "2025-11-25", "capabilities": capabilities, "clientInfo": { "name": "raw", "version": "1" } });
        raw.ask(0, "initialize", hello).await;
        raw.answer_to(0).await;
        raw.send(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" })).await;
        raw
    }

    /// One that has said nothing yet.
    pub(crate) fn start(mut command: Command) -> Raw {
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("a server");
        let (writer, reader) = (process.stdin.take().unwrap(), process.stdout.take().unwrap());
        Raw { process, writer, lines: BufReader::new(reader).lines(), heard: Vec::new() }
    }

    pub(crate) async fn send(&mut self, message: &Value) {
        self.writer.write_all(format!("{message}\n").as_bytes()).await.expect("it reads");
    }

    async fn ask(&mut self, id: u64, method: &str, params: Value) {
        self.send(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params })).await;
    }

    /// Calls a tool.
    pub(crate) async fn call(&mut self, id: u64, tool: &str, arguments: Value) {
        let meta = json!({ "progressToken": id });
        self.ask(id, "tools/call", json!({ "name": tool, "arguments": arguments, "_meta": meta })).await;
    }

    /// Calls a tool in the way of 2026-07-28; `more` goes beside name and arguments.
    pub(crate) async fn modern_call(
        &mut self,
        id: u64,
        tool: &str,
        arguments: Value,
        capabilities: &Value,
        more: Value,
    ) {
        let meta = meta(capabilities);
        let mut params = json!({ "name": tool, "arguments": arguments, "_meta": meta });
        params.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap_or_default());
        self.ask(id, "tools/call", params).await;
    }

    /// Asks for something else in the way of 2026-07-28.
    pub(crate) async fn modern(&mut self, id: u64, method: &str, mut params: Value, capabilities: &Value) -> Value {
        params["_meta"] = meta(capabilities);
        self.ask(id, method, params).await;
        self.answer_to(id).await
    }

    /// The same, which must be an error of the protocol; what it says.
    pub(crate) async fn modern_fails(
        &mut self,
        id: u64,
        method: &str,
        mut params: Value,
        capabilities: &Value,
    ) -> String {
        params["_meta"] = meta(capabilities);
        self.ask(id, method, params).await;
        let answer = self.first(|message| message["id"] == id && message.get("method").is_none()).await;
        assert_eq!(answer["error"]["code"], -32602, "{answer}");
        answer["error"]["message"].as_str().unwrap().to_owned()
    }

    /// The first message that is this, now or as soon as it comes.
    pub(crate) async fn first(&mut self, is_it: impl Fn(&Value) -> bool) -> Value {
        if let Some(at) = self.heard.iter().position(&is_it) {
            return self.heard.remove(at);
        }
        loop {
            let line = self.lines.next_line().await.unwrap().expect("the server speaks");
            let message: Value = serde_json::from_str(&line).unwrap();
            if is_it(&message) {
                return message;
            }
            self.heard.push(message);
        }
    }

    /// What was heard of this method meanwhile.
    pub(crate) fn heard_of(&mut self, method: &str) -> Vec<Value> {
        self.heard.extract_if(.., |message| message["method"] == method).collect()
    }

    /// The result of a request.
    pub(crate) async fn answer_to(&mut self, id: u64) -> Value {
        let mut answer = self.first(|message| message["id"] == id && message.get("method").is_none()).await;
        assert!(answer.get("error").is_none(), "{answer}");
        answer["result"].take()
    }

    /// What the server asks by this method, or tells.
    pub(crate) async fn hears(&mut self, method: &str) -> Value {
        self.first(|message| message["method"] == method).await
    }

    /// Answers what the server asked.
    pub(crate) async fn answer(&mut self, request: &Value, result: Value) {
        self.send(&json!({ "jsonrpc": "2.0", "id": request["id"], "result": result })).await;
    }

    /// Has the server killed.
    pub(crate) async fn killed(mut self) {
        self.process.kill().await.unwrap();
    }

    /// Leaves, and waits for the server's end.
    pub(crate) async fn leave(self) {
        let Raw { mut process, writer, lines, .. } = self;
        drop((writer, lines));
        assert!(process.wait().await.unwrap().success());
    }
}

/// What each request of 2026-07-28 says of its client.
fn meta(capabilities: &Value) -> Value {
    json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": capabilities,
        "io.modelcontextprotocol/clientInfo": { "name": "raw", "version": "1" },
    })
}
