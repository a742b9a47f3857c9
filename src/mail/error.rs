//! Why mail was not sent, read or marked.

use std::io;
use std::path::{Path, PathBuf};

use crate::ids::{IdError, MemberName, TeamName};

/// Why mail was not sent, read or marked. The texts say what to do; whatever failed, nothing was written by halves.
#[derive(Debug, thiserror::Error)]
pub enum MailError {
    /// A name that nobody can be addressed by.
    #[error(transparent)]
    Name(#[from] IdError),
    /// The message cannot be sent.
    #[error("the message was not sent: {0}")]
    Message(String),
    /// There is no such team.
    #[error("there is no team {team}: {} is not there. Name a team that is, or start an agent in it", config.display())]
    NoTeam {
        /// Which.
        team: TeamName,
        /// The file that makes a team.
        config: PathBuf,
    },
    /// Claude has deleted the team of its session.
    #[error("the team {0} is gone: its Claude Code session has ended. Write to the members of another team")]
    TeamGone(TeamName),
    /// There is no such member.
    #[error("there is no {to} in the team {team}; it has {known}")]
    UnknownRecipient {
        /// Who was meant.
        to: MemberName,
        /// In which team.
        team: TeamName,
        /// Who is there.
        known: String,
    },
    /// Two members have one inbox.
    #[error("{to} and {other} have the same inbox file in Claude's team {team}: rename one of them")]
    SharedInbox {
        /// Who was meant.
        to: MemberName,
        /// Who would get it too.
        other: String,
        /// In which team.
        team: TeamName,
    },
    /// Sender and recipient are one.
    #[error("{0} would write to itself: name another member of the team")]
    Oneself(MemberName),
    /// Somebody else is called so.
    #[error("the team {team} has another member called {name}: choose another name")]
    NameTaken {
        /// The name.
        name: MemberName,
        /// In which team.
        team: TeamName,
    },
    /// Another program does not give the file free.
    #[error(
        "another program holds the lock {} since {since}; after {seconds} s nothing was written. Try again; if no program \
         uses it, remove it", lock.display()
    )]
    Locked {
        /// Which lock.
        lock: PathBuf,
        /// Since when, as far as can be seen.
        since: String,
        /// How long we tried.
        seconds: u64,
    },
    /// A team's config.json is not what it should be.
    #[error("{} cannot be used: {why}. Mend or remove it; it was not changed", path.display())]
    Roster {
        /// Which.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// An inbox is a symbolic link to somewhere else.
    #[error(
        "the inbox {} is a link to {}, {why}: nothing was read or written there. Put a file in the place of the link; its mail \
         waits until then", link.display(), target.display()
    )]
    Linked {
        /// The inbox.
        link: PathBuf,
        /// Where it leads.
        target: PathBuf,
        /// What is wrong with that.
        why: &'static str,
    },
    /// The file system refuses.
    #[error("{}: {source}. {}", path.display(), advice(source))]
    Files {
        /// What was to be read or written.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl MailError {
    /// The file system's refusal at this path.
    pub(super) fn files(path: &Path) -> impl FnOnce(io::Error) -> MailError {
        move |source| MailError::Files { path: path.to_owned(), source }
    }
}

fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::IsADirectory | io::ErrorKind::NotADirectory => {
            "A file is needed where a directory is, or the other way round: move it away"
        }
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => "Let this user write there",
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "Nothing was written: make room and try again",
        _ => "Nothing was written",
    }
}
