//! The steps of `setup`: what one does, and what is kept of it so that it can be taken back.

use std::path::PathBuf;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::super::claude_config::{Holder, Launch, Spot};
use super::super::shell;

/// One thing that is done. What is known before it is done says also how it is taken back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "snake_case")]
pub(super) enum Step {
    /// Claude Code is told to add a server.
    Register(Register),
    /// An entry is made to start another program; whatever else it says stays.
    Replace {
        spot: Spot,
        before: Launch,
        after: Launch,
        /// What the program before was given, and that after it does not take.
        #[serde(skip)]
        left_out: Vec<String>,
    },
    /// An entry is put into a file.
    Enter {
        spot: Spot,
        launch: Launch,
        /// Whether the file was not there before.
        is_new: bool,
    },
    /// A file is written that is nobody else's.
    Write {
        what: What,
        file: PathBuf,
        /// Tells whether it is still as it was written.
        fingerprint: Uuid,
        #[serde(skip)]
        content: String,
    },
}

/// What Claude Code is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Register {
    pub(super) scope: Scope,
    pub(super) name: String,
    pub(super) launch: Launch,
    /// Where it is told so.
    pub(super) directory: PathBuf,
    /// The file that it writes.
    pub(super) file: PathBuf,
    /// Whether that was not there before.
    pub(super) is_new: bool,
}

/// For whom Claude Code registers a server, in its own words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Scope {
    /// For you, in every project
    User,
    /// For everybody who has this project: in its `.mcp.json`
    Project,
    /// For you, in this project
    Local,
}

/// What a written file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum What {
    Settings,
    Completions,
}

impl Scope {
    pub(super) fn word(self) -> &'static str {
        match self {
            Scope::User => "user",
            Scope::Project => "project",
            Scope::Local => "local",
        }
    }

    /// Whether an entry is of this scope.
    pub(super) fn has(self, holder: &Holder) -> bool {
        match self {
            Scope::User => *holder == Holder::User,
            Scope::Project => *holder == Holder::Project,
            Scope::Local => matches!(holder, Holder::Local { .. }),
        }
    }
}

impl Register {
    /// What `claude` is given to add it.
    pub(super) fn add(&self) -> Vec<&str> {
        let mut words = vec!["mcp", "add", "--scope", self.scope.word(), &self.name, "--", &self.launch.command];
        words.extend(self.launch.args.iter().map(String::as_str));
        words
    }

    /// What `claude` is given to remove it.
    pub(super) fn remove(&self) -> Vec<&str> {
        vec!["mcp", "remove", "--scope", self.scope.word(), &self.name]
    }

    fn command(&self, words: Vec<&str>) -> String {
        let command = shell::line(["claude"].into_iter().chain(words));
        match self.scope {
            Scope::User => command,
            Scope::Project | Scope::Local => {
                format!("cd {} && {command}", shell::path(&self.directory))
            }
        }
    }
}

/// What tells two contents apart.
pub(super) fn fingerprint(content: &str) -> Uuid {
    Uuid::new_v5(&Uuid::NAMESPACE_OID, content.as_bytes())
}

impl Step {
    /// What it does, for a person: in a line, and below that what exactly.
    pub(super) fn shown(&self) -> String {
        let exactly = match self {
            Step::Register(register) => format!("    {}\n", register.command(register.add())),
            Step::Replace { before, after, left_out, .. } => {
                let mut text = format!("    - {}\n    + {}\n", start(before), start(after));
                if !left_out.is_empty() {
                    text += &format!("    not taken over, for serve has no such flag: {}\n", left_out.join("; "));
                }
                text
            }
            Step::Enter { spot, launch, .. } => {
                let value = serde_json::to_string_pretty(launch).unwrap_or_default();
                added(&format!("{:?}: {value}", spot.name))
            }
            Step::Write { what: What::Settings, content, .. } => added(content),
            Step::Write { what: What::Completions, content, .. } => {
                format!("    {} lines, made from the command line of this version\n", content.lines().count())
            }
        };
        format!("{}:\n{exactly}", self.title())
    }

    /// What takes it back, for a person.
    pub(super) fn shown_back(&self) -> String {
        match self {
            Step::Register(register) => format!(
                "remove `{}` from Claude Code, scope {}:\n    {}\n",
                register.name,
                register.scope.word(),
                register.command(register.remove())
            ),
            Step::Replace { spot, before, after, .. } => {
                format!("{}:\n    - {}\n    + {}\n", entry("change back", spot), start(after), start(before))
            }
            Step::Enter { spot, .. } => format!("{}\n", entry("remove", spot)),
            Step::Write { file, .. } => format!("remove {}\n", file.display()),
        }
    }

    /// What it does, in a line.
    pub(super) fn title(&self) -> String {
        match self {
            Step::Register(register) => {
                format!("register `{}` with Claude Code, scope {}", register.name, register.scope.word())
            }
            Step::Replace { spot, .. } => entry("change", spot),
            Step::Enter { spot, is_new: false, .. } => entry("add", spot),
            Step::Enter { spot, is_new: true, .. } => format!("{}, a new file", entry("add", spot)),
            Step::Write { what: What::Settings, file, .. } => format!("write the settings {}", file.display()),
            Step::Write { what: What::Completions, file, .. } => format!("write the completions {}", file.display()),
        }
    }
}

fn entry(verb: &str, spot: &Spot) -> String {
    format!("{verb} the entry `{}` in {} ({})", spot.name, spot.file.display(), spot.holder)
}

fn start(launch: &Launch) -> String {
    shell::line([launch.command.as_str()].into_iter().chain(launch.args.iter().map(String::as_str)))
}

fn added(text: &str) -> String {
    text.lines().map(|line| format!("    + {line}").trim_end().to_owned() + "\n").collect()
}
