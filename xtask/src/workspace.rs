//! Where the workspace is and where its builds go.

use std::env;
use std::ffi::OsString;
use std::path::{self, Path, PathBuf};
use std::process::Command;

use crate::Error;

/// The workspace this xtask belongs to.
pub(crate) struct Workspace {
    root: PathBuf,
    target: PathBuf,
}

impl Workspace {
    /// Asks cargo's environment; without it, the directory this xtask was built from.
    pub(crate) fn find() -> Result<Self, Error> {
        let xtask = env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
        let root = Path::new(&xtask).parent().ok_or("the xtask package is not inside a workspace")?;
        let here = env::current_dir().map_err(|e| format!("the current directory cannot be read: {e}"))?;
        Self::new(root, &here, env::var_os("CARGO_TARGET_DIR"))
    }

    /// As cargo does, a relative target directory is taken from where the person stands.
    fn new(root: &Path, here: &Path, target_dir: Option<OsString>) -> Result<Self, Error> {
        let target = match target_dir.filter(|dir| !dir.is_empty()) {
            Some(dir) => here.join(dir),
            None => root.join("target"),
        };
        let target = path::absolute(&target).map_err(|e| format!("{}: {e}", target.display()))?;
        Ok(Self { root: root.into(), target })
    }

    /// Where the sources are.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Holds one directory for each installed Codex version.
    pub(crate) fn codex_dir(&self) -> PathBuf {
        self.target.join("codex")
    }

    /// Holds the installed MCP client.
    pub(crate) fn inspector_dir(&self) -> PathBuf {
        self.target.join("inspector")
    }

    /// A directory of its own among what is built: for each installed version of something that the tests run, or for a distribution.
    pub(crate) fn installed(&self, what: &str) -> PathBuf {
        self.target.join(what)
    }

    /// A file of the project.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// A program that `cargo build` leaves, in the directory of its profile.
    pub(crate) fn built(&self, profile: &str, program: &str) -> PathBuf {
        self.target.join(profile).join(format!("{program}{}", env::consts::EXE_SUFFIX))
    }

    /// A cargo that works on the whole workspace, wherever in it the person stands.
    pub(crate) fn cargo(&self) -> Command {
        let mut cargo = Command::new("cargo");
        cargo.current_dir(&self.root);
        // A relative one would be read again from the root, and mean another directory there.
        if env::var_os("CARGO_TARGET_DIR").is_some_and(|dir| Path::new(&dir).is_relative()) {
            cargo.env("CARGO_TARGET_DIR", &self.target);
        }
        cargo
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn codex_dir(target_dir: Option<&str>) -> PathBuf {
        Workspace::new(Path::new("/w"), Path::new("/w/src"), target_dir.map(OsString::from)).unwrap().codex_dir()
    }

    #[test]
    fn codex_goes_where_cargo_builds() {
        assert_eq!(codex_dir(None), Path::new("/w/target/codex"));
        assert_eq!(codex_dir(Some("")), Path::new("/w/target/codex"));
        assert_eq!(codex_dir(Some("/elsewhere")), Path::new("/elsewhere/codex"));
        assert_eq!(codex_dir(Some("out")), Path::new("/w/src/out/codex"));
    }
}
