//! What became of a message, for whoever waits to hear of it.

use std::io;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::{Instant, MissedTickBehavior};

use super::error::QueueFailure;
use crate::ids::EntryId;
use crate::queue::{Delivered, Fate, Listed, Queue, QueueError, Standing};

/// How often is looked: that an entry is gone the file system does not tell.
const LOOK: Duration = Duration::from_millis(50);

/// How long somebody waits.
pub(super) struct Patience {
    /// When the message is of no use any more.
    pub(super) expires_at: Option<Timestamp>,
    /// How long is waited at most.
    pub(super) timeout: Option<Duration>,
}

/// Waits for the proof that a message has arrived; the error says why there is none. One that has expired while nobody
/// took it is buried here: it may be that nobody else looks.
pub(super) async fn wait(queue: &Queue, id: &EntryId, patience: &Patience) -> Result<Delivered, QueueFailure> {
    let start = Instant::now();
    let mut look = tokio::time::interval(LOOK);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        look.tick().await;
        match queue.fate(id) {
            Fate::Delivered(delivered) => return Ok(delivered),
            Fate::Dead(reason) => {
                let why = reason.map_or_else(|| "nobody left a word why".to_owned(), |reason| reason.why);
                return Err(QueueFailure::Buried { id: id.clone(), why });
            }
            Fate::Gone => return Err(QueueFailure::Gone(id.clone())),
            Fate::Waiting => {}
        }
        let failed = |source| QueueError::Files { dir: queue.dir().to_owned(), source };
        if patience.expires_at.is_some_and(|at| at <= Timestamp::now()) && bury_untaken(queue, id).map_err(failed)? {
            continue;
        }
        if let Some(timeout) = patience.timeout.filter(|timeout| start.elapsed() >= *timeout) {
            return Err(QueueFailure::StillWaits { id: id.clone(), secs: timeout.as_secs_f64() });
        }
    }
}

/// Answers whether it was buried: what is being delivered, or may have been, is left to whoever does it.
fn bury_untaken(queue: &Queue, id: &EntryId) -> io::Result<bool> {
    let is_untaken = matches!(queue.show(id)?, Some(Listed { state: Standing::Waiting, .. }));
    Ok(is_untaken && queue.bury(id, "it has expired: nobody took it in the time that its writer allowed")?)
}
