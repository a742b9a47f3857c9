//! Who falls at which step: each in turn, so that none is left out.

use atm_agent_mcp::steps;
use fastrand::Rng;

/// A step, and the time at which the process falls when it comes to it.
pub(crate) type Arm = (&'static str, u32);

#[derive(Debug)]
pub(crate) struct Armoury {
    producers: Turn,
    drainers: Turn,
    #[cfg(unix)]
    servers: Turn,
    closed: bool,
}

#[derive(Debug)]
struct Turn {
    steps: Vec<&'static str>,
    next: usize,
}

impl Turn {
    fn new(rng: &mut Rng, mut which: impl FnMut(&str) -> bool) -> Turn {
        let steps: Vec<&'static str> = steps::ALL.into_iter().filter(|step| which(step)).collect();
        Turn { next: rng.usize(..steps.len()), steps }
    }

    fn next(&mut self) -> &'static str {
        self.next = (self.next + 1) % self.steps.len();
        self.steps[self.next]
    }
}

/// Whether it is a step of an entry; mail has tests of its own.
pub(crate) fn is_of_queue(step: &str) -> bool {
    ["write.", "claim.", "deliver.", "ack.", "bury."].iter().any(|kind| step.starts_with(kind))
}

impl Armoury {
    pub(crate) fn new(rng: &mut Rng) -> Armoury {
        let of_enqueue = |step: &str| step.starts_with("write.");
        let producers = Turn::new(rng, of_enqueue);
        let drainers = Turn::new(rng, |step| is_of_queue(step) && !of_enqueue(step));
        #[cfg(unix)]
        let servers = Turn::new(rng, |step| ["claim.", "deliver.", "ack."].iter().any(|kind| step.starts_with(kind)));
        Armoury {
            producers,
            drainers,
            #[cfg(unix)]
            servers,
            closed: false,
        }
    }

    /// Nobody is armed any more.
    pub(crate) fn close(&mut self) {
        self.closed = true;
    }

    /// For one that enqueues, to fall at its `last` text at the latest.
    pub(crate) fn for_producer(&mut self, rng: &mut Rng, last: u32) -> Option<Arm> {
        let armed = !self.closed && rng.bool();
        armed.then(|| (self.producers.next(), rng.u32(1..=last)))
    }

    /// For a server that takes the queue into a thread; it buries next to nothing.
    #[cfg(unix)]
    pub(crate) fn for_server(&mut self, rng: &mut Rng) -> Option<Arm> {
        let armed = !self.closed && rng.u8(..3) > 0;
        armed.then(|| {
            let step = self.servers.next();
            (step, if step == "claim.replaced" { 1 } else { rng.u32(1..4) })
        })
    }

    /// For one that claims, delivers, acknowledges and buries.
    pub(crate) fn for_drainer(&mut self, rng: &mut Rng) -> Option<Arm> {
        let armed = !self.closed && rng.u8(..3) > 0;
        armed.then(|| {
            let step = self.drainers.next();
            let is_rare = step.starts_with("bury.") || step == "claim.replaced";
            (step, if is_rare { 1 } else { rng.u32(1..10) })
        })
    }
}
