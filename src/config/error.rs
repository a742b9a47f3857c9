//! What is wrong with the settings: errors that end the start, warnings that do not.

use std::io;
use std::path::PathBuf;

use super::source::Source;

/// Why the settings could not be taken. Each says where, what, and what is allowed.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A settings file that is there, or was named by `--config`, could not be read.
    #[error("{} cannot be read: {error}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// A settings file is no TOML.
    #[error("{at}: not valid TOML: {problem}")]
    Toml {
        /// The line where the parser stopped.
        at: Source,
        /// What the parser said.
        problem: String,
    },
    /// A value that is not allowed.
    #[error("{at}: {problem}")]
    Value {
        /// Where it was set.
        at: Source,
        /// What is wrong with it, with what would be right.
        problem: String,
    },
    /// `--fast` without a fast model.
    #[error(
        "flag --fast: `fast_model` is not set: set it under [plugins.atm-agent-mcp] or as ATM_AGENT_MCP_FAST_MODEL"
    )]
    NoFastModel,
}

/// A role that no settings file describes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("role {:?} is not known: {}", shown(role), allowed(known))]
pub struct UnknownRole {
    /// The role asked for.
    pub role: String,
    /// The roles there are, sorted.
    pub known: Vec<String>,
}

fn shown(role: &str) -> String {
    role.chars().take(40).collect()
}

fn allowed(known: &[String]) -> String {
    if known.is_empty() {
        "there are no roles; a table [plugins.atm-agent-mcp.roles.NAME] makes one".to_owned()
    } else {
        format!("use one of {}", known.join(", "))
    }
}

/// Something in the settings that does not do what its writer may think.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Warning {
    /// A key that is not ours.
    #[error("{at}: unknown key `{key}`{}", nearest.map(|n| format!(": did you mean `{n}`?")).unwrap_or_default())]
    UnknownKey {
        /// Where it stands.
        at: Source,
        /// The key, with `roles.NAME.` before it in a role's table.
        key: String,
        /// The known key that it resembles.
        nearest: Option<&'static str>,
    },
    /// A key or a variable of another version of this program.
    #[error("{at}: `{key}` is known, but without effect in this version")]
    WithoutEffect {
        /// Where it stands.
        at: Source,
        /// The key.
        key: String,
    },
    /// The approval policy that Codex no longer has.
    #[error("{at}: approval policy `on-failure` is retired in Codex: it is read as `on-request`")]
    RetiredPolicy {
        /// Where it stands.
        at: Source,
    },
    /// A sandbox that agents may not have.
    #[error(
        "{at}: the sandbox danger-full-access is not allowed: agents that would get it are refused. The user can set \
         allow_full_access = true (not in a repository's .atm.toml)"
    )]
    NoFullAccess {
        /// Where it stands.
        at: Source,
    },
    /// A key in a repository's file that only the user can set.
    #[error("{at}: `{key}` is passed over: only the user's own file, the environment and flags can set it")]
    NotARepositorys {
        /// Where it stands.
        at: Source,
        /// The key.
        key: String,
    },
    /// A file outside of the repository that names it.
    #[error("{at}: `{key}` is passed over: {} is not in the repository", path.display())]
    OutsideRepository {
        /// Where it stands.
        at: Source,
        /// The key.
        key: String,
        /// The file.
        path: PathBuf,
    },
}
