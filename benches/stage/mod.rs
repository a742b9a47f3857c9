//! What the benchmarks stand on: how they are called, and the Codex and the world that they run in.

mod bare;
mod figures;
pub(crate) mod server;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::mpsc;
use std::time::Duration;
use std::{env, thread};

use atm_agent_mcp::demo::model::{Reply, Request};
use atm_agent_mcp::demo::world::World;

pub(crate) use bare::Bare;
pub(crate) use figures::{Figures, machine, ms};
pub(crate) use server::Server;

/// The Codex that the figures are for.
pub(crate) const CODEX: &str = "0.169.0";

/// What passes between two turns, so that what the one leaves behind (a record to be synced, Codex's own log) is not
/// paid by the other.
pub(crate) const PAUSE: Duration = Duration::from_millis(10);

/// A sentence for a person: what failed and what to do.
pub(crate) type Error = Box<dyn std::error::Error + Send + Sync>;

/// How much is measured.
#[derive(Clone, Copy)]
pub(crate) enum Size {
    Full,
    /// To see that it works, not to quote.
    Quick,
}

impl Size {
    /// What there is for each size.
    pub(crate) fn pick<T>(self, full: T, quick: T) -> T {
        match self {
            Size::Full => full,
            Size::Quick => quick,
        }
    }
}

/// The whole program of a benchmark.
pub(crate) fn run(usage: &str, measure: impl FnOnce(Size) -> Result<(), Error>) -> ExitCode {
    let mut size = Size::Full;
    // Cargo itself says `--bench`.
    for arg in env::args().skip(1).filter(|arg| arg != "--bench") {
        match arg.as_str() {
            "--quick" => size = Size::Quick,
            "--help" | "-h" => {
                eprint!("{usage}");
                return ExitCode::SUCCESS;
            }
            _ => {
                eprint!("error: there is no argument {arg}\n\n{usage}");
                return ExitCode::from(2);
            }
        }
    }
    match measure(size) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The program of that Codex.
pub(crate) fn codex() -> Result<PathBuf, Error> {
    let dir = env::var_os("ATM_TEST_CODEX_DIR");
    let dir = dir.map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("target").join("codex"), PathBuf::from);
    let codex = dir.join(CODEX).join("node_modules").join(".bin").join("codex");
    match codex.exists() {
        true => Ok(codex),
        false => Err(format!("there is no Codex at {}; install it with: cargo xtask codex", codex.display()).into()),
    }
}

/// A world whose model runs on a thread of its own, so that it and the clients that are timed do not wait for each other.
pub(crate) fn world(script: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Result<World, Error> {
    let (made, world) = mpsc::channel();
    thread::spawn(move || {
        let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
        runtime.block_on(async {
            made.send(World::new(script).await).ok();
            std::future::pending().await
        })
    });
    Ok(world.recv()??)
}
