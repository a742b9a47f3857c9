//! Our server's process, spoken to in raw lines.

use std::collections::VecDeque;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// After this long a test has failed; nothing is ordered by it.
pub(crate) const GUARD: Duration = Duration::from_secs(30);

/// Awaits what must come.
pub(crate) async fn within<T>(what: &str, coming: impl Future<Output = T>) -> T {
    match tokio::time::timeout(GUARD, coming).await {
        Ok(come) => come,
        Err(_) => panic!("{what} did not come"),
    }
}

/// A running server. Every line of its stdout is read as JSON-RPC, or the test fails.
pub(crate) struct Server {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: mpsc::UnboundedReceiver<Vec<u8>>,
    stderr: JoinHandle<String>,
    aside: VecDeque<Value>,
    next_id: u64,
}

/// What is left of a server.
pub(crate) struct Left {
    pub(crate) status: ExitStatus,
    /// The messages that nobody had asked for.
    pub(crate) rest: Vec<Value>,
    pub(crate) stderr: String,
}

impl Server {
    /// Starts one and says nothing.
    pub(crate) fn spawn(mut command: Command) -> Server {
        let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = piped.kill_on_drop(true).spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap()).split(b'\n');
        let (to_test, lines) = mpsc::unbounded_channel();
        // Read at once, as a client does, whatever the test does meanwhile.
        tokio::spawn(async move {
            while let Ok(Some(line)) = stdout.next_segment().await {
                to_test.send(line).ok();
            }
        });
        let mut stderr = child.stderr.take().unwrap();
        let stderr = tokio::spawn(async move {
            let mut text = Vec::new();
            stderr.read_to_end(&mut text).await.ok();
            String::from_utf8_lossy(&text).into_owned()
        });
        let stdin = child.stdin.take();
        Server { child, stdin, stdout: lines, stderr, aside: VecDeque::new(), next_id: 1000 }
    }

    /// Starts one and opens a session with it.
    pub(crate) async fn open(command: Command) -> Server {
        let mut server = Server::spawn(command);
        server.hello().await;
        server
    }

    /// Opens the session.
    pub(crate) async fn hello(&mut self) -> Value {
        self.hello_with(json!({})).await
    }

    /// Opens the session as a client with these capabilities.
    pub(crate) async fn hello_with(&mut self, capabilities: Value) -> Value {
        let info = json!({ "name": "test", "version": "1" });
        let params = json!({ "protocolVersion": "2025-06-18", "capabilities": capabilities, "clientInfo": info });
        let answer = self.request("initialize", params).await;
        self.notify("notifications/initialized", json!({})).await;
        answer
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id().unwrap()
    }

    /// Writes bytes as they are.
    pub(crate) async fn write(&mut self, bytes: &[u8]) {
        let stdin = self.stdin.as_mut().unwrap();
        within("room in stdin", stdin.write_all(bytes)).await.unwrap();
        stdin.flush().await.unwrap();
    }

    /// Writes one line.
    pub(crate) async fn send(&mut self, message: &Value) {
        self.write(format!("{message}\n").as_bytes()).await;
    }

    pub(crate) async fn notify(&mut self, method: &str, params: Value) {
        self.send(&json!({ "jsonrpc": "2.0", "method": method, "params": params })).await;
    }

    /// The next line.
    async fn line(&mut self) -> Option<Value> {
        let line = within("a line of stdout", self.stdout.recv()).await?;
        let line = String::from_utf8(line).expect("stdout is UTF-8");
        let message: Value = serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e} on stdout: {line:?}"));
        assert_eq!(message["jsonrpc"], "2.0", "{line}");
        Some(message)
    }

    /// The answer to the request `id`, whatever comes before it.
    pub(crate) async fn answer(&mut self, id: impl Into<Value>) -> Value {
        let id = id.into();
        let is_answer = |message: &Value| message.get("method").is_none() && message["id"] == id;
        self.next(&format!("the answer to {id}"), is_answer).await
    }

    /// What the server asks of its client with this method.
    pub(crate) async fn asked(&mut self, method: &str) -> Value {
        self.next(method, |message| message["method"] == method).await
    }

    async fn next(&mut self, what: &str, is_it: impl Fn(&Value) -> bool) -> Value {
        if let Some(at) = self.aside.iter().position(&is_it) {
            return self.aside.remove(at).unwrap();
        }
        loop {
            let message = self.line().await.unwrap_or_else(|| panic!("stdout ended before {what}"));
            if is_it(&message) {
                return message;
            }
            self.aside.push_back(message);
        }
    }

    /// Asks and awaits the whole answer.
    pub(crate) async fn request(&mut self, method: &str, params: Value) -> Value {
        let id = self.ask(method, params).await;
        self.answer(id).await
    }

    /// Asks; the answer is awaited later.
    pub(crate) async fn ask(&mut self, method: &str, params: Value) -> u64 {
        self.next_id += 1;
        let id = self.next_id;
        self.send(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params })).await;
        id
    }

    /// Calls a tool; its result is awaited later with [`Server::result`].
    pub(crate) async fn begin(&mut self, tool: &str, arguments: Value) -> u64 {
        self.ask("tools/call", json!({ "name": tool, "arguments": arguments })).await
    }

    /// The result of a tool call.
    pub(crate) async fn result(&mut self, id: u64) -> Value {
        let answer = self.answer(id).await;
        answer.get("result").unwrap_or_else(|| panic!("no result: {answer}")).clone()
    }

    /// Calls a tool.
    pub(crate) async fn call(&mut self, tool: &str, arguments: Value) -> Value {
        let id = self.begin(tool, arguments).await;
        self.result(id).await
    }

    /// Calls a tool that must do what is asked, and gives what a program reads of it.
    pub(crate) async fn done(&mut self, tool: &str, arguments: Value) -> Value {
        let result = self.call(tool, arguments).await;
        assert_ne!(result["isError"], true, "{result}");
        result["structuredContent"].clone()
    }

    /// Calls a tool that must fail, and gives the text of the error.
    pub(crate) async fn fails(&mut self, tool: &str, arguments: Value) -> String {
        let result = self.call(tool, arguments).await;
        assert_eq!(result["isError"], true, "{result}");
        result["content"][0]["text"].as_str().unwrap().to_owned()
    }

    /// Closes the server's stdin.
    pub(crate) fn close_stdin(&mut self) {
        self.stdin = None;
    }

    /// Sends a signal.
    #[cfg(unix)]
    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        crate::ends::signal(self.pid(), signal);
    }

    /// Awaits its end by itself; its stdout is read to the end.
    pub(crate) async fn ended(mut self) -> Left {
        let mut rest = Vec::from(std::mem::take(&mut self.aside));
        while let Some(message) = self.line().await {
            rest.push(message);
        }
        let status = within("the server's end", self.child.wait()).await.unwrap();
        let stderr = within("the end of its stderr", self.stderr).await.unwrap();
        Left { status, rest, stderr }
    }

    /// Leaves as a client does.
    pub(crate) async fn leave(mut self) -> Left {
        self.close_stdin();
        self.ended().await
    }
}
