//! One server after the other: killed, or told to end, and what is left of it.

use std::io;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use atm_agent_mcp::demo::world::World;

use super::pulse::codexes;
use super::{AGENTS, Figures, Soak, name};
use crate::server::Server;

/// How long a server may take to end that is told to.
const END: Duration = Duration::from_secs(10);
/// How long what is left of Codex may take to go.
const LEFT: Duration = Duration::from_secs(5);
/// The longest that a server lives while its agents are still being called, in milliseconds.
const YOUNG: u64 = 3_000;

/// What has become of the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Lives,
    Killed,
    /// It was told to end.
    Told,
}

impl Soak<'_> {
    /// When the server ends: between a sixth and a half of all the time from now, or very soon.
    pub(super) fn next_end(&mut self, length: Duration) -> Instant {
        if self.rng.u8(..4) == 0 {
            return self.in_millis(YOUNG);
        }
        Instant::now() + length.mul_f64(self.rng.f64().mul_add(1.0 / 3.0, 1.0 / 6.0))
    }

    /// Kills the server, or tells it to end; another takes its place.
    pub(super) async fn end_server(&mut self) -> io::Result<()> {
        if self.rng.bool() {
            self.fate = Fate::Killed;
            self.trace.tell(format_args!("the server is killed"));
            self.figures.server_kills += 1;
            self.server.kill().await?;
        } else {
            self.fate = Fate::Told;
            self.trace.tell(format_args!("the server is told to end"));
            let since = Instant::now();
            let status = self.server.terminate().await?;
            self.figures.ended(since.elapsed(), status);
        }
        self.follow().await
    }

    /// Another server takes the place of one that has ended.
    pub(super) async fn follow(&mut self) -> io::Result<()> {
        while let Some(ended) = self.calls.next().await {
            self.note(ended);
        }
        self.figures.lives.extend(self.pulse.take().and_then(|pulse| pulse.change()));
        self.figures.trouble.extend(left_of(self.world).await);
        let first = name(self.rng.usize(..AGENTS));
        let flags: &[&str] = if self.rng.bool() { &["--resume", &first] } else { &[] };
        self.server = Server::start(self.world, &self.programs, flags, None).await?;
        self.trace.tell(format_args!("another server is there"));
        (self.fate, self.codex) = (Fate::Lives, None);
        Ok(())
    }
}

impl Figures {
    /// A server that was told to end has done so, in this time.
    pub(super) fn ended(&mut self, time: Duration, status: ExitStatus) {
        self.ends.push(time);
        if time > END {
            self.trouble.push(format!("a server that was told to end took {:.1} s", time.as_secs_f64()));
        }
        if !status.success() {
            self.trouble.push(format!("a server that was told to end ended so: {status}"));
        }
    }
}

/// What is left of a server that has ended, though it had time to go.
pub(super) async fn left_of(world: &World) -> Vec<String> {
    let until = Instant::now() + LEFT;
    loop {
        let left = codexes(&world.codex_home());
        if left.is_empty() || Instant::now() > until {
            return left.into_iter().map(|codex| format!("outlives its server: {codex}")).collect();
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
