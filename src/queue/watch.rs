//! Who waits for a queue is woken when something arrives in its directory.

use std::sync::Arc;
use std::time::Duration;

use super::{Queue, QueueError};
use crate::watch::{Files, Watch, Watcher};

/// How long nothing may come from the file system before the directory is looked at all the same.
const NET: Duration = Duration::from_secs(30);

/// The watch of one queue.
#[derive(Debug)]
pub struct Arrivals {
    queue: Queue,
    watch: Watch,
}

impl Arrivals {
    /// From before this returns until it is dropped.
    pub fn of(queue: &Queue, watcher: &Arc<Watcher>) -> Result<Arrivals, QueueError> {
        queue.make()?;
        let watch = watcher.watch(queue.dir(), Files::Ending("json"), NET);
        Ok(Arrivals { queue: queue.clone(), watch })
    }

    /// Returns when something may have arrived since the last time; the first time, at once.
    pub async fn next(&self) {
        // Somebody has removed it; the next writer needs it to be watched before it is written to.
        if !self.watch.is_in_place()
            && let Err(error) = self.queue.make()
        {
            tracing::warn!(%error, "there is no queue to watch");
        }
        self.watch.arrival().await;
    }
}
