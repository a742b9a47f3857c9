//! The steps of `setup`: what each does, as it is shown before.

use std::path::{Path, PathBuf};

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use super::super::claude_config::{Holder, Launch, Spot, stem};
use super::super::shell;
use super::lost::{self, Variable};

/// One thing that is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// Claude Code is told to add a server.
    Register(Register),
    /// An entry is made to start another program; whatever else it says stays.
    Replace {
        spot: Spot,
        before: Launch,
        after: Launch,
        /// What its environment gets, which stood among the arguments.
        variables: Vec<Variable>,
        /// What the program before was given, and that after it does not take.
        left_out: Vec<String>,
    },
    /// An entry is put into a file.
    Enter {
        spot: Spot,
        launch: Launch,
        /// Whether the file is not there before.
        is_new: bool,
    },
    /// A file is written that is nobody else's.
    Write { what: What, file: PathBuf, content: String },
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
    /// Whether that is not there before.
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

impl What {
    /// That it is written, in a line.
    pub(super) fn title(self, file: &Path) -> String {
        match self {
            What::Settings => format!("write the settings {}", file.display()),
            What::Completions => format!("write the completions {}", file.display()),
        }
    }
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

    /// Whether an entry may be the one that was added.
    pub(super) fn is_at(&self, spot: &Spot) -> bool {
        spot.file == self.file && spot.name == self.name && self.scope.has(&spot.holder)
    }

    /// What it does, in a line.
    pub(super) fn title(&self) -> String {
        format!("register `{}` with Claude Code, scope {}", self.name, self.scope.word())
    }

    fn command(&self) -> String {
        let command = shell::line(["claude"].into_iter().chain(self.add()));
        match self.scope {
            Scope::User => command,
            Scope::Project | Scope::Local => {
                format!("cd {} && {command}", shell::path(&self.directory))
            }
        }
    }
}

impl Step {
    /// What it does, for a person: in a line, and below that what exactly.
    pub(super) fn shown(&self) -> String {
        let exactly = match self {
            Step::Register(register) => format!("    {}\n", register.command()),
            Step::Replace { before, after, variables, left_out, .. } => {
                let mut text = format!("    - {}\n    + {}\n", start(before), start(after));
                if !variables.is_empty() {
                    let names: Vec<&str> = variables.iter().map(|variable| variable.name.as_str()).collect();
                    text += &format!("    with {} in its environment\n", names.join(", "));
                }
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

    /// What it does, in a line.
    pub(super) fn title(&self) -> String {
        match self {
            Step::Register(register) => register.title(),
            Step::Replace { spot, .. } => entry("change", spot),
            Step::Enter { spot, is_new: false, .. } => entry("add", spot),
            Step::Enter { spot, is_new: true, .. } => format!("{}, a new file", entry("add", spot)),
            Step::Write { what, file, .. } => what.title(file),
        }
    }
}

/// What is done with an entry.
pub(super) fn entry(verb: &str, spot: &Spot) -> String {
    format!("{verb} the entry `{}` in {} ({})", spot.name, spot.file.display(), spot.holder)
}

/// The line that starts it; what variables before the program are set to is nobody's to see.
pub(super) fn start(launch: &Launch) -> String {
    let is_env = stem(&launch.command) == "env";
    let variables: Vec<String> = launch
        .args
        .iter()
        .map_while(|arg| lost::variable(arg).filter(|_| is_env))
        .map(|variable| format!("{}=...", variable.name))
        .collect();
    let rest = launch.args[variables.len()..].iter();
    shell::line([&launch.command].into_iter().chain(&variables).chain(rest).map(String::as_str))
}

fn added(text: &str) -> String {
    text.lines().map(|line| format!("    + {line}").trim_end().to_owned() + "\n").collect()
}
