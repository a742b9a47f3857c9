//! One at a time goes to a session: what waits longest, whether it is of the queue or of an inbox.

use tokio::sync::{Mutex, MutexGuard};

/// The door of one session. Who comes first goes first, so none of its rounds keeps another away.
#[derive(Debug, Default)]
pub(super) struct Door(Mutex<()>);

/// Whoever has this is inside.
#[derive(Debug)]
pub(super) struct Inside<'a>(#[expect(dead_code, reason = "it is held, and not looked at")] MutexGuard<'a, ()>);

impl Door {
    /// Waits for its turn; the next has it when this is dropped.
    pub(super) async fn enter(&self) -> Inside<'_> {
        Inside(self.0.lock().await)
    }
}
