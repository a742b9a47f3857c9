//! Which Codex to run: finding it, and the native binary behind npm's script.

use std::path::{Path, PathBuf};

use super::StartError;

/// The oldest Codex that this program drives.
pub const OLDEST: Version = Version(0, 144, 0);

/// The oldest whose UI leaves the calls of an agent's own tools to the server: that of 0.144.6 answers each with an error
/// at once, those of 0.153.4 and 0.169.0 do not.
pub const UI_LEAVES_TOOLS: Version = Version(0, 153, 0);

/// One that lets only one process write in a thread (0.144.6 lets any; those between were not looked at).
pub const LOCKS_THREADS: Version = Version(0, 169, 0);

/// The oldest without `codex mcp-server`.
pub const LOST_ITS_SERVER: Version = Version(0, 154, 0);

/// A version of Codex.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(u32, u32, u32);

impl Version {
    /// Reads the version out of `initialize`'s `userAgent`: `NAME/0.169.0 (Debian …) …`.
    pub fn in_user_agent(text: &str) -> Option<Version> {
        Version::beginning(text.split_once('/')?.1)
    }

    /// Reads what `codex --version` prints: `codex-cli 0.169.0`.
    pub fn in_words(text: &str) -> Option<Version> {
        text.split_whitespace().find_map(Version::beginning)
    }

    fn beginning(rest: &str) -> Option<Version> {
        let number = rest.split(|c: char| c != '.' && !c.is_ascii_digit()).next()?;
        let mut parts = number.split('.').map(|part| part.parse().ok());
        Some(Version(parts.next()??, parts.next()??, parts.next()??))
    }
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}.{}", self.0, self.1, self.2)
    }
}

/// Finds the program: `setting` as a path or a name, else `codex`, on PATH.
///
/// npm's `codex` is a node script that starts the native binary; killed, it leaves that running. So the native binary
/// is looked for in the package around the script, and started itself.
pub fn find(setting: Option<&Path>) -> Result<PathBuf, StartError> {
    let name = setting.unwrap_or(Path::new("codex"));
    let found = which::which(name).map_err(|_| StartError::NotFound { looked_for: name.to_owned() })?;
    Ok(native(&found).unwrap_or(found))
}

fn native(script: &Path) -> Option<PathBuf> {
    let real = script.canonicalize().ok()?;
    let package = if real.ends_with("@openai/codex/bin/codex.js") {
        real.parent()?.parent()?.to_owned()
    } else {
        // On Windows npm writes `codex.cmd` beside `node_modules` instead of a link.
        let beside = script.parent()?.join("node_modules").join("@openai").join("codex");
        if !script.extension().is_some_and(|e| e == "cmd" || e == "ps1") || !beside.is_dir() {
            return None;
        }
        beside
    };
    let siblings = [package.parent()?.to_owned(), package.join("node_modules").join("@openai")];
    let platform_packages = siblings
        .iter()
        .flat_map(|dir| children(dir))
        .filter(|p| p.file_name().and_then(|n| n.to_str()).is_some_and(|name| name.starts_with("codex-")));
    let binary = format!("codex{}", std::env::consts::EXE_SUFFIX);
    platform_packages
        .chain([package.clone()])
        .flat_map(|package| children(&package.join("vendor")))
        .map(|target| target.join("bin").join(&binary))
        .find(|path| path.is_file())
}

fn children(dir: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_read_from_the_user_agent() {
        let read = |text| Version::in_user_agent(text).map(|v| v.to_string());
        assert_eq!(read("atm-agent-mcp/0.169.0 (Debian 12; x86_64) x"), Some("0.169.0".into()));
        assert_eq!(read("a/0.145.0-alpha.1 (x)"), Some("0.145.0".into()));
        assert_eq!(read("nonsense"), None);
        let read = |text| Version::in_words(text).map(|v| v.to_string());
        assert_eq!(read("codex-cli 0.144.6\n"), Some("0.144.6".into()));
        assert_eq!(read("codex"), None);
        assert!(Version(0, 99, 9) < OLDEST && Version(1, 0, 0) > OLDEST);
    }

    #[cfg(unix)]
    #[test]
    fn the_native_binary_is_found_behind_npms_script() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let modules = dir.path().join("node_modules");
        let touch = |path: PathBuf| {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, "#!/bin/sh\n").unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
            path
        };
        let script = touch(modules.join("@openai/codex/bin/codex.js"));
        let binary = touch(modules.join("@openai/codex-linux-x64/vendor/x86_64-unknown-linux-musl/bin/codex"));
        let link = modules.join(".bin/codex");
        std::fs::create_dir_all(link.parent().unwrap()).unwrap();
        std::os::unix::fs::symlink(&script, &link).unwrap();
        assert_eq!(find(Some(&link)).unwrap(), binary.canonicalize().unwrap());
        std::fs::remove_file(&binary).unwrap();
        assert_eq!(find(Some(&link)).unwrap(), link, "without it the script itself");
    }

    #[test]
    fn what_is_not_there_is_named_with_the_way_to_get_it() {
        let error = find(Some(Path::new("/nowhere/codex"))).unwrap_err().to_string();
        assert!(error.contains("/nowhere/codex") && error.contains("npm install -g @openai/codex"), "{error}");
    }
}
