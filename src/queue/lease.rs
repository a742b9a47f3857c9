//! The lock file of a claim: there is one, or there is none; and who has it is alive, or is not.
//!
//! It appears in one step with its content and with the OS lock held, so nobody ever sees a half-made one of ours. What
//! it says: who claimed, and under which delivery. An OS lock that is free means that its holder is dead. A lock file that
//! is not ours (empty, as atm-agent-mcp 0.14.0 and scripts make them) or of another machine says nothing of its maker's
//! life: it counts as alive until it is older than the time allowed. Then it is removed; one of ours is taken over even
//! then, for its delivery may have arrived.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::home;
use crate::ids::DeliveryId;
use crate::steps;

/// The version of the stored form.
const VERSION: u32 = 1;
/// More than any lock file of ours has.
const SIZE_MAX: u64 = 4096;
/// More than any other file of ours beside the entries has.
const FILE_MAX: u64 = 8 * 1024 * 1024;
/// How often a lock file may be replaced or removed by others while we try to take it.
const TRIES: usize = 16;

/// Who holds a claim.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    v: u32,
    /// The process.
    #[serde(flatten)]
    pub process: Process,
    /// The machine.
    pub host: String,
    /// Which start of which kernel, where it tells: OS locks count between all its processes, whatever a container or a
    /// new name calls the machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    boot: Option<String>,
    /// Under which delivery the entry is, or was to be, delivered.
    pub delivery: DeliveryId,
    /// The process that gave it that delivery, if this one has only taken it over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    heir_of: Option<Process>,
}

/// A process, told apart from any other that is given the same number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// Its number.
    pub pid: u32,
    /// When it started; where the system does not say, when it made its first claim.
    pub started: Timestamp,
}

static US: LazyLock<Process> = LazyLock::new(|| {
    let age = age_of_process().and_then(|age| Timestamp::now().checked_sub(age).ok());
    Process { pid: std::process::id(), started: age.unwrap_or_else(Timestamp::now) }
});
static HOST: LazyLock<String> = LazyLock::new(host);
static BOOT: LazyLock<Option<String>> = LazyLock::new(boot);

impl Holder {
    /// This process.
    pub(super) fn us(delivery: &DeliveryId) -> Holder {
        let (host, boot) = (HOST.clone(), BOOT.clone());
        Holder { v: VERSION, process: *US, host, boot, delivery: delivery.clone(), heir_of: None }
    }

    /// Whether the delivery can only have been sent by this process.
    pub fn is_of_us(&self) -> bool {
        self.heir_of.unwrap_or(self.process) == *US
    }

    /// We, in the place of this dead holder.
    fn heir(&self, us: &Holder) -> Holder {
        let heir_of = Some(self.heir_of.unwrap_or(self.process));
        Holder { delivery: self.delivery.clone(), heir_of, ..us.clone() }
    }

    /// Whether its OS lock says whether it lives.
    pub(super) fn is_here(&self) -> bool {
        self.host == *HOST || (self.boot.is_some() && self.boot == *BOOT)
    }
}

#[cfg(target_os = "linux")]
fn boot() -> Option<String> {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").ok().map(|id| id.trim().to_owned())
}

#[cfg(not(target_os = "linux"))]
fn boot() -> Option<String> {
    None
}

/// How long this process has run: the 22nd field of `stat` is its start, in ticks since that of the machine.
#[cfg(target_os = "linux")]
fn age_of_process() -> Option<Duration> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The name, which may hold anything, is the second field; behind it comes the third.
    let ticks: f64 = stat.rsplit_once(')')?.1.split_whitespace().nth(19)?.parse().ok()?;
    let uptime: f64 = fs::read_to_string("/proc/uptime").ok()?.split_whitespace().next()?.parse().ok()?;
    Duration::try_from_secs_f64(uptime - ticks / rustix::param::clock_ticks_per_second() as f64).ok()
}

#[cfg(not(target_os = "linux"))]
fn age_of_process() -> Option<Duration> {
    None
}

#[cfg(unix)]
fn host() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

#[cfg(not(unix))]
fn host() -> String {
    std::env::var("COMPUTERNAME").unwrap_or_default()
}

/// A lock file that is ours. Dropped, the file stays and its OS lock is free, as after a crash.
#[derive(Debug)]
pub(super) struct Lease {
    path: PathBuf,
    _file: File,
}

/// What came of trying to take a lock file.
#[derive(Debug)]
pub(super) enum Take {
    /// It is ours.
    New(Lease),
    /// It is ours; its last holder died with it.
    Inherited(Lease, Holder),
    /// Its holder lives.
    Held,
    /// Somebody made it of whom we know nothing; it counts for so long yet (`None`: for ever).
    Foreign(Option<Duration>),
}

impl Lease {
    /// Tries to take the lock file at `path`. A foreign one that is older than `ttl` is removed.
    pub(super) fn take(path: &Path, us: &Holder, ttl: Option<Duration>) -> io::Result<Take> {
        for _ in 0..TRIES {
            if let Some(lease) = Lease::create(path, us)? {
                return Ok(Take::New(lease));
            }
            let Some(found) = Found::open(path)? else { continue };
            match found {
                Found::Held => return Ok(Take::Held),
                Found::Free { holder, age, .. } => {
                    let is_here = holder.as_ref().is_some_and(Holder::is_here);
                    if !is_here && ttl.is_none_or(|ttl| age < ttl) {
                        return Ok(Take::Foreign(ttl.map(|ttl| ttl - age)));
                    }
                    if let Some(dead) = holder {
                        return Ok(Take::Inherited(Lease::replace(path, &dead.heir(us))?, dead));
                    }
                    if let Err(error) = remove_any(path) {
                        tracing::warn!(lock = %path.display(), %error, "a foreign lock that cannot be removed");
                        return Ok(Take::Foreign(None));
                    }
                }
            }
        }
        Ok(Take::Held)
    }

    /// Makes the lock file if there is none.
    fn create(path: &Path, us: &Holder) -> io::Result<Option<Lease>> {
        // Most often there is none, or we know already: the look is cheaper than what it may spare.
        if is_there(path)? {
            return Ok(None);
        }
        match prepare(path, us)?.persist_noclobber(path) {
            Ok(file) => {
                steps::at("claim.locked");
                Ok(Some(Lease { path: path.to_owned(), _file: file }))
            }
            Err(there) if there.error.kind() == io::ErrorKind::AlreadyExists => Ok(None),
            Err(failed) => Err(failed.error),
        }
    }

    /// Puts our lock file in the place of a dead holder's, whose OS lock we have.
    fn replace(path: &Path, us: &Holder) -> io::Result<Lease> {
        let file = home::replace(prepare(path, us)?, path)?;
        steps::at("claim.replaced");
        Ok(Lease { path: path.to_owned(), _file: file })
    }

    /// Removes the lock file.
    pub(super) fn give_up(self) -> io::Result<()> {
        remove(&self.path)
    }
}

/// A lock file aside, with its content and its OS lock.
fn prepare(path: &Path, us: &Holder) -> io::Result<tempfile::NamedTempFile> {
    let dir = path.parent().ok_or_else(|| io::Error::other("a lock file needs a directory"))?;
    let mut aside = tempfile::Builder::new().prefix(home::ASIDE).tempfile_in(dir)?;
    let mut line = serde_json::to_vec(us)?;
    line.push(b'\n');
    aside.write_all(&line)?;
    aside.as_file().try_lock().map_err(io::Error::from)?;
    steps::at("claim.prepared");
    Ok(aside)
}

/// A lock file that was there already.
#[derive(Debug)]
pub(super) enum Found {
    /// Its holder lives.
    Held,
    /// Its OS lock was free, and is ours as long as this lives.
    Free {
        /// Keeps the OS lock; a directory, a pipe or a link, which others may use as a lock, and what may not be opened have
        /// none.
        _file: Option<File>,
        /// Who holds it, if it is of our form; dead, if its OS locks count here.
        holder: Option<Holder>,
        /// How long ago it was made.
        age: Duration,
    },
}

impl Found {
    /// Takes the OS lock of the lock file if it is free; `None` if there is no file, or if it changes hands right now.
    pub(super) fn open(path: &Path) -> io::Result<Option<Found>> {
        Found::with(path, |file| match file.try_lock() {
            // Whoever only looks shares it for an instant; who has it shares it with nobody.
            Err(TryLockError::WouldBlock) => file.try_lock_shared().map(|()| false),
            locked => locked.map(|()| true),
        })
    }

    /// Looks at the lock file, and is in nobody's way; `None` as above.
    pub(super) fn look(path: &Path) -> io::Result<Option<Found>> {
        Found::with(path, |file| file.try_lock_shared().map(|()| true))
    }

    fn with(path: &Path, lock: impl FnOnce(&File) -> Result<bool, TryLockError>) -> io::Result<Option<Found>> {
        let opened = fs::symlink_metadata(path).and_then(|about| {
            if !about.is_file() {
                return Ok(Err(about));
            }
            match OpenOptions::new().read(true).write(true).open(path) {
                // Another user's.
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(Err(about)),
                opened => opened.map(Ok),
            }
        });
        let file = match opened {
            Ok(Ok(file)) => file,
            Ok(Err(about)) => return Ok(Some(Found::Free { _file: None, holder: None, age: age(&about)? })),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        match lock(&file) {
            Ok(true) => {}
            Ok(false) => {
                std::thread::yield_now();
                return Ok(None);
            }
            Err(TryLockError::WouldBlock) => return Ok(Some(Found::Held)),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        if !is_at(&file, path)? {
            return Ok(None);
        }
        let mut text = String::new();
        let holder = match (&file).take(SIZE_MAX).read_to_string(&mut text) {
            Ok(_) => serde_json::from_str(&text).ok(),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => None,
            Err(error) => return Err(error),
        };
        let age = age(&file.metadata()?)?;
        Ok(Some(Found::Free { _file: Some(file), holder, age }))
    }
}

/// How long ago a lock file was made; one from the future, by a clock that has jumped since, is new.
fn age(about: &fs::Metadata) -> io::Result<Duration> {
    Ok(SystemTime::now().duration_since(about.modified()?).unwrap_or_default())
}

/// Whether this file is the one that stands at `path` now.
#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt;
    let id = |of: fs::Metadata| (of.dev(), of.ino());
    match fs::metadata(path) {
        Ok(there) => Ok(id(there) == id(file.metadata()?)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Windows does not let a file that is open be replaced.
#[cfg(not(unix))]
fn is_at(_: &File, path: &Path) -> io::Result<bool> {
    path.try_exists()
}

/// The whole of a small file. A pipe is not opened, for that would wait for its writer, and no more is read than we write.
pub(super) fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is not a file"));
    }
    let mut content = Vec::new();
    File::open(path)?.take(FILE_MAX).read_to_end(&mut content)?;
    Ok(content)
}

/// Whether anything stands there, a link that leads nowhere included.
pub(super) fn is_there(path: &Path) -> io::Result<bool> {
    match fs::symlink_metadata(path) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Removes a file that may be gone already.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Removes whatever stands there: a file, a link, or a directory that is empty.
pub(super) fn remove_any(path: &Path) -> io::Result<()> {
    let is_directory = fs::symlink_metadata(path).is_ok_and(|about| about.is_dir());
    if is_directory { fs::remove_dir(path) } else { remove(path) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TTL: Option<Duration> = Some(Duration::from_secs(600));

    fn us() -> Holder {
        Holder::us(&DeliveryId::next())
    }

    fn place() -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.lock");
        (dir, path)
    }

    #[test]
    fn a_lock_file_has_one_living_holder_and_says_who() {
        let (_dir, path) = place();
        let us = us();
        let Take::New(lease) = Lease::take(&path, &us, TTL).unwrap() else { panic!("free") };
        let said: Holder = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        assert_eq!((said.process.pid, &said), (std::process::id(), &us));
        assert!(!said.host.is_empty());
        assert!(matches!(Lease::take(&path, &us, TTL).unwrap(), Take::Held));
        lease.give_up().unwrap();
        assert!(matches!(Lease::take(&path, &us, TTL).unwrap(), Take::New(_)));
    }

    #[test]
    fn a_dead_holders_lock_is_taken_over_at_once_with_its_delivery() {
        let (_dir, path) = place();
        let process = Process { pid: 7, started: Timestamp::now() };
        let (dead, heir) = (Holder { process, ..us() }, us());
        let Take::New(lease) = Lease::take(&path, &dead, TTL).unwrap() else { panic!("free") };
        drop(lease);
        let Take::Inherited(lease, found) = Lease::take(&path, &heir, TTL).unwrap() else { panic!("dead") };
        assert_eq!(found, dead);
        // Whoever inherits from the heir is told of the same delivery.
        drop(lease);
        let Take::Inherited(_, found) = Lease::take(&path, &us(), TTL).unwrap() else { panic!("dead") };
        assert_eq!((&found.delivery, found.process, found.heir_of), (&dead.delivery, *US, Some(process)));
        assert!(!found.is_of_us());
    }

    #[test]
    fn a_process_with_our_number_that_started_at_another_time_is_not_us() {
        let process = Process { started: "2026-01-01T00:00:00Z".parse().unwrap(), ..*US };
        assert!(us().is_of_us() && !Holder { process, ..us() }.is_of_us());
        assert!(US.started <= Timestamp::now());
        #[cfg(target_os = "linux")]
        assert!(age_of_process().unwrap() < Duration::from_secs(3600), "{:?}", age_of_process());
    }

    #[test]
    fn a_dead_holders_lock_is_taken_over_with_its_delivery_under_another_name_of_the_machine() {
        let (_dir, path) = place();
        let renamed = Holder { host: "renamed".into(), ..us() };
        let elsewhere = Holder { boot: None, ..renamed.clone() };
        let make = |holder: &Holder| fs::write(&path, serde_json::to_vec(holder).unwrap()).unwrap();
        #[cfg(target_os = "linux")]
        {
            make(&renamed);
            let Take::Inherited(lease, found) = Lease::take(&path, &us(), TTL).unwrap() else { panic!("dead") };
            assert_eq!(found, renamed);
            lease.give_up().unwrap();
        }
        // On another machine, or before this one was started anew, it counts as alive until it is too old; even then nobody
        // knows whether its delivery has arrived.
        make(&elsewhere);
        assert!(matches!(Lease::take(&path, &us(), TTL).unwrap(), Take::Foreign(Some(_))));
        let Take::Inherited(_, found) = Lease::take(&path, &us(), Some(Duration::ZERO)).unwrap() else { panic!("old") };
        assert_eq!(found, elsewhere);
    }

    #[test]
    fn a_lock_file_that_is_not_ours_counts_until_it_is_too_old() {
        let (_dir, path) = place();
        for content in [Vec::new(), b"nonsense".to_vec(), vec![0xff; 9000]] {
            fs::write(&path, content).unwrap();
            let Take::Foreign(Some(left)) = Lease::take(&path, &us(), TTL).unwrap() else { panic!("foreign") };
            assert!(left > Duration::from_secs(590), "{left:?}");
            assert!(matches!(Lease::take(&path, &us(), None).unwrap(), Take::Foreign(None)));
            let old = SystemTime::now() - Duration::from_secs(601);
            File::options().write(true).open(&path).unwrap().set_modified(old).unwrap();
            let Take::New(lease) = Lease::take(&path, &us(), TTL).unwrap() else { panic!("too old") };
            lease.give_up().unwrap();
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_directory_or_a_pipe_or_a_link_is_a_foreign_lock_too() {
        let (_dir, path) = place();
        let link = |to: &Path| std::os::unix::fs::symlink(to, &path).unwrap();
        let (nowhere, round) = (|| link(Path::new("nowhere")), || link(&path));
        let pipe = || assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
        let directory = || fs::create_dir(&path).unwrap();
        for make in [&pipe as &dyn Fn(), &directory, &nowhere, &round] {
            make();
            assert!(matches!(Lease::take(&path, &us(), TTL).unwrap(), Take::Foreign(Some(_))));
            let Take::New(lease) = Lease::take(&path, &us(), Some(Duration::ZERO)).unwrap() else { panic!("too old") };
            lease.give_up().unwrap();
        }
        fs::create_dir_all(path.join("kept")).unwrap();
        assert!(matches!(Lease::take(&path, &us(), Some(Duration::ZERO)).unwrap(), Take::Foreign(None)));
    }

    #[test]
    fn who_only_looks_is_in_no_claimers_way() {
        let (_dir, path) = place();
        let Take::New(lease) = Lease::take(&path, &us(), TTL).unwrap() else { panic!("free") };
        assert!(matches!(Found::look(&path).unwrap(), Some(Found::Held)));
        drop(lease);
        let looks = [(); 3].map(|()| Found::look(&path).unwrap());
        assert!(looks.iter().all(|look| matches!(look, Some(Found::Free { holder: Some(_), .. }))), "{looks:?}");
        assert!(Found::open(&path).unwrap().is_none(), "it is to be tried again");
        drop(looks);
        assert!(matches!(Lease::take(&path, &us(), TTL).unwrap(), Take::Inherited(..)));
    }

    #[test]
    fn of_many_who_inherit_one_does() {
        let (_dir, path) = place();
        for _ in 0..50 {
            let Take::New(lease) = Lease::take(&path, &us(), TTL).unwrap() else { panic!("free") };
            drop(lease);
            let start = std::sync::Barrier::new(4);
            let all: Vec<Take> = std::thread::scope(|scope| {
                let takers = [(); 4].map(|()| {
                    scope.spawn(|| {
                        start.wait();
                        Lease::take(&path, &us(), TTL).unwrap()
                    })
                });
                takers.into_iter().map(|taker| taker.join().unwrap()).collect()
            });
            let mut heirs: Vec<Take> = all.into_iter().filter(|t| !matches!(t, Take::Held)).collect();
            assert_eq!(heirs.len(), 1, "{heirs:?}");
            let Some(Take::Inherited(lease, _)) = heirs.pop() else { panic!("inherited") };
            lease.give_up().unwrap();
        }
    }
}
