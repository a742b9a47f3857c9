//! One agent's round: from its queue to its session, until the session is over.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::ages::Ages;
use super::message::{self, Said};
use crate::ids::{DeliveryId, TurnId};
use crate::queue::{self, Arrivals, Claim, Claimer, Limits, Queues};
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
/// How long a message may take to show in the history that was not there at the first look: a request of ours may still be
/// on its way.
const SECOND_LOOK: Duration = Duration::from_secs(1);
/// The longest pause after failures.
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// What is older is nobody's any more.
const LEFT_BEHIND: Duration = Duration::from_secs(3600);

/// What a session shows that matters here: what it takes, and in which turn.
type Stand = (Takes, Option<TurnId>);

pub(super) struct Round {
    handle: Handle,
    queues: Queues,
    limits: Limits,
    limit: Option<Duration>,
    /// Away while it works on a thread for what syncs the disk.
    claimer: Option<Claimer>,
    snapshot: watch::Receiver<Snapshot>,
    stand: Option<Stand>,
    failures: u32,
    not_before: Option<Instant>,
    ages: Ages,
    /// Since when the agent is idle, as far as it was seen.
    idle_since: Option<Instant>,
}

/// How a round goes on.
enum Next {
    /// There may be more to do at once.
    Now,
    /// Not before so long has passed, unless the session changes.
    After(Duration),
}

impl Round {
    pub(super) fn new(handle: Handle, queues: Queues, limit: Option<Duration>) -> Round {
        let queue = queues.of(handle.agent());
        Round {
            snapshot: handle.watch(),
            limits: queue.limits(),
            claimer: Some(queue.claimer()),
            handle,
            queues,
            limit,
            stand: None,
            failures: 0,
            not_before: None,
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
                    Some(self.failed())
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
        let pause = async {
            match pause {
                Some(pause) => tokio::time::sleep(pause).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = arrivals.next() => {
                if let Some(claimer) = &mut self.claimer {
                    claimer.arrived();
                }
            }
            () = changed(&mut self.snapshot, &self.stand) => self.not_before = None,
            () = pause => {}
        }
    }

    /// Delivers what can be delivered now, and says when to look again if nothing happens.
    async fn deliver_all(&mut self) -> io::Result<Option<Duration>> {
        loop {
            let snapshot = self.snapshot.borrow_and_update().clone();
            self.stand = Some(stand(&snapshot));
            if let Some(until) = self.not_before.filter(|until| *until > Instant::now()) {
                self.bury_the_old(&snapshot).await?;
                return Ok(Some(until - Instant::now()));
            }
            let delivery = DeliveryId::next();
            let claims = match snapshot.takes {
                Takes::Turn => self.on_disk(move |claimer| claimer.claim(MOST, &delivery)).await?,
                Takes::Steer => self.on_disk(move |claimer| claimer.claim_urgent(MOST, &delivery)).await?,
                Takes::Nothing => Vec::new(),
            };
            let next = match claims.first() {
                None => {
                    self.bury_the_old(&snapshot).await?;
                    let claimer = self.claimer.as_ref().filter(|_| snapshot.takes != Takes::Nothing);
                    return Ok(claimer.and_then(Claimer::look_again_in));
                }
                Some(first) if first.taken_over_from().is_some() => self.resolve(claims, None, &snapshot).await?,
                Some(_) => self.deliver(claims, snapshot.takes, &snapshot).await?,
            };
            if let Next::After(pause) = next {
                self.not_before = Some(Instant::now() + pause);
            }
        }
    }

    async fn deliver(&mut self, claims: Vec<Claim>, takes: Takes, snapshot: &Snapshot) -> io::Result<Next> {
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
                self.acknowledge(claims, queue::Receipt { thread, turn }).await?;
                Ok(Next::Now)
            }
            Receipt::NotNow => {
                self.give_back(claims).await?;
                Ok(Next::After(NOT_NOW))
            }
            Receipt::NotOpened(why) => {
                tracing::warn!(agent = %self.handle.identity(), %why, "nothing can be delivered");
                self.give_back(claims).await?;
                Ok(Next::After(self.failed()))
            }
            Receipt::Refused(why) => {
                self.count(claims, why, REFUSALS_MAX).await?;
                Ok(Next::After(self.failed()))
            }
            Receipt::InDoubt(why) => {
                tracing::info!(agent = %self.handle.identity(), %why, "the history is asked what has arrived");
                self.resolve(claims, Some(why), snapshot).await
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
    async fn resolve(&mut self, claims: Vec<Claim>, why: Option<Arc<str>>, snapshot: &Snapshot) -> io::Result<Next> {
        let id = claims[0].delivery().clone();
        let (claims, others): (Vec<Claim>, Vec<Claim>) = claims.into_iter().partition(|claim| *claim.delivery() == id);
        // In doubt still: their turn comes.
        drop(others);
        let died_elsewhere = claims[0].taken_over_from().is_some_and(|holder| !holder.is_of_us());
        let found = match self.handle.find(&id).await {
            Ok(None) if !died_elsewhere => {
                tokio::time::sleep(SECOND_LOOK).await;
                self.handle.find(&id).await
            }
            found => found,
        };
        let thread = self.handle.snapshot().thread.or_else(|| snapshot.thread.clone());
        match (found, thread) {
            (Ok(Some(turn)), Some(thread)) => {
                self.acknowledge(claims, queue::Receipt { thread, turn }).await?;
                Ok(Next::Now)
            }
            (Ok(_), _) if died_elsewhere => {
                self.count(claims, Arc::from("its server ended before it had arrived"), DEATHS_MAX).await?;
                Ok(Next::Now)
            }
            (Ok(_), _) => {
                let why = why.unwrap_or_else(|| Arc::from("nobody knows how its delivery ended"));
                self.count(claims, why, LOSSES_MAX).await?;
                Ok(Next::After(self.failed()))
            }
            (Err(why), _) => {
                tracing::warn!(agent = %self.handle.identity(), %why, "whether it has arrived cannot be found out now");
                drop(claims);
                Ok(Next::After(self.failed()))
            }
        }
    }

    /// How long to pause after one failure more.
    fn failed(&mut self) -> Duration {
        let pause = Duration::from_secs(1 << self.failures.min(5)).min(PAUSE_MAX);
        self.failures += 1;
        pause
    }

    async fn acknowledge(&mut self, claims: Vec<Claim>, receipt: queue::Receipt) -> io::Result<()> {
        self.failures = 0;
        tracing::info!(agent = %self.handle.identity(), entries = claims.len(), turn = %receipt.turn, "delivered");
        self.settle(move || Claim::ack_all(claims, &receipt)).await
    }

    async fn give_back(&self, claims: Vec<Claim>) -> io::Result<()> {
        off_the_loop(move || claims.into_iter().try_for_each(Claim::release)).await
    }

    /// One attempt more against each; with too many it is buried.
    async fn count(&mut self, claims: Vec<Claim>, why: Arc<str>, most: u32) -> io::Result<()> {
        if claims.iter().any(|claim| claim.attempts() + 1 >= most) {
            // What is behind it is not to blame.
            self.failures = 0;
        }
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

fn stand(snapshot: &Snapshot) -> Stand {
    (snapshot.takes, snapshot.turn().cloned())
}

/// Comes when the session takes something else than it did, or is over.
async fn changed(snapshot: &mut watch::Receiver<Snapshot>, known: &Option<Stand>) {
    while snapshot.changed().await.is_ok() {
        if Some(stand(&snapshot.borrow_and_update())) != *known {
            return;
        }
    }
}

/// What syncs the disk runs on a thread of its own.
async fn off_the_loop<T: Send + 'static>(act: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(act).await.map_err(io::Error::other)?
}
