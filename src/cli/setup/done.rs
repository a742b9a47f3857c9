//! What was done, as it is remembered: as much as it takes to take it back, and no value of an environment.

use std::path::PathBuf;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::super::claude_config::{Launch, Spot};
use super::edit::{Edit, Written};
use super::step::{Register, What, entry, start};

/// One thing that was done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "done", rename_all = "snake_case")]
pub(super) enum Done {
    /// Claude Code was told to add a server, and whether it has is not known: we did not live to see it.
    Told { register: Register, at: Timestamp },
    /// An entry is in a file that was not in it.
    Entered { spot: Spot, edit: Edit, made: Made },
    /// An entry starts another program.
    Replaced {
        spot: Spot,
        /// What it started; what variables were set to among its arguments is in its environment now.
        before: Written,
        after: Launch,
        /// Which variables its environment was given.
        variables: Vec<String>,
        /// Whether it had no environment before.
        is_first: bool,
        edit: Edit,
    },
    /// A file is there that is nobody else's.
    Written {
        what: What,
        file: PathBuf,
        /// Tells whether it is still as it was written.
        fingerprint: Uuid,
        /// The directories that were made for it, the innermost first.
        dirs: Vec<PathBuf>,
    },
}

/// What was made around an entry, and was not there before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Made {
    pub(super) file: bool,
    /// The object of the servers.
    pub(super) servers: bool,
}

impl Done {
    /// Whether nothing is left of it after the later one.
    pub(super) fn is_overtaken_by(&self, later: &Done) -> bool {
        match (self, later) {
            (Done::Told { register: one, .. }, Done::Told { register: two, .. }) => one == two,
            (Done::Told { register, .. }, Done::Entered { spot, .. }) => register.is_at(spot),
            // Something could only be entered because nothing was there.
            (Done::Entered { spot: one, .. } | Done::Replaced { spot: one, .. }, Done::Entered { spot: two, .. }) => {
                one == two
            }
            (Done::Written { file: one, .. }, Done::Written { file: two, .. }) => one == two,
            (Done::Told { .. } | Done::Entered { .. } | Done::Replaced { .. } | Done::Written { .. }, _) => false,
        }
    }

    /// What was done, in a line.
    pub(super) fn title(&self) -> String {
        match self {
            Done::Told { register, .. } => register.title(),
            Done::Entered { spot, .. } => entry("add", spot),
            Done::Replaced { spot, .. } => entry("change", spot),
            Done::Written { what, file, .. } => what.title(file),
        }
    }

    /// What takes it back, for a person.
    pub(super) fn shown_back(&self) -> String {
        match self {
            Done::Told { register, .. } => {
                format!("remove the entry `{}` from {}\n", register.name, register.file.display())
            }
            Done::Entered { spot, .. } => format!("{}\n", entry("remove", spot)),
            Done::Replaced { spot, before, after, .. } => {
                let before = before.launch().map(|before| start(&before)).unwrap_or_default();
                format!("{}:\n    - {}\n    + {before}\n", entry("change back", spot), start(after))
            }
            Done::Written { file, .. } => format!("remove {}\n", file.display()),
        }
    }
}
