//! Who waits for files in a directory is woken when one arrives: by the file system, and by a timer as a net.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use notify::event::{EventKind, ModifyKind};
use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::Notify;

/// How often a directory is looked at where the file system tells nothing of it.
const POLL: Duration = Duration::from_secs(1);

/// Watches any number of directories with one watch of the system's.
#[derive(Debug)]
pub struct Watcher {
    /// `None` where the system has none to give.
    system: Mutex<Option<RecommendedWatcher>>,
    wanted: Arc<Wanted>,
}

type Wanted = Mutex<HashMap<PathBuf, Vec<Arc<Wish>>>>;

/// Which files of a directory somebody waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Files {
    /// Those whose names end so, behind a dot.
    Ending(&'static str),
    /// The one of this name.
    Named(String),
}

impl Files {
    fn include(&self, path: &Path) -> bool {
        match self {
            Files::Ending(ending) => path.extension().is_some_and(|its| its == *ending),
            Files::Named(name) => path.file_name().is_some_and(|its| its == name.as_str()),
        }
    }
}

#[derive(Debug)]
struct Wish {
    files: Files,
    arrival: Notify,
    /// The directory that is watched is not there any more. (Another may have been given its number at once.)
    is_gone: AtomicBool,
}

impl Watcher {
    /// Watches nothing yet.
    pub fn new() -> Watcher {
        let wanted: Arc<Wanted> = Arc::default();
        let told = wanted.clone();
        let system = notify::recommended_watcher(move |event: notify::Result<notify::Event>| tell(&told, event));
        let system = system.inspect_err(|error| {
            tracing::warn!(%error, "the system tells nothing of its files: directories are looked at once a second");
        });
        Watcher { system: Mutex::new(system.ok()), wanted }
    }

    /// Watches these files of a directory, from before this returns until the watch is dropped. Where nothing is heard for
    /// as long as `net`, something may have arrived all the same. The directory need not be there yet.
    pub fn watch(self: &Arc<Watcher>, dir: &Path, files: Files, net: Duration) -> Watch {
        let wish = Arc::new(Wish { files, arrival: Notify::new(), is_gone: AtomicBool::new(false) });
        let dir = dir.to_owned();
        let watch = Watch { watcher: self.clone(), dir, wish, net, place: Mutex::default() };
        watch.renew();
        watch
    }

    /// Whether the system tells of this directory from now on.
    fn begin(&self, dir: &Path) -> bool {
        let Some(system) = &mut *lock(&self.system) else { return false };
        let begun = system.watch(dir, RecursiveMode::NonRecursive);
        begun.inspect_err(|error| tracing::warn!(%error, dir = %dir.display(), "it is looked at once a second")).is_ok()
    }
}

impl Default for Watcher {
    fn default() -> Watcher {
        Watcher::new()
    }
}

/// The watch of some files.
#[derive(Debug)]
pub struct Watch {
    watcher: Arc<Watcher>,
    dir: PathBuf,
    wish: Arc<Wish>,
    net: Duration,
    place: Mutex<Place>,
}

/// The directory that is watched, if there is one.
#[derive(Debug, Default)]
struct Place {
    /// Its real path: some systems tell of files by that, whatever path they were asked to watch.
    path: Option<PathBuf>,
    which: Option<Which>,
    is_told_of: bool,
}

/// A directory, told apart from another that is put in its place.
#[cfg(unix)]
type Which = (u64, u64);
#[cfg(not(unix))]
type Which = Option<std::time::SystemTime>;

impl Watch {
    /// Returns when something may have arrived since the last time; the first time, at once.
    pub async fn arrival(&self) {
        // Removed and made anew, by whomever, the directory is another, of which the system would tell nothing.
        // As long as there is none, there is nothing to begin with.
        let was_there = lock(&self.place).which.is_some();
        if !self.is_in_place() && (was_there || which_is(&self.dir).is_some()) {
            self.renew();
        }
        let net = if lock(&self.place).is_told_of { self.net } else { self.net.min(POLL) };
        tokio::time::timeout(net, self.wish.arrival.notified()).await.ok();
    }

    /// Whether the directory that is watched is there.
    pub fn is_in_place(&self) -> bool {
        let which = lock(&self.place).which;
        which.is_some() && which == which_is(&self.dir) && !self.wish.is_gone.load(Ordering::Relaxed)
    }

    fn renew(&self) {
        self.forget();
        self.wish.is_gone.store(false, Ordering::Relaxed);
        let path = self.dir.canonicalize().ok();
        let which = which_is(&self.dir);
        let mut is_told_of = false;
        if let Some(path) = &path {
            lock(&self.watcher.wanted).entry(path.clone()).or_default().push(self.wish.clone());
            is_told_of = self.watcher.begin(path);
        }
        *lock(&self.place) = Place { path, which, is_told_of };
        // What was there before is an arrival too.
        self.wish.arrival.notify_one();
    }

    fn forget(&self) {
        let Some(path) = lock(&self.place).path.take() else { return };
        let mut wanted = lock(&self.watcher.wanted);
        let Some(wishes) = wanted.get_mut(&path) else { return };
        wishes.retain(|wish| !Arc::ptr_eq(wish, &self.wish));
        // Somebody else may watch the same directory.
        if wishes.is_empty() {
            wanted.remove(&path);
            drop(wanted);
            if let Some(system) = &mut *lock(&self.watcher.system) {
                system.unwatch(&path).ok();
            }
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.forget();
    }
}

#[cfg(unix)]
fn which_is(dir: &Path) -> Option<Which> {
    use std::os::unix::fs::MetadataExt;
    fs::metadata(dir).ok().map(|about| (about.dev(), about.ino()))
}

#[cfg(not(unix))]
fn which_is(dir: &Path) -> Option<Which> {
    fs::metadata(dir).ok().map(|about| about.created().ok())
}

/// Wakes whoever waits for the files that came; that others go is not news, that a directory does is.
fn tell(wanted: &Wanted, event: notify::Result<notify::Event>) {
    let wanted = lock(wanted);
    let event = match event {
        Ok(event) if !event.need_rescan() => event,
        other => {
            tracing::debug!(event = ?other, "the file system could not tell");
            return wanted.values().flatten().for_each(|wish| wish.arrival.notify_one());
        }
    };
    let (comes, goes) = match event.kind {
        EventKind::Modify(ModifyKind::Name(_)) | EventKind::Any | EventKind::Other => (true, true),
        EventKind::Create(_) | EventKind::Modify(ModifyKind::Data(_) | ModifyKind::Any) => (true, false),
        EventKind::Remove(_) => (false, true),
        EventKind::Access(_) | EventKind::Modify(_) => (false, false),
    };
    for path in &event.paths {
        let there = path.parent().filter(|_| comes).and_then(|dir| wanted.get(dir));
        there.into_iter().flatten().filter(|wish| wish.files.include(path)).for_each(|wish| wish.arrival.notify_one());
        let itself = wanted.get(path).filter(|_| goes);
        for wish in itself.into_iter().flatten() {
            wish.is_gone.store(true, Ordering::Relaxed);
            wish.arrival.notify_one();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The net would come after ten times as long.
    const SOON: Duration = Duration::from_secs(10);
    const NET: Duration = Duration::from_secs(100);

    async fn wakes(watch: &Watch) {
        tokio::time::timeout(SOON, watch.arrival()).await.expect("an event");
    }

    #[tokio::test]
    async fn a_watch_wakes_at_once_the_first_time_and_then_for_its_files_only() {
        let dir = tempfile::tempdir().unwrap();
        let watcher = Arc::new(Watcher::new());
        let named = |name: &str| watcher.watch(dir.path(), Files::Named(name.to_owned()), NET);
        let (all, ana, ben) =
            (watcher.watch(dir.path(), Files::Ending("json"), NET), named("ana.json"), named("ben.json"));
        for watch in [&all, &ana, &ben] {
            wakes(watch).await;
        }
        fs::write(dir.path().join("ana.lock"), "x").unwrap();
        fs::write(dir.path().join("aside"), "x").unwrap();
        fs::rename(dir.path().join("aside"), dir.path().join("ana.json")).unwrap();
        wakes(&all).await;
        wakes(&ana).await;
        // One that goes leaves the others theirs.
        drop(ana);
        fs::write(dir.path().join("ben.json"), "x").unwrap();
        wakes(&ben).await;
        wakes(&all).await;
    }

    #[tokio::test]
    async fn a_directory_that_is_removed_and_made_anew_is_watched_again() {
        let dir = tempfile::tempdir().unwrap();
        let (one, two) = (dir.path().join("one"), dir.path().join("two"));
        fs::create_dir(&one).unwrap();
        let watcher = Arc::new(Watcher::new());
        let watch = watcher.watch(&one, Files::Ending("json"), NET);
        wakes(&watch).await;
        for remove in [|one: &Path, _: &Path| fs::remove_dir_all(one), |one: &Path, two: &Path| fs::rename(one, two)] {
            remove(&one, &two).unwrap();
            wakes(&watch).await;
            assert!(!watch.is_in_place());
            fs::create_dir(&one).unwrap();
            wakes(&watch).await;
            assert!(watch.is_in_place());
            fs::write(one.join("x.json"), "x").unwrap();
            wakes(&watch).await;
        }
    }

    #[tokio::test]
    async fn a_directory_that_comes_later_is_watched_from_then_on() {
        let dir = tempfile::tempdir().unwrap();
        let late = dir.path().join("late");
        let watch = Arc::new(Watcher::new()).watch(&late, Files::Ending("json"), NET);
        wakes(&watch).await;
        assert!(!watch.is_in_place());
        let since = std::time::Instant::now();
        wakes(&watch).await;
        assert!(since.elapsed() >= POLL, "it is not looked for without a pause");
        fs::create_dir(&late).unwrap();
        wakes(&watch).await;
        assert!(watch.is_in_place());
        fs::write(late.join("x.json"), "x").unwrap();
        wakes(&watch).await;
    }
}
