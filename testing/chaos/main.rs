//! The crash test: whatever is killed, again and again, every text that was acknowledged must have arrived, once, and in order.
//!
//! The parent starts copies of itself in the roles of producers and drainers, and in the second part real servers with real
//! Codex. It hears what they say, kills them at random, has them killed at the named steps of [`atm_agent_mcp::steps`], and
//! judges. In the third part (`soak`) it is the client of a whole team.

mod armoury;
#[cfg(unix)]
mod codex_part;
mod crew;
mod drainer;
mod figures;
mod foreign;
mod history;
mod life;
mod mark;
mod producer;
mod remains;
#[cfg(unix)]
mod server;
mod sink;
mod sink_part;
#[cfg(unix)]
mod soak;
#[cfg(unix)]
mod transcript;

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand, ValueEnum};

/// Kills whoever writes to a queue or drains it, and checks that nothing is lost, doubled or out of order.
#[derive(Debug, Parser)]
#[command(name = "chaos", args_conflicts_with_subcommands = true)]
struct Chaos {
    #[command(subcommand)]
    role: Option<Role>,
    /// How long each part is played, before what is left is drained
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// What every random choice comes from; a random one by default, which is printed
    #[arg(long)]
    seed: Option<u64>,
    /// Which parts are played; all by default
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = Part::value_variants().iter().copied())]
    parts: Vec<Part>,
}

/// What a copy of the program does.
#[derive(Debug, Subcommand)]
enum Role {
    #[command(hide = true)]
    Producer(producer::Order),
    #[command(hide = true)]
    Drainer(drainer::Order),
    #[cfg(unix)]
    #[command(hide = true)]
    Transcript(transcript::Order),
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Part {
    /// Several processes drain into a recording sink
    Sink,
    /// Real servers with real Codex take it into an agent's thread
    #[cfg(unix)]
    Codex,
    /// A team of agents under everything at once: calls, mail, approvals, cancels, kills
    #[cfg(unix)]
    Soak,
}

fn main() -> ExitCode {
    let chaos = Chaos::parse();
    let done = match chaos.role {
        Some(Role::Producer(order)) => producer::produce(order).map(|()| ExitCode::SUCCESS),
        Some(Role::Drainer(order)) => drainer::drain(&order).map(|()| ExitCode::SUCCESS),
        #[cfg(unix)]
        Some(Role::Transcript(order)) => runs(transcript::read(&order)).map(|()| ExitCode::SUCCESS),
        None => play(&chaos),
    };
    done.unwrap_or_else(|error| {
        eprintln!("chaos: {error}");
        ExitCode::FAILURE
    })
}

fn play(chaos: &Chaos) -> io::Result<ExitCode> {
    let seed = chaos.seed.unwrap_or_else(|| fastrand::u64(..));
    let mut stdout = io::stdout();
    writeln!(stdout, "seed {seed}, {} s", chaos.seconds)?;
    let mut good = true;
    for part in &chaos.parts {
        let length = Duration::from_secs(chaos.seconds);
        let (table, is_good) = match part {
            Part::Sink => told(sink_part::play(length, seed)?),
            #[cfg(unix)]
            Part::Codex => told(runs(codex_part::play(length, seed))?),
            #[cfg(unix)]
            Part::Soak => {
                let figures = runs(soak::play(length, seed))?;
                (figures.to_string(), figures.is_good())
            }
        };
        writeln!(stdout, "{table}")?;
        good &= is_good;
    }
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn told(figures: figures::Figures) -> (String, bool) {
    (figures.to_string(), figures.is_good())
}

#[cfg(unix)]
fn runs<T>(work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work)
}
