//! The third part: a team of agents that lives through everything at once. Every call is answered, every text arrives once,
//! servers do not grow, and nothing is left of them.

mod answers;
mod calls;
mod deeds;
mod figures;
mod judge;
mod ledger;
mod lives;
mod model;
mod pulse;
mod trace;

use std::collections::HashSet;
use std::io;
use std::time::{Duration, Instant};

use atm_agent_mcp::demo::world::World;
use atm_agent_mcp::home::Home;
use atm_agent_mcp::ids::{AgentId, Team};
use atm_agent_mcp::queue::{Limits, Queue};
use fastrand::Rng;
use rustix::process::Pid;
use serde_json::{Value, json};

use crate::codex_part::{beside, codex};
use crate::server::{Programs, Server, TEAM, keep_log};
use answers::number;
use calls::{Call, Calls, End, Ended, Purpose};
use deeds::Deed;
pub(crate) use figures::Figures;
use ledger::Ledger;
use lives::Fate;
use model::Calm;
use pulse::Pulse;
use trace::Trace;

/// How many agents live through it all.
const AGENTS: usize = 20;
/// How often the client looks around, and how often it asks how things stand.
const TICK: Duration = Duration::from_millis(20);
const LOOK: Duration = Duration::from_millis(500);
/// The longest time between two deeds of the client, and between two blows at Codex, in milliseconds.
const PAUSE: u64 = 80;
const PEACE: u64 = 4_000;
/// How long all that waits may take to arrive when everything is calm: what has failed often is left alone for 30 s, twice.
const DRAIN: Duration = Duration::from_secs(150);
/// What is not decided on is declined soon.
const SETTINGS: &str = "[plugins.atm-agent-mcp]\nmax_concurrent_threads = 60\napproval_timeout_secs = 5\n";

/// Plays it for so long.
pub(crate) async fn play(length: Duration, seed: u64) -> io::Result<Figures> {
    let mut rng = Rng::with_seed(seed);
    let calm = Calm::default();
    let world = World::new(model::script(rng.fork(), calm.clone())).await?;
    std::fs::write(world.project().join(".atm.toml"), SETTINGS)?;
    let mut soak = Soak::open(&world, rng).await?;
    soak.rage(length).await?;
    calm.begins();
    soak.drain().await?;
    let figures = soak.close().await?;
    if !figures.is_good() {
        keep_log(&world)?;
        Trace::keep(&world)?;
    }
    Ok(figures)
}

/// The name of an agent.
fn name(agent: usize) -> String {
    format!("s-{agent}")
}

/// One that lives through it all.
#[derive(Debug)]
struct Agent {
    thread: String,
    queue: Queue,
    /// How many of our calls wait for it; how many turns do, and whether it rests (or did, when Codex went), when it was last
    /// looked at.
    turns: u64,
    waiting: u64,
    is_idle: bool,
    /// All that was seen then.
    shown: String,
    /// How many of the calls end only if somebody interrupts them.
    silent: u64,
}

struct Soak<'a> {
    world: &'a World,
    programs: Programs,
    rng: Rng,
    agents: Vec<Agent>,
    server: Server,
    fate: Fate,
    /// From when everybody is there.
    pulse: Option<Pulse>,
    codex: Option<Pid>,
    calls: Calls,
    is_looking: bool,
    look_at: Instant,
    agenda: Vec<(Instant, Deed)>,
    decided: HashSet<String>,
    ledger: Ledger,
    figures: Figures,
    trace: Trace,
}

impl<'a> Soak<'a> {
    /// Starts the first server, and the agents.
    async fn open(world: &'a World, rng: Rng) -> io::Result<Soak<'a>> {
        let programs = Programs { server: beside("atm-agent-mcp")?, codex: codex()?, log: world.home().join("log") };
        let server = Server::start(world, &programs, &[], None).await?;
        let mut soak = Soak {
            world,
            programs,
            rng,
            agents: Vec::new(),
            server,
            fate: Fate::Lives,
            pulse: None,
            codex: None,
            calls: Calls::default(),
            is_looking: false,
            look_at: Instant::now(),
            agenda: Vec::new(),
            decided: HashSet::new(),
            ledger: Ledger::default(),
            figures: Figures::default(),
            trace: Trace::of(world)?,
        };
        for agent in 0..AGENTS {
            let policy = if agent % 3 == 0 { "untrusted" } else { "never" };
            let start =
                json!({"identity": name(agent), "prompt": "Begin", "background": true, "approval-policy": policy});
            soak.begin(Call { tool: "codex", arguments: start, purpose: Purpose::Plain, patience: None });
        }
        let mut agents: Vec<Option<Agent>> = (0..AGENTS).map(|_| None).collect();
        while let Some(Ended { call, end, .. }) = soak.calls.next().await {
            soak.figures.answered += 1;
            let started =
                |value: &Value| Some((value["agent_id"].as_str()?.to_owned(), value["threadId"].as_str()?.to_owned()));
            let (End::Answered(value), Some(number)) = (&end, number(&call.arguments["identity"])) else {
                return Err(io::Error::other(format!("no agent starts: {end:?}")));
            };
            let (id, thread) = started(value).ok_or_else(|| io::Error::other(format!("no agent starts: {value}")))?;
            agents[number] = Some(Agent {
                thread,
                queue: queue(world, &id)?,
                turns: 0,
                waiting: 0,
                is_idle: false,
                shown: String::new(),
                silent: 0,
            });
        }
        soak.agents = agents.into_iter().flatten().collect();
        // A thread counts once a turn of it has ended.
        soak.until(DRAIN, |soak| soak.agents.iter().all(|agent| agent.is_idle)).await?;
        Ok(soak)
    }

    /// Calls, blows and ends, for so long.
    async fn rage(&mut self, length: Duration) -> io::Result<()> {
        let end = Instant::now() + length;
        let (mut act_at, mut strike_at, mut end_at) = (Instant::now(), self.in_millis(PEACE), self.next_end(length));
        while Instant::now() < end {
            self.tick().await?;
            if Instant::now() >= act_at {
                self.act();
                act_at = self.in_millis(PAUSE);
            }
            if Instant::now() >= strike_at {
                self.strike();
                strike_at = self.in_millis(PEACE);
            }
            if Instant::now() >= end_at {
                self.end_server().await?;
                end_at = self.next_end(length);
            }
        }
        Ok(())
    }

    /// Waits until everything that waits has arrived.
    async fn drain(&mut self) -> io::Result<()> {
        let since = Instant::now();
        if !self.until(DRAIN, Self::is_drained).await? {
            self.tell_what_waits();
        }
        self.figures.drained = since.elapsed();
        Ok(())
    }

    /// Goes on until it is so; answers whether it is.
    async fn until(&mut self, most: Duration, is_so: impl Fn(&Self) -> bool) -> io::Result<bool> {
        let until = Instant::now() + most;
        while Instant::now() < until {
            self.tick().await?;
            if is_so(self) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// A moment in which others work.
    async fn tick(&mut self) -> io::Result<()> {
        tokio::time::sleep(TICK).await;
        self.world.model().forget();
        while let Some(ended) = self.calls.ended() {
            self.note(ended);
        }
        let now = Instant::now();
        while let Some(due) = self.agenda.iter().position(|(at, _)| *at <= now) {
            let (_, deed) = self.agenda.swap_remove(due);
            self.do_now(deed);
        }
        if let Some(status) = self.server.ended()? {
            self.figures.trouble.push(format!("a server ended by itself: {status}"));
            self.follow().await?;
        }
        if now >= self.look_at && !self.is_looking {
            (self.look_at, self.is_looking) = (now + LOOK, true);
            if let Some(pulse) = &mut self.pulse {
                pulse.feel(self.server.pid());
            }
            self.end_silence();
            self.begin(Call { tool: "agent_status", arguments: json!({}), purpose: Purpose::Look, patience: None });
        }
        Ok(())
    }

    fn begin(&mut self, call: Call) {
        self.figures.calls += 1;
        match call.purpose {
            Purpose::Turn(agent) => self.agents[agent].turns += 1,
            Purpose::Silent(agent) => {
                self.agents[agent].turns += 1;
                self.agents[agent].silent += 1;
            }
            Purpose::Plain | Purpose::Look | Purpose::Says(_) => {}
        }
        if call.purpose != Purpose::Look {
            self.trace.tell(format_args!("begun {} {}", call.tool, call.arguments));
        }
        self.calls.begin(self.server.peer(), call);
    }

    /// Nobody is silent for ever: now and then a silent turn is interrupted.
    fn end_silence(&mut self) {
        for agent in (0..AGENTS).filter(|agent| self.agents[*agent].silent > 0).collect::<Vec<_>>() {
            if self.rng.u8(..3) == 0 {
                let arguments = json!({"identity": name(agent)});
                self.begin(Call { tool: "agent_interrupt", arguments, purpose: Purpose::Plain, patience: None });
            }
        }
    }
}

fn queue(world: &World, agent: &str) -> io::Result<Queue> {
    let id = AgentId::parse(agent).map_err(io::Error::other)?;
    let team = Team::parse(TEAM).map_err(io::Error::other)?;
    Ok(Queue::at(Home::at(world.home()).team(&team).queue(&id), Limits::default()))
}
