//! The steps between which a crash must lose nothing: a test names one and the program is killed there.
//!
//! An install has none of it: [`at`] does nothing unless the crate is built with the feature `test-fakes`. Then
//! `ATM_KILL_AT=ack.removed:3` ends the process with SIGKILL when it comes to that step for the third time, and
//! `ATM_PANIC_AT=top.drawn` is a fault of ours in that place.

/// The variable that names the step, and after a colon which time.
pub const KILL_AT: &str = "ATM_KILL_AT";

/// The variable that names the step at which it panics.
pub const PANIC_AT: &str = "ATM_PANIC_AT";

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

/// The screen is drawn: nothing is there to be lost, but a terminal is to be restored.
pub const DRAWN: &str = "top.drawn";

/// A text is about to be put into a queue beside the screen.
pub const SAID: &str = "top.said";

/// The program has come to this step.
#[cfg(not(feature = "test-fakes"))]
#[inline]
pub fn at(_step: &'static str) {}

/// The program has come to this step.
#[cfg(feature = "test-fakes")]
pub fn at(step: &'static str) {
    use std::sync::OnceLock;

    static KILL: OnceLock<Option<Fault>> = OnceLock::new();
    static PANIC: OnceLock<Option<Fault>> = OnceLock::new();
    debug_assert!([DRAWN, SAID].contains(&step) || ALL.contains(&step), "{step} is not in the list");
    let is_due = |fault: &Option<Fault>| fault.as_ref().is_some_and(|fault| fault.is_due(step));
    if is_due(KILL.get_or_init(|| Fault::named_by(KILL_AT))) {
        die();
    }
    assert!(!is_due(PANIC.get_or_init(|| Fault::named_by(PANIC_AT))), "{PANIC_AT} is {step}");
}

/// A step, and how many times it is yet to be come to.
#[cfg(feature = "test-fakes")]
struct Fault {
    step: String,
    left: std::sync::atomic::AtomicI64,
}

#[cfg(feature = "test-fakes")]
impl Fault {
    fn named_by(variable: &str) -> Option<Fault> {
        let text = std::env::var(variable).ok()?;
        let (step, time) = text.split_once(':').unwrap_or((&text, "1"));
        Some(Fault { step: step.to_owned(), left: time.parse().unwrap_or(1).into() })
    }

    fn is_due(&self, step: &str) -> bool {
        self.step == step && self.left.fetch_sub(1, std::sync::atomic::Ordering::Relaxed) == 1
    }
}

/// Ends the process as nothing else can: no destructor runs, nothing is flushed.
#[cfg(feature = "test-fakes")]
fn die() -> ! {
    #[cfg(unix)]
    rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL).ok();
    std::process::abort()
}
