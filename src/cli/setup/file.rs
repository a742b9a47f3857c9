//! Files of others, changed whole: written aside and renamed, with the mode that they had.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::error::SetupFailure;
use crate::home::ASIDE;

/// How long somebody else may hold a file before we give up.
const PATIENCE: u32 = 150;
const PAUSE: Duration = Duration::from_millis(100);

/// A lock older than this is nobody's, by the protocol of proper-lockfile, which Claude Code (2.1.330) follows.
const STALE: Duration = Duration::from_secs(10);

/// Makes a file that is not there.
pub(super) fn create(file: &Path, content: &str) -> Result<(), SetupFailure> {
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::AlreadyExists => SetupFailure::Changed { file: file.to_owned() },
        _ => SetupFailure::File { file: file.to_owned(), error },
    };
    let dir = file.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(dir).map_err(failed)?;
    aside(dir, content).and_then(|aside| Ok(aside.persist_noclobber(file)?)).map(drop).map_err(failed)
}

/// Changes a file that others write too; what `change` does not take is left as it is.
pub(super) fn change(
    file: &Path,
    change: impl FnOnce(&str) -> Result<String, SetupFailure>,
) -> Result<(), SetupFailure> {
    let failed = |error: io::Error| SetupFailure::File { file: file.to_owned(), error };
    // What a link leads to is changed, not the link.
    let target = file.canonicalize().map_err(failed)?;
    let _lock = Lock::take(&target).map_err(failed)?;
    let before = fs::read_to_string(&target).map_err(failed)?;
    let after = change(&before)?;
    let dir = target.parent().unwrap_or(Path::new("."));
    let aside = aside(dir, &after).map_err(failed)?;
    aside.as_file().set_permissions(fs::metadata(&target).map_err(failed)?.permissions()).map_err(failed)?;
    // Somebody who knows no lock may have been faster.
    if fs::read_to_string(&target).map_err(failed)? != before {
        return Err(SetupFailure::Changed { file: file.to_owned() });
    }
    aside.persist(&target).map(drop).map_err(|error| failed(error.error))
}

fn aside(dir: &Path, content: &str) -> io::Result<tempfile::NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(ASIDE);
    // As any program makes a file; the umask is obeyed.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut aside = builder.tempfile_in(dir)?;
    aside.write_all(content.as_bytes())?;
    aside.as_file().sync_all()?;
    Ok(aside)
}

/// The lock that Claude Code takes around each change of its settings: a directory beside the file.
struct Lock {
    dir: PathBuf,
}

impl Lock {
    fn take(file: &Path) -> io::Result<Lock> {
        let mut dir = file.as_os_str().to_owned();
        dir.push(".lock");
        let dir = PathBuf::from(dir);
        for _ in 0..PATIENCE {
            match fs::create_dir(&dir) {
                Ok(()) => return Ok(Lock { dir }),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
            let made = fs::metadata(&dir).and_then(|found| found.modified());
            if made.is_ok_and(|made| SystemTime::now().duration_since(made).is_ok_and(|age| age > STALE)) {
                fs::remove_dir(&dir).ok();
            } else {
                std::thread::sleep(PAUSE);
            }
        }
        Err(io::Error::new(io::ErrorKind::TimedOut, "another program holds it"))
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        fs::remove_dir(&self.dir).ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_file_keeps_its_mode_and_its_link_and_leaves_nothing_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a.json");
        create(&file, "one").unwrap();
        assert!(matches!(create(&file, "two"), Err(SetupFailure::Changed { .. })));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let link = dir.path().join("link");
            std::os::unix::fs::symlink(&file, &link).unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
            change(&link, |text| Ok(text.replace("one", "1"))).unwrap();
            assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o640);
            assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
            fs::remove_file(link).unwrap();
        }
        change(&file, |text| Ok(format!("{text}!"))).unwrap();
        assert!(fs::read_to_string(&file).unwrap().ends_with('!'));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[cfg(unix)]
    #[test]
    fn a_lock_of_long_ago_is_nobodys() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a.json");
        create(&file, "one").unwrap();
        let lock = dir.path().join("a.json.lock");
        fs::create_dir(&lock).unwrap();
        fs::File::open(&lock).unwrap().set_modified(SystemTime::now() - 2 * STALE).unwrap();
        change(&file, |_| Ok("two".to_owned())).unwrap();
        assert!(!lock.exists());
    }

    #[test]
    fn what_somebody_writes_meanwhile_is_not_written_over() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a.json");
        create(&file, "one").unwrap();
        let done = change(&file, |_| {
            fs::write(&file, "theirs").unwrap();
            Ok("ours".to_owned())
        });
        assert!(matches!(done, Err(SetupFailure::Changed { .. })));
        assert_eq!(fs::read_to_string(&file).unwrap(), "theirs");
    }
}
