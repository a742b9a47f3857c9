//! What we cost beside Codex itself: time to the first answer, time added to a turn, memory.
//!
//! Each figure stands beside what it is compared with, from the same run: a turn through us beside the same turn by a
//! bare client on the same app-server. A figure says something only about the machine it was taken on, and only if
//! nothing else ran there; so this prints, and passes or fails nothing.

mod stage;

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};
use std::{fmt, fs};

use atm_agent_mcp::demo::model::spoken;
use atm_agent_mcp::demo::world::World;
use serde_json::json;

use stage::{Bare, CODEX, Error, Figures, Server, Size, codex, machine, ms, world};

const USAGE: &str = "\
Usage: cargo xtask bench overhead [--quick]

  --quick  a tenth of the runs: to see that it works, not to quote
";

/// The turns of one thread: Codex sends the model its whole history each time, so a long one slows both sides.
const TURNS_A_THREAD: usize = 50;

/// What is said in a turn.
const TEXT: &str = "SAY hi";

/// How often each thing is done.
struct Runs {
    starts: usize,
    pairs: usize,
    agents: usize,
}

fn main() -> ExitCode {
    stage::run(USAGE, measure)
}

fn measure(size: Size) -> Result<(), Error> {
    let (full, quick) = (Runs { starts: 300, pairs: 500, agents: 50 }, Runs { starts: 30, pairs: 50, agents: 50 });
    let runs = size.pick(full, quick);
    let bench = Bench { codex: codex()?, world: world(spoken)? };
    let (plain, repository) = (bench.world.project(), bench.repository()?);
    let mut out = io::stdout().lock();
    writeln!(out, "Codex {CODEX} with a scripted model; {}\n", machine())?;
    let places = [("outside a repository", &plain), ("in a git repository", &repository)];

    writeln!(out, "start of the process to the answer to initialize, {} runs (ms)\n{}", runs.starts, Figures::HEAD)?;
    for (place, dir) in places {
        let times = bench.starts(dir, runs.starts)?;
        writeln!(out, "  {place:<24}{times}")?;
    }
    writeln!(out, "  the predecessor: 3.2\n")?;

    writeln!(out, "a turn that says one word, {} pairs on one app-server (ms)\n{}", runs.pairs, Figures::HEAD)?;
    for ((place, dir), before) in places.into_iter().zip(["2.3", "5.8"]) {
        let pairs = bench.turns(dir, runs.pairs)?;
        let ours: Figures = pairs.iter().map(|(ours, _)| ms(*ours)).collect();
        let bare: Figures = pairs.iter().map(|(_, bare)| ms(*bare)).collect();
        let apart: Figures = pairs.iter().map(|(ours, bare)| ms(*ours) - ms(*bare)).collect();
        let added = |percent| ours.at(percent) - bare.at(percent);
        writeln!(out, "  {place}\n    {:<22}{ours}\n    {:<22}{bare}", "through us", "bare client")?;
        writeln!(out, "    {:<22}{:8.2}{:8.2}{:8.2}", "added", added(50), added(90), added(99))?;
        writeln!(out, "    {:<22}{:8.2}", "added, pair by pair", apart.at(50))?;
        writeln!(out, "    {:<22}{:8.2}{:8}{:8.2}    the predecessor: {before} in the median", "aim", 0.5, "", 2.0)?;
    }

    let memory = bench.memory(runs.agents)?;
    writeln!(out, "\nresident memory of our process (MB)\n  {:<24}{:>8}{:>14}{:>8}", "", "all", "its own", "aim")?;
    let aims = [("idle, initialized", "5"), ("after the first turn", ""), ("with 50 agents", "10")];
    for ((when, aim), memory) in aims.into_iter().zip(memory) {
        writeln!(out, "  {when:<24}{memory}{aim:>8}")?;
    }
    writeln!(out, "  the predecessor, idle: 5.4")?;
    Ok(())
}

struct Bench {
    codex: PathBuf,
    world: World,
}

impl Bench {
    /// A directory some way down in a repository that is as git leaves it after `git init`.
    fn repository(&self) -> Result<PathBuf, Error> {
        let root = self.world.home().join("repository");
        let dir = root.join("some").join("way").join("down");
        fs::create_dir_all(&dir)?;
        let made = Command::new("git").args(["init", "--quiet"]).current_dir(&root).status()?;
        if made.success() { Ok(dir) } else { Err("git could not make a repository".into()) }
    }

    fn serve(&self, dir: &Path) -> Result<Server, Error> {
        Server::start(&self.world, &self.codex, dir)
    }

    /// How long it takes to start and answer.
    fn starts(&self, dir: &Path, count: usize) -> Result<Figures, Error> {
        let once = || {
            let since = Instant::now();
            let _server = self.serve(dir)?;
            Ok(ms(since.elapsed()))
        };
        (0..5).try_for_each(|_| once().map(drop))?;
        (0..count).map(|_| once()).collect()
    }

    /// How long a turn takes through us, and how long by a bare client, in pairs made one right after the other.
    fn turns(&self, dir: &Path, count: usize) -> Result<Vec<(Duration, Duration)>, Error> {
        let mut server = self.serve(dir)?;
        let mut pairs = Vec::new();
        server.agent("first")?;
        let mut client = Bare::connect(&server.socket()?)?;
        for pair in 0..count {
            if pair % TURNS_A_THREAD == 0 {
                server.agent(&format!("agent-{pair}"))?;
                client.open_thread(dir)?;
                for _ in 0..3 {
                    server.reply(&format!("agent-{pair}"), TEXT)?;
                    client.turn(TEXT)?;
                }
            }
            let agent = format!("agent-{}", pair - pair % TURNS_A_THREAD);
            // The order turns round each time: neither always comes after the other.
            client.rest();
            pairs.push(if pair % 2 == 0 {
                let ours = server.reply(&agent, TEXT)?;
                client.rest();
                (ours, client.turn(TEXT)?)
            } else {
                let bare = client.turn(TEXT)?;
                client.rest();
                (server.reply(&agent, TEXT)?, bare)
            });
        }
        Ok(pairs)
    }

    /// Idle, after the first turn, with so many agents.
    fn memory(&self, agents: usize) -> Result<[Memory; 3], Error> {
        let mut server = self.serve(&self.world.project())?;
        server.exchange("tools/list", &json!({}))?;
        let idle = Memory::of(&server);
        server.agent("agent-0")?;
        let one = Memory::of(&server);
        (1..agents).try_for_each(|agent| server.agent(&format!("agent-{agent}")).map(drop))?;
        Ok([idle, one, Memory::of(&server)])
    }
}

/// Kilobytes: all that is resident, and what of it belongs to no file. Only Linux tells.
struct Memory {
    all: Option<u32>,
    own: Option<u32>,
}

impl Memory {
    fn of(server: &Server) -> Memory {
        let status = fs::read_to_string(format!("/proc/{}/status", server.child.id())).unwrap_or_default();
        let kilobytes = |field: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(field))?;
            line.trim_start_matches(':').trim().trim_end_matches(" kB").parse().ok()
        };
        Memory { all: kilobytes("VmRSS"), own: kilobytes("RssAnon") }
    }
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown =
            |kilobytes: Option<u32>| kilobytes.map_or("unknown".into(), |k| format!("{:.1}", f64::from(k) / 1000.0));
        write!(f, "{:>8}{:>14}", shown(self.all), shown(self.own))
    }
}
