//! The role of a drainer: it takes what waits into the sink, and settles what a dead drainer has left in doubt.

use std::io;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use atm_agent_mcp::ids::{DeliveryId, ThreadId, TurnId};
use atm_agent_mcp::queue::{Claim, Claimer, Limits, Queue, Receipt};
use atm_agent_mcp::steps;
use fastrand::Rng;

use crate::life::{Stop, now, say};
use crate::sink::Sink;

/// Why a drainer buries.
pub(crate) const WHY: &str = "the chaos wants it so";
/// How long it rests when there is nothing to do.
const REST: Duration = Duration::from_millis(100);
/// The most in one delivery.
const MOST: usize = 10;

/// What one drainer is to do.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Order {
    #[arg(long)]
    pub(crate) queue: PathBuf,
    #[arg(long)]
    pub(crate) sink: PathBuf,
    #[arg(long)]
    pub(crate) seed: u64,
}

/// Drains until it is told to stop.
pub(crate) fn drain(order: &Order) -> io::Result<()> {
    let stop = Stop::when_stdin_closes();
    let claimer = Queue::at(&order.queue, Limits::default()).claimer();
    let (sink, rng) = (Sink::open(&order.sink)?, Rng::with_seed(order.seed));
    let mut drainer = Drainer { claimer, sink, rng, receipt: receipt() };
    while !stop.is_set() {
        if !drainer.round()? {
            thread::sleep(drainer.claimer.look_again_in().unwrap_or(REST).min(REST));
            drainer.claimer.arrived();
        }
    }
    Ok(())
}

struct Drainer {
    claimer: Claimer,
    sink: Sink,
    rng: Rng,
    receipt: Receipt,
}

impl Drainer {
    /// Answers whether there was anything to do.
    fn round(&mut self) -> io::Result<bool> {
        let delivery = DeliveryId::next();
        let most = self.rng.usize(1..=MOST);
        let claims = match self.rng.u8(..4) {
            0 => self.claimer.claim_urgent(most, &delivery)?,
            _ => self.claimer.claim(most, &delivery)?,
        };
        match claims.first().map(Claim::taken_over_from) {
            None => return Ok(false),
            Some(Some(_)) => self.settle(claims)?,
            Some(None) => self.deliver(claims, &delivery)?,
        }
        Ok(true)
    }

    /// The sink is asked, and whatever it says is done.
    fn settle(&mut self, claims: Vec<Claim>) -> io::Result<()> {
        let now = now();
        for dead in claims.iter().filter_map(Claim::taken_over_from) {
            say(format_args!("took {} {now}", dead.process.pid))?;
        }
        let (mut arrived, mut others) = (Vec::new(), Vec::new());
        for claim in claims {
            let side = if self.sink.has(claim.delivery())? { &mut arrived } else { &mut others };
            side.push(claim);
        }
        Claim::ack_all(arrived, &self.receipt)?;
        others.into_iter().try_for_each(Claim::release)
    }

    /// One line in the sink; now and then one of them is buried, or the last of them are given back.
    fn deliver(&mut self, mut claims: Vec<Claim>, delivery: &DeliveryId) -> io::Result<()> {
        match self.rng.u8(..24) {
            0 => claims.remove(self.rng.usize(..claims.len())).bury(WHY)?,
            1 => claims.split_off(self.rng.usize(..claims.len())).into_iter().try_for_each(Claim::release)?,
            _ => {}
        }
        if claims.is_empty() {
            return Ok(());
        }
        steps::at("deliver.claimed");
        claims.iter_mut().for_each(Claim::sent);
        steps::at("deliver.sent");
        let texts: Vec<&str> = claims.iter().map(|claim| claim.text().text.as_str()).collect();
        self.sink.append(delivery, &texts)?;
        steps::at("deliver.answered");
        steps::at("deliver.proved");
        Claim::ack_all(claims, &self.receipt)
    }
}

fn receipt() -> Receipt {
    let thread = ThreadId::parse("chaos").expect("a thread's id");
    Receipt { thread, turn: TurnId::parse("sink").expect("a turn's id") }
}
