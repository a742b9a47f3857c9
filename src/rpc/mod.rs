//! JSON-RPC over any ordered stream of texts: this room knows no method.
//!
//! A [`Connection`] is a pair of channels of texts, whatever carries them: a child's pipes ([`lines`]), a Unix
//! socket ([`socket`]), or the other half of [`Connection::memory`] in a test. A [`Peer`] speaks over one: its
//! calls are enqueued at once and awaited later, so their order is the callers' order.

pub mod lines;
pub mod message;
pub mod peer;
pub mod pending;
#[cfg(unix)]
pub mod socket;

pub use message::{Id, Incoming, RpcError};
pub use peer::{CallError, Peer};

use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// How many texts wait between a carrier and its peer; when it is full, the carrier reads no further.
const DEPTH: usize = 256;

/// One end of a stream of texts, with the tasks that carry it.
#[derive(Debug)]
pub struct Connection {
    /// What goes out. Unbounded, for what feeds it is bounded: 32 calls in flight, one answer a request.
    pub outgoing: mpsc::UnboundedSender<String>,
    /// What comes in; it ends when the other side is gone.
    pub incoming: mpsc::Receiver<String>,
    carriers: JoinSet<()>,
}

impl Connection {
    /// Two ends joined in memory.
    pub fn memory() -> (Connection, Connection) {
        let (left_end, left) = Connection::open();
        let (right_end, right) = Connection::open();
        (left_end.joined_to(right), right_end.joined_to(left))
    }

    /// A connection without carriers, and the carriers' side of it.
    fn open() -> (Connection, Carried) {
        let (outgoing, to_carry) = mpsc::unbounded_channel();
        let (carried, incoming) = mpsc::channel(DEPTH);
        (Connection { outgoing, incoming, carriers: JoinSet::new() }, Carried { to_carry, carried })
    }

    fn joined_to(mut self, other: Carried) -> Connection {
        let (outgoing, mut ours) = mpsc::unbounded_channel::<String>();
        self.outgoing = outgoing;
        self.carriers.spawn(async move {
            while let Some(text) = ours.recv().await {
                if other.carried.send(text).await.is_err() {
                    return;
                }
            }
        });
        self
    }
}

/// The side of a connection that its carriers hold.
struct Carried {
    to_carry: mpsc::UnboundedReceiver<String>,
    carried: mpsc::Sender<String>,
}
