//! Holds a file of Claude's against every other program that rewrites it, by both of the protocols they know.
//!
//! First `flock` on `X.lock` beside `X.json`, as atm 0.14 takes it, and with it every process of ours; then the directory
//! `X.json.lock`, as Claude Code and npm's proper-lockfile make it. That directory is held as long as it is there, unless
//! its time is older than [`STALE`]: then its holder is dead, and anybody may take it away. Who lived on all the same (a
//! stopped process, a disk that took so long) finds another time than it set, or none: it has lost the lock, must not
//! write, and begins anew.

use std::cell::Cell;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use jiff::Timestamp;

use super::MailError;
use crate::home::{private_dirs, replace, sync_dir};
use crate::steps;

/// How old the directory's time must be for its holder to be dead.
const STALE: Duration = Duration::from_secs(10);
/// From when on it is set anew before we write, so that it cannot become stale in between.
const REFRESH: Duration = Duration::from_secs(2);
/// The longest pause between two tries; proper-lockfile's users make such of up to 100 ms.
const PAUSE_MAX: Duration = Duration::from_millis(50);

/// Why what was begun under the lock did not come to its end.
#[derive(Debug)]
pub(super) enum Stop {
    /// The lock was lost; nothing was written, and it can be begun anew.
    Lost,
    /// It failed.
    Failed(MailError),
}

impl From<MailError> for Stop {
    fn from(error: MailError) -> Stop {
        Stop::Failed(error)
    }
}

/// What to do about a file that is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Missing {
    /// Begin it with this: proper-lockfile locks only what is there.
    Begin(&'static str),
    /// Leave it so.
    Leave,
}

/// A file that is ours as long as this lives.
#[derive(Debug)]
pub(super) struct Held {
    /// Where it really is, if `path` is a symbolic link: there Claude locks it.
    file: PathBuf,
    dir: PathBuf,
    /// The directory's time as we set it.
    time: Cell<SystemTime>,
    /// We began the file.
    begun: bool,
    _flock: File,
}

/// Does something with a file under its lock, again if the lock was lost; for `patience` in all.
pub(super) fn holding<T>(
    path: &Path,
    missing: Missing,
    patience: Duration,
    mut act: impl FnMut(&Held) -> Result<T, Stop>,
) -> Result<T, MailError> {
    let mut tries = Tries::for_(patience);
    loop {
        let held = Held::take(path, missing, &mut tries)?;
        match act(&held) {
            Ok(done) => return Ok(done),
            Err(Stop::Failed(error)) => return Err(error),
            Err(Stop::Lost) => {
                let lock = held.dir.clone();
                drop(held);
                tries.pause(&lock, SystemTime::now())?;
            }
        }
    }
}

impl Held {
    fn take(path: &Path, missing: Missing, tries: &mut Tries) -> Result<Held, MailError> {
        let flock = flock(&path.with_extension("lock"), tries)?;
        steps::at("mail.flocked");
        let begun = match missing {
            Missing::Begin(content) => begin(path, content).map_err(MailError::files(path))?,
            Missing::Leave => false,
        };
        steps::at("mail.begun");
        let file = if path.exists() { path.canonicalize().map_err(MailError::files(path))? } else { path.to_owned() };
        let dir = beside(&file, ".lock");
        make_dir(&dir, tries)?;
        let held = Held { file, dir, time: Cell::new(SystemTime::UNIX_EPOCH), begun, _flock: flock };
        steps::at("mail.locked");
        held.date().map_err(|source| {
            // Without its time it cannot be known again when it is dropped.
            fs::remove_dir(&held.dir).ok();
            MailError::files(&held.dir)(source)
        })?;
        steps::at("mail.dated");
        Ok(held)
    }

    /// What is held.
    pub(super) fn file(&self) -> &Path {
        &self.file
    }

    /// Whether the file was begun for us.
    pub(super) fn begun(&self) -> bool {
        self.begun
    }

    /// Replaces the file whole and durably, if it is still ours.
    pub(super) fn replace(&self, content: &str) -> Result<(), Stop> {
        let aside = self.write_aside(content).map_err(MailError::files(&self.file))?;
        if !self.keep().map_err(MailError::files(&self.dir))? {
            tracing::warn!(lock = %self.dir.display(), "the lock was lost before anything was written; once more");
            return Err(Stop::Lost);
        }
        replace(aside, &self.file).map_err(MailError::files(&self.file))?;
        steps::at("mail.replaced");
        // It is there for everybody to see: to say that it failed would be the greater lie.
        if let Err(error) = sync_dir(parent(&self.file)) {
            tracing::warn!(file = %self.file.display(), %error, "a loss of power may undo the last change");
        }
        steps::at("mail.durable");
        Ok(())
    }

    /// In the same directory, and named as Claude names its own (2.1.330).
    fn write_aside(&self, content: &str) -> io::Result<tempfile::NamedTempFile> {
        let name = beside(&self.file, &format!(".tmp.{:016x}", fastrand::u64(..)));
        let name = name.file_name().expect("a file has a name");
        let mut aside = tempfile::Builder::new().prefix(name).rand_bytes(0).tempfile_in(parent(&self.file))?;
        aside.write_all(content.as_bytes())?;
        steps::at("mail.written");
        aside.as_file().sync_all()?;
        steps::at("mail.synced");
        Ok(aside)
    }

    /// Whether the lock is still ours; if it is, it stays so for long enough to write.
    fn keep(&self) -> io::Result<bool> {
        if !self.is_ours() {
            return Ok(false);
        }
        if age(self.time.get()).is_none_or(|age| age > REFRESH) {
            self.date()?;
        }
        Ok(true)
    }

    fn is_ours(&self) -> bool {
        time(&self.dir).is_ok_and(|time| time == self.time.get())
    }

    /// Gives the directory the time of now. What the file system makes of it is what we know it by.
    fn date(&self) -> io::Result<()> {
        open_dir(&self.dir)?.set_modified(SystemTime::now())?;
        self.time.set(time(&self.dir)?);
        Ok(())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if self.is_ours() {
            fs::remove_dir(&self.dir).ok();
        }
        steps::at("mail.unlocked");
    }
}

/// Takes the OS lock, which is free again when the file is closed, however that happens. The file is never removed, for
/// then two could lock it.
fn flock(path: &Path, tries: &mut Tries) -> Result<File, MailError> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(path).map_err(MailError::files(path))?;
    let since = SystemTime::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) => tries.pause(path, since)?,
            Err(TryLockError::Error(error)) => return Err(MailError::files(path)(error)),
        }
    }
}

/// Begins a file that is not there, in one step: others may read it at any time. Answers whether it did.
fn begin(path: &Path, content: &str) -> io::Result<bool> {
    if path.symlink_metadata().is_ok() {
        return Ok(false);
    }
    let mut aside = tempfile::Builder::new().prefix(crate::home::ASIDE).tempfile_in(parent(path))?;
    aside.write_all(content.as_bytes())?;
    match aside.persist_noclobber(path) {
        Ok(_) => Ok(true),
        Err(there) if there.error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(failed) => Err(failed.error),
    }
}

fn make_dir(dir: &Path, tries: &mut Tries) -> Result<(), MailError> {
    let builder = private_dirs();
    let mut watched = Watched::default();
    loop {
        match builder.create(dir) {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(MailError::files(dir)(error)),
        }
        let since = match time(dir) {
            Ok(since) => since,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(MailError::files(dir)(error)),
        };
        if !(watched.is_stale(since, Instant::now()) && take_away(dir, since)) {
            tries.pause(dir, since)?;
        }
    }
}

/// What was seen of a lock while we waited for it.
#[derive(Debug, Default)]
struct Watched(Option<(SystemTime, Instant)>);

impl Watched {
    /// Whether the holder of a lock with this time is dead: the time is too old, or it has not changed for so long by our
    /// own watch, which holds too when the clock has jumped back and the time lies in the future.
    fn is_stale(&mut self, time: SystemTime, now: Instant) -> bool {
        let (known, since) = *self.0.get_or_insert((time, now));
        if known != time {
            self.0 = Some((time, now));
        }
        age(time).is_some_and(|age| age > STALE) || (known == time && now.duration_since(since) > STALE)
    }
}

/// Takes away the lock that was seen to be stale. Somebody else may have seen it too, and have taken its place by now: so
/// it is moved aside first, looked at, and put back if it is another.
fn take_away(dir: &Path, stale: SystemTime) -> bool {
    let aside = beside(dir, &format!(".stale.{:016x}", fastrand::u64(..)));
    if let Err(error) = fs::rename(dir, &aside) {
        return error.kind() == io::ErrorKind::NotFound;
    }
    let same = time(&aside).is_ok_and(|time| time == stale);
    if same && fs::remove_dir(&aside).is_ok() {
        tracing::warn!(lock = %dir.display(), "the lock of a dead program was taken away");
        return true;
    }
    fs::rename(&aside, dir).ok();
    false
}

/// Tries, with pauses in between that grow and are never the same, so that those who wait do not march in step.
#[derive(Debug)]
struct Tries {
    until: Instant,
    patience: Duration,
    pause: Duration,
}

impl Tries {
    fn for_(patience: Duration) -> Tries {
        Tries { until: Instant::now() + patience, patience, pause: Duration::from_millis(1) }
    }

    /// Waits a little for a lock that is held since then; an error if we have waited long enough.
    fn pause(&mut self, lock: &Path, since: SystemTime) -> Result<(), MailError> {
        if Instant::now() >= self.until {
            let since = Timestamp::try_from(since).map_or_else(|_| "an unknown time".into(), |at| format!("{at:.3}"));
            return Err(MailError::Locked { lock: lock.to_owned(), since, seconds: self.patience.as_secs() });
        }
        thread::sleep(self.pause.mul_f64(0.5 + fastrand::f64()));
        self.pause = (self.pause * 2).min(PAUSE_MAX);
        Ok(())
    }
}

fn age(time: SystemTime) -> Option<Duration> {
    SystemTime::now().duration_since(time).ok()
}

fn time(path: &Path) -> io::Result<SystemTime> {
    fs::symlink_metadata(path)?.modified()
}

fn parent(file: &Path) -> &Path {
    file.parent().unwrap_or(file)
}

/// The path with this behind its name.
fn beside(path: &Path, more: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(more);
    name.into()
}

/// A directory whose time can be set.
#[cfg(unix)]
fn open_dir(dir: &Path) -> io::Result<File> {
    File::open(dir)
}

/// Windows opens a directory only with FILE_FLAG_BACKUP_SEMANTICS; its time needs FILE_WRITE_ATTRIBUTES.
#[cfg(windows)]
fn open_dir(dir: &Path) -> io::Result<File> {
    use std::os::windows::fs::OpenOptionsExt;
    OpenOptions::new().access_mode(0x0100).custom_flags(0x0200_0000).open(dir)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BRIEFLY: Duration = Duration::from_millis(30);
    const LONG: Duration = Duration::from_secs(30);
    const LATER: Duration = Duration::from_secs(11);

    fn place() -> (tempfile::TempDir, PathBuf, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().canonicalize().unwrap().join("arch.json");
        let lock = beside(&file, ".lock");
        (dir, file, lock)
    }

    fn write(path: &Path, content: &str, patience: Duration) -> Result<(), MailError> {
        holding(path, Missing::Begin("[]"), patience, |held| held.replace(content))
    }

    /// A lock directory of another program, with this time.
    fn foreign(lock: &Path, time: SystemTime) {
        fs::create_dir(lock).unwrap();
        open_dir(lock).unwrap().set_modified(time).unwrap();
    }

    #[cfg(unix)]
    #[test]
    fn whatever_is_made_is_for_the_user_only() {
        use std::os::unix::fs::PermissionsExt;
        let (_dir, file, lock) = place();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        holding(&file, Missing::Begin("[]"), LONG, |held| {
            assert_eq!((mode(&lock), mode(&file.with_extension("lock")), mode(&file)), (0o700, 0o600, 0o600));
            held.replace("[1]")
        })
        .unwrap();
        assert_eq!(mode(&file), 0o600);
    }

    fn names(file: &Path) -> Vec<String> {
        let all = fs::read_dir(parent(file)).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = all.collect();
        names.sort();
        names
    }

    #[test]
    fn both_locks_are_held_and_nothing_stays_but_the_file_of_the_os_lock() {
        let (_dir, file, lock) = place();
        holding(&file, Missing::Begin("[]"), BRIEFLY, |held| {
            assert!(lock.is_dir() && held.begun() && fs::read_to_string(&file).unwrap() == "[]");
            let flock = File::open(file.with_extension("lock")).unwrap();
            assert!(matches!(flock.try_lock(), Err(TryLockError::WouldBlock)));
            held.replace("[1]")
        })
        .unwrap();
        assert_eq!(names(&file), ["arch.json", "arch.lock"]);
        assert_eq!(fs::read_to_string(&file).unwrap(), "[1]");
        #[cfg(unix)]
        for name in names(&file) {
            let mode = fs::metadata(file.with_file_name(name)).unwrap().permissions();
            assert_eq!(std::os::unix::fs::PermissionsExt::mode(&mode) & 0o777, 0o600);
        }
    }

    #[test]
    fn a_lock_that_is_held_is_waited_for_and_then_named() {
        let (_dir, file, lock) = place();
        for time in [SystemTime::now(), SystemTime::now() - Duration::from_secs(8), SystemTime::now() + LATER * 1000] {
            foreign(&lock, time);
            let error = write(&file, "[1]", BRIEFLY).unwrap_err().to_string();
            assert!(error.contains("arch.json.lock since 20") && error.contains("nothing was written"), "{error}");
            assert_eq!((fs::read_to_string(&file).unwrap().as_str(), self::time(&lock).unwrap()), ("[]", time));
            fs::remove_dir(&lock).unwrap();
        }
        let flock = File::options().write(true).open(file.with_extension("lock")).unwrap();
        flock.lock().unwrap();
        let error = write(&file, "[1]", BRIEFLY).unwrap_err().to_string();
        assert!(error.contains("arch.lock"), "{error}");
        drop(flock);
        write(&file, "[1]", BRIEFLY).unwrap();
    }

    #[test]
    fn the_lock_of_a_dead_program_is_taken_away() {
        let (_dir, file, lock) = place();
        foreign(&lock, SystemTime::now() - LATER);
        write(&file, "[1]", BRIEFLY).unwrap();
        assert_eq!(names(&file), ["arch.json", "arch.lock"]);
    }

    #[test]
    fn a_lock_from_the_future_is_dead_when_it_has_not_changed_for_so_long() {
        let (mut watched, start) = (Watched::default(), Instant::now());
        let [future, refreshed] = [1000, 1005].map(|seconds| SystemTime::now() + Duration::from_secs(seconds));
        assert!(!watched.is_stale(future, start));
        assert!(!watched.is_stale(future, start + Duration::from_secs(9)));
        assert!(!watched.is_stale(refreshed, start + LATER), "its holder lives");
        assert!(!watched.is_stale(refreshed, start + LATER + Duration::from_secs(9)));
        assert!(watched.is_stale(refreshed, start + LATER * 2));
    }

    #[test]
    fn what_another_has_taken_in_the_meantime_is_put_back() {
        let (_dir, file, lock) = place();
        let theirs = SystemTime::now();
        foreign(&lock, theirs);
        assert!(!take_away(&lock, theirs - LATER));
        assert_eq!((time(&lock).unwrap(), names(&file)), (theirs, vec!["arch.json.lock".to_owned()]));
        // Somebody's file of that name is no lock of anybody dead.
        fs::remove_dir(&lock).unwrap();
        fs::write(&lock, "").unwrap();
        assert!(!take_away(&lock, time(&lock).unwrap()) && lock.is_file());
    }

    #[test]
    fn whoever_has_lost_the_lock_does_not_write_and_begins_anew() {
        let (_dir, file, lock) = place();
        let mut times = 0;
        holding(&file, Missing::Begin("[]"), LONG, |held| {
            times += 1;
            if times == 1 {
                // We were stopped for so long that another took the lock away; it has written, and is done.
                fs::remove_dir(&lock).unwrap();
                foreign(&lock, SystemTime::now() - LATER);
                fs::write(&file, "[\"theirs\"]").unwrap();
            }
            let mut content = fs::read_to_string(&file).unwrap();
            content.push(' ');
            held.replace(&content)
        })
        .unwrap();
        assert_eq!((times, fs::read_to_string(&file).unwrap().as_str()), (2, "[\"theirs\"] "));
        assert_eq!(names(&file), ["arch.json", "arch.lock"]);
    }

    #[test]
    fn a_lock_that_is_anothers_by_now_is_not_released() {
        let (_dir, file, lock) = place();
        holding(&file, Missing::Begin("[]"), BRIEFLY, |_| {
            fs::remove_dir(&lock).unwrap();
            foreign(&lock, SystemTime::now() - BRIEFLY);
            Ok(())
        })
        .unwrap();
        assert!(lock.is_dir());
    }

    #[test]
    fn a_lock_that_grows_old_while_we_hold_it_is_refreshed_before_we_write() {
        let (_dir, file, lock) = place();
        holding(&file, Missing::Begin("[]"), BRIEFLY, |held| {
            let old = SystemTime::now() - Duration::from_secs(8);
            open_dir(&lock).unwrap().set_modified(old).unwrap();
            held.time.set(time(&lock).unwrap());
            held.replace("[1]")?;
            assert!(age(time(&lock).unwrap()).unwrap() < REFRESH);
            Ok(())
        })
        .unwrap();
        assert!(!lock.exists());
    }

    #[cfg(unix)]
    #[test]
    fn a_file_behind_a_symbolic_link_is_locked_where_it_is_and_the_link_stays() {
        let (dir, file, lock) = place();
        let real = dir.path().join("real.json");
        fs::write(&real, "[]").unwrap();
        std::os::unix::fs::symlink(&real, &file).unwrap();
        holding(&file, Missing::Begin("[]"), BRIEFLY, |held| {
            assert!(beside(&real, ".lock").is_dir() && !lock.exists());
            held.replace("[1]")
        })
        .unwrap();
        assert!(file.is_symlink() && fs::read_to_string(&real).unwrap() == "[1]");
    }
}
