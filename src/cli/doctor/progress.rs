//! What is shown while checks run: on stderr, if that is a terminal.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// A line that names the checks that are not through.
pub(super) struct Progress {
    bar: ProgressBar,
    running: Mutex<Vec<&'static str>>,
}

impl Progress {
    /// Begins to turn.
    pub(super) fn start() -> Progress {
        let style = ProgressStyle::with_template("{spinner} {elapsed}  {msg}").expect("a template without faults");
        let bar = ProgressBar::new_spinner().with_style(style);
        bar.enable_steady_tick(Duration::from_millis(100));
        Progress { bar, running: Mutex::default() }
    }

    /// Shows this name as long as the check takes.
    pub(super) async fn during<T>(&self, name: &'static str, check: impl Future<Output = T>) -> T {
        self.show(|running| running.push(name));
        let done = check.await;
        self.show(|running| running.retain(|other| *other != name));
        done
    }

    fn show(&self, change: impl FnOnce(&mut Vec<&'static str>)) {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut running);
        self.bar.set_message(format!("looking: {}", running.join(", ")));
    }

    /// Takes it off the screen.
    pub(super) fn end(self) {
        self.bar.finish_and_clear();
    }
}
