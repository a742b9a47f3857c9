//! Waiting for somebody else: what for is said after a second, so that nobody wonders.

use std::time::{Duration, Instant};

use super::super::output;

/// From when on it is said.
pub(super) const SILENCE: Duration = Duration::from_secs(1);
const PAUSE: Duration = Duration::from_millis(100);

/// Says what is waited for.
pub(super) fn say(what: &str) {
    output::note(format_args!("{}", output::visible(&format!("waiting for {what}"))));
}

/// A wait in small pauses.
pub(super) struct Wait {
    what: String,
    since: Instant,
    is_said: bool,
}

impl Wait {
    /// For this, as it is said.
    pub(super) fn new(what: String) -> Wait {
        Wait { what, since: Instant::now(), is_said: false }
    }

    /// Waits a moment; answers how long it has been in all.
    pub(super) fn pause(&mut self) -> Duration {
        std::thread::sleep(PAUSE);
        let waited = self.since.elapsed();
        if waited >= SILENCE && !self.is_said {
            self.is_said = true;
            say(&self.what);
        }
        waited
    }
}
