//! How soon an idle agent hears what was put into its queue, beside Codex's own way to say something.

use std::io::Write;
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};
use std::{env, thread};

use atm_agent_mcp::demo::model::spoken;
use atm_agent_mcp::demo::world::World;
use atm_agent_mcp::home::Home;
use atm_agent_mcp::ids::{EntryId, Team};
use atm_agent_mcp::queue::{Fate, Limits, Queue, Text};
use serde_json::json;

use crate::stage::server::TEAM;
use crate::stage::{Bare, CODEX, Error, Figures, Server, Size, codex, ms, world};
use crate::{file_system, rounds};

/// When what has not arrived is not waited for any longer.
const LATE: Duration = Duration::from_secs(10);
/// The turns of one thread: a long history slows all.
const TURNS_A_THREAD: usize = 50;
/// How many of them come before the clock runs.
const WARM: usize = 3;

/// How a text is said.
#[derive(Clone, Copy)]
enum Way {
    Queue,
    Reply,
    Codex,
}

const WAYS: [Way; 3] = [Way::Queue, Way::Reply, Way::Codex];

/// What a way took until the model was asked, in milliseconds, and of it the call that enqueues.
struct Start {
    enqueue: f64,
    asked: f64,
}

pub(crate) fn turns(out: &mut impl Write, size: Size) -> Result<(), Error> {
    let count = size.pick(300, 30);
    writeln!(out, "saying something to an idle agent, to the model's being asked, {count} rounds (ms)")?;
    let dir = env::temp_dir();
    writeln!(out, "Codex {CODEX} with a scripted model; queues in {} on {}", dir.display(), file_system(&dir))?;
    let [queue, reply, codex] = measure(count)?;
    let figures = |starts: &[Start]| starts.iter().map(|start| start.asked).collect::<Figures>();
    let enqueue: Figures = queue.iter().map(|start| start.enqueue).collect();
    let apart: Figures = queue.iter().zip(&codex).map(|(ours, bare)| ours.asked - bare.asked).collect();
    let (ours, reply, bare) = (figures(&queue), figures(&reply), figures(&codex));
    let added =
        |to: &Figures| [50, 90, 99].map(|percent| format!("{:8.2}", ours.at(percent) - to.at(percent))).concat();
    writeln!(out, "{}", Figures::HEAD)?;
    writeln!(out, "  {:<24}{ours}", "through the queue")?;
    writeln!(out, "  {:<24}{enqueue}", "  of it, to enqueue")?;
    writeln!(out, "  {:<24}{reply}", "by codex-reply")?;
    writeln!(out, "  {:<24}{bare}", "Codex's own turn/start")?;
    writeln!(out, "  {:<24}{}", "added to codex-reply", added(&reply))?;
    writeln!(out, "  {:<24}{}", "added to Codex's own", added(&bare))?;
    writeln!(out, "  {:<24}{:8.2}", "added, round by round", apart.at(50))?;
    writeln!(out, "  {:<24}{:16}{:8.2}    the predecessor: up to 30000", "aim", "", 10.0)?;
    Ok(())
}

fn measure(count: usize) -> Result<[Vec<Start>; 3], Error> {
    let (told, asked) = mpsc::channel();
    let world = world(move |request| {
        let now = Instant::now();
        told.send((now, request.last_user_text())).ok();
        spoken(request)
    })?;
    let mut server = Server::start(&world, &codex()?, &world.project())?;
    server.agent("first")?;
    let client = Bare::connect(&server.socket()?)?;
    let mut stage = Stage { server, client, asked, said: 0, world };
    let mut starts = [const { Vec::new() }; 3];
    while starts[0].len() < count {
        let pair = stage.pair()?;
        rounds(&WAYS, WARM, |way| stage.say(way, &pair))?;
        let turns = (TURNS_A_THREAD - WARM).min(count - starts[0].len());
        let given = rounds(&WAYS, turns, |way| stage.say(way, &pair))?;
        starts.iter_mut().zip(given).for_each(|(starts, given)| starts.extend(given));
    }
    Ok(starts)
}

struct Stage {
    server: Server,
    client: Bare,
    /// When the model was asked, and what the user had said.
    asked: Receiver<(Instant, String)>,
    said: usize,
    /// Last, for fields are dropped in order: a server that still runs would write into a world that is gone.
    world: World,
}

/// Two agents, with as much behind them: one hears through its queue, one by calls.
struct Pair {
    hearing: String,
    queue: Queue,
    called: String,
}

impl Stage {
    /// A new pair, and a new thread for the bare client.
    fn pair(&mut self) -> Result<Pair, Error> {
        let [hearing, called] = ["hearing", "called"].map(|name| format!("{name}-{}", self.said));
        let agent = self.server.agent(&hearing)?;
        self.server.agent(&called)?;
        self.client.open_thread(&self.world.project())?;
        let dir = Home::at(self.world.home()).team(&Team::parse(TEAM)?).queue(&agent);
        Ok(Pair { hearing, queue: Queue::at(dir, Limits::default()), called })
    }

    /// Says something, and waits for the end of the turn.
    fn say(&mut self, way: Way, pair: &Pair) -> Result<Start, Error> {
        self.said += 1;
        let text = format!("SAY hi for the {:06}th time", self.said);
        self.client.rest();
        let since = Instant::now();
        match way {
            Way::Queue => {
                let entry = pair.queue.enqueue(&Text { text: text.clone(), ..Text::default() })?;
                let enqueue = ms(since.elapsed());
                let asked = ms(self.asked(&text)? - since);
                self.delivered(pair, &entry)?;
                return Ok(Start { enqueue, asked });
            }
            Way::Reply => self.server.reply(&pair.called, &text)?,
            Way::Codex => self.client.turn(&text)?,
        };
        Ok(Start { enqueue: 0.0, asked: ms(self.asked(&text)? - since) })
    }

    /// When the model was asked for an answer to `text`.
    fn asked(&self, text: &str) -> Result<Instant, Error> {
        let until = Instant::now() + LATE;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let late = |_| format!("a text has not reached the model within {} s", LATE.as_secs());
            let (at, said) = self.asked.recv_timeout(left).map_err(late)?;
            if said.contains(text) {
                return Ok(at);
            }
        }
    }

    /// Waits until an entry is acknowledged, and its agent idle again.
    fn delivered(&mut self, pair: &Pair, entry: &EntryId) -> Result<(), Error> {
        let until = Instant::now() + LATE;
        while Instant::now() < until {
            let (status, _) = self.server.call("agent_status", &json!({ "identity": pair.hearing }))?;
            let is_idle = status["structuredContent"]["status"] == "idle";
            if is_idle && matches!(pair.queue.fate(entry), Fate::Delivered(_)) {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(1));
        }
        Err(format!("a turn that began with an entry has not ended within {} s", LATE.as_secs()).into())
    }
}
