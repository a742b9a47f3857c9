//! Installs real Codex versions from npm, each once.
//!
//! A version is installed into a directory beside its own, asked for its `--version`, marked, and only then renamed
//! into place. An install that was cut short leaves no mark, and is done again.

use std::env;
use std::ffi::OsStr;
use std::fmt;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Error;
use crate::run::{last_lines, output};

/// The newest and the oldest Codex that the tests run against.
pub(crate) const PINNED: [&str; 2] = [NEWEST, "0.144.6"];

/// The Codex for everything that needs only one.
pub(crate) const NEWEST: &str = "0.169.0";

/// Written last: where it stands, the install is whole.
const MARK: &str = "installed";

#[cfg(windows)]
const NPM: &str = "npm.cmd";
#[cfg(not(windows))]
const NPM: &str = "npm";

/// One exact version of Codex, which is safe as a directory's name and as a part of an npm package's.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Version(String);

impl Version {
    /// Takes exact versions only (`0.169.0`, `0.170.0-alpha.2`): what `latest` installs is another thing tomorrow.
    pub(crate) fn parse(arg: &OsStr) -> Result<Self, Error> {
        let number = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        let exact = |text: &str| {
            let (release, pre) = text.split_once('-').unwrap_or((text, "0"));
            let numbers = release.split('.').collect::<Vec<_>>();
            numbers.len() == 3
                && numbers.into_iter().all(number)
                && pre.split('.').all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric()))
        };
        match arg.to_str() {
            Some(text) if exact(text) => Ok(Self(text.into())),
            _ => Err(format!("an exact Codex version such as {NEWEST} is needed, not {}", arg.display())),
        }
    }

    /// A version that stands in this source.
    pub(crate) fn pinned(text: &str) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Sees to it that the version is installed under `dir`, and says where its `codex` is.
pub(crate) fn install(dir: &Path, version: &Version) -> Result<PathBuf, Error> {
    let home = dir.join(version.to_string());
    if !home.join(MARK).exists() {
        fs::create_dir_all(dir).map_err(|e| at(dir, &e))?;
        let _lock = lock(&dir.join("lock"))?;
        // Whoever held the lock before us may have installed it.
        if !home.join(MARK).exists() {
            let part = dir.join(format!("{version}.part"));
            install_in(&part, version).and_then(|()| rename(&part, &home)).inspect_err(|_| {
                // What is left over is in nobody's way: the next install of this version clears it.
                let _ = fs::remove_dir_all(&part);
            })?;
        }
    }
    Ok(bin(&home))
}

/// The first `codex` in a list of directories such as `PATH`.
pub(crate) fn on_path(path: &OsStr) -> Option<PathBuf> {
    let names: &[&str] = if cfg!(windows) { &["codex.exe", "codex.cmd"] } else { &["codex"] };
    env::split_paths(path)
        // An empty entry means the current directory: nothing is started from there unasked.
        .filter(|dir| dir.is_absolute())
        .flat_map(|dir| names.iter().map(move |name| dir.join(name)))
        .find(|file| is_executable(file))
}

fn install_in(part: &Path, version: &Version) -> Result<(), Error> {
    remove(part)?;
    fs::create_dir(part).map_err(|e| at(part, &e))?;
    npm_install(part, version)?;
    check(&bin(part), version)?;
    fs::write(part.join(MARK), format!("{version}\n")).map_err(|e| at(part, &e))
}

fn rename(part: &Path, home: &Path) -> Result<(), Error> {
    remove(home)?;
    fs::rename(part, home).map_err(|e| at(home, &e))
}

fn npm_install(prefix: &Path, version: &Version) -> Result<(), Error> {
    let needed = |why: String| format!("Node with npm is needed: {why}\nInstall it from https://nodejs.org");
    // npm itself is a script for node, and so is what it installs.
    output(Command::new("node").arg("--version")).map_err(needed)?;
    let mut npm = Command::new(NPM);
    npm.args(["install", "--no-audit", "--no-fund", "--prefix"]).arg(prefix).arg(format!("@openai/codex@{version}"));
    let said = output(&mut npm).map_err(needed)?;
    if said.status.success() {
        return Ok(());
    }
    Err(format!("npm could not install Codex {version} ({}); it said last:\n{}", said.status, last_lines(&said, 12)))
}

fn check(codex: &Path, version: &Version) -> Result<(), Error> {
    let said = output(Command::new(codex).arg("--version"))?;
    let text = String::from_utf8_lossy(&said.stdout);
    // "codex-cli 0.169.0" (seen in 0.144.6 and 0.169.0).
    if said.status.success() && text.split_whitespace().last() == Some(&version.0) {
        return Ok(());
    }
    let said = last_lines(&said, 12);
    Err(format!("npm installed Codex {version}, but its `codex --version` does not say so; it says:\n{said}"))
}

fn lock(path: &Path) -> Result<File, Error> {
    let file = File::create(path).map_err(|e| at(path, &e))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            eprintln!("waiting for another xtask that is installing Codex");
            file.lock().map_err(|e| at(path, &e))?;
        }
        Err(TryLockError::Error(e)) => return Err(at(path, &e)),
    }
    Ok(file)
}

fn bin(home: &Path) -> PathBuf {
    home.join("node_modules").join(".bin").join(if cfg!(windows) { "codex.cmd" } else { "codex" })
}

fn is_executable(file: &Path) -> bool {
    let Ok(meta) = fs::metadata(file) else { return false };
    #[cfg(unix)]
    let runs = std::os::unix::fs::PermissionsExt::mode(&meta.permissions()) & 0o111 != 0;
    #[cfg(not(unix))]
    let runs = true;
    meta.is_file() && runs
}

fn remove(dir: &Path) -> Result<(), Error> {
    match fs::remove_dir_all(dir) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(at(dir, &e)),
        _ => Ok(()),
    }
}

fn at(path: &Path, why: &io::Error) -> Error {
    format!("{}: {why}", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_exact_versions_are_taken() {
        for good in PINNED.into_iter().chain(["0.170.0-alpha.2"]) {
            assert_eq!(Version::parse(OsStr::new(good)), Ok(Version::pinned(good)));
        }
        for bad in ["", "latest", "0.169", "0.169.0.1", "0.169.x", "^0.169.0", "--force", "0.1.0-../..", "0.1.0-"] {
            assert!(Version::parse(OsStr::new(bad)).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_directory_without_codex_is_passed_over() {
        assert_eq!(on_path(OsStr::new("")), None);
        assert_eq!(on_path(env::temp_dir().join("no such directory").as_os_str()), None);
    }
}
