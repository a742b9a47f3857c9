//! The MCP servers that Claude's settings name: Claude Code's (`.claude.json`, `.mcp.json`) and Claude Desktop's.

use std::path::{Path, PathBuf};
use std::{fmt, fs, io};

use serde::{Deserialize, Serialize};

use super::json_edit;
use crate::repo::Repository;

/// The files.
#[derive(Debug, Clone)]
pub(super) struct Files {
    /// Claude Code's own: the user's servers, and those of each project that only the user has.
    pub(super) claude: Option<PathBuf>,
    /// Those that a project shares; the nearest one first.
    pub(super) mcp_json: Vec<PathBuf>,
    /// Claude Desktop's.
    pub(super) desktop: Option<PathBuf>,
}

/// Where an entry stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Spot {
    pub(super) file: PathBuf,
    pub(super) holder: Holder,
    /// What the server is called.
    pub(super) name: String,
}

/// For whom an entry is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Holder {
    /// The user, in every project (Claude Code's scope `user`).
    User,
    /// The user, in one project (scope `local`).
    Local {
        /// Its directory, as Claude Code writes it.
        project: String,
    },
    /// Everybody who has the project (scope `project`).
    Project,
    /// Claude Desktop.
    Desktop,
}

/// How a server is started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Launch {
    pub(super) command: String,
    #[serde(default)]
    pub(super) args: Vec<String>,
}

/// One server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) spot: Spot,
    /// `None` for one that is not started but reached over the network.
    pub(super) launch: Option<Launch>,
    /// The names of the variables that it is given.
    pub(super) variables: Vec<String>,
}

/// Where Claude Code is used: what is said of these directories, or of one above them, is seen.
#[derive(Debug)]
pub(super) struct Here(Vec<PathBuf>);

/// What there is.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) entries: Vec<Entry>,
    /// The files that say nothing, and why.
    pub(super) unread: Vec<(PathBuf, String)>,
}

impl Files {
    /// Where Claude looks for them (Claude Code 2.1.330).
    pub(super) fn find(cwd: &Path) -> Files {
        let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let home = std::env::home_dir();
        let claude = set("CLAUDE_CONFIG_DIR").or_else(|| home.clone());
        let applications = if cfg!(target_os = "macos") {
            home.map(|home| home.join("Library").join("Application Support"))
        } else if cfg!(windows) {
            set("APPDATA")
        } else {
            set("XDG_CONFIG_HOME").or_else(|| home.map(|home| home.join(".config")))
        };
        let root = Repository::around(cwd).map(|repository| repository.root().to_owned());
        let is_inside = |dir: &&Path| *dir == cwd || root.as_ref().is_some_and(|root| dir.starts_with(root));
        Files {
            claude: claude.map(|dir| cwd.join(dir).join(".claude.json")),
            mcp_json: cwd.ancestors().take_while(is_inside).map(|dir| dir.join(".mcp.json")).collect(),
            desktop: applications.map(|dir| dir.join("Claude").join("claude_desktop_config.json")),
        }
    }

    /// Reads them all.
    pub(super) fn entries(&self) -> Found {
        let mut found = Found::default();
        if let Some(file) = &self.claude {
            found.read(file, in_claude);
        }
        for file in &self.mcp_json {
            found.read(file, |text, file| servers(text, file, &Holder::Project));
        }
        if let Some(file) = &self.desktop {
            found.read(file, |text, file| servers(text, file, &Holder::Desktop));
        }
        found
    }
}

impl Found {
    fn read(&mut self, file: &Path, entries: impl Fn(&str, &Path) -> Vec<Entry>) {
        let text = fs::read_to_string(file);
        match text.as_ref().map(|content| json_edit::behind_bom(content).1) {
            // As empty as one that is not there.
            Ok(text) if text.trim().is_empty() => {}
            Ok(text) => {
                self.entries.extend(entries(text, file));
                self.unread.extend(json_edit::trouble(text, &["mcpServers"]).map(|why| (file.to_owned(), why)));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                if file.symlink_metadata().is_ok() {
                    self.unread.push((file.to_owned(), "it is a link that leads nowhere".to_owned()));
                }
            }
            Err(error) => self.unread.push((file.to_owned(), error.to_string())),
        }
    }

    /// The entry of that name there.
    pub(super) fn at(&self, spot: &Spot) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.spot == *spot)
    }
}

impl Spot {
    /// The names that lead to the entry in its file.
    pub(super) fn path(&self) -> Vec<&str> {
        match &self.holder {
            Holder::Local { project } => vec!["projects", project, "mcpServers", &self.name],
            Holder::User | Holder::Project | Holder::Desktop => vec!["mcpServers", &self.name],
        }
    }

    /// Those that lead to the object that it is in.
    pub(super) fn above(&self) -> Vec<&str> {
        let mut path = self.path();
        path.pop();
        path
    }
}

impl Here {
    /// The directory, and the main working tree of its repository: what is said of that holds in linked ones (2.1.330).
    pub(super) fn at(cwd: &Path) -> Here {
        Here([Some(cwd.to_owned()), Repository::around(cwd).map(|it| it.main_root())].into_iter().flatten().collect())
    }

    /// Whether Claude Code has that entry here.
    pub(super) fn has(&self, spot: &Spot) -> bool {
        match &spot.holder {
            Holder::User | Holder::Project => true,
            Holder::Local { project } => self.0.iter().any(|dir| dir.starts_with(project)),
            Holder::Desktop => false,
        }
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Holder::User => f.write_str("for you in every project"),
            Holder::Local { project } => write!(f, "for you in {project}"),
            Holder::Project => f.write_str("for everybody who has the project"),
            Holder::Desktop => f.write_str("for Claude Desktop"),
        }
    }
}

impl Launch {
    /// Whether it starts this program as a server.
    pub(super) fn is_ours(&self) -> bool {
        stem(&self.command) == "atm-agent-mcp" && self.args.first().is_some_and(|arg| arg == "serve")
    }
}

/// A program's name without its directory and what Windows puts behind it.
pub(super) fn stem(command: &str) -> &str {
    let name = command.rsplit(['/', '\\']).next().unwrap_or(command);
    [".exe", ".cmd"].into_iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name)
}

fn in_claude(text: &str, file: &Path) -> Vec<Entry> {
    let projects = json_edit::value(text, &["projects"]).and_then(json_edit::fields).unwrap_or_default();
    let local = |(project, settings): (String, &str)| servers(settings, file, &Holder::Local { project });
    let users = servers(text, file, &Holder::User);
    users.into_iter().chain(projects.into_iter().flat_map(local)).collect()
}

fn servers(text: &str, file: &Path, holder: &Holder) -> Vec<Entry> {
    let servers = json_edit::value(text, &["mcpServers"]).and_then(json_edit::fields).unwrap_or_default();
    let entry = |(name, server): (String, &str)| Entry {
        spot: Spot { file: file.to_owned(), holder: holder.clone(), name },
        launch: serde_json::from_str(server).ok(),
        variables: variables(server),
    };
    servers.into_iter().map(entry).collect()
}

fn variables(server: &str) -> Vec<String> {
    let env = json_edit::value(server, &["env"]).and_then(json_edit::fields).unwrap_or_default();
    env.into_iter().map(|(name, _)| name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_entries_of_every_file_are_found_with_their_place() {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            fs::write(dir.path().join(name), text).unwrap();
            dir.path().join(name)
        };
        let claude = r#"{"x": "\ud800", "mcpServers": {"a": {"command": "c", "args": ["s"], "env": {"K": "v"}},
            "h": {"type": "http", "url": "u"}}, "projects": {"/p": {"mcpServers": {"a": {"command": "d"}}, "history": ["\ud800"]}, "/q": 1}}"#;
        let files = Files {
            claude: Some(file("claude.json", claude)),
            mcp_json: vec![
                file("mcp.json", r#"{"mcpServers": {"b": {"command": "e"}}}"#),
                file("half.json", "{"),
                "/absent".into(),
            ],
            desktop: Some(file("desktop.json", "")),
        };
        let found = files.entries();
        let told = |entry: &Entry| {
            let command = entry.launch.as_ref().map(|launch| launch.command.as_str()).unwrap_or_default();
            format!("{} {} {command}", entry.spot.name, entry.spot.holder)
        };
        assert_eq!(
            found.entries.iter().map(told).collect::<Vec<_>>(),
            [
                "a for you in every project c",
                "h for you in every project ",
                "a for you in /p d",
                "b for everybody who has the project e"
            ]
        );
        assert_eq!(found.unread.len(), 1, "{:?}", found.unread);
        for entry in &found.entries {
            let text = fs::read_to_string(&entry.spot.file).unwrap();
            assert!(json_edit::value(&text, &entry.spot.path()).is_some(), "{entry:?}");
        }
    }

    #[test]
    fn this_program_is_known_however_it_is_named() {
        let launch = |command: &str, args: &[&str]| Launch {
            command: command.into(),
            args: args.iter().map(|&arg| arg.to_owned()).collect(),
        };
        assert!(launch("/usr/bin/atm-agent-mcp", &["serve", "--fast"]).is_ours());
        assert!(launch(r"C:\bin\atm-agent-mcp.exe", &["serve"]).is_ours());
        assert!(!launch("atm-agent-mcp", &["demo"]).is_ours() && !launch("codex", &["serve"]).is_ours());
    }
}
