//! The scripted API of Anthropic: what a real Claude Code needs of Messages, served on loopback.
//!
//! Claude Code asks with `POST /v1/messages?beta=true` and reads the answer as server-sent events (seen from 2.1.330).
//! It sends the whole conversation each time, so the results in a request say how far the script is. Whatever else it
//! asks for is answered with something harmless.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use atm_agent_mcp::demo::model::Gate;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use uuid::Uuid;

/// What the model says after the last step.
pub(crate) const LAST_WORD: &str = "all steps are done";

/// One tool that the model calls.
pub(crate) struct Step {
    tool: &'static str,
    input: Value,
    waits_for: Vec<Gate>,
}

impl Step {
    pub(crate) fn call(tool: &'static str, input: Value) -> Step {
        Step { tool, input, waits_for: Vec::new() }
    }

    /// The same, once something has reached this gate.
    pub(crate) fn once(mut self, gate: &Gate) -> Step {
        self.waits_for.push(gate.clone());
        self
    }
}

/// The body of one request to the model.
#[derive(Clone)]
pub(crate) struct Asked(Value);

impl Asked {
    /// What the tools gave back, in order, as text.
    pub(crate) fn results(&self) -> Vec<String> {
        let blocks = list(&self.0["messages"]).iter().flat_map(|message| list(&message["content"]));
        blocks.filter(|block| block["type"] == "tool_result").map(|block| text(&block["content"])).collect()
    }

    /// The whole conversation, as it came.
    pub(crate) fn conversation(&self) -> String {
        self.0["messages"].to_string()
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn text(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        parts => list(parts)
            .iter()
            .map(|part| part["text"].as_str().map_or_else(|| part.to_string(), str::to_owned))
            .collect(),
    }
}

/// A running API; dropped, it stops.
pub(crate) struct ClaudeApi {
    address: SocketAddr,
    asked: watch::Sender<Vec<Asked>>,
    _tasks: JoinSet<()>,
}

impl ClaudeApi {
    /// Starts one whose model takes these steps, one a request.
    pub(crate) async fn start(steps: Vec<Step>) -> ClaudeApi {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let asked = watch::Sender::default();
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, Arc::new(Desk { steps, asked: asked.clone() })));
        ClaudeApi { address, asked, _tasks: tasks }
    }

    /// For `ANTHROPIC_BASE_URL`.
    pub(crate) fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The requests to the model so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.borrow().clone()
    }
}

struct Desk {
    steps: Vec<Step>,
    asked: watch::Sender<Vec<Asked>>,
}

async fn accept(listener: TcpListener, desk: Arc<Desk>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let desk = Arc::clone(&desk);
        connections.spawn(async move {
            let service = service_fn(|request| answer(&desk, request));
            // An error here is a client that went away.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

type Response = hyper::Response<Full<Bytes>>;

async fn answer(desk: &Desk, request: hyper::Request<Incoming>) -> Result<Response, Infallible> {
    let to_the_model = request.uri().path() == "/v1/messages";
    let body = request.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let asked: Value = serde_json::from_slice(&body).unwrap_or_default();
    if !to_the_model || asked["stream"] != true {
        let mut nothing = message(&asked);
        nothing["input_tokens"] = 1.into();
        return Ok(response(nothing.to_string(), "application/json"));
    }
    let mut events = vec![json!({"type": "message_start", "message": message(&asked)})];
    let asked = Asked(asked);
    desk.asked.send_modify(|all| all.push(asked.clone()));
    // What the client asks for its own ends, such as a title, has no tools.
    let step = desk.steps.get(asked.results().len()).filter(|_| !list(&asked.0["tools"]).is_empty());
    for gate in step.iter().flat_map(|step| &step.waits_for) {
        gate.reached().await;
    }
    let (block, delta, why) = match step {
        Some(Step { tool, input, .. }) => (
            json!({"type": "tool_use", "id": format!("toolu_{}", Uuid::new_v4().simple()), "name": tool, "input": {}}),
            json!({"type": "input_json_delta", "partial_json": input.to_string()}),
            "tool_use",
        ),
        None => (json!({"type": "text", "text": ""}), json!({"type": "text_delta", "text": LAST_WORD}), "end_turn"),
    };
    events.extend([
        json!({"type": "content_block_start", "index": 0, "content_block": block}),
        json!({"type": "content_block_delta", "index": 0, "delta": delta}),
        json!({"type": "content_block_stop", "index": 0}),
        json!({"type": "message_delta", "delta": {"stop_reason": why}, "usage": {"output_tokens": 1}}),
        json!({"type": "message_stop"}),
    ]);
    let wire = |event: &Value| format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap_or_default());
    Ok(response(events.iter().map(wire).collect(), "text/event-stream"))
}

/// A message in which nothing is said.
fn message(asked: &Value) -> Value {
    json!({
        "id": format!("msg_{}", Uuid::new_v4().simple()),
        "type": "message",
        "role": "assistant",
        "model": asked["model"],
        "content": [],
        "stop_reason": null,
        "usage": {"input_tokens": 1, "output_tokens": 1},
    })
}

fn response(body: String, content_type: &'static str) -> Response {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
