//! The steps between which a crash must lose nothing: a test names one and the program is killed there.
//!
//! An install has none of it: [`at`] does nothing unless the crate is built with the feature `test-fakes`. Then
//! `ATM_KILL_AT=ack.removed:3` ends the process with SIGKILL when it comes to that step for the third time.

/// The variable that names the step, and after a colon which time.
pub const KILL_AT: &str = "ATM_KILL_AT";

/// Every step, in the order in which an entry, and then a message, comes to them.
pub const ALL: [&str; 40] = [
    "write.created",
    "write.written",
    "write.synced",
    "write.renamed",
    "write.done",
    "claim.prepared",
    "claim.locked",
    "claim.replaced",
    "claim.read",
    "deliver.claimed",
    "deliver.sent",
    "deliver.answered",
    "deliver.proved",
    "ack.logged",
    "ack.removed",
    "ack.synced",
    "ack.unlocked",
    "bury.explained",
    "bury.moved",
    "bury.synced",
    "bury.unlocked",
    "read.noted",
    "tool.answered",
    "tool.complete",
    "tool.counted",
    "read.marked",
    "letter.written",
    "letter.proved",
    "letter.marked",
    "mail.flocked",
    "mail.begun",
    "mail.locked",
    "mail.dated",
    "mail.set_aside",
    "mail.archived",
    "mail.written",
    "mail.synced",
    "mail.replaced",
    "mail.durable",
    "mail.unlocked",
];

/// The program has come to this step.
#[cfg(not(feature = "test-fakes"))]
#[inline]
pub fn at(_step: &'static str) {}

/// The program has come to this step.
#[cfg(feature = "test-fakes")]
pub fn at(step: &'static str) {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicI64, Ordering};

    static KILL: OnceLock<Option<(String, AtomicI64)>> = OnceLock::new();
    debug_assert!(ALL.contains(&step), "{step} is not in the list");
    let kill = KILL.get_or_init(|| {
        let text = std::env::var(KILL_AT).ok()?;
        let (name, time) = text.split_once(':').unwrap_or((&text, "1"));
        Some((name.to_owned(), AtomicI64::new(time.parse().unwrap_or(1))))
    });
    if let Some((name, left)) = kill
        && name == step
        && left.fetch_sub(1, Ordering::Relaxed) == 1
    {
        die();
    }
}

/// Ends the process as nothing else can: no destructor runs, nothing is flushed.
#[cfg(feature = "test-fakes")]
fn die() -> ! {
    #[cfg(unix)]
    rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL).ok();
    std::process::abort()
}
