//! The life of a child: it says lines to the parent, and ends in good order when the parent's end of its stdin is closed.

use std::io::{self, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

/// Whether it is time to end.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stop(Arc<AtomicBool>);

impl Stop {
    /// It is when stdin is closed, by a parent that wants it so or that is dead.
    pub(crate) fn when_stdin_closes() -> Stop {
        let stop = Stop::default();
        let set = stop.clone();
        thread::spawn(move || {
            io::stdin().lock().read_to_end(&mut Vec::new()).ok();
            set.0.store(true, Ordering::Relaxed);
        });
        stop
    }

    pub(crate) fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Says a line, at once; a write so short into a pipe is done whole or not at all.
pub(crate) fn say(line: std::fmt::Arguments<'_>) -> io::Result<()> {
    let line = format!("{line}\n");
    let mut stdout = io::stdout().lock();
    stdout.write_all(line.as_bytes())?;
    stdout.flush()
}

/// The time in nanoseconds since 1970, which every process of this machine tells alike.
pub(crate) fn now() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos()
}
