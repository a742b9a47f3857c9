//! What a check has found: what, why it matters, what mends it.
use serde::Serialize;

use crate::ids::Team;

/// How much it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Level {
    /// As it should be.
    Ok,
    /// Good to know; nothing is to be done.
    Note,
    /// Agents work, but something is to be looked at.
    Warning,
    /// Agents cannot work.
    Error,
}

/// Which check found it, in the order of the report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Check {
    Programs,
    Settings,
    Codex,
    Login,
    McpServers,
    Directories,
    Leftovers,
    Registration,
    Trial,
    Live,
}

impl Check {
    /// All of them.
    #[cfg(test)]
    pub(super) const ALL: [Check; 10] = [
        Check::Programs,
        Check::Settings,
        Check::Codex,
        Check::Login,
        Check::McpServers,
        Check::Directories,
        Check::Leftovers,
        Check::Registration,
        Check::Trial,
        Check::Live,
    ];

    pub(super) fn title(self) -> &'static str {
        match self {
            Check::Programs => "Programs",
            Check::Settings => "Settings",
            Check::Codex => "Codex",
            Check::Login => "Login",
            Check::McpServers => "MCP servers of Codex",
            Check::Directories => "Directories",
            Check::Leftovers => "What servers left",
            Check::Registration => "Registration in Claude Code",
            Check::Trial => "A trial turn with the scripted model",
            Check::Live => "A trial turn with the real model",
        }
    }
}

/// What `--fix` does: nothing that the next start of a server would not do, and the modes of our own directories.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fix {
    /// These directories become the user's alone.
    #[cfg(unix)]
    Private(Vec<std::path::PathBuf>),
    /// What dead servers left is ended and removed.
    Runs,
    /// Agents that nobody runs are taken out of the roster of their team.
    Members(Team),
}

/// Who mends it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Mending {
    /// Nobody but the user.
    ByHand,
    /// `--fix` can.
    Possible(Fix),
    /// `--fix` has.
    Done,
    /// `--fix` could not, for this reason.
    Failed(String),
}

/// One thing that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) check: Check,
    pub(super) level: Level,
    pub(super) what: String,
    /// Of everything that is not as it should be.
    pub(super) advice: Option<Advice>,
    pub(super) mending: Mending,
}

/// What somebody who reads of it wants to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Advice {
    /// Why it matters.
    pub(super) why: String,
    /// The command that mends it, or what to do.
    pub(super) mend: String,
}

/// What is not as it should be; it is no finding before it is said why that matters, and what mends it.
pub(super) struct Trouble {
    check: Check,
    level: Level,
    what: String,
}

/// The same with its reason.
pub(super) struct Reasoned {
    trouble: Trouble,
    why: String,
}

impl Check {
    pub(super) fn ok(self, what: impl Into<String>) -> Finding {
        Finding { check: self, level: Level::Ok, what: what.into(), advice: None, mending: Mending::ByHand }
    }

    pub(super) fn note(self, what: impl Into<String>) -> Trouble {
        Trouble { check: self, level: Level::Note, what: what.into() }
    }

    pub(super) fn warning(self, what: impl Into<String>) -> Trouble {
        Trouble { check: self, level: Level::Warning, what: what.into() }
    }

    pub(super) fn error(self, what: impl Into<String>) -> Trouble {
        Trouble { check: self, level: Level::Error, what: what.into() }
    }
}

impl Trouble {
    pub(super) fn because(self, why: impl Into<String>) -> Reasoned {
        Reasoned { trouble: self, why: why.into() }
    }
}

impl Reasoned {
    pub(super) fn mend(self, mend: impl Into<String>) -> Finding {
        let Reasoned { trouble: Trouble { check, level, what }, why } = self;
        Finding { check, level, what, advice: Some(Advice { why, mend: mend.into() }), mending: Mending::ByHand }
    }
}

impl Finding {
    pub(super) fn fix(self, fix: Fix) -> Finding {
        Finding { mending: Mending::Possible(fix), ..self }
    }

    /// How much it matters now: what was mended does not.
    pub(super) fn stands(&self) -> Level {
        if self.mending == Mending::Done { Level::Ok } else { self.level }
    }

    /// What mends it, if anything is to be mended.
    pub(super) fn mend(&self) -> Option<&str> {
        self.advice.as_ref().map(|advice| advice.mend.as_str())
    }
}
