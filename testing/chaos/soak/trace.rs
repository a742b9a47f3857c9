//! What the client has done, a line each with the time: for whoever looks for a fault.

use std::fmt::Arguments;
use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;

use atm_agent_mcp::demo::world::World;
use jiff::Timestamp;

/// How much of a line is kept, in characters.
const LINE_MAX: usize = 1_000;

#[derive(Debug)]
pub(super) struct Trace(File);

impl Trace {
    pub(super) fn of(world: &World) -> io::Result<Trace> {
        Ok(Trace(File::create(path(world))?))
    }

    pub(super) fn tell(&mut self, what: Arguments<'_>) {
        let line: String = what.to_string().chars().take(LINE_MAX).collect();
        // Without it the soak says the same.
        writeln!(self.0, "{:.6} {line}", Timestamp::now()).ok();
    }

    /// Keeps it when the world goes.
    pub(super) fn keep(world: &World) -> io::Result<()> {
        let kept = std::env::temp_dir().join(format!("atm-chaos-{}.calls", std::process::id()));
        std::fs::copy(path(world), &kept)?;
        eprintln!("what the client did is in {}", kept.display());
        Ok(())
    }
}

fn path(world: &World) -> PathBuf {
    world.home().join("calls")
}
