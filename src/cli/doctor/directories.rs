//! The directories: whether they can be written to, and whether they are the user's alone.

use std::fs;
use std::path::{Path, PathBuf};

use super::finding::{Check, Finding};
use crate::cli::shell;
use crate::home::{ASIDE, Home};
use crate::ids::{Team, TeamName};

#[cfg(unix)]
use super::finding::Fix;

/// How deep our own directories go: `agent-sessions/TEAM/AGENT_ID/stdin_queue/dead`.
#[cfg(unix)]
const DEPTH: usize = 5;

/// Looks at ours, and at Claude's.
pub(super) fn look(home: &Home, team: &Team) -> Vec<Finding> {
    let own = home.own_dir();
    let mut found = vec![ours(&own)];
    found.extend(claudes(home, team));
    #[cfg(unix)]
    found.extend(modes(home));
    found
}

fn ours(own: &Path) -> Finding {
    let why = "agents, their queues and running servers are kept there";
    match written_to(own) {
        Ok(Where::There) => Check::Directories.ok(format!("{} can be written to", own.display())),
        Ok(Where::Above(above)) => {
            Check::Directories.ok(format!("{} is not there yet; it can be made in {}", own.display(), above.display()))
        }
        Err((path, why_not)) => Check::Directories
            .error(format!("{} cannot be written to: {why_not}", path.display()))
            .because(why)
            .mend(format!("ls -ld {}, and give it back to yourself, or set ATM_HOME", shell::path(&path))),
    }
}

fn claudes(home: &Home, team: &Team) -> Option<Finding> {
    let config = home.claude_team(&TeamName::from(team)).config();
    let teams = config.parent()?.parent()?;
    let (path, why_not) = match written_to(teams) {
        Ok(Where::There) => return Some(Check::Directories.ok(format!("{} can be written to", teams.display()))),
        Ok(Where::Above(_)) => return None,
        Err(why) => why,
    };
    let finding = Check::Directories.warning(format!("{} cannot be written to: {why_not}", path.display()));
    Some(finding.because("the team's mail is kept there").mend(format!("ls -ld {}", shell::path(&path))))
}

enum Where {
    /// It is there.
    There,
    /// It is not, but this is, and it can be made in it.
    Above(PathBuf),
}

/// Writes a file there, or where it would be made, and removes it; the error names the directory.
fn written_to(path: &Path) -> Result<Where, (PathBuf, std::io::Error)> {
    let there = path.ancestors().find(|above| fs::symlink_metadata(above).is_ok()).unwrap_or(path);
    let tried = tempfile::Builder::new().prefix(ASIDE).tempfile_in(there);
    tried.map_err(|error| (there.to_owned(), error))?;
    Ok(if there == path { Where::There } else { Where::Above(there.to_owned()) })
}

#[cfg(unix)]
fn modes(home: &Home) -> Vec<Finding> {
    use std::os::unix::fs::MetadataExt;
    let own = home.own_dir();
    let mut all = vec![own.clone()];
    below(&home.sessions_dir(), DEPTH, &mut all);
    below(&home.run_dir(), 1, &mut all);
    let (mut open, mut foreign) = (Vec::new(), Vec::new());
    let us = rustix::process::geteuid().as_raw();
    for (path, meta) in all.iter().filter_map(|path| Some((path, fs::symlink_metadata(path).ok()?))) {
        if !meta.is_dir() {
            continue;
        }
        match (meta.uid() == us, meta.mode() & 0o077 == 0) {
            (false, _) => foreign.push(path.clone()),
            (true, false) => open.push(path.clone()),
            (true, true) => {}
        }
    }
    let mut found = Vec::new();
    if let Some(first) = foreign.first() {
        let what = format!("{} belong to another user: {}", directories(foreign.len()), first.display());
        let finding = Check::Directories.error(what).because("servers of yours cannot keep anything there");
        found.push(finding.mend(format!("sudo chown -R \"$(id -un)\" {}", shell::path(&own))));
    }
    if let Some(first) = open.first() {
        let what = format!("{} can be entered by other users: {}", directories(open.len()), first.display());
        let finding = Check::Directories.warning(what);
        let finding = finding.because("what agents are told and answer stands in them, and their sockets do");
        found.push(finding.mend(format!("chmod -R go= {}", shell::path(&own))).fix(Fix::Private(open)));
    }
    found
}

#[cfg(unix)]
fn directories(count: usize) -> String {
    if count == 1 { "1 directory".to_owned() } else { format!("{count} directories") }
}

/// A directory and those in it, without following links.
#[cfg(unix)]
fn below(dir: &Path, depth: usize, found: &mut Vec<PathBuf>) {
    if !fs::symlink_metadata(dir).is_ok_and(|meta| meta.is_dir()) {
        return;
    }
    found.push(dir.to_owned());
    if depth > 0 {
        let mut inside: Vec<PathBuf> = fs::read_dir(dir).into_iter().flatten().flatten().map(|e| e.path()).collect();
        inside.sort();
        inside.iter().for_each(|dir| below(dir, depth - 1, found));
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::super::finding::{Level, Mending};
    use super::*;
    use crate::home::private_dir;
    use std::os::unix::fs::PermissionsExt;

    fn look_at(home: &Home) -> Vec<Finding> {
        look(home, &Team::parse("red").unwrap())
    }

    fn worst(found: &[Finding]) -> Level {
        found.iter().map(|finding| finding.level).max().unwrap()
    }

    #[test]
    fn a_home_in_which_nothing_is_yet_is_well() {
        let root = tempfile::tempdir().unwrap();
        let found = look_at(&Home::at(root.path()));
        assert_eq!(worst(&found), Level::Ok);
        assert!(found[0].what.contains("it can be made in"), "{found:?}");
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0, "and nothing is in it now");
    }

    #[test]
    fn a_directory_that_others_can_enter_is_named_and_those_behind_links_are_not_looked_at() {
        let root = tempfile::tempdir().unwrap();
        let home = Home::at(root.path());
        let queue = home.sessions_dir().join("red").join("an-agent").join("stdin_queue").join("dead");
        private_dir(&queue).unwrap();
        assert_eq!(worst(&look_at(&home)), Level::Ok);
        let elsewhere = root.path().join("elsewhere");
        fs::create_dir(&elsewhere).unwrap();
        fs::set_permissions(&elsewhere, PermissionsExt::from_mode(0o755)).unwrap();
        std::os::unix::fs::symlink(&elsewhere, home.sessions_dir().join("link")).unwrap();
        assert_eq!(worst(&look_at(&home)), Level::Ok);
        fs::set_permissions(&queue, PermissionsExt::from_mode(0o750)).unwrap();
        let finding = look_at(&home).pop().unwrap();
        assert_eq!(finding.mending, Mending::Possible(Fix::Private(vec![queue])));
    }

    #[test]
    fn a_file_in_the_place_of_a_directory_is_an_error() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join(".config"), "").unwrap();
        let found = look_at(&Home::at(root.path()));
        assert!(worst(&found) == Level::Error && found[0].what.contains(".config cannot be written to"), "{found:?}");
    }
}
