//! What the queue costs: entries in and out, a claim, a wake, the way into a turn.
//!
//! Each figure stands beside what it is compared with, from the same run, made in turns: the predecessor's algorithm, the
//! same made durable, the bare system calls, Codex's own way to begin a turn. A figure says something only about the
//! machine it was taken on, and only if nothing else ran there; so this prints, and passes or fails nothing.

mod baseline;
mod claims;
mod rates;
#[path = "../stage/mod.rs"]
mod stage;
mod stock;
mod turns;
mod wakes;

use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use stage::{Error, Size, machine};

const USAGE: &str = "\
Usage: cargo xtask bench queue [--quick]

  --quick  few and small rounds: to see that it works, not to quote
";

fn main() -> ExitCode {
    stage::run(USAGE, measure)
}

fn measure(size: Size) -> Result<(), Error> {
    // Not in the system's place for temporary files: that may be no disk.
    let place = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let place = place.path();
    let mut out = io::stdout().lock();
    writeln!(out, "{}; {} on {}\n", machine(), place.display(), file_system(place))?;
    rates::enqueue(&mut out, place, size)?;
    rates::drain(&mut out, place, size)?;
    claims::claims(&mut out, place, size)?;
    wakes::wakes(&mut out, place, size)?;
    turns::turns(&mut out, size)?;
    writeln!(out, "\n{}", machine())?;
    Ok(())
}

/// What kind of file system a directory is on: that of the longest mount point above it. Only Linux tells.
pub(crate) fn file_system(dir: &Path) -> String {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let fields = mounts.lines().filter_map(|line| line.split(' ').skip(1).take(2).collect::<Vec<_>>().try_into().ok());
    let above = fields.filter(|[point, _]: &[&str; 2]| dir.starts_with(point));
    // Of two at one place, the later hides the earlier.
    let kind = above.max_by_key(|[point, _]| point.len()).map(|[_, kind]| kind);
    kind.unwrap_or("an unknown file system").to_owned()
}

/// Does each of `ways` once a round, every round beginning with another one; what each gave, in the order of `ways`.
fn rounds<W: Copy, T>(
    ways: &[W],
    count: usize,
    mut act: impl FnMut(W) -> Result<T, Error>,
) -> Result<Vec<Vec<T>>, Error> {
    let mut given: Vec<Vec<T>> = ways.iter().map(|_| Vec::new()).collect();
    for round in 0..count {
        for at in (0..ways.len()).map(|at| (at + round) % ways.len()) {
            given[at].push(act(ways[at])?);
        }
    }
    Ok(given)
}
