//! The scripted model: the part of the OpenAI Responses API that a real Codex needs, served on loopback.
//!
//! Codex asks with `POST /v1/responses`, the body plain JSON (seen from 0.144.6 and 0.169.0), and
//! reads the answer as a stream of server-sent events. Every request is recorded, then given to
//! the script, whose [`Reply`] is streamed back. Any other path is a 404.

mod gate;
mod request;
mod script;
mod sse;

use std::convert::Infallible;
use std::future::pending;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

pub use gate::Gate;
pub use request::Request;
pub use script::{Reply, spoken};

/// The variable that must stand in Codex's environment, with any value, for [`Model::codex_config`] to work.
pub const API_KEY_VAR: &str = "SCRIPTED_MODEL_KEY";

/// The largest request taken, in bytes: Codex sends the whole history each time, pictures included.
const REQUEST_MAX: usize = 64 << 20;

/// A running model; dropped, it stops and its connections are closed.
#[derive(Debug)]
pub struct Model {
    address: SocketAddr,
    requests: watch::Sender<Vec<Request>>,
    _tasks: JoinSet<()>,
}

impl Model {
    /// Starts a model on a free port of 127.0.0.1; `script` is asked once per request.
    ///
    /// A script that panics closes the connection that asked it, and no other.
    pub async fn start(script: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> io::Result<Model> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let requests = watch::Sender::default();
        let desk = Desk { script, requests: requests.clone() };
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, Arc::new(desk)));
        Ok(Model { address, requests, _tasks: tasks })
    }

    /// Where the API is: `http://127.0.0.1:PORT/v1`.
    pub fn base_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// The `config.toml` that has Codex ask this model and nobody else: offline, without login, update check or telemetry.
    ///
    /// The model is called `gpt-5.5` because Codex gives that name its ordinary tools; newer names
    /// of its catalog get one JavaScript tool instead, and unknown names a warning (0.169.0).
    pub fn codex_config(&self) -> String {
        let base_url = self.base_url();
        format!(
            r#"model = "gpt-5.5"
model_provider = "scripted"
check_for_update_on_startup = false

[model_providers.scripted]
name = "Scripted model"
base_url = "{base_url}"
wire_api = "responses"
env_key = "{API_KEY_VAR}"
request_max_retries = 0
stream_max_retries = 0
stream_idle_timeout_ms = 300000

[analytics]
enabled = false

[feedback]
enabled = false

[otel]
exporter = "none"
metrics_exporter = "none"

# Their catalog is looked for on the net (0.144.6, 0.169.0).
[features]
plugins = false

# A sandbox that is killed leaves an empty .git, .codex and .agents in each root that may be written to.
[sandbox_workspace_write]
exclude_slash_tmp = true
exclude_tmpdir_env_var = true
"#
        )
    }

    /// The requests so far, in order of arrival.
    pub fn requests(&self) -> Vec<Request> {
        self.requests.borrow().clone()
    }

    /// Forgets the requests so far: each carries the whole history, and a long run has many.
    pub fn forget(&self) {
        self.requests.send_modify(Vec::clear);
    }

    /// Waits until `count` requests have arrived in all.
    pub async fn arrived(&self, count: usize) {
        // It fails only when no sender is left, and `self` holds one.
        let _ = self.requests.subscribe().wait_for(|requests| requests.len() >= count).await;
    }
}

/// What the connections share: whom to ask, and where to write down what was asked.
struct Desk<S> {
    script: S,
    requests: watch::Sender<Vec<Request>>,
}

type Body = UnsyncBoxBody<Bytes, Infallible>;

/// Takes connections for as long as it is polled; it owns their tasks, so they end with it.
async fn accept<S>(listener: TcpListener, desk: Arc<Desk<S>>)
where
    S: Fn(&Request) -> Reply + Send + Sync + 'static,
{
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    let desk = Arc::clone(&desk);
                    connections.spawn(async move {
                        let service = service_fn(|request| answer(&desk, request));
                        // An error here is a client that went away.
                        let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
                    });
                }
                // The loss of one connection, or no file left for one: others must run to free it.
                Err(_) => tokio::task::yield_now().await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn answer<S>(desk: &Desk<S>, request: hyper::Request<Incoming>) -> Result<Response<Body>, Infallible>
where
    S: Fn(&Request) -> Reply,
{
    if request.method() != Method::POST || request.uri().path() != "/v1/responses" {
        let message = format!("the scripted model has no {} {}", request.method(), request.uri().path());
        return Ok(error(StatusCode::NOT_FOUND, &message));
    }
    let request = match read(request).await {
        Ok(request) => request,
        Err(refusal) => return Ok(refusal),
    };
    desk.requests.send_modify(|requests| requests.push(request.clone()));
    Ok(match (desk.script)(&request) {
        Reply::Silence => pending().await,
        Reply::Fail { status, message } => {
            let status = StatusCode::from_u16(status).ok().filter(|s| s.is_client_error() || s.is_server_error());
            error(status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), &message)
        }
        reply => with_type(Response::new(sse::stream(reply).boxed_unsync()), "text/event-stream"),
    })
}

/// Reads the body, or says in a response why it could not be read.
async fn read(request: hyper::Request<Incoming>) -> Result<Request, Response<Body>> {
    if let Some(encoding) = request.headers().get(CONTENT_ENCODING) {
        let message = format!("the scripted model reads plain JSON, not {encoding:?}");
        return Err(error(StatusCode::UNSUPPORTED_MEDIA_TYPE, &message));
    }
    let body = Limited::new(request.into_body(), REQUEST_MAX).collect().await;
    let body = body.map_err(|e| error(StatusCode::BAD_REQUEST, &format!("the request was not read: {e}")))?;
    serde_json::from_slice(&body.to_bytes())
        .map(|body| Request { body })
        .map_err(|e| error(StatusCode::BAD_REQUEST, &format!("the request is not JSON: {e}")))
}

fn error(status: StatusCode, message: &str) -> Response<Body> {
    let body = json!({ "error": { "message": message, "type": "scripted", "code": null } });
    let mut response = Response::new(Full::new(Bytes::from(body.to_string())).boxed_unsync());
    *response.status_mut() = status;
    with_type(response, "application/json")
}

fn with_type(mut response: Response<Body>, content_type: &'static str) -> Response<Body> {
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

#[cfg(test)]
mod tests;
