//! Where things are kept: the paths below the user's home, private directories, atomic writes.

use std::ffi::OsString;
use std::fs;
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};

use crate::ids::{AgentId, AgentName, MemberName, Team, TeamName};
use crate::steps;

/// The directory that stands for the user's home: `$ATM_HOME` if set and not blank, else the home directory.
#[derive(Debug, Clone)]
pub struct Home {
    root: PathBuf,
    claude: PathBuf,
}

impl Home {
    /// Finds the home from the environment; `None` when there is none to be found.
    pub fn find() -> Option<Self> {
        let set = |name| std::env::var_os(name).filter(|v| !v.to_string_lossy().trim().is_empty()).map(PathBuf::from);
        let (atm_home, claude_config) = (set("ATM_HOME"), set("CLAUDE_CONFIG_DIR"));
        Home::from(atm_home, claude_config, std::env::home_dir())
    }

    /// Whoever sets `ATM_HOME` means another world: Claude's directory is in it then, wherever the user's own one is.
    fn from(atm_home: Option<PathBuf>, claude_config: Option<PathBuf>, users: Option<PathBuf>) -> Option<Self> {
        let claude = claude_config.filter(|_| atm_home.is_none());
        let home = Home::at(std::path::absolute(atm_home.or(users)?).ok()?);
        match claude {
            Some(claude) => Some(Home { claude: std::path::absolute(claude).ok()?, ..home }),
            None => Some(home),
        }
    }

    /// A home at `root`, for tests and for the demo.
    pub fn at(root: impl Into<PathBuf>) -> Self {
        let root = root.into();
        Home { claude: root.join(".claude"), root }
    }

    /// The home directory itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Everything that we keep for this user: `.config/atm`.
    pub fn own_dir(&self) -> PathBuf {
        self.root.join(".config").join("atm")
    }

    /// What is kept of all teams: `.config/atm/agent-sessions`.
    pub fn sessions_dir(&self) -> PathBuf {
        self.own_dir().join("agent-sessions")
    }

    /// The user's settings: `.config/atm/config.toml`.
    pub fn config_file(&self) -> PathBuf {
        self.own_dir().join("config.toml")
    }

    /// What `setup` has done, so that it can be taken back: `.config/atm/setup.json`.
    pub fn setup_file(&self) -> PathBuf {
        self.own_dir().join("setup.json")
    }

    /// One directory for each running server: `.config/atm/run`.
    pub fn run_dir(&self) -> PathBuf {
        self.own_dir().join("run")
    }

    /// The program's own events: `.config/atm/events.jsonl`.
    pub fn events_file(&self) -> PathBuf {
        self.own_dir().join("events.jsonl")
    }

    /// What is kept of one team: `.config/atm/agent-sessions/{team}`.
    pub fn team(&self, team: &Team) -> TeamDir {
        TeamDir { root: self.sessions_dir().join(team.as_str()) }
    }

    /// The teams of which something is kept, by name.
    pub fn teams(&self) -> io::Result<Vec<Team>> {
        let names = names_in(&self.sessions_dir())?;
        let mut teams: Vec<Team> = names.iter().filter_map(|name| Team::parse(name.to_str()?).ok()).collect();
        teams.sort();
        Ok(teams)
    }

    /// Claude Code's own files of one team: below `.claude/teams`, or where `CLAUDE_CONFIG_DIR` says.
    pub fn claude_team(&self, team: &TeamName) -> ClaudeTeam {
        let teams = self.claude.join("teams");
        ClaudeTeam { root: teams.join(team.config_dir()), inboxes: teams.join(team.inboxes_dir()).join("inboxes") }
    }

    /// What an agent of ours has read and no longer has in its inbox: `agent-sessions/{team}/mail/{name}.jsonl`.
    pub fn mail_archive(&self, team: &TeamName, name: &AgentName) -> PathBuf {
        let kept = TeamDir { root: self.sessions_dir().join(team.config_dir()) };
        kept.mail_dir().join(format!("{name}.jsonl"))
    }
}

/// Claude Code's own files of one team.
#[derive(Debug, Clone)]
pub struct ClaudeTeam {
    root: PathBuf,
    inboxes: PathBuf,
}

impl ClaudeTeam {
    /// Who is in the team.
    pub fn config(&self) -> PathBuf {
        self.root.join("config.json")
    }

    /// The directory of the inboxes.
    pub fn inboxes(&self) -> &Path {
        &self.inboxes
    }

    /// The mail of one member.
    pub fn inbox(&self, member: &MemberName) -> PathBuf {
        self.inboxes.join(format!("{}.json", member.file_stem()))
    }
}

/// What is kept of one team.
#[derive(Debug, Clone)]
pub struct TeamDir {
    root: PathBuf,
}

impl TeamDir {
    /// The directory itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The records of the team's agents.
    pub fn agents_dir(&self) -> PathBuf {
        self.root.join("agents")
    }

    /// Who did what in the team.
    pub fn audit(&self) -> PathBuf {
        self.root.join("audit.jsonl")
    }

    /// What is kept of the team's mail.
    pub fn mail_dir(&self) -> PathBuf {
        self.root.join("mail")
    }

    /// Which mail is on its way to an agent, from the inbox of this team.
    pub fn mail_under_way(&self, agent: &AgentId, team: &TeamName) -> PathBuf {
        self.root.join(agent.as_str()).join(format!("mail-{}.json", team.config_dir()))
    }

    /// Which mail of its inbox in this team an agent was given by its own tool, a file for each time it read.
    pub fn mail_read(&self, agent: &AgentId, team: &TeamName) -> PathBuf {
        self.root.join(agent.as_str()).join(format!("read-{}", team.config_dir()))
    }

    /// What an agent said last, or of all that it did, when it was closed.
    pub fn summary(&self, agent: &AgentId) -> PathBuf {
        self.root.join(agent.as_str()).join("summary.md")
    }

    /// The record of one agent.
    pub fn record(&self, agent: &AgentId) -> PathBuf {
        self.agents_dir().join(format!("{agent}.json"))
    }

    /// The file whose OS lock says that somebody runs this agent now, whatever it is called.
    pub fn agent_lock(&self, agent: &AgentId) -> PathBuf {
        self.agents_dir().join(format!("{agent}.lock"))
    }

    /// The queue of one agent.
    pub fn queue(&self, agent: &AgentId) -> PathBuf {
        self.root.join(agent.as_str()).join("stdin_queue")
    }

    /// The file whose OS lock says that somebody runs this name now.
    pub fn name_lock(&self, name: &AgentName) -> PathBuf {
        self.root.join(format!("{name}.lock"))
    }
}

/// What is in a directory; in one that is not there, nothing.
pub fn names_in(dir: &Path) -> io::Result<Vec<OsString>> {
    match fs::read_dir(dir) {
        Ok(entries) => entries.map(|entry| Ok(entry?.file_name())).collect(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// Makes a directory, and those above it that are missing, for this user only (0700). What was made is durable.
pub fn private_dir(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let there = path.ancestors().skip(1).take_while(|above| !above.is_dir()).count() + 1;
    make_private(path)?;
    path.ancestors().skip(1).take(there).filter(|above| !above.as_os_str().is_empty()).try_for_each(sync_dir)
}

fn make_private(path: &Path) -> io::Result<()> {
    private_dirs().recursive(true).create(path)
}

/// Makes directories that are their user's alone (0700, where there are modes).
pub fn private_dirs() -> fs::DirBuilder {
    #[cfg_attr(not(unix), expect(unused_mut, reason = "no modes"))]
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder
}

/// Replaces a file whole: written aside in the same directory, synced, renamed, the directory synced.
///
/// A reader sees the old content or the new, also after a crash or on a full disk. The file is 0600.
pub fn write_atomic(path: &Path, content: &[u8]) -> io::Result<()> {
    let dir = path.parent().ok_or_else(|| io::Error::other("a file needs a directory"))?;
    let mut aside = tempfile::Builder::new().prefix(ASIDE).tempfile_in(dir)?;
    steps::at("write.created");
    aside.write_all(content)?;
    steps::at("write.written");
    aside.as_file().sync_all()?;
    steps::at("write.synced");
    replace(aside, path)?;
    steps::at("write.renamed");
    sync_dir(dir)?;
    steps::at("write.done");
    Ok(())
}

/// Puts a file that was written aside in the place of another: on Windows too if somebody has that one open, which tempfile's
/// own way does not.
pub fn replace(aside: tempfile::NamedTempFile, path: &Path) -> io::Result<fs::File> {
    let (file, name) = aside.into_parts();
    fs::rename(&name, path)?;
    // It has no name aside any more that could be removed.
    name.keep().ok();
    Ok(file)
}

/// Appends whole lines to a file (0600), in one write: those of several writers do not mix. What a crash or a full disk has
/// cut off stays a line of its own.
pub fn append_lines(path: &Path, lines: &[u8]) -> io::Result<fs::File> {
    let mut options = fs::OpenOptions::new();
    options.create(true).append(true).read(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    if ends_a_line(&mut file)? {
        file.write_all(lines)?;
    } else {
        file.write_all(&[b"\n", lines].concat())?;
    }
    Ok(file)
}

fn ends_a_line(file: &mut fs::File) -> io::Result<bool> {
    if file.metadata()?.len() == 0 {
        return Ok(true);
    }
    let mut last = [0];
    file.seek(io::SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
}

/// How the names of files begin that are not whole yet; a crash may leave one behind.
pub const ASIDE: &str = ".tmp";

/// Makes the names in a directory durable.
#[cfg(unix)]
pub fn sync_dir(dir: &Path) -> io::Result<()> {
    fs::File::open(dir)?.sync_all()
}

/// Windows keeps the order of directory changes itself and does not let a directory be opened as a file.
#[cfg(not(unix))]
pub fn sync_dir(_: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_atomic_write_leaves_the_content_and_nothing_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("record.json");
        write_atomic(&path, b"one").unwrap();
        write_atomic(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_failed_write_keeps_the_old_content() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("record.json");
        write_atomic(&path, b"one").unwrap();
        assert!(write_atomic(&dir.path().join("absent").join("record.json"), b"two").is_err());
        assert_eq!(fs::read(&path).unwrap(), b"one");
    }

    #[cfg(unix)]
    #[test]
    fn a_home_that_is_not_there_has_no_teams_and_one_that_cannot_be_read_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path());
        assert_eq!(home.teams().unwrap(), []);
        fs::create_dir_all(home.own_dir()).unwrap();
        fs::write(home.sessions_dir(), "no directory").unwrap();
        assert!(home.teams().is_err());
    }

    #[test]
    fn claudes_files_are_in_the_home_unless_only_claude_was_moved() {
        let team = TeamName::parse("my_Team").unwrap();
        let config = |atm: Option<&str>, claude: Option<&str>| {
            let home = Home::from(atm.map(Into::into), claude.map(Into::into), Some("/home/u".into())).unwrap();
            home.claude_team(&team).config()
        };
        assert_eq!(config(None, None), Path::new("/home/u/.claude/teams/my-team/config.json"));
        assert_eq!(config(None, Some("/c")), Path::new("/c/teams/my-team/config.json"));
        assert_eq!(config(Some("/a"), Some("/c")), Path::new("/a/.claude/teams/my-team/config.json"));
        let inbox = Home::at("/h").claude_team(&team).inbox(&MemberName::parse("a.b").unwrap());
        assert_eq!(inbox, Path::new("/h/.claude/teams/my_Team/inboxes/a-b.json"));
    }

    #[cfg(unix)]
    #[test]
    fn directories_and_files_are_for_the_user_only() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let private = dir.path().join("a").join("b");
        private_dir(&private).unwrap();
        let file = private.join("f");
        write_atomic(&file, b"x").unwrap();
        let mode = |p: &Path| fs::metadata(p).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&private), mode(private.parent().unwrap()), mode(&file)), (0o700, 0o700, 0o600));
    }
}
