//! The end of the soak: what still waits, what was given up, and what stands in the threads.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::time::Instant;

use atm_agent_mcp::demo::world::World;
use atm_agent_mcp::home::Home;
use atm_agent_mcp::ids::{MemberName, Team, TeamName};
use atm_agent_mcp::mail::{ClaudePost, MailError, Post};
use atm_agent_mcp::queue::{Queue, Standing};
use serde_json::Value;

use super::ledger::marks;
use super::lives::left_of;
use super::{AGENTS, Figures, Soak, name};
use crate::remains;
use crate::server::TEAM;
use crate::transcript;

impl Soak<'_> {
    /// Whether nothing waits any more, and nobody works.
    pub(super) fn is_drained(&self) -> bool {
        let is_quiet = self.calls.under_way() == usize::from(self.is_looking) && self.agenda.is_empty();
        let is_at_rest = self.agents.iter().all(|agent| agent.is_idle && agent.waiting == 0);
        is_quiet && is_at_rest && (0..AGENTS).all(|agent| self.left(agent) == (0, 0))
    }

    /// How many entries and how many mails wait for an agent.
    fn left(&self, agent: usize) -> (usize, usize) {
        let entries = remains::waiting(&self.agents[agent].queue).map_or(usize::MAX, |waiting| waiting.len());
        let mails = inbox(self.world, &name(agent), |post, member| post.count_unread(member));
        (entries, mails.unwrap_or(usize::MAX))
    }

    pub(super) fn tell_what_waits(&mut self) {
        self.figures.trouble.push(format!("not at rest: {} calls are under way", self.calls.under_way()));
        for agent in 0..AGENTS {
            let ((entries, mails), is_idle) = (self.left(agent), self.agents[agent].is_idle);
            if entries + mails > 0 || !is_idle {
                let shown = &self.agents[agent].shown;
                let waits = format!("{} still waits for {entries} entries and {mails} mails: {shown}", name(agent));
                self.figures.trouble.push(waits);
            }
        }
    }

    /// Ends the last server, reads every thread, and judges.
    pub(super) async fn close(mut self) -> io::Result<Figures> {
        while let Some(ended) = self.calls.next().await {
            self.note(ended);
        }
        self.figures.asks = self.decided.len();
        self.figures.lives.extend(self.pulse.take().and_then(|pulse| pulse.change()));
        let Soak { world, programs, agents, server, ledger, mut figures, .. } = self;
        let since = Instant::now();
        let status = server.leave().await?;
        figures.ended(since.elapsed(), status);
        figures.trouble.extend(left_of(world).await);
        let mut excused = HashSet::new();
        for (number, agent) in agents.iter().enumerate() {
            // It was told that it waits.
            excused.extend(waiting(world, &name(number), &agent.queue)?);
            for (mark, why) in buried(&agent.queue)? {
                excused.extend(mark);
                figures.buried.push(why);
            }
        }
        let given_up = given_up(world)?;
        figures.given_up = given_up.len();
        excused.extend(given_up);
        let threads: Vec<&str> = agents.iter().map(|agent| agent.thread.as_str()).collect();
        let threads = transcript::of(world, &programs, &threads).await?;
        let texts: Vec<Vec<String>> = threads.into_iter().map(|messages| messages.concat()).collect();
        figures.verdict = ledger.judge(&texts, &excused);
        Ok(figures)
    }
}

/// The marks of what still waits for an agent.
fn waiting(world: &World, agent: &str, queue: &Queue) -> io::Result<Vec<u64>> {
    let entries = queue.list()?.into_iter().filter_map(|listed| Some(listed.text?.text));
    let mails = inbox(world, agent, |post, member| post.unread(member, usize::MAX)).map_err(io::Error::other)?;
    let mails = mails.messages.into_iter().map(|message| message.text);
    Ok(entries.chain(mails).flat_map(|text| marks(&text).collect::<Vec<_>>()).collect())
}

/// The entries that were buried: the mark of each, and why.
fn buried(queue: &Queue) -> io::Result<Vec<(Option<u64>, String)>> {
    let told = queue.list_dead()?.into_iter().map(|listed| {
        let mark = listed.text.as_ref().and_then(|text| marks(&text.text).next());
        let why = match listed.state {
            Standing::Dead(Some(reason)) => reason.why,
            _ => "nobody knows why".to_owned(),
        };
        (mark, format!("{} ({mark:?}): {why}", listed.id))
    });
    Ok(told.collect())
}

/// The mails that were given up, as the journal tells.
fn given_up(world: &World) -> io::Result<HashSet<u64>> {
    let team = Team::parse(TEAM).map_err(io::Error::other)?;
    let journal = Home::at(world.home()).team(&team).audit();
    let kept = (1..=3).map(|number| journal.with_extension(format!("jsonl.{number}")));
    let mut found = HashSet::new();
    for path in kept.chain([journal.clone()]) {
        let lines = fs::read_to_string(path).unwrap_or_default();
        let lines = lines.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let given_up = lines.filter(|line| line["action"] == "give_up").map(|line| line.to_string());
        found.extend(given_up.flat_map(|line| marks(&line).collect::<Vec<_>>()));
    }
    Ok(found)
}

/// Looks into an agent's inbox.
fn inbox<T>(
    world: &World,
    agent: &str,
    look: impl FnOnce(&ClaudePost, &MemberName) -> Result<T, MailError>,
) -> Result<T, MailError> {
    let (team, member) = (TeamName::parse(TEAM)?, MemberName::parse(agent)?);
    look(&ClaudePost::open(&Home::at(world.home()), &team), &member)
}
