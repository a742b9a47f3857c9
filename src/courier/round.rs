//! One agent's round: from its queue to its session, until the session is over.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::ages::Ages;
use super::door::Door;
use super::history::{self, Sender};
use super::message::{self, Said};
use super::pace::{Pace, after};
use crate::ids::{DeliveryId, TurnId};
use crate::journal::{Entry, Journal};
use crate::queue::{self, Arrivals, Claim, Claimer, Holder, Limits, Queues};
use crate::session::{Delivery, Handle, Receipt, Snapshot, State, Takes};
use crate::steps;

/// How many entries one message carries.
const MOST: usize = 10;
/// How often Codex may refuse an entry before it is buried.
const REFUSALS_MAX: u32 = 5;
/// How often an entry may be lost (Codex has died with it, say, or its turn was interrupted) before it is buried.
const LOSSES_MAX: u32 = 10;
/// How often a server may die with an entry before it is buried.
const DEATHS_MAX: u32 = 20;
/// How long what was not taken now is left alone, if nothing else happens.
const NOT_NOW: Duration = Duration::from_secs(1);
/// The longest pause after failures.
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// What is older is nobody's any more.
const LEFT_BEHIND: Duration = Duration::from_secs(3600);

/// What a session shows that matters here: what it takes, and in which turn.
pub(super) type Stand = (Takes, Option<TurnId>);

/// The round from an agent's queue.
pub(super) struct Round {
    handle: Handle,
    door: Arc<Door>,
    queues: Queues,
    journal: Option<Journal>,
    limits: Limits,
    limit: Option<Duration>,
    /// Away while it works on a thread for what syncs the disk.
    claimer: Option<Claimer>,
    snapshot: watch::Receiver<Snapshot>,
    stand: Option<Stand>,
    pace: Pace,
    ages: Ages,
    /// Since when the agent is idle, as far as it was seen.
    idle_since: Option<Instant>,
}

impl Round {
    pub(super) fn new(
        handle: Handle,
        door: Arc<Door>,
        queues: Queues,
        journal: Option<Journal>,
        limit: Option<Duration>,
    ) -> Round {
        let queue = queues.of(handle.agent());
        Round {
            snapshot: handle.watch(),
            limits: queue.limits(),
            claimer: Some(queue.claimer()),
            handle,
            door,
            queues,
            journal,
            limit,
            stand: None,
            pace: Pace::default(),
            ages: Ages::default(),
            idle_since: None,
        }
    }

    pub(super) async fn run(mut self) {
        let agent = self.handle.identity().clone();
        let arrivals = loop {
            match self.begin().await {
                Ok(arrivals) => break arrivals,
                Err(error) => tracing::warn!(%agent, %error, "nothing can be delivered"),
            }
            let over = self.snapshot.wait_for(|_| false);
            if tokio::time::timeout(PAUSE_MAX, over).await.is_ok() {
                return;
            }
        };
        while !self.handle.is_over() {
            let pause = match self.deliver_all().await {
                Ok(pause) => pause,
                Err(error) => {
                    tracing::warn!(%agent, %error, "its queue cannot be used");
                    Some(self.pace.failed())
                }
            };
            self.wait(&arrivals, pause).await;
        }
    }

    /// Makes the queue ready: its directory is there, without what crashes left, and watched.
    async fn begin(&mut self) -> io::Result<Arrivals> {
        self.on_disk(|claimer| {
            claimer.queue().make().map_err(io::Error::other)?;
            claimer.queue().sweep(LEFT_BEHIND);
            Ok(())
        })
        .await?;
        self.queues.watch(self.handle.agent()).map_err(io::Error::other)
    }

    async fn wait(&mut self, arrivals: &Arrivals, pause: Option<Duration>) {
        tokio::select! {
            () = arrivals.next() => {
                if let Some(claimer) = &mut self.claimer {
                    claimer.arrived();
                }
            }
            () = changed(&mut self.snapshot, &self.stand) => self.pace.go_on(),
            () = after(pause) => {}
        }
    }

    /// Delivers what can be delivered now, and says when to look again if nothing happens.
    async fn deliver_all(&mut self) -> io::Result<Option<Duration>> {
        loop {
            let snapshot = self.snapshot.borrow_and_update().clone();
            self.stand = Some(stand(&snapshot));
            if let Some(left) = self.pace.left() {
                self.bury_the_old(&snapshot).await?;
                return Ok(Some(left));
            }
            let door = self.door.clone();
            let _inside = door.enter().await;
            let snapshot = self.snapshot.borrow_and_update().clone();
            self.stand = Some(stand(&snapshot));
            let delivery = DeliveryId::next();
            let claims = match snapshot.takes {
                Takes::Turn => self.on_disk(move |claimer| claimer.claim(MOST, &delivery)).await?,
                Takes::Steer => self.on_disk(move |claimer| claimer.claim_urgent(MOST, &delivery)).await?,
                Takes::Nothing => Vec::new(),
            };
            match claims.first() {
                None => {
                    self.bury_the_old(&snapshot).await?;
                    let claimer = self.claimer.as_ref().filter(|_| snapshot.takes != Takes::Nothing);
                    return Ok(claimer.and_then(Claimer::look_again_in));
                }
                Some(first) if first.taken_over_from().is_some() => self.resolve(claims, None).await?,
                Some(_) => self.deliver(claims, snapshot.takes).await?,
            }
        }
    }

    async fn deliver(&mut self, claims: Vec<Claim>, takes: Takes) -> io::Result<()> {
        let mut claims = self.one_message(claims).await?;
        let parts = message::parts(&claims.iter().map(Said::from).collect::<Vec<_>>());
        let id = claims[0].delivery().clone();
        // From here on it may have arrived, whatever becomes of us.
        claims.iter_mut().for_each(Claim::sent);
        steps::at("deliver.claimed");
        let delivery = Delivery { id, parts, urgent: takes == Takes::Steer, limit: self.limit };
        match self.handle.deliver(delivery).await {
            Receipt::Delivered { thread, turn } => {
                steps::at("deliver.proved");
                self.acknowledge(claims, queue::Receipt { thread, turn }).await
            }
            Receipt::NotNow => {
                self.pace.pause(NOT_NOW);
                self.give_back(claims).await
            }
            Receipt::NotOpened(why) => {
                tracing::warn!(agent = %self.handle.identity(), %why, "nothing can be delivered");
                self.pace.failed();
                self.give_back(claims).await
            }
            Receipt::Refused(why) => self.count(claims, why, REFUSALS_MAX).await,
            Receipt::InDoubt(why) => {
                tracing::info!(agent = %self.handle.identity(), %why, "the history is asked what has arrived");
                self.resolve(claims, Some(why)).await
            }
        }
    }

    /// As many as fit into one message. What has failed before goes alone: nobody else is to fail with it.
    async fn one_message(&self, mut claims: Vec<Claim>) -> io::Result<Vec<Claim>> {
        let sound = claims.iter().take_while(|claim| claim.attempts() == 0).count().max(1);
        let fitting = message::fitting(claims.iter().map(Said::from));
        let rest = claims.split_off(sound.min(fitting).min(claims.len()));
        if !rest.is_empty() {
            self.give_back(rest).await?;
        }
        Ok(claims)
    }

    /// Claims of which nobody knows whether they have arrived, and `why`, where that is known: the thread's history does.
    async fn resolve(&mut self, claims: Vec<Claim>, why: Option<Arc<str>>) -> io::Result<()> {
        let id = claims[0].delivery().clone();
        let (claims, others): (Vec<Claim>, Vec<Claim>) = claims.into_iter().partition(|claim| *claim.delivery() == id);
        // In doubt still: their turn comes.
        drop(others);
        let is_ours = claims[0].taken_over_from().is_none_or(Holder::is_of_us);
        let sender = if is_ours { Sender::Us } else { Sender::Dead };
        match history::find(&self.handle, &id, sender).await {
            Ok(Some((thread, turn))) => self.acknowledge(claims, queue::Receipt { thread, turn }).await,
            Ok(None) if is_ours => {
                let why = why.unwrap_or_else(|| Arc::from("nobody knows how its delivery ended"));
                self.count(claims, why, LOSSES_MAX).await
            }
            Ok(None) => {
                self.count(claims, Arc::from("its server ended before it had arrived"), DEATHS_MAX).await?;
                self.pace.go_on();
                Ok(())
            }
            Err(why) => {
                tracing::warn!(agent = %self.handle.identity(), %why, "whether it has arrived cannot be found out now");
                drop(claims);
                self.pace.failed();
                Ok(())
            }
        }
    }

    async fn acknowledge(&mut self, claims: Vec<Claim>, receipt: queue::Receipt) -> io::Result<()> {
        self.pace.succeeded();
        tracing::info!(agent = %self.handle.identity(), entries = claims.len(), turn = %receipt.turn, "delivered");
        for claim in &claims {
            self.note("deliver", claim, &format!("in turn {}", receipt.turn));
        }
        self.settle(move || Claim::ack_all(claims, &receipt)).await
    }

    /// Who has written an entry is its writer's word, so it stands as that.
    fn note(&self, action: &str, claim: &Claim, result: &str) {
        let Some(journal) = &self.journal else { return };
        let (said, agent) = (claim.text(), Some(self.handle.identity().as_str()));
        let (from, id, text) = (said.from.as_deref(), Some(claim.id().as_str()), Some(said.text.as_str()));
        journal.note(Entry { agent, who: "queue", action, from, to: agent, id, text, result });
    }

    async fn give_back(&self, claims: Vec<Claim>) -> io::Result<()> {
        off_the_loop(move || claims.into_iter().try_for_each(Claim::release)).await
    }

    /// One attempt more against each, and a pause; with too many it is buried.
    async fn count(&mut self, claims: Vec<Claim>, why: Arc<str>, most: u32) -> io::Result<()> {
        for claim in claims.iter().filter(|claim| claim.attempts() + 1 >= most) {
            self.note("bury", claim, &why);
        }
        // What is behind one that is buried is not to blame.
        let times = claims.iter().map(|claim| claim.attempts() + 1).filter(|times| *times < most).max();
        self.pace.failed_times(times.unwrap_or(1));
        self.settle(move || {
            claims.into_iter().try_for_each(|claim| {
                if claim.attempts() + 1 < most {
                    return claim.failed(&why);
                }
                let id = claim.id().clone();
                claim.failed_for_good(&why)?;
                tracing::warn!(entry = %id, %why, "buried");
                Ok(())
            })
        })
        .await
    }

    async fn settle(&self, done: impl FnOnce() -> io::Result<()> + Send + 'static) -> io::Result<()> {
        let done = off_the_loop(done).await;
        self.queues.settled();
        done
    }

    /// Buries what an idle agent has failed to take for too long.
    async fn bury_the_old(&mut self, snapshot: &Snapshot) -> io::Result<()> {
        let is_idle = snapshot.state == State::Idle;
        let now = Instant::now();
        let since = std::mem::replace(&mut self.idle_since, is_idle.then_some(now));
        let (Some(most), true) = (self.limits.ttl, is_idle) else { return Ok(()) };
        let waiting = self.on_disk(Claimer::waiting).await?;
        let elapsed = since.map_or(Duration::ZERO, |since| now - since);
        for id in self.ages.add(&waiting, elapsed, most) {
            let why = format!("an idle agent has not taken it for {} s (queue_ttl_secs)", most.as_secs());
            let agent = self.handle.identity().clone();
            self.on_disk(move |claimer| {
                if claimer.bury(&id, &why)? {
                    tracing::warn!(%agent, entry = %id, why, "buried");
                }
                Ok(())
            })
            .await?;
            self.queues.settled();
        }
        Ok(())
    }

    async fn on_disk<T: Send + 'static>(
        &mut self,
        act: impl FnOnce(&mut Claimer) -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let mut claimer = self.claimer.take().unwrap_or_else(|| self.queues.of(self.handle.agent()).claimer());
        let (claimer, done) = off_the_loop(move || {
            let done = act(&mut claimer);
            Ok((claimer, done))
        })
        .await?;
        self.claimer = Some(claimer);
        done
    }
}

pub(super) fn stand(snapshot: &Snapshot) -> Stand {
    (snapshot.takes, snapshot.turn().cloned())
}

/// Comes when the session takes something else than it did, or is over.
pub(super) async fn changed(snapshot: &mut watch::Receiver<Snapshot>, known: &Option<Stand>) {
    while snapshot.changed().await.is_ok() {
        if Some(stand(&snapshot.borrow_and_update())) != *known {
            return;
        }
    }
}

/// What syncs the disk runs on a thread of its own.
pub(super) async fn off_the_loop<T: Send + 'static>(
    act: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(act).await.map_err(io::Error::other)?
}
