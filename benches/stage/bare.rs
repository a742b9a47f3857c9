//! What Codex itself costs: a client of the app-server that does nothing but what a turn needs.

use std::path::Path;
use std::time::{Duration, Instant};

use atm_agent_mcp::rpc::{Connection, Incoming, Peer};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use super::{Error, PAUSE};

#[cfg(unix)]
async fn connection(socket: &Path) -> Result<Connection, Error> {
    Ok(Connection::over_socket(tokio::net::UnixStream::connect(socket).await?).await?)
}

#[cfg(not(unix))]
async fn connection(_: &Path) -> Result<Connection, Error> {
    Err("a client beside ours needs a socket, and there is none on this system".into())
}

/// The client.
pub(crate) struct Bare {
    runtime: Runtime,
    peer: Peer,
    incoming: tokio::sync::mpsc::Receiver<Incoming>,
    thread: String,
    _tasks: JoinSet<()>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct About<'a> {
    thread_id: &'a str,
}

impl Bare {
    /// Connects, and says who it is.
    pub(crate) fn connect(socket: &Path) -> Result<Bare, Error> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let mut tasks = JoinSet::new();
        let (peer, incoming) =
            runtime.block_on(async { Ok::<_, Error>(Peer::start(connection(socket).await?, &mut tasks)) })?;
        let bare = Bare { runtime, peer, incoming, thread: String::new(), _tasks: tasks };
        let client = json!({ "name": "bench", "title": "bench", "version": "0" });
        // The deltas are asked not to be sent, as we do: otherwise the child has more to do for this client than for us.
        let capabilities = json!({ "experimentalApi": true, "optOutNotificationMethods": ["item/agentMessage/delta"] });
        bare.call("initialize", &json!({ "clientInfo": client, "capabilities": capabilities }))?;
        bare.peer.notify("initialized");
        Ok(bare)
    }

    fn call(&self, method: &str, params: &Value) -> Result<Value, Error> {
        let call = self.peer.call(method, params, Duration::from_secs(60));
        Ok(serde_json::from_str(self.runtime.block_on(call.end())?.get())?)
    }

    /// Begins a thread, in which its turns are from now on.
    pub(crate) fn open_thread(&mut self, dir: &Path) -> Result<(), Error> {
        let opened = self.call("thread/start", &json!({ "cwd": dir }))?;
        self.thread = opened["thread"]["id"].as_str().ok_or("a thread without an id")?.to_owned();
        Ok(())
    }

    /// A turn, from the call to its end.
    pub(crate) fn turn(&mut self, text: &str) -> Result<Duration, Error> {
        let Bare { runtime, peer, incoming, thread, .. } = self;
        let input = json!([{ "type": "text", "text": text, "text_elements": [] }]);
        let params = json!({ "threadId": thread, "input": input });
        let since = Instant::now();
        runtime.block_on(async {
            peer.call("turn/start", &params, Duration::from_secs(60)).end().await?;
            while let Some(said) = incoming.recv().await {
                if let Incoming::Notification { method, params } = said
                    && method == "turn/completed"
                    && serde_json::from_str::<About<'_>>(params.get())?.thread_id == *thread
                {
                    return Ok(since.elapsed());
                }
            }
            Err("the app-server has closed the connection".into())
        })
    }

    /// Lets [`PAUSE`] pass, and takes what still comes in it.
    pub(crate) fn rest(&mut self) {
        let incoming = &mut self.incoming;
        let drain = async { while incoming.recv().await.is_some() {} };
        self.runtime.block_on(async { tokio::time::timeout(PAUSE, drain).await.ok() });
    }
}
