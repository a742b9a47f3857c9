//! The first part: a queue drained by several processes into a recording sink.

use std::io;
use std::time::{Duration, Instant};

use atm_agent_mcp::queue::{Limits, Queue};
use fastrand::Rng;

use crate::armoury::is_of_queue;
use crate::crew::{Crew, Place, Role};
use crate::figures::Figures;
use crate::history::{History, judge};
use crate::producer::Kind;
use crate::remains;
use crate::sink::Sink;

const PRODUCERS: [Kind; 7] =
    [Kind::Ours, Kind::Ours, Kind::Ours, Kind::Renamed, Kind::Renamed, Kind::InPlace, Kind::InPlace];
const DRAINERS: usize = 4;
/// The longest pause of a producer, in milliseconds.
const PAUSE: u64 = 15;
/// The longest time between two kills, in milliseconds.
const CALM: u64 = 250;
/// How long what is left may take to be drained.
pub(crate) const LAST_DRAIN: Duration = Duration::from_secs(60);

/// Plays it for so long.
pub(crate) fn play(length: Duration, seed: u64) -> io::Result<Figures> {
    let dir = tempfile::Builder::new().prefix("atm-chaos-").tempdir()?;
    let of = |name: &str| dir.path().join(name);
    let place = Place { queue: of("queue"), aside: of("aside"), sink: of("sink"), pause: PAUSE };
    let queue = Queue::at(&place.queue, Limits::default());
    queue.make().map_err(io::Error::other)?;
    let mut rng = Rng::with_seed(seed);
    let mut sink = Sink::open(&place.sink)?;
    let mut crew = Crew::new(place, rng.fork());
    for (number, kind) in (1..).zip(PRODUCERS) {
        crew.hire(Role::Producer(number, kind))?;
    }
    (0..DRAINERS).try_for_each(|_| crew.hire(Role::Drainer))?;

    let end = Instant::now() + length;
    while Instant::now() < end {
        crew.hear(end.min(Instant::now() + Duration::from_millis(rng.u64(..CALM))))?;
        crew.shoot()?;
    }
    crew.calm();
    crew.dismiss(|role| role != Role::Drainer)?;
    let until = Instant::now() + LAST_DRAIN;
    while !remains::waiting(&queue)?.is_empty() && Instant::now() < until {
        crew.hear(Instant::now() + Duration::from_millis(20))?;
    }
    let stuck = stuck(&queue)?;
    crew.dismiss(|_| true)?;

    let (taken_over, times) = (crew.taken_over(), crew.takeovers());
    let mut trouble = std::mem::take(&mut crew.trouble);
    trouble.extend(stuck);
    let remains = remains::inspect(&queue)?;
    trouble.extend(remains.strange);
    let mut history = History { accounts: std::mem::take(&mut crew.accounts), ..History::default() };
    history.waiting = remains.waiting;
    history.buried = remains.buried;
    history.fragments = remains.fragments;
    sink.texts()?.iter().for_each(|text| history.arrives(text));
    let verdict = judge(&history);
    let kills = std::mem::take(&mut crew.kills);
    Ok(Figures { part: "sink", comes_to: is_of_queue, history, verdict, kills, taken_over, times, trouble })
}

/// What still waits though it had all the time, and how it stands.
pub(crate) fn stuck(queue: &Queue) -> io::Result<Vec<String>> {
    let waiting = remains::waiting(queue)?;
    if waiting.is_empty() {
        return Ok(Vec::new());
    }
    Ok(queue.list()?.iter().map(|listed| format!("stuck: {} {:?}", listed.id, listed.state)).collect())
}
