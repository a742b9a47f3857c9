//! How soon a watch wakes, and what watching costs while nothing happens.

use std::io::Write;
use std::path::Path;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};
use std::{fs, thread};

use atm_agent_mcp::queue::{Arrivals, Limits, Queue};
use atm_agent_mcp::watch::Watcher;
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;

use crate::stage::{Error, Figures, PAUSE, Size, ms};
use crate::stock;

/// How many queues are watched.
const WATCHED: usize = 100;
/// How often somebody looks who is not told.
const POLL: Duration = Duration::from_millis(500);
/// When a wake that has not come will not come.
const LATE: Duration = Duration::from_secs(10);

/// One entry, from the call on.
struct Wake {
    returned: f64,
    woken: f64,
}

pub(crate) fn wakes(out: &mut impl Write, place: &Path, size: Size) -> Result<(), Error> {
    let wakes = woken(place, size.pick(500, 50))?;
    writeln!(out, "an entry and the wake of a watch on another thread, {} times (ms)\n{}", wakes.len(), Figures::HEAD)?;
    let mut row = |name: &str, of: fn(&Wake) -> f64| {
        let times: Figures = wakes.iter().map(of).collect();
        writeln!(out, "  {name:<24}{times}")
    };
    row("the call to enqueue", |wake| wake.returned)?;
    row("the call to the wake", |wake| wake.woken)?;
    row("its return to the wake", |wake| wake.woken - wake.returned)?;

    let time = size.pick(Duration::from_secs(10), Duration::from_secs(2));
    let dirs = (0..WATCHED).map(|_| tempfile::tempdir_in(place)).collect::<Result<Vec<TempDir>, _>>()?;
    let (watching, polling) = (watching(&dirs, time)?, polling(&dirs, time)?);
    writeln!(out, "\nprocessor time while nothing happens in {WATCHED} queues for {} s (ms)", time.as_secs())?;
    writeln!(out, "  {:<24}{:8.2}", "watched", ms(watching))?;
    writeln!(out, "  {:<24}{:8.2}\n", format!("listed each {} ms", POLL.as_millis()), ms(polling))?;
    Ok(())
}

fn woken(place: &Path, count: usize) -> Result<Vec<Wake>, Error> {
    let dir = tempfile::tempdir_in(place)?;
    let queue = Queue::at(dir.path(), Limits::default());
    let watch = Arrivals::of(&queue, &Arc::new(Watcher::new()))?;
    let (told, wakes) = mpsc::channel();
    let runtime = runtime()?;
    let waiting = thread::spawn(move || {
        runtime.block_on(async {
            loop {
                watch.next().await;
                if told.send(Instant::now()).is_err() {
                    return;
                }
            }
        });
    });
    let once = || -> Result<Wake, Error> {
        // One arrival may wake twice.
        thread::sleep(PAUSE);
        wakes.try_iter().for_each(drop);
        let since = Instant::now();
        let id = queue.enqueue(&stock::text())?;
        let returned = ms(since.elapsed());
        let woken = wakes.recv_timeout(LATE).map_err(|_| "a watch that does not wake")?;
        fs::remove_file(dir.path().join(format!("{id}.json")))?;
        Ok(Wake { returned, woken: ms(woken - since) })
    };
    once()?;
    let measured = (0..count).map(|_| once()).collect();
    // The last wake finds nobody to tell.
    drop(wakes);
    queue.enqueue(&stock::text())?;
    waiting.join().map_err(|_| "the waiting thread has panicked")?;
    measured
}

fn watching(dirs: &[TempDir], time: Duration) -> Result<Duration, Error> {
    let watcher = Arc::new(Watcher::new());
    let mut waiting = JoinSet::new();
    runtime()?.block_on(async {
        for dir in dirs {
            let watch = Arrivals::of(&Queue::at(dir.path(), Limits::default()), &watcher)?;
            waiting.spawn(wait(watch));
        }
        // The first wake of each is past then.
        tokio::time::sleep(POLL).await;
        let before = processor_time();
        tokio::time::sleep(time).await;
        Ok(processor_time() - before)
    })
}

async fn wait(watch: Arrivals) {
    loop {
        watch.next().await;
    }
}

fn polling(dirs: &[TempDir], time: Duration) -> Result<Duration, Error> {
    let (since, before) = (Instant::now(), processor_time());
    while since.elapsed() < time {
        for dir in dirs {
            fs::read_dir(dir.path())?.for_each(drop);
        }
        thread::sleep(POLL);
    }
    Ok(processor_time() - before)
}

fn runtime() -> Result<Runtime, Error> {
    Ok(Builder::new_current_thread().enable_all().build()?)
}

/// Of this process, all its threads, in and for it.
#[cfg(unix)]
fn processor_time() -> Duration {
    use rustix::time::{ClockId, clock_gettime};
    Duration::try_from(clock_gettime(ClockId::ProcessCPUTime)).unwrap_or_default()
}

/// Nothing tells it here.
#[cfg(not(unix))]
fn processor_time() -> Duration {
    Duration::ZERO
}
