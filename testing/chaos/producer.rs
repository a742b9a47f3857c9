//! The role of a producer: it enqueues one text after the other, and says of each that it tries and that it is done.

use std::io;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use atm_agent_mcp::queue::{Limits, Queue, QueueError, Text, Urgency};
use fastrand::Rng;

use crate::foreign::{Foreign, Form, Manner};
use crate::life::{Stop, say};
use crate::mark::Mark;

/// With so many waiting, a producer waits.
const ENOUGH: usize = 200;
/// How often it looks, and when it begins: whoever waits may be killed.
const LOOK_EACH: u64 = 16;

/// How a producer enqueues.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Kind {
    /// By the library.
    Ours,
    /// As another program does, by a rename.
    Renamed,
    /// As another program does, in place and in pieces.
    InPlace,
}

impl Kind {
    /// Its word on the command line.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Kind::Ours => "ours",
            Kind::Renamed => "renamed",
            Kind::InPlace => "in-place",
        }
    }
}

/// What one producer is to do.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Order {
    #[arg(long)]
    pub(crate) queue: PathBuf,
    /// Where it may write what is not whole yet.
    #[arg(long)]
    pub(crate) aside: PathBuf,
    #[arg(long)]
    pub(crate) producer: u32,
    #[arg(long, value_enum)]
    pub(crate) kind: Kind,
    /// The number to begin with.
    #[arg(long)]
    pub(crate) from: u64,
    /// The longest pause between two texts, in milliseconds.
    #[arg(long)]
    pub(crate) pause: u64,
    #[arg(long)]
    pub(crate) seed: u64,
}

/// Enqueues until it is told to stop.
pub(crate) fn produce(order: Order) -> io::Result<()> {
    let stop = Stop::when_stdin_closes();
    let mut rng = Rng::with_seed(order.seed);
    let queue = Queue::at(&order.queue, Limits::default());
    queue.make().map_err(io::Error::other)?;
    let manner = match order.kind {
        Kind::Ours => None,
        Kind::Renamed => Some(Manner::Renamed),
        Kind::InPlace => Some(Manner::InPlace),
    };
    let foreign = manner.map(|manner| Foreign::new(&order.queue, &order.aside, order.producer, manner));
    let mut foreign = foreign.transpose()?;
    let mut number = order.from;
    while !stop.is_set() {
        while (number == order.from || number.is_multiple_of(LOOK_EACH)) && queue.depth()?.waiting > ENOUGH {
            if stop.is_set() {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(50));
        }
        let form = if foreign.is_none() || rng.bool() { Form::Entry } else { Form::Plain };
        let urgent = form == Form::Entry && rng.u8(..6) == 0;
        let urgency = if urgent { Urgency::Urgent } else { Urgency::Normal };
        let mark = Mark { producer: order.producer, number, urgency };
        say(format_args!("try {number}"))?;
        let done = match &mut foreign {
            None => enqueue(&queue, &mark, &stop)?,
            Some(foreign) => foreign.write(&mark, form, &mut rng)?,
        };
        // What was not done in time is nobody's promise.
        say(format_args!("{} {number}", if done { "ack" } else { "late" }))?;
        number += 1;
        thread::sleep(Duration::from_millis(rng.u64(..=order.pause)));
    }
    Ok(())
}

fn enqueue(queue: &Queue, mark: &Mark, stop: &Stop) -> io::Result<bool> {
    let text = Text { text: mark.text(), from: Some("chaos".to_owned()), urgency: mark.urgency, ..Text::default() };
    loop {
        match queue.enqueue(&text) {
            Ok(_) => return Ok(true),
            Err(QueueError::Full { .. }) if stop.is_set() => return Ok(false),
            Err(QueueError::Full { .. }) => thread::sleep(Duration::from_millis(50)),
            Err(error) => return Err(io::Error::other(error)),
        }
    }
}
