//! What dead servers left: run directories and children, members of teams, claims, texts that nobody got, broken records.

use std::path::PathBuf;

use super::finding::{Check, Finding, Fix};
use crate::cli::shell;
use crate::codex::run_dir::{self, Left};
use crate::home::{Home, TeamDir};
use crate::ids::{AgentId, Team, TeamName};
use crate::mail::{ClaudePost, Member, Ours, Post};
use crate::queue::{Limits, Queue, Standing};
use crate::session::Record;
use crate::session::identity::Lock;

/// Looks at all teams of this home; nothing is touched.
pub(super) fn look(home: &Home) -> Vec<Finding> {
    let (left, living) = run_dir::look(home);
    let mut found = vec![runs(&left, living)];
    for team in home.teams().unwrap_or_default() {
        let dir = home.team(&team);
        found.extend(members(home, &team));
        found.extend(broken_records(&dir));
        for record in Record::all(&dir).unwrap_or_default() {
            found.extend(waits(&Queue::at(dir.queue(&record.agent_id), Limits::default()), &record));
        }
    }
    found
}

fn runs(left: &[Left], living: usize) -> Finding {
    let running = match living {
        0 => "no server runs a Codex now".to_owned(),
        1 => "1 server runs a Codex now".to_owned(),
        _ => format!("{living} servers run a Codex now"),
    };
    if left.is_empty() {
        return Check::Leftovers.ok(running);
    }
    let children: Vec<String> = left.iter().filter_map(|left| left.child).map(|pid| pid.to_string()).collect();
    let servers = if left.len() == 1 { "1 server has".to_owned() } else { format!("{} servers have", left.len()) };
    let codex = match children.as_slice() {
        [] => "no Codex of theirs runs any more".to_owned(),
        pids => format!("Codex still runs (process {})", pids.join(", ")),
    };
    let paths: Vec<String> = left.iter().map(|left| left.path.display().to_string()).collect();
    Check::Leftovers
        .warning(format!("{servers} been killed and left {}; {codex}; {running}", paths.join(", ")))
        .because("such a Codex holds memory, and threads that nobody else can open then")
        .mend("atm-agent-mcp doctor --fix; the next server does it as well")
        .fix(Fix::Runs)
}

/// Whether it is one of this team's agents that nobody runs.
fn is_dead(ours: &Ours, team: &Team, dir: &TeamDir) -> bool {
    ours.team == *team && !Lock::is_held(&dir.agent_lock(&ours.agent_id))
}

fn members(home: &Home, team: &Team) -> Option<Finding> {
    let (name, dir) = (TeamName::from(team), home.team(team));
    let members = match ClaudePost::open(home, &name).roster() {
        Ok(members) => members,
        Err(error) => {
            let finding = Check::Leftovers.warning(format!("the roster of the team {team} cannot be read: {error}"));
            let why = "its agents cannot join it, and their mail stays where it is";
            return Some(finding.because(why).mend(format!("cat {}", shell::path(&home.claude_team(&name).config()))));
        }
    };
    let dead: Vec<&Member> =
        members.iter().filter(|member| member.ours.as_ref().is_some_and(|ours| is_dead(ours, team, &dir))).collect();
    if dead.is_empty() {
        return None;
    }
    let names: Vec<&str> = dead.iter().map(|member| member.name.as_str()).collect();
    let what = format!("the team {team} has members that no server runs: {}", names.join(", "));
    // One that is away is put back, as not active, by whoever writes to it.
    let finding = match dead.iter().any(|member| member.active == Some(true)) {
        true => Check::Leftovers.warning(what).because("they are shown as if they were at work"),
        false => Check::Leftovers.note(what).because("mail to them waits until they are continued"),
    };
    let mend = "atm-agent-mcp doctor --fix; the next server of the team does it as well";
    Some(finding.mend(mend).fix(Fix::Members(team.clone())))
}

/// Takes out those whom nobody runs, as the next server of that team would.
pub(super) fn take_out(home: &Home, team: &Team) -> Result<(), String> {
    let dir = home.team(team);
    let stays = |_: &str, ours: &Ours| !is_dead(ours, team, &dir);
    ClaudePost::open(home, &TeamName::from(team)).remove_ours(&stays).map(drop).map_err(|error| error.to_string())
}

fn broken_records(dir: &TeamDir) -> Vec<Finding> {
    let entries = std::fs::read_dir(dir.agents_dir()).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut records: Vec<PathBuf> = entries.filter(|path| path.extension().is_some_and(|e| e == "json")).collect();
    records.sort();
    let broken = records.into_iter().filter_map(|path| {
        let why = match AgentId::parse(path.file_stem()?.to_str()?) {
            Ok(agent) => Record::load(dir, &agent).err()?,
            Err(error) => error.to_string(),
        };
        let finding = Check::Leftovers.warning(format!("the record {} cannot be read: {why}", path.display()));
        let finding = finding.because("its agent is not listed, and cannot be continued");
        Some(finding.mend(format!("mv {0} {0}.broken", shell::path(&path))))
    });
    broken.collect()
}

fn waits(queue: &Queue, record: &Record) -> Vec<Finding> {
    let Record { identity, agent_id, team, .. } = record;
    let at = format!("{agent_id} --team {team}");
    let listed = match queue.list() {
        Ok(listed) => listed,
        Err(error) => {
            let what = format!("the queue of {identity}@{team} cannot be read: {error}");
            let finding = Check::Leftovers.warning(what).because("what stands in it does not arrive");
            return vec![finding.mend(format!("ls -l {}", shell::path(queue.dir())))];
        }
    };
    let mut found = Vec::new();
    let counted = |is_it: fn(&Standing) -> bool| listed.iter().filter(|entry| is_it(&entry.state)).count();
    match counted(|state| matches!(state, Standing::InDoubt(_))) {
        0 => {}
        doubts => found.push(
            Check::Leftovers
                .note(format!("{identity}@{team}: {} claimed by a server that is dead", texts(doubts)))
                .because(
                    "whether it has arrived is looked up when the agent is continued; nothing is lost or sent twice",
                )
                .mend(format!("atm-agent-mcp queue list {at}")),
        ),
    }
    match counted(|state| matches!(state, Standing::Foreign)) {
        0 => {}
        foreign => found.push(
            Check::Leftovers
                .note(format!("{identity}@{team}: {} locked by a program of which nothing is known", texts(foreign)))
                .because("it is waited for until queue_ttl_secs are over")
                .mend(format!("atm-agent-mcp queue list {at}")),
        ),
    }
    match queue.depth().map_or(0, |depth| depth.dead) {
        0 => {}
        dead => found.push(
            Check::Leftovers
                .warning(format!("{identity}@{team}: {} could not be delivered", texts(dead)))
                .because("nobody has read it")
                .mend(format!("atm-agent-mcp queue list {at} --dead; then queue retry or queue drop")),
        ),
    }
    found
}

fn texts(count: usize) -> String {
    if count == 1 { "1 text".to_owned() } else { format!("{count} texts") }
}

#[cfg(test)]
mod tests {
    use super::super::finding::{Level, Mending};
    use super::*;
    use crate::ids::{AgentName, DeliveryId};
    use crate::queue::Text;
    use crate::session::ThreadOptions;

    #[test]
    fn claims_of_the_dead_are_known_from_locks_of_strangers_and_nothing_is_touched() {
        let root = tempfile::tempdir().unwrap();
        let (name, team) = (AgentName::parse("ana").unwrap(), Team::parse("red").unwrap());
        let record = Record::new(name, true, team, None, ThreadOptions::default());
        let queue = Queue::at(root.path().join("queue"), Limits::default());
        assert_eq!(waits(&queue, &record), []);
        for text in ["in doubt", "locked by a stranger", "waits"] {
            queue.enqueue(&Text { text: text.into(), ..Text::default() }).unwrap();
        }
        let mut claim = queue.claimer().claim(1, &DeliveryId::next()).unwrap().pop().unwrap();
        claim.sent();
        drop(claim);
        let stranger = &queue.list().unwrap()[1].id;
        std::fs::write(queue.dir().join(format!("{stranger}.lock")), "").unwrap();
        let before = queue.list().unwrap();
        let found = waits(&queue, &record);
        let told: Vec<(Level, &str)> = found.iter().map(|finding| (finding.level, finding.what.as_str())).collect();
        let expected = [
            (Level::Note, "ana@red: 1 text claimed by a server that is dead"),
            (Level::Note, "ana@red: 1 text locked by a program of which nothing is known"),
        ];
        assert_eq!(told, expected);
        assert_eq!(queue.list().unwrap(), before);
    }

    #[test]
    fn a_dead_server_is_told_with_its_codex_if_that_lives() {
        let left = |child| Left { path: "/run/dead".into(), child };
        assert_eq!(runs(&[], 2).what, "2 servers run a Codex now");
        let finding = runs(&[left(Some(7)), left(None)], 0);
        assert_eq!((finding.level, finding.mending), (Level::Warning, Mending::Possible(Fix::Runs)));
        assert!(finding.what.contains("2 servers have") && finding.what.contains("Codex still runs (process 7)"));
        assert!(runs(&[left(None)], 1).what.contains("no Codex of theirs runs any more"));
    }
}
