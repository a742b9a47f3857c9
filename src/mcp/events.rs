//! `codex/event` notifications for a client that wants them (`events = "all"`): beside its calls, and never in their way.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::{BoxFuture, FutureExt};
use futures_util::stream::FuturesUnordered;
use rmcp::RoleServer;
use rmcp::model::{CustomNotification, ServerNotification};
use rmcp::service::RequestContext;
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};

use super::old_events;
use super::server::Shared;
use crate::config;
use crate::session::{Events, Handle, Prompt};

/// The method of the notifications; `mcp/door.rs` knows them by it.
pub(super) const METHOD: &str = "codex/event";
/// How many calls may begin to be told of before the first of them is attended to; of further ones nothing is told.
const BEGINNING_MAX: usize = 1024;
/// How long an answer may wait for the events before it. A client that reads has them in far less.
const LAST: Duration = Duration::from_millis(250);

/// The calls that the client is told of.
#[derive(Debug)]
pub(super) struct Tellings {
    begin: mpsc::Sender<BoxFuture<'static, ()>>,
    begun: Mutex<Option<mpsc::Receiver<BoxFuture<'static, ()>>>>,
}

impl Default for Tellings {
    fn default() -> Tellings {
        let (begin, begun) = mpsc::channel(BEGINNING_MAX);
        Tellings { begin, begun: Mutex::new(Some(begun)) }
    }
}

impl Tellings {
    /// Tells the client what is to be told, for ever.
    pub(super) async fn attend(&self) {
        let begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut begun) = begun else { return std::future::pending().await };
        let mut all = FuturesUnordered::new();
        loop {
            tokio::select! {
                telling = begun.recv() => match telling {
                    Some(telling) => all.push(telling),
                    None => return std::future::pending().await,
                },
                Some(()) = all.next() => {}
            }
        }
    }
}

/// One call that the client is told of.
pub(super) struct Telling {
    events: Events,
    is_told: oneshot::Receiver<()>,
}

/// Begins to tell the client what happens in the turn of this call, if it wants that.
pub(super) fn begin(
    shared: &Shared,
    handle: &Handle,
    prompt: String,
    context: &RequestContext<RoleServer>,
) -> (Prompt, Option<Telling>) {
    let prompt = Prompt::from(prompt);
    if shared.settings.trust.events != config::Events::All {
        return (prompt, None);
    }
    let (prompt, events) = prompt.heard();
    let (told, is_told) = oneshot::channel();
    let (peer, call, heard) = (context.peer.clone(), context.id.clone(), events.clone());
    // What it shows is enough: a handle would keep the session alive.
    let (agent, snapshot) = (handle.agent().clone(), handle.watch());
    let telling = async move {
        while let Some((event, dropped)) = heard.next().await {
            let thread = snapshot.borrow().thread.clone();
            let Some((turn, message)) = old_events::message(&event, thread.as_ref()) else { continue };
            let mut meta = json!({ "requestId": call, "threadId": thread, "agent_id": agent });
            if dropped > 0 {
                meta["dropped"] = Value::from(dropped);
            }
            let id = turn.map(|turn| turn.to_string()).unwrap_or_default();
            let params = json!({ "_meta": meta, "id": id, "msg": message });
            let notification = CustomNotification::new(METHOD, Some(params));
            if peer.send_notification(ServerNotification::CustomNotification(notification)).await.is_err() {
                heard.give_up();
            }
        }
        told.send(()).ok();
    };
    if shared.tellings.begin.try_send(telling.boxed()).is_err() {
        events.give_up();
    }
    (prompt, Some(Telling { events, is_told }))
}

impl Telling {
    /// Lets the events go before the answer, but not hold it up: what a client that reads slowly has not taken by then is
    /// dropped, and a note for the answer says how much.
    pub(super) async fn end(self) -> Option<String> {
        if tokio::time::timeout(LAST, self.is_told).await.is_err() {
            self.events.give_up();
        }
        match self.events.untold() {
            0 => None,
            dropped => Some(format!("{dropped} events of this turn were not sent: the client reads too slowly.")),
        }
    }
}
