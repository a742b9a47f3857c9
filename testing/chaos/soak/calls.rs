//! The calls under way: each ends with an answer, or with the reason why there is none.

use std::time::{Duration, Instant};

use rmcp::RoleClient;
use rmcp::model::{CallToolRequest, CallToolRequestParams, CallToolResult, ClientRequest, ServerResult};
use rmcp::service::{Peer, PeerRequestOptions, ServiceError};
use serde_json::Value;
use tokio::task::JoinSet;

/// How long a server may take for any call.
const LONGEST: Duration = Duration::from_secs(60);

/// One call of a tool.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub(super) tool: &'static str,
    pub(super) arguments: Value,
    pub(super) purpose: Purpose,
    /// When it is withdrawn, if it has no answer by then.
    pub(super) patience: Option<Duration>,
}

/// What its end means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Nothing.
    Plain,
    /// What the server shows is taken note of.
    Look,
    /// A text under this mark is accepted.
    Says(u64),
    /// A turn of this agent is over, or on its own.
    Turn(usize),
    /// The same of one that ends only if somebody ends it.
    Silent(usize),
}

/// How a call ended.
#[derive(Debug)]
pub(super) enum End {
    Answered(Value),
    /// Answered with an error, of this code.
    Refused(String, Value),
    /// We took it back.
    Withdrawn,
    /// The server went first.
    Gone,
    /// What no server should answer.
    Wrong(String),
    /// There was no answer in time.
    Hangs,
}

/// A call that has ended, and how long that took.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) call: Call,
    pub(super) end: End,
    pub(super) after: Duration,
}

/// All calls under way; they end with it.
#[derive(Debug, Default)]
pub(super) struct Calls {
    tasks: JoinSet<Ended>,
}

impl Calls {
    pub(super) fn begin(&mut self, peer: Peer<RoleClient>, call: Call) {
        self.tasks.spawn(async move {
            let begun = Instant::now();
            let end = run(&peer, &call).await;
            Ended { call, end, after: begun.elapsed() }
        });
    }

    pub(super) fn under_way(&self) -> usize {
        self.tasks.len()
    }

    /// One that has ended by now.
    pub(super) fn ended(&mut self) -> Option<Ended> {
        self.tasks.try_join_next()?.ok()
    }

    /// The next that ends.
    pub(super) async fn next(&mut self) -> Option<Ended> {
        self.tasks.join_next().await?.ok()
    }
}

async fn run(peer: &Peer<RoleClient>, call: &Call) -> End {
    let arguments = call.arguments.as_object().cloned().unwrap_or_default();
    let params = CallToolRequestParams::new(call.tool).with_arguments(arguments);
    let request = ClientRequest::CallToolRequest(CallToolRequest::new(params));
    let begun = peer.send_cancellable_request(request, PeerRequestOptions::no_options()).await;
    let Ok(mut handle) = begun else { return End::Gone };
    tokio::select! {
        answer = &mut handle.rx => match answer {
            Ok(Ok(ServerResult::CallToolResult(result))) => told(result),
            Ok(Err(ServiceError::McpError(error))) => End::Wrong(error.to_string()),
            Ok(Ok(other)) => End::Wrong(format!("{other:?}")),
            Ok(Err(_)) | Err(_) => End::Gone,
        },
        () = tokio::time::sleep(call.patience.unwrap_or(LONGEST)) => match call.patience {
            None => End::Hangs,
            Some(_) => match handle.cancel(Some("somebody wants it no more".to_owned())).await {
                Ok(()) => End::Withdrawn,
                Err(_) => End::Gone,
            },
        },
    }
}

fn told(result: CallToolResult) -> End {
    let value = result.structured_content.unwrap_or_default();
    match (result.is_error, value["error"].as_str()) {
        (Some(true), Some(code)) => End::Refused(code.to_owned(), value),
        (Some(true), None) => End::Wrong(format!("an error without a code: {:?}", result.content)),
        (Some(false) | None, _) => End::Answered(value),
    }
}
