//! What we cost beside Codex itself: time to the first answer, time added to a turn, memory.
//!
//! Each figure stands beside what it is compared with, from the same run: a turn through us beside the same turn by a
//! bare client on the same app-server. A figure says something only about the machine it was taken on, and only if
//! nothing else ran there; so this prints, and passes or fails nothing.

use std::fmt;
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitCode, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use atm_agent_mcp::demo::model::spoken;
use atm_agent_mcp::demo::world::World;
use atm_agent_mcp::rpc::{Connection, Incoming, Peer};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::UnixStream;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

/// The Codex that the figures are for.
const CODEX: &str = "0.169.0";

const USAGE: &str = "\
Usage: cargo xtask bench [--quick]

  --quick  a tenth of the runs: to see that it works, not to quote
";

/// What passes between two turns, so that what the one leaves behind (a record to be synced, Codex's own log) is not
/// paid by the other.
const PAUSE: Duration = Duration::from_millis(10);

/// The turns of one thread: Codex sends the model its whole history each time, so a long one slows both sides.
const TURNS_A_THREAD: usize = 50;

/// A sentence for a person: what failed and what to do.
type Error = Box<dyn std::error::Error>;

/// How often each thing is done.
struct Runs {
    starts: usize,
    pairs: usize,
    agents: usize,
}

fn main() -> ExitCode {
    let mut runs = Runs { starts: 300, pairs: 500, agents: 50 };
    // Cargo itself says `--bench`.
    for arg in env::args().skip(1).filter(|arg| arg != "--bench") {
        match arg.as_str() {
            "--quick" => runs = Runs { starts: 30, pairs: 50, agents: 50 },
            "--help" | "-h" => {
                eprint!("{USAGE}");
                return ExitCode::SUCCESS;
            }
            _ => {
                eprint!("error: there is no argument {arg}\n\n{USAGE}");
                return ExitCode::from(2);
            }
        }
    }
    match measure(&runs) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measure(runs: &Runs) -> Result<(), Error> {
    let bench = Bench { codex: codex()?, world: world()? };
    let (plain, repository) = (bench.world.project(), bench.repository()?);
    let mut out = io::stdout().lock();
    writeln!(out, "Codex {CODEX} with a scripted model; {} CPUs{}\n", thread::available_parallelism()?, load())?;
    let places = [("outside a repository", &plain), ("in a git repository", &repository)];

    writeln!(out, "start of the process to the answer to initialize, {} runs (ms)\n{HEAD}", runs.starts)?;
    for (place, dir) in places {
        let times = bench.starts(dir, runs.starts)?;
        writeln!(out, "  {place:<24}{times}")?;
    }
    writeln!(out, "  the predecessor: 3.2\n")?;

    writeln!(out, "a turn that says one word, {} pairs on one app-server (ms)\n{HEAD}", runs.pairs)?;
    for ((place, dir), before) in places.into_iter().zip(["2.3", "5.8"]) {
        let pairs = bench.turns(dir, runs.pairs)?;
        let ours: Times = pairs.iter().map(|(ours, _)| ms(*ours)).collect();
        let bare: Times = pairs.iter().map(|(_, bare)| ms(*bare)).collect();
        let apart: Times = pairs.iter().map(|(ours, bare)| ms(*ours) - ms(*bare)).collect();
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

fn codex() -> Result<PathBuf, Error> {
    let dir = env::var_os("ATM_TEST_CODEX_DIR");
    let dir = dir.map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("target").join("codex"), PathBuf::from);
    let codex = dir.join(CODEX).join("node_modules").join(".bin").join("codex");
    match codex.exists() {
        true => Ok(codex),
        false => Err(format!("there is no Codex at {}; install it with: cargo xtask codex", codex.display()).into()),
    }
}

/// A world whose model runs on a thread of its own, so that it and the clients that are timed do not wait for each other.
fn world() -> Result<World, Error> {
    let (made, world) = mpsc::channel();
    thread::spawn(move || {
        let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
        runtime.block_on(async {
            made.send(World::new(spoken).await).ok();
            std::future::pending().await
        })
    });
    Ok(world.recv()??)
}

/// The machine's load, which belongs to every figure.
fn load() -> String {
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    load.split_whitespace().next().map(|load| format!(", load {load}")).unwrap_or_default()
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
        let mut command = self.world.command(Path::new(env!("CARGO_BIN_EXE_atm-agent-mcp")), &self.codex).into_std();
        command.args(["serve", "--team", "bench"]).env("ATM_AGENT_MCP_MAX_CONCURRENT_THREADS", "1000");
        let mut child = command.current_dir(dir).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        let pipes = stdin.zip(stdout).ok_or("the server has no pipes")?;
        Ok(Server { child, stdin: Some(pipes.0), stdout: BufReader::new(pipes.1) })
    }

    /// How long it takes to start and answer.
    fn starts(&self, dir: &Path, count: usize) -> Result<Times, Error> {
        let once = || {
            let since = Instant::now();
            let mut server = self.serve(dir)?;
            server.initialize()?;
            Ok(ms(since.elapsed()))
        };
        (0..5).try_for_each(|_| once().map(drop))?;
        (0..count).map(|_| once()).collect()
    }

    /// How long a turn takes through us, and how long by a bare client, in pairs made one right after the other.
    fn turns(&self, dir: &Path, count: usize) -> Result<Vec<(Duration, Duration)>, Error> {
        let mut server = self.serve(dir)?;
        server.initialize()?;
        let mut pairs = Vec::new();
        server.agent("first")?;
        let mut client = Bare::connect(&server.socket()?)?;
        for pair in 0..count {
            if pair % TURNS_A_THREAD == 0 {
                server.agent(&format!("agent-{pair}"))?;
                client.open_thread(dir)?;
                for _ in 0..3 {
                    server.reply(&format!("agent-{pair}"))?;
                    client.turn()?;
                }
            }
            let agent = format!("agent-{}", pair - pair % TURNS_A_THREAD);
            // The order turns round each time: neither always comes after the other.
            client.rest();
            pairs.push(if pair % 2 == 0 {
                let ours = server.reply(&agent)?;
                client.rest();
                (ours, client.turn()?)
            } else {
                let bare = client.turn()?;
                client.rest();
                (server.reply(&agent)?, bare)
            });
        }
        Ok(pairs)
    }

    /// Idle, after the first turn, with so many agents.
    fn memory(&self, agents: usize) -> Result<[Memory; 3], Error> {
        let mut server = self.serve(&self.world.project())?;
        server.initialize()?;
        server.exchange("tools/list", &json!({}))?;
        let idle = server.memory();
        server.agent("agent-0")?;
        let one = server.memory();
        (1..agents).try_for_each(|agent| server.agent(&format!("agent-{agent}")))?;
        Ok([idle, one, server.memory()])
    }
}

/// Our program, spoken to in lines: what a client's own machinery costs is not ours.
struct Server {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
}

impl Server {
    fn initialize(&mut self) -> Result<(), Error> {
        let client = json!({ "name": "bench", "version": "0" });
        let hello = json!({ "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": client });
        self.exchange("initialize", &hello)?;
        self.say(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }))
    }

    fn say(&mut self, message: &Value) -> Result<(), Error> {
        let stdin = self.stdin.as_mut().ok_or("the server's stdin is closed")?;
        Ok(stdin.write_all(format!("{message}\n").as_bytes())?)
    }

    /// A request, its answer, and the time between them.
    fn exchange(&mut self, method: &str, params: &Value) -> Result<(Value, Duration), Error> {
        let request = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let mut line = String::new();
        let since = Instant::now();
        self.say(&request)?;
        self.stdout.read_line(&mut line)?;
        let took = since.elapsed();
        let mut answer: Value = serde_json::from_str(&line).map_err(|e| format!("{method}: {e} in {line:?}"))?;
        match answer["result"].take() {
            result if result.is_null() || result["isError"] == true => Err(format!("{method}: {line}").into()),
            result => Ok((result, took)),
        }
    }

    fn call(&mut self, tool: &str, arguments: &Value) -> Result<(Value, Duration), Error> {
        self.exchange("tools/call", &json!({ "name": tool, "arguments": arguments }))
    }

    fn agent(&mut self, name: &str) -> Result<(), Error> {
        self.call("codex", &json!({ "identity": name, "prompt": "SAY hi" })).map(drop)
    }

    fn reply(&mut self, name: &str) -> Result<Duration, Error> {
        self.call("codex-reply", &json!({ "identity": name, "prompt": "SAY hi" })).map(|(_, took)| took)
    }

    fn socket(&mut self) -> Result<PathBuf, Error> {
        let (status, _) = self.call("agent_status", &json!({}))?;
        let socket = status["structuredContent"]["codex"]["socket"].as_str();
        Ok(socket.ok_or("the app-server has no socket that a bare client could use")?.into())
    }

    fn memory(&self) -> Memory {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        let kilobytes = |field: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(field))?;
            line.trim_start_matches(':').trim().trim_end_matches(" kB").parse().ok()
        };
        Memory { all: kilobytes("VmRSS"), own: kilobytes("RssAnon") }
    }
}

/// Leaves as a client does.
impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stdin.take());
        self.child.wait().ok();
    }
}

/// A client of the app-server that does nothing but what a turn needs.
struct Bare {
    runtime: Runtime,
    peer: Peer,
    incoming: tokio::sync::mpsc::Receiver<Incoming>,
    thread: String,
    _tasks: JoinSet<()>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct About<'a> {
    thread_id: &'a str,
}

impl Bare {
    fn connect(socket: &Path) -> Result<Bare, Error> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let mut tasks = JoinSet::new();
        let (peer, incoming) = runtime.block_on(async {
            let connection = Connection::over_socket(UnixStream::connect(socket).await?).await?;
            Ok::<_, Error>(Peer::start(connection, &mut tasks))
        })?;
        let bare = Bare { runtime, peer, incoming, thread: String::new(), _tasks: tasks };
        let client = json!({ "name": "bench", "title": "bench", "version": "0" });
        // The deltas are asked not to be sent, as we do: otherwise the child has more to do for this client than for us.
        let capabilities = json!({ "experimentalApi": true, "optOutNotificationMethods": ["item/agentMessage/delta"] });
        bare.call("initialize", &json!({ "clientInfo": client, "capabilities": capabilities }))?;
        bare.peer.notify("initialized");
        Ok(bare)
    }

    fn call(&self, method: &str, params: &Value) -> Result<Value, Error> {
        let call = self.peer.call(method, params, Duration::from_secs(60));
        Ok(serde_json::from_str(self.runtime.block_on(call.end())?.get())?)
    }

    fn open_thread(&mut self, dir: &Path) -> Result<(), Error> {
        let opened = self.call("thread/start", &json!({ "cwd": dir }))?;
        self.thread = opened["thread"]["id"].as_str().ok_or("a thread without an id")?.to_owned();
        Ok(())
    }

    fn turn(&mut self) -> Result<Duration, Error> {
        let Bare { runtime, peer, incoming, thread, .. } = self;
        let input = json!([{ "type": "text", "text": "SAY hi", "text_elements": [] }]);
        let params = json!({ "threadId": thread, "input": input });
        let since = Instant::now();
        runtime.block_on(async {
            peer.call("turn/start", &params, Duration::from_secs(60)).end().await?;
            while let Some(said) = incoming.recv().await {
                if let Incoming::Notification { method, params } = said
                    && method == "turn/completed"
                    && serde_json::from_str::<About<'_>>(params.get())?.thread_id == *thread
                {
                    return Ok(since.elapsed());
                }
            }
            Err("the app-server has closed the connection".into())
        })
    }

    /// Lets [`PAUSE`] pass, and takes what still comes in it.
    fn rest(&mut self) {
        let incoming = &mut self.incoming;
        let drain = async { while incoming.recv().await.is_some() {} };
        self.runtime.block_on(async { tokio::time::timeout(PAUSE, drain).await.ok() });
    }
}

const HEAD: &str = "                            median     p90     p99     min     max";

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// Times in milliseconds, the shortest first.
struct Times(Vec<f64>);

impl FromIterator<f64> for Times {
    fn from_iter<I: IntoIterator<Item = f64>>(times: I) -> Times {
        let mut times: Vec<f64> = times.into_iter().collect();
        times.sort_by(f64::total_cmp);
        Times(times)
    }
}

impl Times {
    fn at(&self, percent: usize) -> f64 {
        self.0[(self.0.len() - 1) * percent / 100]
    }
}

impl fmt::Display for Times {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns = [50, 90, 99, 0, 100];
        columns.iter().try_for_each(|percent| write!(f, "{:8.2}", self.at(*percent)))
    }
}

/// Kilobytes: all that is resident, and what of it belongs to no file. Only Linux tells.
struct Memory {
    all: Option<u32>,
    own: Option<u32>,
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown =
            |kilobytes: Option<u32>| kilobytes.map_or("unknown".into(), |k| format!("{:.1}", f64::from(k) / 1000.0));
        write!(f, "{:>8}{:>14}", shown(self.all), shown(self.own))
    }
}
