//! What the thread's history says of mail of which nobody knows whether it has arrived.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use crate::ids::{DeliveryId, ThreadId, TurnId};
use crate::session::Handle;

/// How long a message may take to show in the history that was not there at the first look: a request of ours may still be
/// on its way.
const SECOND_LOOK: Duration = Duration::from_secs(1);

/// Who may have sent it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sender {
    /// This process.
    Us,
    /// One that has ended, and its Codex with it.
    Dead,
}

/// Where it has arrived, if it has; the error is why that cannot be found out now.
pub(super) async fn find(
    handle: &Handle,
    delivery: &DeliveryId,
    sender: Sender,
) -> Result<Option<(ThreadId, TurnId)>, Arc<str>> {
    let mut found = handle.find(delivery).await?;
    if found.is_none() && sender == Sender::Us {
        tokio::time::sleep(SECOND_LOOK).await;
        found = handle.find(delivery).await?;
    }
    let Some(turn) = found else { return Ok(None) };
    match handle.snapshot().thread {
        Some(thread) => Ok(Some((thread, turn))),
        None => Err(Arc::from("its thread is not known now")),
    }
}

/// Which of these texts stand in results of tools that the agent's model has. A call of a turn that was ended may just be on its
/// way to there.
pub(super) async fn in_results(handle: &Handle, texts: Vec<String>) -> Result<HashSet<String>, Arc<str>> {
    let found = handle.in_results(texts.clone()).await?;
    if found.len() == texts.len() {
        return Ok(found);
    }
    tokio::time::sleep(SECOND_LOOK).await;
    handle.in_results(texts).await
}
