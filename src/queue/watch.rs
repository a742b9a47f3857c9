//! Who waits for a queue is woken when something arrives: by the file system, and by a timer as a net.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use notify::event::{EventKind, ModifyKind};
use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::Notify;

use super::{Queue, QueueError};

/// How long nothing may come from the file system before the directory is looked at all the same.
const NET: Duration = Duration::from_secs(30);
/// The same where the file system tells nothing at all.
const POLL: Duration = Duration::from_secs(1);

/// Watches the directories of any number of queues with one watch of the system's.
#[derive(Debug)]
pub struct Watcher {
    /// `None` where the system has none to give.
    system: Mutex<Option<RecommendedWatcher>>,
    wanted: Arc<Wanted>,
}

type Wanted = Mutex<HashMap<PathBuf, Arc<Notify>>>;

impl Watcher {
    /// Watches nothing yet.
    pub fn new() -> Watcher {
        let wanted: Arc<Wanted> = Arc::default();
        let told = wanted.clone();
        let system = notify::recommended_watcher(move |event: notify::Result<notify::Event>| tell(&told, event));
        let system = system.inspect_err(|error| {
            tracing::warn!(%error, "the system tells nothing of its files: queues are looked at once a second");
        });
        Watcher { system: Mutex::new(system.ok()), wanted }
    }

    /// Watches a queue, from before this returns until the watch is dropped.
    pub fn watch(self: &Arc<Watcher>, queue: &Queue) -> Result<Watch, QueueError> {
        queue.make()?;
        // Some systems tell of files by their real paths, whatever path they were asked to watch.
        let dir = queue.dir().canonicalize().unwrap_or_else(|_| queue.dir().to_owned());
        let arrival = Arc::new(Notify::new());
        // What was there before is an arrival too.
        arrival.notify_one();
        lock(&self.wanted).insert(dir.clone(), arrival.clone());
        let watched = match &mut *lock(&self.system) {
            Some(system) => system
                .watch(&dir, RecursiveMode::NonRecursive)
                .inspect_err(
                    |error| tracing::warn!(%error, dir = %dir.display(), "this queue is looked at once a second"),
                )
                .is_ok(),
            None => false,
        };
        Ok(Watch { watcher: self.clone(), dir, arrival, net: if watched { NET } else { POLL } })
    }
}

impl Default for Watcher {
    fn default() -> Watcher {
        Watcher::new()
    }
}

/// The watch of one queue.
#[derive(Debug)]
pub struct Watch {
    watcher: Arc<Watcher>,
    dir: PathBuf,
    arrival: Arc<Notify>,
    net: Duration,
}

impl Watch {
    /// Returns when something may have arrived since the last time; the first time, at once.
    pub async fn arrival(&self) {
        tokio::time::timeout(self.net, self.arrival.notified()).await.ok();
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let mut wanted = lock(&self.watcher.wanted);
        // Somebody else may watch the same queue since.
        if wanted.get(&self.dir).is_some_and(|arrival| Arc::ptr_eq(arrival, &self.arrival)) {
            wanted.remove(&self.dir);
            drop(wanted);
            if let Some(system) = &mut *lock(&self.watcher.system) {
                system.unwatch(&self.dir).ok();
            }
        }
    }
}

/// Wakes whoever waits for the directory that changed; claims and their ends are not news.
fn tell(wanted: &Wanted, event: notify::Result<notify::Event>) {
    let event = match event {
        Ok(event) => event,
        Err(error) => {
            tracing::debug!(%error, "the file system could not tell");
            return lock(wanted).values().for_each(|arrival| arrival.notify_one());
        }
    };
    if event.need_rescan() {
        return lock(wanted).values().for_each(|arrival| arrival.notify_one());
    }
    let is_arrival = match event.kind {
        EventKind::Create(_) | EventKind::Modify(ModifyKind::Data(_) | ModifyKind::Name(_) | ModifyKind::Any) => true,
        EventKind::Access(_) | EventKind::Remove(_) | EventKind::Modify(_) => false,
        EventKind::Any | EventKind::Other => true,
    };
    let entries = event.paths.iter().filter(|path| is_arrival && path.extension().is_some_and(|e| e == "json"));
    for dir in entries.filter_map(|path| path.parent()) {
        wake(wanted, dir);
    }
}

fn wake(wanted: &Wanted, dir: &Path) {
    if let Some(arrival) = lock(wanted).get(dir) {
        arrival.notify_one();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
