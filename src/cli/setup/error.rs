//! Why `setup` did not do something.

use std::io;
use std::path::PathBuf;

/// Why `setup` did not do what it should.
#[derive(Debug, thiserror::Error)]
pub enum SetupFailure {
    /// Nobody to register with.
    #[error(
        "Claude Code's command `claude` is not on PATH, so nothing can be registered with it{notes}",
        notes = notes.iter().map(|note| format!("\nnote: {note}")).collect::<String>()
    )]
    NoClaude {
        /// What else was found out.
        notes: Vec<String>,
    },
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
    /// Claude Code does not come to an end.
    #[error("`{command}` has not ended within {secs} s, so it was ended")]
    ClaudeHangs {
        /// What it was told.
        command: String,
        /// How long it was waited for.
        secs: u64,
    },
    /// A file that cannot be read as what it is.
    #[error("{file} cannot be changed: {why}", file = file.display())]
    Broken {
        /// Which.
        file: PathBuf,
        /// What is wrong with it, and where.
        why: String,
    },
    /// A repository's file that is somebody else's.
    #[error("{file} is a link that leads out of the repository, and is not followed", file = file.display())]
    LeadsOut {
        /// Which.
        file: PathBuf,
    },
    /// A file that is no longer as it was when it was shown what would be done.
    #[error("{file} has changed meanwhile, and was left as it is", file = file.display())]
    Changed {
        /// Which.
        file: PathBuf,
    },
    /// Something else is to be done than was shown.
    #[error("what there is to do has changed since it was shown, so nothing was done")]
    Overtaken,
    /// A step has failed, and those before it were done.
    #[error("{error}{stands}", stands = stands.iter().map(|step| format!("\nstands: {step}")).collect::<String>())]
    Halfway {
        /// What was done.
        stands: Vec<String>,
        /// Why the next step was not.
        error: Box<SetupFailure>,
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
    /// Not everything was as it was left.
    #[error("{0} of what setup has done was changed since, and stays")]
    Left(usize),
    /// Not everything was taken back.
    #[error("{0} of what setup has done could not be taken back")]
    NotBack(usize),
}
