//! The second part: a queue that reaches the thread of a real agent, through real servers and real Codex.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use atm_agent_mcp::demo::model::{Gate, Reply, Request};
use atm_agent_mcp::demo::world::World;
use atm_agent_mcp::home::Home;
use atm_agent_mcp::ids::{AgentId, Team};
use atm_agent_mcp::queue::{Limits, Queue};
use fastrand::Rng;
use serde_json::json;

use crate::armoury::{Armoury, is_of_queue};
use crate::crew::{Crew, Place, Role};
use crate::figures::Figures;
use crate::history::{History, judge};
use crate::producer::Kind;
use crate::remains;
use crate::server::{AGENT, Programs, Server, TEAM, keep_log};
use crate::sink_part::{LAST_DRAIN, stuck};
use crate::transcript;

const PRODUCERS: [Kind; 4] = [Kind::Ours, Kind::Ours, Kind::Renamed, Kind::InPlace];
/// The longest pause of a producer, in milliseconds.
const PAUSE: u64 = 400;
/// How often the parent looks around.
const TICK: Duration = Duration::from_millis(20);
/// The longest time between two kills, and between two calls of the client's own, in milliseconds.
const CALM: u64 = 1200;
/// The longest time for which the model holds an answer, in milliseconds.
const HELD: u64 = 600;
/// How the client's own texts begin.
const CLIENT: &str = "The client says ";

/// Plays it for so long.
pub(crate) async fn play(length: Duration, seed: u64) -> io::Result<Figures> {
    let mut rng = Rng::with_seed(seed);
    let world = World::new(model(rng.fork())).await?;
    let mut part = Part::open(&world, rng).await?;
    for (number, kind) in (1..).zip(PRODUCERS) {
        part.crew.hire(Role::Producer(number, kind))?;
    }
    part.rage(length).await?;
    part.crew.calm();
    part.armoury.close();
    part.crew.dismiss(|_| true)?;
    part.drain().await?;
    let figures = part.close().await?;
    if !figures.is_good() {
        keep_log(&world)?;
    }
    Ok(figures)
}

/// Answers at once, or after a moment in which more may arrive.
fn model(rng: Rng) -> impl Fn(&Request) -> Reply + Send + Sync + 'static {
    let rng = Mutex::new(rng);
    move |_| {
        let mut rng = rng.lock().unwrap_or_else(PoisonError::into_inner);
        if rng.bool() {
            return Reply::say("ok");
        }
        let (gate, held) = (Gate::new(), Duration::from_millis(rng.u64(..HELD)));
        let opened = gate.clone();
        tokio::spawn(async move {
            tokio::time::sleep(held).await;
            opened.open();
        });
        Reply::say("ok, after a moment").after(&gate)
    }
}

struct Part<'a> {
    world: &'a World,
    programs: Programs,
    rng: Rng,
    crew: Crew,
    armoury: Armoury,
    queue: Queue,
    thread: String,
    server: Server,
    /// The server that died last and left entries under its claim, and when it was killed if that is known.
    in_doubt: Option<(u32, Option<Instant>)>,
    taken_over: usize,
    times: Vec<Duration>,
    said: u32,
}

impl<'a> Part<'a> {
    /// Starts the first server, and the agent.
    async fn open(world: &'a World, mut rng: Rng) -> io::Result<Part<'a>> {
        let programs = Programs { server: beside("atm-agent-mcp")?, codex: codex()?, log: world.home().join("log") };
        let server = Server::start(world, &programs, &[], None).await?;
        let first = json!({"identity": AGENT, "prompt": format!("{CLIENT}hello")});
        let agent = server.ask("codex", first).await.ok_or_else(|| io::Error::other("no agent starts"))?;
        let of = |field: &str| agent[field].as_str().unwrap_or_default().to_owned();
        let id = AgentId::parse(&of("agent_id")).map_err(io::Error::other)?;
        let team = Team::parse(TEAM).map_err(io::Error::other)?;
        let queue = Queue::at(Home::at(world.home()).team(&team).queue(&id), Limits::default());
        let aside = world.home().join("aside");
        let place = Place { queue: queue.dir().to_owned(), sink: aside.clone(), aside, pause: PAUSE };
        Ok(Part {
            world,
            programs,
            crew: Crew::new(place, rng.fork()),
            armoury: Armoury::new(&mut rng),
            rng,
            queue,
            thread: of("threadId"),
            server,
            in_doubt: None,
            taken_over: 0,
            times: Vec::new(),
            said: 0,
        })
    }

    /// Kills and calls, for so long.
    async fn rage(&mut self, length: Duration) -> io::Result<()> {
        let end = Instant::now() + length;
        let (mut kill_at, mut call_at) = (Instant::now(), Instant::now());
        while Instant::now() < end {
            self.tick().await?;
            if Instant::now() >= kill_at {
                self.kill().await?;
                kill_at = Instant::now() + Duration::from_millis(self.rng.u64(..CALM));
            }
            if Instant::now() >= call_at {
                self.call();
                call_at = Instant::now() + Duration::from_millis(self.rng.u64(..3 * CALM));
            }
        }
        Ok(())
    }

    /// Waits until everything that waits has arrived.
    async fn drain(&mut self) -> io::Result<()> {
        let until = Instant::now() + LAST_DRAIN;
        while !(remains::waiting(&self.queue)?.is_empty() && self.server.is_idle().await) {
            if Instant::now() > until {
                self.crew.trouble.extend(stuck(&self.queue)?);
                self.crew.trouble.push(format!("not done after {} s more", LAST_DRAIN.as_secs()));
                break;
            }
            self.tick().await?;
        }
        Ok(())
    }

    /// A moment in which others work; whoever has fallen is replaced.
    async fn tick(&mut self) -> io::Result<()> {
        tokio::time::sleep(TICK).await;
        self.crew.hear(Instant::now())?;
        self.world.model().forget();
        if let Some((pid, killed)) = self.in_doubt
            && !remains::is_claimed_by(&self.queue, pid)?
        {
            self.taken_over += 1;
            self.times.extend(killed.map(|killed| killed.elapsed()));
            self.in_doubt = None;
        }
        let Some(status) = self.server.ended()? else { return Ok(()) };
        match (status.code(), self.server.armed()) {
            (None, Some(step)) => self.crew.kills.fell_at(step),
            _ => self.crew.trouble.push(format!("a server ended by itself: {status}")),
        }
        self.follow(None).await
    }

    async fn kill(&mut self) -> io::Result<()> {
        match self.rng.u8(..4) {
            0 if self.server.is_a_target() => {
                self.crew.kills.random += 1;
                let killed = Instant::now();
                self.server.kill().await?;
                self.follow(Some(killed)).await
            }
            1 => {
                if let Some(pid) = self.server.codex().await.and_then(rustix::process::Pid::from_raw) {
                    self.crew.kills.random += 1;
                    self.crew.kills.codexes += 1;
                    // It may have gone a moment ago.
                    rustix::process::kill_process(pid, rustix::process::Signal::KILL).ok();
                }
                Ok(())
            }
            _ => self.crew.shoot(),
        }
    }

    /// Another server takes the place of the one that is dead.
    async fn follow(&mut self, killed: Option<Instant>) -> io::Result<()> {
        let dead = self.server.pid();
        if self.in_doubt.is_none() && remains::is_claimed_by(&self.queue, dead)? {
            self.in_doubt = Some((dead, killed));
        }
        loop {
            let armed = self.armoury.for_server(&mut self.rng);
            match (Server::start(self.world, &self.programs, &["--resume", AGENT], armed).await, armed) {
                (Ok(server), _) => {
                    self.server = server;
                    return Ok(());
                }
                // It fell before its client had a session with it.
                (Err(_), Some((step, _))) => self.crew.kills.fell_at(step),
                (Err(error), None) => return Err(error),
            }
        }
    }

    /// A call of the client's own, or an interrupt.
    fn call(&mut self) {
        if self.rng.bool() {
            return self.server.begin("agent_interrupt", json!({"identity": AGENT}));
        }
        self.said += 1;
        let prompt = format!("{CLIENT}{}", self.said);
        self.server.begin("codex-reply", json!({"identity": AGENT, "prompt": prompt}));
    }

    /// Ends the last server, reads the transcript, and judges.
    async fn close(mut self) -> io::Result<Figures> {
        let left = self.server.leave().await?;
        if !left.success() {
            self.crew.trouble.push(format!("the last server ended so: {left}"));
        }
        let mut trouble = std::mem::take(&mut self.crew.trouble);
        let remains = remains::inspect(&self.queue)?;
        trouble.extend(remains.strange);
        let accounts = std::mem::take(&mut self.crew.accounts);
        let mut history = History {
            accounts,
            waiting: remains.waiting,
            buried: remains.buried,
            fragments: remains.fragments,
            ..History::default()
        };
        let threads = transcript::of(self.world, &self.programs, &[&self.thread]).await?;
        for message in threads.concat() {
            texts(&message).for_each(|text| history.arrives(text));
        }
        let verdict = judge(&history);
        let kills = std::mem::take(&mut self.crew.kills);
        let (taken_over, times) = (self.taken_over, self.times);
        Ok(Figures { part: "codex", comes_to, history, verdict, kills, taken_over, times, trouble })
    }
}

/// A server buries too seldom to be killed at it.
fn comes_to(step: &str) -> bool {
    is_of_queue(step) && !step.starts_with("bury.")
}

/// The texts of the entries in a message: parts of their own, behind the lines that say where they come from.
fn texts(message: &[String]) -> impl Iterator<Item = &String> {
    message.iter().filter(|part| !part.starts_with(CLIENT) && !part.trim_start().starts_with("[queue entry "))
}

/// Our program, which was built with this one.
pub(crate) fn beside(name: &str) -> io::Result<PathBuf> {
    let path = std::env::current_exe()?.with_file_name(name);
    if path.exists() { Ok(path) } else { Err(io::Error::other(format!("there is no {}", path.display()))) }
}

/// The newest pinned Codex.
pub(crate) fn codex() -> io::Result<PathBuf> {
    let default = || Path::new(env!("CARGO_MANIFEST_DIR")).join("target").join("codex");
    let all = std::env::var_os("ATM_TEST_CODEX_DIR").map_or_else(default, PathBuf::from);
    let codex = all.join("0.169.0").join("node_modules").join(".bin").join("codex");
    let missing = || io::Error::other(format!("there is no {}: run `cargo xtask codex`", codex.display()));
    if codex.exists() { Ok(codex) } else { Err(missing()) }
}
