//! Installs from npm what the tests run, each version once.
//!
//! A version is installed into a directory beside its own, asked for its version, marked, and only then renamed
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

/// An npm package.
#[derive(Debug, PartialEq)]
pub(crate) struct Package {
    /// What a person calls it.
    pub(crate) title: &'static str,
    name: &'static str,
    kind: Kind,
}

/// What is in a package for us.
#[derive(Debug, PartialEq)]
enum Kind {
    /// A program of this name.
    Program(&'static str),
    /// Something that programs load.
    Library,
}

/// Codex itself.
pub(crate) const CODEX: Package = Package { title: "Codex", name: "@openai/codex", kind: Kind::Program("codex") };

/// The protocol's own client for the command line.
pub(crate) const INSPECTOR: Package =
    Package { title: "MCP Inspector", name: "@modelcontextprotocol/inspector", kind: Kind::Program("mcp-inspector") };

/// The client that most people have.
pub(crate) const CLAUDE_CODE: Package =
    Package { title: "Claude Code", name: "@anthropic-ai/claude-code", kind: Kind::Program("claude") };

/// The lock that Claude Code's own is like.
pub(crate) const PROPER_LOCKFILE: Package =
    Package { title: "proper-lockfile", name: "proper-lockfile", kind: Kind::Library };

/// Written last: where it stands, the install is whole.
const MARK: &str = "installed";

#[cfg(windows)]
const NPM: &str = "npm.cmd";
#[cfg(not(windows))]
const NPM: &str = "npm";

/// One exact version of a package, which is safe as a directory's name and as a part of what npm is asked for.
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
            _ => Err(format!("an exact version such as 0.169.0 is needed, not {}", arg.display())),
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

impl Package {
    /// Sees to it that the version is installed under `dir`, and says where its program is, or else the package.
    pub(crate) fn install(&self, dir: &Path, version: &Version) -> Result<PathBuf, Error> {
        let home = dir.join(version.to_string());
        if !home.join(MARK).exists() {
            fs::create_dir_all(dir).map_err(|e| at(dir, &e))?;
            let _lock = lock(&dir.join("lock"), self.title)?;
            // Whoever held the lock before us may have installed it.
            if !home.join(MARK).exists() {
                let part = dir.join(format!("{version}.part"));
                self.install_in(&part, version).and_then(|()| rename(&part, &home)).inspect_err(|_| {
                    // What is left over is in nobody's way: the next install of this version clears it.
                    let _ = fs::remove_dir_all(&part);
                })?;
            }
        }
        Ok(self.place(&home))
    }

    fn install_in(&self, part: &Path, version: &Version) -> Result<(), Error> {
        remove(part)?;
        fs::create_dir(part).map_err(|e| at(part, &e))?;
        self.npm_install(part, version)?;
        self.check(&self.place(part), version)?;
        fs::write(part.join(MARK), format!("{version}\n")).map_err(|e| at(part, &e))
    }

    fn npm_install(&self, prefix: &Path, version: &Version) -> Result<(), Error> {
        let Package { title, name, .. } = self;
        let needed = |why: String| format!("Node with npm is needed: {why}\nInstall it from https://nodejs.org");
        // npm itself is a script for node, and so is what it installs.
        output(Command::new("node").arg("--version")).map_err(needed)?;
        let mut npm = Command::new(NPM);
        npm.args(["install", "--no-audit", "--no-fund", "--prefix"]).arg(prefix).arg(format!("{name}@{version}"));
        let said = output(&mut npm).map_err(needed)?;
        if said.status.success() {
            return Ok(());
        }
        let last = last_lines(&said, 12);
        Err(format!("npm could not install {title} {version} ({}); it said last:\n{last}", said.status))
    }

    fn check(&self, place: &Path, version: &Version) -> Result<(), Error> {
        let said = match self.kind {
            Kind::Program(_) => output(Command::new(place).arg("--version")),
            Kind::Library => {
                let asked = "require(process.argv[1] + '/package.json').version";
                output(Command::new("node").args(["-p", asked]).arg(place))
            }
        }?;
        let text = String::from_utf8_lossy(&said.stdout);
        // "codex-cli 0.169.0" (seen in 0.144.6 and 0.169.0), "2.12.0" (the inspector), "2.1.330 (Claude Code)", "2.1.330 (Claude Code)".
        if said.status.success() && text.split_whitespace().any(|word| word == version.0) {
            return Ok(());
        }
        let (title, said) = (self.title, last_lines(&said, 12));
        Err(format!("npm installed {title} {version}, but it does not say so when asked; it says:\n{said}"))
    }

    fn place(&self, home: &Path) -> PathBuf {
        let modules = home.join("node_modules");
        match self.kind {
            Kind::Program(bin) if cfg!(windows) => modules.join(".bin").join(format!("{bin}.cmd")),
            Kind::Program(bin) => modules.join(".bin").join(bin),
            Kind::Library => modules.join(self.name),
        }
    }
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

fn rename(part: &Path, home: &Path) -> Result<(), Error> {
    remove(home)?;
    fs::rename(part, home).map_err(|e| at(home, &e))
}

fn lock(path: &Path, title: &str) -> Result<File, Error> {
    let file = File::create(path).map_err(|e| at(path, &e))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            eprintln!("waiting for another xtask that is installing {title}");
            file.lock().map_err(|e| at(path, &e))?;
        }
        Err(TryLockError::Error(e)) => return Err(at(path, &e)),
    }
    Ok(file)
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
        for good in ["0.144.6", "0.169.0", "0.170.0-alpha.2"] {
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
