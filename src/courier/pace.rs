//! When to try again: at once, after a pause that grows with each failure, or when something changes.

use std::time::Duration;

use tokio::time::Instant;

/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// Comes after so long, or never.
pub(super) async fn after(pause: Option<Duration>) {
    match pause {
        Some(pause) => tokio::time::sleep(pause).await,
        None => std::future::pending().await,
    }
}

/// The pauses of one round.
#[derive(Debug, Default)]
pub(super) struct Pace {
    failures: u32,
    not_before: Option<Instant>,
}

impl Pace {
    /// How long to wait yet, if nothing changes.
    pub(super) fn left(&self) -> Option<Duration> {
        let left = self.not_before?.saturating_duration_since(Instant::now());
        (!left.is_zero()).then_some(left)
    }

    /// Not before so long has passed.
    pub(super) fn pause(&mut self, time: Duration) {
        self.not_before = Some(Instant::now() + time);
    }

    /// One failure more; answers the pause after it.
    pub(super) fn failed(&mut self) -> Duration {
        let pause = Duration::from_secs(1 << self.failures.min(5)).min(PAUSE_MAX);
        self.failures += 1;
        self.pause(pause);
        pause
    }

    /// The same thing has failed so many times. Codex is well enough to say so: what failed otherwise before does not count.
    pub(super) fn failed_times(&mut self, times: u32) -> Duration {
        self.failures = times.saturating_sub(1);
        self.failed()
    }

    /// What comes next is not to blame for what was before.
    pub(super) fn succeeded(&mut self) {
        self.failures = 0;
    }

    /// Something has changed: no pause any more.
    pub(super) fn go_on(&mut self) {
        self.not_before = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_failed_for_the_first_time_waits_a_second_however_long_codex_was_away_before() {
        let mut pace = Pace::default();
        let pauses: Vec<u64> = (0..7).map(|_| pace.failed().as_secs()).collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16, 30, 30]);
        assert_eq!(pace.failed_times(1).as_secs(), 1);
        assert_eq!(pace.failed_times(3).as_secs(), 4);
        assert_eq!(pace.left(), Some(Duration::from_secs(4)));
    }
}
