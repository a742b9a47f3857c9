//! Why `setup` did not do something.

use std::io;
use std::path::PathBuf;

/// Why `setup` did not do what it should.
#[derive(Debug, thiserror::Error)]
pub enum SetupFailure {
    /// Nobody to register with.
    #[error("Claude Code's command `claude` is not on PATH, so nothing can be registered with it")]
    NoClaude,
    /// Another server has the name.
    #[error("the name {name} is taken in {file}: it is another server, and it stays", file = file.display())]
    NameTaken {
        /// The name.
        name: String,
        /// Where.
        file: PathBuf,
    },
    /// No name for a server.
    #[error("{0:?} is no name for a server: letters, digits, - and _ are")]
    Name(String),
    /// Claude Code does not do it.
    #[error("`{command}` failed: {said}")]
    Claude {
        /// What it was told.
        command: String,
        /// What it said.
        said: String,
    },
    /// A file that is no longer as it was when it was shown what would be done.
    #[error("{file} has changed meanwhile, and was left as it is", file = file.display())]
    Changed {
        /// Which.
        file: PathBuf,
    },
    /// A file that cannot be changed.
    #[error("{file} cannot be changed: {error}", file = file.display())]
    File {
        /// Which.
        file: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// What was done before is not known.
    #[error("{file} says what setup has done, and cannot be used: {why}", file = file.display())]
    Memory {
        /// Which.
        file: PathBuf,
        /// Why.
        why: String,
    },
    /// Which shell is meant is not known.
    #[error("your shell is not known")]
    NoShell,
    /// Not everything was taken back.
    #[error("{0} of what setup has done could not be taken back")]
    NotBack(usize),
}

impl SetupFailure {
    /// What to do.
    pub(crate) fn hint(&self) -> Option<&'static str> {
        match self {
            SetupFailure::NoClaude => Some(
                "`atm-agent-mcp setup --mcp-json` writes the entry into .mcp.json here, which Claude Code and other clients read",
            ),
            SetupFailure::NameTaken { .. } => Some("choose another one with --name"),
            SetupFailure::Changed { .. } => Some("run it again"),
            SetupFailure::Memory { .. } => Some("move the file away; what was done before is then yours to take back"),
            SetupFailure::NoShell => Some("name it: --completions bash"),
            SetupFailure::NotBack(_) => Some("it is still remembered: run `atm-agent-mcp setup --undo` again"),
            SetupFailure::Name(_) | SetupFailure::Claude { .. } | SetupFailure::File { .. } => None,
        }
    }

    /// 2 for what the caller can mend in the arguments, 1 for the rest.
    pub(crate) fn code(&self) -> u8 {
        match self {
            SetupFailure::NameTaken { .. } | SetupFailure::Name(_) | SetupFailure::NoShell => 2,
            SetupFailure::NoClaude
            | SetupFailure::Claude { .. }
            | SetupFailure::Changed { .. }
            | SetupFailure::File { .. }
            | SetupFailure::Memory { .. }
            | SetupFailure::NotBack(_) => 1,
        }
    }
}
