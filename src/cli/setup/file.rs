//! Files of others, changed whole: written aside and renamed, with the mode that they had.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::super::json_edit;
use super::error::SetupFailure;
use super::wait::Wait;
use crate::home::ASIDE;
use crate::repo::Repository;

/// How long somebody else may hold a file before we give up.
const PATIENCE: Duration = Duration::from_secs(15);

/// A lock older than this is nobody's, by the protocol of proper-lockfile, which Claude Code (2.1.330) follows.
const STALE: Duration = Duration::from_secs(10);

/// What becomes of a file.
pub(super) enum Change {
    /// It stays as it is.
    None,
    /// This stands in it.
    Text(String),
    /// It is removed.
    Removed,
}

/// Whether a file of a repository is a link that leads out of it: what is behind it is not the repository's.
pub(super) fn leads_out(file: &Path) -> bool {
    let dir = file.parent().unwrap_or(Path::new("."));
    let root = Repository::around(dir).map_or_else(|| dir.to_owned(), |repository| repository.root().to_owned());
    match (root.canonicalize(), file.canonicalize()) {
        (Ok(root), Ok(file)) => !file.starts_with(root),
        _ => false,
    }
}

/// The directories above a file that are not there, the innermost first.
pub(super) fn lacking(file: &Path) -> Vec<PathBuf> {
    file.ancestors().skip(1).take_while(|dir| !dir.exists()).map(Path::to_owned).collect()
}

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

/// Changes a file that others write too, behind its byte order mark; what `change` does not take is left as it is.
pub(super) fn change(
    file: &Path,
    change: impl FnOnce(&str) -> Result<Change, SetupFailure>,
) -> Result<(), SetupFailure> {
    let failed = |error: io::Error| SetupFailure::File { file: file.to_owned(), error };
    // What a link leads to is changed, not the link.
    let target = file.canonicalize().map_err(failed)?;
    let _lock = Lock::take(&target).map_err(failed)?;
    let before = fs::read_to_string(&target).map_err(failed)?;
    let (bom, text) = json_edit::behind_bom(&before);
    let after = match change(text)? {
        Change::None => return Ok(()),
        Change::Removed => return fs::remove_file(&target).map_err(failed),
        Change::Text(after) => [bom, &after].concat(),
    };
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
        let mut wait = Wait::new(format!("{}: another program holds it", dir.display()));
        loop {
            match fs::create_dir(&dir) {
                Ok(()) => return Ok(Lock { dir }),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
            let made = fs::metadata(&dir).and_then(|found| found.modified());
            if made.is_ok_and(|made| SystemTime::now().duration_since(made).is_ok_and(|age| age > STALE)) {
                fs::remove_dir(&dir).ok();
            } else if wait.pause() > PATIENCE {
                let why = format!("another program holds {}", dir.display());
                return Err(io::Error::new(io::ErrorKind::TimedOut, why));
            }
        }
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
            change(&link, |text| Ok(Change::Text(text.replace("one", "1")))).unwrap();
            assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o640);
            assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
            fs::remove_file(link).unwrap();
        }
        change(&file, |text| Ok(Change::Text(format!("{text}!")))).unwrap();
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
        change(&file, |_| Ok(Change::Text("two".to_owned()))).unwrap();
        assert!(!lock.exists());
    }

    #[test]
    fn what_somebody_writes_meanwhile_is_not_written_over() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a.json");
        create(&file, "one").unwrap();
        let done = change(&file, |_| {
            fs::write(&file, "theirs").unwrap();
            Ok(Change::Text("ours".to_owned()))
        });
        assert!(matches!(done, Err(SetupFailure::Changed { .. })));
        assert_eq!(fs::read_to_string(&file).unwrap(), "theirs");
    }
}
