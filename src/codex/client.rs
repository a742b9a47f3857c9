//! A function a method: what we ask of the app-server.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::sync::watch;

use super::access::{ConfigRead, OwnConfig};
use super::threads::{Subscription, Threads};
use super::tools::{ThreadStart, Tools};
use super::wire::{self, Item, ThreadOpened, ThreadOptions, Turn, method};
use super::{CodexError, ServerInfo};
use crate::ids::{DeliveryId, ThreadId, TurnId};
use crate::rpc::peer::Call;
use crate::rpc::{CallError, Peer};

/// How long a call may take. Codex answers in milliseconds, or, flooded, never.
const DEADLINE: Duration = Duration::from_secs(60);
/// How many turns a page of the history has.
const PAGE: u32 = 25;
/// How many it has at most, whatever is asked for (0.144.6 and 0.169.0).
const PAGE_MAX: u32 = 100;
/// What Codex says of the history of a thread in which nothing was said yet (0.144.6 and 0.169.0).
const NO_HISTORY: &str = "is not materialized yet";
/// How long Codex may take to let go of a thread.
const GOODBYE: Duration = Duration::from_secs(2);
/// How long the reason of a closed connection is waited for.
const OBITUARY: Duration = Duration::from_secs(1);

/// A handle to one running app-server; clones share it.
#[derive(Debug, Clone)]
pub struct Client {
    pub(super) peer: Peer,
    pub(super) threads: Arc<Threads>,
    pub(super) gone: watch::Receiver<Option<Arc<str>>>,
    pub(super) info: Arc<ServerInfo>,
}

impl Client {
    /// Which Codex this is, and how we speak to it.
    pub fn info(&self) -> &ServerInfo {
        &self.info
    }

    /// Whether it has ended.
    pub fn is_gone(&self) -> bool {
        self.gone.borrow().is_some() || self.gone.has_changed().is_err()
    }

    /// The events of a thread from now on.
    pub fn subscribe(&self, thread: &ThreadId) -> Subscription {
        self.threads.subscribe(thread)
    }

    /// Starts a thread.
    pub async fn thread_start(&self, options: &ThreadOptions) -> Result<ThreadOpened, CodexError> {
        self.call(method::THREAD_START, options).await
    }

    /// Starts a thread whose model has tools of ours, for as long as there is the thread.
    pub async fn thread_start_with(&self, options: &ThreadOptions, tools: &Tools) -> Result<ThreadOpened, CodexError> {
        self.call(method::THREAD_START, &ThreadStart { options, dynamic_tools: [tools] }).await
    }

    /// Opens a thread of an earlier time, with its whole history.
    pub async fn thread_resume(&self, thread: &ThreadId, options: &ThreadOptions) -> Result<ThreadOpened, CodexError> {
        let params = wire::ThreadResume { thread_id: thread, exclude_turns: true, options };
        self.call(method::THREAD_RESUME, &params).await
    }

    /// Codex's own settings for agents that work there.
    pub async fn own_config(&self, cwd: Option<&str>) -> Result<OwnConfig, CodexError> {
        self.call(method::CONFIG_READ, &ConfigRead { cwd, include_layers: false }).await
    }

    /// Ends the commands of a thread that run on in the background.
    pub async fn clean_terminals(&self, thread: &ThreadId) -> Result<(), CodexError> {
        self.call::<Value>(method::TERMINALS_CLEAN, &wire::OfThread { thread_id: thread }).await.map(drop)
    }

    /// Asks for no more events of a thread, unless somebody else has subscribed to it in the meantime.
    pub async fn release(&self, ended: Subscription) {
        if let Some(call) = self.threads.release(&ended, |thread| self.goodbye(thread)) {
            call.end().await.ok();
        }
    }

    /// Asks for no more events of a thread.
    pub(super) async fn unsubscribe(&self, thread: &ThreadId) {
        self.goodbye(thread).end().await.ok();
    }

    fn goodbye(&self, thread: &ThreadId) -> Call {
        self.peer.call(method::THREAD_UNSUBSCRIBE, &wire::OfThread { thread_id: thread }, GOODBYE)
    }

    /// Tells the model something in the role of its developer, without starting a turn.
    pub async fn tell(&self, thread: &ThreadId, text: &str) -> Result<(), CodexError> {
        let content = json!([{ "type": "input_text", "text": text }]);
        let item = json!({ "type": "message", "role": "developer", "content": content });
        let params = wire::InjectItems { thread_id: thread, items: [item] };
        self.call::<Value>(method::THREAD_INJECT_ITEMS, &params).await.map(drop)
    }

    /// The last turns of a thread, the newest first, with all their items.
    pub async fn turns(&self, thread: &ThreadId, limit: u32) -> Result<Vec<Turn>, CodexError> {
        self.page(thread, None, limit).await.map(|page| page.data)
    }

    /// The same, each also in Codex's own words, and back to one that is known at most.
    pub(super) async fn raw_turns(
        &self,
        thread: &ThreadId,
        limit: u32,
        known: &HashSet<TurnId>,
    ) -> Result<Vec<(Turn, Box<RawValue>)>, CodexError> {
        let method = method::THREAD_TURNS_LIST;
        let strange = |error: serde_json::Error| CodexError::Strange { method, error: error.to_string() };
        let (mut turns, mut cursor) = (Vec::new(), None::<String>);
        let mut left = limit;
        while left > 0 {
            let params = newest(thread, cursor.as_deref(), left.min(PAGE_MAX));
            let page: wire::TurnPage<Box<RawValue>> = match self.call(method, &params).await {
                Err(CodexError::Refused { message, .. }) if message.contains(NO_HISTORY) => break,
                page => page?,
            };
            if page.data.is_empty() {
                break;
            }
            for raw in page.data {
                let turn: Turn = serde_json::from_str(raw.get()).map_err(strange)?;
                let is_known = known.contains(&turn.id);
                turns.push((turn, raw));
                left -= 1;
                if is_known || left == 0 {
                    return Ok(turns);
                }
            }
            match page.next_cursor {
                Some(next) => cursor = Some(next),
                None => break,
            }
        }
        Ok(turns)
    }

    /// A page of a thread's turns, the newest first, and where the next begins.
    pub async fn turn_page(
        &self,
        thread: &ThreadId,
        cursor: Option<&str>,
    ) -> Result<(Vec<Turn>, Option<String>), CodexError> {
        self.page(thread, cursor, PAGE).await.map(|page| (page.data, page.next_cursor))
    }

    async fn page(
        &self,
        thread: &ThreadId,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<wire::TurnPage<Turn>, CodexError> {
        self.call(method::THREAD_TURNS_LIST, &newest(thread, cursor, limit)).await
    }

    /// The turn in which a delivery has arrived, if it has: the whole history is asked, the newest first. Codex itself takes
    /// a second message of the same id (0.144.6 and 0.169.0).
    pub async fn find(&self, thread: &ThreadId, delivery: &DeliveryId) -> Result<Option<TurnId>, CodexError> {
        let is_it =
            |item: &Item| matches!(item, Item::UserMessage { client_id: Some(id), .. } if id == delivery.as_str());
        let mut cursor: Option<String> = None;
        loop {
            let (turns, next) = match self.turn_page(thread, cursor.as_deref()).await {
                Err(CodexError::Refused { message, .. }) if message.contains(NO_HISTORY) => return Ok(None),
                page => page?,
            };
            if let Some(turn) = turns.into_iter().find(|turn| turn.items.iter().any(is_it)) {
                return Ok(Some(turn.id));
            }
            match next {
                Some(next) => cursor = Some(next),
                None => return Ok(None),
            }
        }
    }

    /// Starts a turn. On a busy thread this would silently steer the running turn: see that it is idle. While the thread is
    /// compacted, 0.144.6 says yes and loses the text.
    pub async fn turn_start(
        &self,
        thread: &ThreadId,
        parts: &[String],
        delivery: Option<&DeliveryId>,
    ) -> Result<TurnId, CodexError> {
        let input = wire::UserInput::texts(parts);
        let params = wire::TurnStart { thread_id: thread, input, client_user_message_id: delivery };
        self.call::<wire::TurnAnswer>(method::TURN_START, &params).await.map(|answer| answer.turn.id)
    }

    /// Gives a running turn something more. The answer says only that Codex has taken it; it has arrived when the user
    /// message of this delivery is complete, and is lost if the turn is interrupted before.
    pub async fn turn_steer(
        &self,
        thread: &ThreadId,
        turn: &TurnId,
        parts: &[String],
        delivery: &DeliveryId,
    ) -> Result<(), CodexError> {
        let input = wire::UserInput::texts(parts);
        let params =
            wire::TurnSteer { thread_id: thread, expected_turn_id: turn, input, client_user_message_id: delivery };
        self.call::<Value>(method::TURN_STEER, &params).await.map(drop)
    }

    /// Ends a turn, and the commands that it left running. Before `turn/started` Codex refuses it, and the turn runs on.
    pub async fn turn_interrupt(&self, thread: &ThreadId, turn: &TurnId) -> Result<(), CodexError> {
        let params = wire::TurnInterrupt { thread_id: thread, turn_id: turn };
        self.call::<Value>(method::TURN_INTERRUPT, &params).await?;
        self.clean_terminals(thread).await
    }

    async fn call<T: DeserializeOwned>(&self, method: &'static str, params: &impl Serialize) -> Result<T, CodexError> {
        let result = self.peer.call(method, params, DEADLINE).end().await;
        match result {
            Ok(text) => serde_json::from_str(text.get())
                .map_err(|error| CodexError::Strange { method, error: error.to_string() }),
            Err(CallError::Refused(error)) => Err(CodexError::Refused { method, message: error.message }),
            Err(CallError::TimedOut { after }) => Err(CodexError::Silent { method, after }),
            Err(CallError::Closed) => Err(CodexError::Lost(self.why_gone().await)),
        }
    }

    async fn why_gone(&self) -> Arc<str> {
        let mut gone = self.gone.clone();
        let why = tokio::time::timeout(OBITUARY, gone.wait_for(Option::is_some)).await;
        let why = why.ok().and_then(Result::ok).and_then(|why| why.clone());
        why.unwrap_or_else(|| Arc::from("the connection to Codex is closed"))
    }
}

fn newest<'a>(thread: &'a ThreadId, cursor: Option<&'a str>, limit: u32) -> wire::TurnsList<'a> {
    wire::TurnsList { thread_id: thread, cursor, limit, sort_direction: "desc", items_view: "full" }
}
