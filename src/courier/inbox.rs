//! One agent's round from one of its inboxes: unread mail goes to its session, and is marked read when it has arrived.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::watch;

use super::desk::Desk;
use super::door::{Door, Inside};
use super::history::{self, Sender};
use super::letters::{self, Todo, Wanted};
use super::membership::Membership;
use super::own_reading::Unsettled;
use super::pace::{Pace, after};
use super::permission;
use super::replying::answer;
use super::round::{Stand, changed, off_the_loop, stand};
use super::shutdown;
use crate::ids::{DeliveryId, MemberName, MessageId, ThreadId, TurnId};
use crate::journal::Entry;
use crate::mail::{DeliveredLine, InHand, Message, Post, Sending, SendingFile};
use crate::session::{Delivery, Handle, Receipt, Roster, Snapshot, Takes};
use crate::steps;
use crate::watch::Files;

/// How many messages are looked through for what is urgent.
pub(super) const LOOKED_AT: usize = 1_000;
/// How often a message may be lost before it is given up.
const LOSSES_MAX: u32 = 10;
/// How old a change of an inbox has to be for the next to be told from it.
const SETTLED: Duration = Duration::from_secs(2);
/// How long what was not taken now is left alone, if nothing else happens.
const NOT_NOW: Duration = Duration::from_secs(1);

/// The round from one inbox.
pub(super) struct InboxRound {
    handle: Handle,
    roster: Arc<Roster>,
    desk: Desk,
    post: Arc<dyn Post>,
    door: Arc<Door>,
    /// How long a turn that begins with mail may take.
    limit: Option<Duration>,
    snapshot: watch::Receiver<Snapshot>,
    stand: Option<Stand>,
    pace: Pace,
    sending: Option<SendingFile>,
    /// What is on its way, so that the agent does not read it itself at the same time.
    in_hand: InHand,
    /// Whether the agent reads some of its mail itself at this moment.
    is_any_in_hand: bool,
    /// What the journal is told of the mail that is dealt with; after a crash nothing is known of it but ids.
    at_hand: Vec<Message>,
    membership: Membership,
    /// How everything was when there was nothing to do.
    at_rest: Option<View>,
}

/// What a look that reads nothing shows.
#[derive(Debug, Clone, PartialEq)]
struct View {
    stand: Stand,
    has_team: bool,
    /// Of the inbox, if there is one.
    changed: Option<SystemTime>,
    length: u64,
    /// When the agent was last given mail by its own tool, or that was settled.
    given: Option<SystemTime>,
}

/// Why it does not go on now, for the log.
pub(super) type Failure = Box<dyn std::error::Error + Send + Sync>;

impl InboxRound {
    pub(super) fn new(
        handle: Handle,
        roster: Arc<Roster>,
        desk: Desk,
        post: Arc<dyn Post>,
        door: Arc<Door>,
    ) -> InboxRound {
        let sending = SendingFile::of(&desk.dir, handle.agent(), post.team());
        InboxRound {
            snapshot: handle.watch(),
            membership: Membership::new(&handle, &desk, post.clone()),
            limit: desk.limit,
            sending: Some(sending),
            in_hand: InHand::default(),
            is_any_in_hand: false,
            at_hand: Vec::new(),
            handle,
            roster,
            desk,
            post,
            door,
            stand: None,
            pace: Pace::default(),
            at_rest: None,
        }
    }

    pub(super) async fn run(mut self) {
        let inbox = self.post.inbox_path(&self.name());
        let (Some(dir), Some(name)) = (inbox.parent(), inbox.file_name().and_then(|name| name.to_str())) else {
            return;
        };
        let arrivals = self.desk.watcher.watch(dir, Files::Named(name.to_owned()), self.desk.poll);
        let mut makings = self.desk.teams.makings();
        while !self.handle.is_over() {
            let pause = match self.attend().await {
                Ok(pause) => pause,
                Err(error) => {
                    tracing::warn!(agent = %self.handle.identity(), team = %self.post.team(), %error, "its mail cannot be attended to");
                    Some(self.pace.failed())
                }
            };
            let pause = pause.into_iter().chain(self.membership.due()).min();
            tokio::select! {
                () = arrivals.arrival() => {}
                () = changed(&mut self.snapshot, &self.stand) => self.pace.go_on(),
                Ok(()) = makings.changed() => {}
                () = after(pause) => {}
            }
        }
        self.membership.end().await;
    }

    fn name(&self) -> MemberName {
        MemberName::from(self.handle.identity())
    }

    fn view(&self, stand: Stand) -> View {
        let inbox = std::fs::metadata(self.post.inbox_path(&self.name())).ok();
        let (changed, length) =
            (inbox.as_ref().and_then(|inbox| inbox.modified().ok()), inbox.map_or(0, |inbox| inbox.len()));
        let given = self.desk.dir.mail_read(self.handle.agent(), self.post.team());
        let given = std::fs::metadata(given).and_then(|dir| dir.modified()).ok();
        View { stand, has_team: self.post.exists(), changed, length, given }
    }

    /// Delivers what can be delivered now, and says when to look again if nothing happens.
    async fn attend(&mut self) -> Result<Option<Duration>, Failure> {
        loop {
            let snapshot = self.snapshot.borrow_and_update().clone();
            let stand = stand(&snapshot);
            self.stand = Some(stand.clone());
            let view = self.view(stand);
            if self.at_rest.as_ref() == Some(&view) {
                return Ok(None);
            }
            self.membership.keep(&self.roster, &snapshot).await;
            // Somebody else's inbox is not ours to read.
            if !self.membership.is_in() {
                return Ok(None);
            }
            if self.desk.asks_lead && !snapshot.asks.is_empty() {
                permission::hear_the_lead(&self.handle, &self.desk, &self.post).await?;
            }
            if let Some(left) = self.pace.left() {
                return Ok(Some(left));
            }
            let door = self.door.clone();
            let inside = door.enter().await;
            if let Some(unsettled) = Unsettled::first(&self.handle, &self.desk, &self.post).await? {
                self.settle(inside, unsettled).await?;
                continue;
            }
            let takes = self.snapshot.borrow().takes;
            let known = self.on_file(|file| file.read()).await?;
            match known {
                Some(sending) if !sending.is_lost => {
                    self.resolve(inside, sending, Arc::from("its server ended")).await?
                }
                lost => match (self.todo(takes, lost.as_ref()).await?, lost) {
                    (Todo::Nothing, _) if self.is_any_in_hand => return Ok(None),
                    (Todo::Nothing, _) => {
                        // Within a tick of its clock the file system tells no change from another.
                        let is_old = view.changed.is_none_or(|at| at.elapsed().is_ok_and(|age| age > SETTLED));
                        self.at_rest = is_old.then_some(view).filter(|_| self.membership.due().is_none());
                        return Ok(None);
                    }
                    (Todo::ShutDown(message, request), _) => {
                        let (roster, post, handle) = (&self.roster, &self.post, &self.handle);
                        let who = (handle.agent(), handle.identity());
                        shutdown::follow(roster, &self.desk, post, who, &message, &request).await?;
                    }
                    (Todo::Deliver(ids, parts), lost) => {
                        let losses =
                            lost.filter(|lost| lost.messages.first() == ids.first()).map_or(0, |lost| lost.losses);
                        self.deliver(
                            inside,
                            Sending::new(DeliveryId::of_mail(self.post.team(), &ids), ids, losses),
                            parts,
                            takes,
                        )
                        .await?;
                    }
                },
            }
        }
    }

    /// What is to be done, if the session takes anything.
    async fn todo(&mut self, takes: Takes, lost: Option<&Sending>) -> Result<Todo, Failure> {
        self.at_hand.clear();
        let wanted = match (takes, self.desk.is_auto(self.handle.identity())) {
            (Takes::Nothing, _) | (Takes::Steer, false) => return Ok(Todo::Nothing),
            (Takes::Steer, true) => Wanted::Urgent,
            (Takes::Turn, true) => Wanted::All,
            (Takes::Turn, false) => Wanted::End,
        };
        self.in_hand = InHand::default();
        let (team, name, hands) = (self.post.team().clone(), self.name(), self.desk.teams.hands().clone());
        // What was in hand before the look, and is not any more, was marked since.
        let held = hands.held(&team, &name);
        let (post, of) = (self.post.clone(), self.name());
        let mut page = off_the_loop(move || Ok(post.unread(&of, LOOKED_AT))).await??;
        let found = page.messages.len();
        page.messages.retain(|message| !held.contains(&message.id) && !hands.has(&team, &name, &message.id));
        self.is_any_in_hand = page.messages.len() < found;
        let was_lost = |message: &Message| lost.is_some_and(|lost| lost.messages.contains(&message.id));
        let wanted =
            if page.messages.first().is_some_and(was_lost) && wanted == Wanted::All { Wanted::First } else { wanted };
        let lead = self.desk.lead_in(&self.post);
        let todo = letters::todo(&page.messages, wanted, self.desk.bounds, team.as_str(), &lead);
        if let Todo::Deliver(ids, _) = &todo {
            self.in_hand = hands.take(&team, &name, ids.iter());
            // The agent was faster.
            if !ids.iter().all(|id| self.in_hand.has(id)) {
                self.is_any_in_hand = true;
                return Ok(Todo::Nothing);
            }
        }
        self.at_hand = page.messages;
        self.at_hand.retain(|message| todo.concerns(&message.id));
        Ok(todo)
    }

    async fn deliver(
        &mut self,
        inside: Inside<'_>,
        sending: Sending,
        parts: Vec<String>,
        takes: Takes,
    ) -> Result<(), Failure> {
        let written = sending.clone();
        self.on_file(move |file| file.write(&written)).await?;
        steps::at("letter.written");
        let id = sending.delivery.clone();
        let delivery = Delivery { id, parts, urgent: takes == Takes::Steer, limit: self.limit };
        match self.handle.deliver(delivery).await {
            Receipt::Delivered { thread, turn } => {
                steps::at("letter.proved");
                self.arrived(inside, sending, thread, turn).await
            }
            Receipt::NotNow => {
                self.pace.pause(NOT_NOW);
                self.take_back(sending).await
            }
            Receipt::NotOpened(why) | Receipt::Refused(why) => {
                tracing::warn!(agent = %self.handle.identity(), %why, "its mail waits");
                self.pace.failed();
                self.take_back(sending).await
            }
            Receipt::InDoubt(why) => self.resolve(inside, sending, why).await,
        }
    }

    /// It has not left: what was known of earlier losses stays.
    async fn take_back(&mut self, sending: Sending) -> Result<(), Failure> {
        if sending.losses == 0 {
            return Ok(self.on_file(|file| file.clear()).await?);
        }
        let mut kept = sending;
        kept.is_lost = true;
        Ok(self.on_file(move |file| file.write(&kept)).await?)
    }

    /// Mail of which nobody knows whether it has arrived: the thread's history does.
    async fn resolve(&mut self, inside: Inside<'_>, sending: Sending, why: Arc<str>) -> Result<(), Failure> {
        let is_ours = self.sending.as_ref().is_some_and(SendingFile::is_ours);
        let sender = if is_ours { Sender::Us } else { Sender::Dead };
        match history::find(&self.handle, &sending.delivery, sender).await {
            Ok(Some((thread, turn))) => self.arrived(inside, sending, thread, turn).await,
            Ok(None) => {
                let lost = sending.lost();
                if lost.losses >= LOSSES_MAX {
                    return self.give_up(lost, &why).await;
                }
                self.pace.failed_times(lost.losses);
                Ok(self.on_file(move |file| file.write(&lost)).await?)
            }
            Err(why) => {
                tracing::warn!(agent = %self.handle.identity(), %why, "whether its mail has arrived cannot be found out now");
                self.pace.failed();
                Ok(())
            }
        }
    }

    /// Mail that the agent has read itself, perhaps.
    async fn settle(&mut self, inside: Inside<'_>, unsettled: Unsettled) -> Result<(), Failure> {
        let Some(seen) = unsettled.seen(&self.handle).await else {
            self.pace.failed();
            return Ok(());
        };
        drop(inside);
        self.at_hand.clear();
        if !seen.is_empty() {
            self.mark(seen).await?;
        }
        unsettled.settled().await
    }

    async fn arrived(
        &mut self,
        inside: Inside<'_>,
        sending: Sending,
        thread: ThreadId,
        turn: TurnId,
    ) -> Result<(), Failure> {
        // A lock of the inbox that hangs holds up nobody else's way to the agent.
        drop(inside);
        self.pace.succeeded();
        let agent = self.handle.identity().clone();
        tracing::info!(%agent, messages = sending.messages.len(), %turn, "its mail is delivered");
        let delivery = sending.delivery.clone();
        let line = |id: &MessageId| DeliveredLine::now(id.clone(), delivery.clone(), thread.clone(), turn.clone());
        let lines: Vec<DeliveredLine> = sending.messages.iter().map(line).collect();
        for id in &sending.messages {
            self.note("deliver", id, &format!("in turn {turn}"));
        }
        let ledger = self.desk.ledger.clone();
        off_the_loop(move || {
            ledger.delivered(&lines);
            Ok(())
        })
        .await?;
        self.mark(sending.messages).await?;
        steps::at("letter.marked");
        Ok(self.on_file(|file| file.clear()).await?)
    }

    async fn mark(&mut self, ids: Vec<MessageId>) -> Result<(), Failure> {
        let (post, name) = (self.post.clone(), self.handle.identity().clone());
        let (marked, ids) = off_the_loop(move || Ok((post.mark_read_of_ours(&name, &ids), ids))).await?;
        let marked = marked?;
        if let Some(aside) = marked.set_aside {
            tracing::warn!(agent = %self.handle.identity(), aside = %aside.display(), "its inbox was broken, and is set aside");
        }
        ids.iter().for_each(|id| self.note("mark", id, "read"));
        Ok(())
    }

    /// The first of these cannot be delivered: it is read by nobody, and its sender is told.
    async fn give_up(&mut self, lost: Sending, why: &str) -> Result<(), Failure> {
        let Some(id) = lost.messages.first().cloned() else { return Ok(self.on_file(|file| file.clear()).await?) };
        let (post, name) = (self.post.clone(), self.name());
        let unread = off_the_loop(move || Ok(post.unread(&name, LOOKED_AT))).await??.messages;
        tracing::warn!(agent = %self.handle.identity(), message = %id, why, "mail is given up");
        self.at_hand = unread.into_iter().filter(|message| message.id == id).collect();
        self.note("give_up", &id, why);
        if let Some(message) = self.at_hand.first() {
            let name = self.handle.identity();
            let text = format!(
                "Your message {id} did not reach {name}: it was lost {} times, the last time so: {why}",
                lost.losses
            );
            answer(&self.post, name, message, text).await;
        }
        self.mark(vec![id]).await?;
        self.pace.succeeded();
        Ok(self.on_file(|file| file.clear()).await?)
    }

    fn note(&self, action: &str, id: &MessageId, result: &str) {
        let message = self.at_hand.iter().find(|message| message.id == *id);
        let (from, text) = message.map(|message| (message.from.as_str(), message.text.as_str())).unzip();
        let (agent, id) = (Some(self.handle.identity().as_str()), Some(id.as_str()));
        self.desk.journal.note(Entry { agent, who: "courier", action, from, to: agent, id, text, result });
    }

    async fn on_file<T: Send + 'static>(
        &mut self,
        act: impl FnOnce(&mut SendingFile) -> std::io::Result<T> + Send + 'static,
    ) -> std::io::Result<T> {
        let mut file = self
            .sending
            .take()
            .unwrap_or_else(|| SendingFile::of(&self.desk.dir, self.handle.agent(), self.post.team()));
        let (file, done) = off_the_loop(move || {
            let done = act(&mut file);
            Ok((file, done))
        })
        .await?;
        self.sending = Some(file);
        done
    }
}
