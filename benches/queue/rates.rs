//! How fast entries come and go.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use atm_agent_mcp::ids::{DeliveryId, EntryId};
use atm_agent_mcp::queue::{Claim, Limits, Queue};

use crate::baseline::{Baseline, Durability};
use crate::stage::{Error, Figures, Size, ms};
use crate::{rounds, stock};

/// What happened in one round.
struct Run {
    /// A second.
    rate: f64,
    /// Milliseconds each.
    calls: Vec<f64>,
}

impl Run {
    fn new(took: Duration, calls: Vec<f64>) -> Run {
        Run { rate: calls.len() as f64 / took.as_secs_f64(), calls }
    }
}

const HEAD: &str = "                               rate      min      max  a call: median     p99";

/// A line of the table.
fn line(name: &str, runs: &[Run]) -> String {
    let rates: Figures = runs.iter().map(|run| run.rate).collect();
    let calls = calls(runs);
    let [rate, min, max] = [50, 0, 100].map(|percent| rates.at(percent));
    let [call, last] = [50, 99].map(|percent| calls.at(percent));
    format!("  {name:<25}{rate:8.0}{min:9.0}{max:9.0}{call:16.3}{last:8.3}")
}

/// How much faster the one is than the other: by the rates, round by round, and by the median call of all rounds, which a
/// neighbour on the disk moves less.
fn ratio(name: &str, one: &[Run], other: &[Run]) -> String {
    let ratios: Figures = one.iter().zip(other).map(|(one, other)| one.rate / other.rate).collect();
    let [rate, min, max] = [50, 0, 100].map(|percent| ratios.at(percent));
    let call = calls(other).at(50) / calls(one).at(50);
    format!("  {name:<25}{rate:8.2}{min:9.2}{max:9.2}{call:16.2}")
}

fn calls(runs: &[Run]) -> Figures {
    runs.iter().flat_map(|run| run.calls.iter().copied()).collect()
}

#[derive(Clone, Copy)]
enum Writer {
    Ours,
    Baseline(Durability),
    Calls,
}

pub(crate) fn enqueue(out: &mut impl Write, place: &Path, size: Size) -> Result<(), Error> {
    let (times, each) = size.pick((40, 200), (9, 40));
    let writers =
        [Writer::Ours, Writer::Baseline(Durability::Hoped), Writer::Baseline(Durability::Synced), Writer::Calls];
    for threads in [1, 4] {
        let runs = rounds(&writers, times, |writer| written(writer, place, threads, each))?;
        writeln!(
            out,
            "enqueue 200 bytes, {threads} writing, {times} rounds of {each} (a second; a call in ms)\n{HEAD}"
        )?;
        let names = ["a  this queue", "b  the predecessor's", "b+ the same, synced", "c  bare system calls"];
        names.iter().zip(&runs).try_for_each(|(name, runs)| writeln!(out, "{}", line(name, runs)))?;
        writeln!(out, "{}  aim: 0.80", ratio("a/c", &runs[0], &runs[3]))?;
        writeln!(out, "{}  aim: 1.00", ratio("a/b+", &runs[0], &runs[2]))?;
        // What it costs that nobody sees half an entry: aside and renamed, not in place.
        writeln!(out, "{}\n", ratio("c/b+", &runs[3], &runs[2]))?;
    }
    Ok(())
}

/// One round of one kind of writer.
fn written(writer: Writer, place: &Path, threads: usize, each: usize) -> Result<Run, Error> {
    let dir = tempfile::tempdir_in(place)?;
    let (queue, text) = (Queue::at(dir.path(), Limits::default()), stock::text());
    let put = || match writer {
        Writer::Ours => queue.enqueue(&text).map(drop).map_err(Error::from),
        Writer::Baseline(durability) => Ok(Baseline(dir.path().into(), durability).enqueue(&text.text)?),
        Writer::Calls => Ok(durable_write(dir.path(), text.text.as_bytes())?),
    };
    put()?;
    stock::settle();
    let start = Barrier::new(threads);
    let one = || -> Result<Writing, Error> {
        start.wait();
        let began = Instant::now();
        let timed = || {
            let since = Instant::now();
            put().map(|()| ms(since.elapsed()))
        };
        let calls = (0..each / threads).map(|_| timed()).collect::<Result<_, _>>()?;
        Ok(Writing { began, ended: Instant::now(), calls })
    };
    let written = thread::scope(|scope| {
        let writing: Vec<_> = (0..threads).map(|_| scope.spawn(one)).collect();
        let joined = writing.into_iter().map(|thread| thread.join().map_err(|_| "a writer has panicked")?);
        joined.collect::<Result<Vec<Writing>, Error>>()
    })?;
    let began = written.iter().map(|writing| writing.began).min();
    let ended = written.iter().map(|writing| writing.ended).max();
    let took = ended.zip(began).map(|(ended, began)| ended - began).unwrap_or_default();
    Ok(Run::new(took, written.into_iter().flat_map(|writing| writing.calls).collect()))
}

/// What one thread did: the clock is read by those who write, not by one who may be woken late.
struct Writing {
    began: Instant,
    ended: Instant,
    calls: Vec<f64>,
}

/// What a durable enqueue needs of the system at least.
fn durable_write(dir: &Path, content: &[u8]) -> io::Result<()> {
    let path = dir.join(format!("{}.json", EntryId::next()));
    let aside = path.with_extension("tmp");
    let mut file = OpenOptions::new().write(true).create_new(true).open(&aside)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&aside, &path)?;
    File::open(dir)?.sync_all()
}

#[derive(Clone, Copy)]
enum Reader {
    /// So many at once.
    Ours(usize),
    Baseline(Durability),
}

pub(crate) fn drain(out: &mut impl Write, place: &Path, size: Size) -> Result<(), Error> {
    let (times, count) = size.pick((7, 2000), (3, 200));
    let readers =
        [Reader::Ours(10), Reader::Ours(1), Reader::Baseline(Durability::Hoped), Reader::Baseline(Durability::Synced)];
    let runs = rounds(&readers, times, |reader| drained(reader, place, count))?;
    writeln!(out, "claim and acknowledge all of {count} entries, {times} rounds (a second; an entry in ms)\n{HEAD}")?;
    let names =
        ["a  this queue, ten at once", "a1 this queue, one by one", "b  the predecessor's", "b+ the same, synced"];
    names.iter().zip(&runs).try_for_each(|(name, runs)| writeln!(out, "{}", line(name, runs)))?;
    writeln!(out, "{}", ratio("a/b+", &runs[0], &runs[3]))?;
    writeln!(out, "{}\n", ratio("a1/b+", &runs[1], &runs[3]))?;
    Ok(())
}

/// One round of one kind of reader.
fn drained(reader: Reader, place: &Path, count: usize) -> Result<Run, Error> {
    let run = match reader {
        Reader::Ours(most) => drained_by_us(place, count, most)?,
        Reader::Baseline(durability) => drained_by_baseline(place, count, durability)?,
    };
    if run.calls.len() == count { Ok(run) } else { Err(format!("{} of {count} were drained", run.calls.len()).into()) }
}

fn drained_by_us(place: &Path, count: usize, most: usize) -> Result<Run, Error> {
    let (_dir, queue) = stock::ours(place, count)?;
    let (mut claimer, receipt) = (queue.claimer(), stock::receipt()?);
    let mut calls = Vec::with_capacity(count);
    let since = Instant::now();
    loop {
        let before = Instant::now();
        let claims = claimer.claim(most, &DeliveryId::next())?;
        let taken = claims.len();
        if taken == 0 {
            return Ok(Run::new(since.elapsed(), calls));
        }
        Claim::ack_all(claims, &receipt)?;
        calls.extend((0..taken).map(|_| ms(before.elapsed()) / taken as f64));
    }
}

fn drained_by_baseline(place: &Path, count: usize, durability: Durability) -> Result<Run, Error> {
    let (_dir, baseline) = stock::baselines(place, count, durability)?;
    let mut calls = Vec::with_capacity(count);
    let since = Instant::now();
    let mut before = since;
    for claimed in baseline.claims()? {
        claimed?.delete()?;
        calls.push(ms(before.elapsed()));
        before = Instant::now();
    }
    Ok(Run::new(since.elapsed(), calls))
}
