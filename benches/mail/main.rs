//! What mail costs: sending it beside much that waits, the way into an agent's turn, and watching inboxes at rest.
//!
//! Each figure stands beside what it is compared with, from the same run, made in turns: the bare system calls that replace a
//! file durably, Codex's own way to begin a turn. A figure says something only about the machine it was taken on, and only
//! if nothing else ran there; so this prints, and passes or fails nothing.

#[path = "../stage/mod.rs"]
mod stage;

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};
use std::{fs, thread};

use atm_agent_mcp::demo::model::spoken;
use atm_agent_mcp::demo::world::World;
use atm_agent_mcp::home::{Home, sync_dir};
use atm_agent_mcp::ids::{Address, AgentId, AgentName, MemberName, Team, TeamName};
use atm_agent_mcp::mail::{ClaudePost, Draft, NewMember, Post, Urgency};
use serde_json::{Value, json};

use stage::server::TEAM;
use stage::{Bare, CODEX, Error, Figures, Server, Size, codex, machine, ms, world};

const USAGE: &str = "\
Usage: cargo xtask bench mail [--quick]

  --quick  few and small rounds: to see that it works, not to quote
";

/// How many messages are in the inbox that is written to, and what the predecessor took then, in milliseconds.
const DEPTHS: [(usize, f64); 4] = [(0, 0.93), (100, 0.94), (1_000, 2.3), (10_000, 16.0)];
/// How many agents are at rest.
const RESTING: usize = 50;
/// When what has not arrived is not waited for any longer.
const LATE: Duration = Duration::from_secs(10);
/// The turns of one thread: a long history slows all.
const TURNS_A_THREAD: usize = 50;
/// Who is written to, and reads nothing.
const READER: &str = "reader";

fn main() -> ExitCode {
    stage::run(USAGE, measure)
}

fn measure(size: Size) -> Result<(), Error> {
    let mut out = io::stdout().lock();
    writeln!(out, "{}\n", machine())?;
    let (told, asked) = mpsc::channel();
    let world = world(move |request| {
        told.send((Instant::now(), request.last_user_text())).ok();
        spoken(request)
    })?;
    let server = Server::start(&world, &codex()?, &world.project())?;
    let mut bench = Bench { post: post(&world.home())?, server, asked, said: 0, world };
    bench.sends(&mut out, size)?;
    bench.turns(&mut out, size)?;
    bench.rest(&mut out, size)?;
    writeln!(out, "\n{}", machine())?;
    Ok(())
}

fn post(home: &Path) -> Result<ClaudePost, Error> {
    Ok(ClaudePost::open(&Home::at(home), &TeamName::from(&Team::parse(TEAM)?)))
}

struct Bench {
    post: ClaudePost,
    server: Server,
    /// When the model was asked, and what the user had said.
    asked: Receiver<(Instant, String)>,
    said: usize,
    /// Last, for fields are dropped in order: a server that still runs would write into a world that is gone.
    world: World,
}

impl Bench {
    fn sends(&mut self, out: &mut impl Write, size: Size) -> Result<(), Error> {
        let count = size.pick(100, 10);
        let name = AgentName::parse(READER)?;
        let (agent, team, cwd) = (AgentId::new(), Team::parse("elsewhere")?, self.world.project());
        let (agent_type, model, color) = ("reader".into(), "none".into(), "blue".into());
        // The server makes it, beside its start.
        self.until(|bench| bench.post.exists())?;
        self.post.join(&NewMember { name, agent, team, agent_type, model, prompt: None, color, cwd })?;
        let reader = MemberName::parse(READER)?;
        let inbox = self.post.inbox_path(&reader);
        fs::create_dir_all(inbox.parent().ok_or("an inbox needs a directory")?)?;
        writeln!(out, "sending a message, by how many are in the inbox, {count} of each (ms)\n{}", Figures::HEAD)?;
        for (depth, predecessor) in DEPTHS {
            let (mut tool, mut post, mut bare) = (Vec::new(), Vec::new(), Vec::new());
            for _ in 0..count {
                fill(&inbox, depth)?;
                let (_, took) = self.server.call("atm_send", &json!({ "to": READER, "message": TEXT }))?;
                tool.push(ms(took));
                fill(&inbox, depth)?;
                post.push(timed(|| Ok(self.post.send(&reader, &[draft()?]).map(drop)?))?);
                fill(&inbox, depth)?;
                bare.push(timed(|| replace(&inbox))?);
            }
            for (what, times) in [("atm_send", tool), ("the post alone", post), ("the bare system calls", bare)] {
                writeln!(out, "  {depth:>6}  {what:<23}{}", times.into_iter().collect::<Figures>())?;
            }
            writeln!(out, "  {:>6}  {:<23}{predecessor:8.2}", "", "the predecessor")?;
        }
        Ok(())
    }

    fn turns(&mut self, out: &mut impl Write, size: Size) -> Result<(), Error> {
        let count = size.pick(300, 20);
        writeln!(
            out,
            "\nfrom the write of a mail to the model's being asked, idle agent, Codex {CODEX}, {count} rounds (ms)"
        )?;
        let mut client = Bare::connect(&{
            self.server.agent("first")?;
            self.server.socket()?
        })?;
        let (mut mail, mut own) = (Vec::new(), Vec::new());
        while mail.len() < count {
            let name = format!("idle-{}", self.said);
            self.server.agent(&name)?;
            let to = MemberName::parse(&name)?;
            self.until(|bench| bench.post.roster().is_ok_and(|all| all.iter().any(|member| member.name == name)))?;
            client.open_thread(&self.world.project())?;
            // The first of a thread are slower in both ways.
            self.server.reply(&name, "SAY warm")?;
            client.turn("SAY warm")?;
            for _ in 0..TURNS_A_THREAD.min(count - mail.len()) {
                mail.push(self.by_mail(&name, &to, &mut client)?);
                own.push(self.by_codex(&mut client)?);
            }
        }
        let apart: Figures = mail.iter().zip(&own).map(|(mail, own)| mail - own).collect();
        writeln!(out, "{}", Figures::HEAD)?;
        writeln!(out, "  {:<24}{}", "by mail", mail.into_iter().collect::<Figures>())?;
        writeln!(out, "  {:<24}{}", "Codex's own turn/start", own.into_iter().collect::<Figures>())?;
        writeln!(out, "  {:<24}{:8.2}", "added, round by round", apart.at(50))?;
        writeln!(out, "  {:<24}{:8.2}    the predecessor: 3500", "aim", 50.0)?;
        Ok(())
    }

    fn by_mail(&mut self, name: &str, to: &MemberName, client: &mut Bare) -> Result<f64, Error> {
        client.rest();
        self.said += 1;
        let text = format!("mail for the {:06}th time", self.said);
        let since = Instant::now();
        self.post.send(to, &[Draft { text: text.clone(), ..draft()? }])?;
        let asked = self.asked(&text)?;
        self.until(|bench| bench.post.count_unread(to).is_ok_and(|unread| unread == 0))?;
        self.until(|bench| {
            let status = bench.server.call("agent_status", &json!({ "identity": name }));
            status.is_ok_and(|(status, _)| status["structuredContent"]["status"] == "idle")
        })?;
        Ok(ms(asked - since))
    }

    fn by_codex(&mut self, client: &mut Bare) -> Result<f64, Error> {
        client.rest();
        self.said += 1;
        let text = format!("SAY hi for the {:06}th time", self.said);
        let since = Instant::now();
        client.turn(&text)?;
        Ok(ms(self.asked(&text)? - since))
    }

    /// When the model was asked for an answer to `text`.
    fn asked(&self, text: &str) -> Result<Instant, Error> {
        loop {
            let (at, said) = self.asked.recv_timeout(LATE).map_err(|_| "a text has not reached the model")?;
            if said.contains(text) {
                return Ok(at);
            }
        }
    }

    fn until(&mut self, mut is_so: impl FnMut(&mut Bench) -> bool) -> Result<(), Error> {
        let until = Instant::now() + LATE;
        while Instant::now() < until {
            if is_so(self) {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(1));
        }
        Err(format!("what was waited for did not come within {} s", LATE.as_secs()).into())
    }

    fn rest(&mut self, out: &mut impl Write, size: Size) -> Result<(), Error> {
        let time = size.pick(Duration::from_secs(10), Duration::from_secs(2));
        for n in 0..RESTING {
            self.server.agent(&format!("resting-{n}"))?;
        }
        self.until(|bench| {
            let there = bench.post.roster().unwrap_or_default();
            there.iter().filter(|member| member.name.starts_with("resting-")).count() == RESTING
        })?;
        // What their starts leave to be written is written then.
        thread::sleep(Duration::from_secs(2));
        let before = processor_time(self.server.child.id())?;
        thread::sleep(time);
        let took = processor_time(self.server.child.id())? - before;
        writeln!(
            out,
            "\nprocessor time of a server with over {RESTING} idle agents and their inboxes in {} s (ms)",
            time.as_secs()
        )?;
        let percent = took / ms(time) * 100.0;
        writeln!(out, "  {:<24}{took:8.0}    {percent:.2}% of a core; the predecessor, 10 agents: 23%", "watched")?;
        Ok(())
    }
}

const TEXT: &str = "The schema is wrong: the field is called `parent_id` everywhere else. Please look at it.";

fn draft() -> Result<Draft, Error> {
    let from = Address::parse("team-lead")?;
    Ok(Draft { from, text: TEXT.to_owned(), summary: None, color: None, urgency: Urgency::Normal })
}

fn entry(n: usize) -> Value {
    json!({
        "from": "team-lead", "text": TEXT, "timestamp": "2026-11-25T13:12:38.123Z", "msgV": 1,
        "msg_id": format!("0199e0a4-6c1d-4d3e-9a55-{n:012}"), "type": "message", "read": true,
    })
}

fn fill(inbox: &Path, depth: usize) -> Result<(), Error> {
    let all: Vec<Value> = (0..depth).map(entry).collect();
    Ok(fs::write(inbox, serde_json::to_vec_pretty(&all)?)?)
}

/// One entry more, durably, and no more than that.
fn replace(inbox: &Path) -> Result<(), Error> {
    let mut all: Vec<Value> = serde_json::from_slice(&fs::read(inbox)?)?;
    all.push(entry(all.len()));
    let aside = inbox.with_extension("aside");
    let mut file = fs::File::create(&aside)?;
    file.write_all(&serde_json::to_vec_pretty(&all)?)?;
    file.sync_all()?;
    fs::rename(&aside, inbox)?;
    Ok(sync_dir(inbox.parent().ok_or("an inbox needs a directory")?)?)
}

fn timed(act: impl FnOnce() -> Result<(), Error>) -> Result<f64, Error> {
    let since = Instant::now();
    act()?;
    Ok(ms(since.elapsed()))
}

/// What a process has used of the processors, in milliseconds, to a hundredth of a second.
#[cfg(unix)]
fn processor_time(pid: u32) -> Result<f64, Error> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let fields: Vec<&str> = stat.rsplit_once(')').ok_or("no status")?.1.split_whitespace().collect();
    let ticks: f64 = fields[11].parse::<f64>()? + fields[12].parse::<f64>()?;
    Ok(ticks * 1000.0 / rustix::param::clock_ticks_per_second() as f64)
}

/// Nothing tells it here.
#[cfg(not(unix))]
fn processor_time(_: u32) -> Result<f64, Error> {
    Ok(0.0)
}
