//! What a session asks of Codex, beside its loop: each comes back to it as a message.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::oneshot;

use super::actor::{Actor, Done, Live};
use super::opening;
use super::state::{Input, Job};
use super::turn::Progress;
use crate::codex::{CodexError, rollout};
use crate::ids::{DeliveryId, TurnId};
use crate::steps;

/// Who waits for what the thread's history says; the error is why it says nothing now.
pub(super) type Asker<T> = oneshot::Sender<Result<T, Arc<str>>>;

/// What somebody wants to know of the thread's history.
#[derive(Debug)]
pub(super) enum Question {
    /// In which turn a delivery has arrived, if it has.
    Arrived(DeliveryId, Asker<Option<TurnId>>),
    /// Which of these texts stand in results of tools that the model has.
    InResults(Vec<String>, Asker<HashSet<String>>),
}

impl Question {
    /// Nobody can say.
    pub(super) fn fail(self, why: &Arc<str>) {
        match self {
            Question::Arrived(_, asker) => drop(asker.send(Err(why.clone()))),
            Question::InResults(_, asker) => drop(asker.send(Err(why.clone()))),
        }
    }
}

impl Actor {
    pub(super) fn open(&mut self) {
        self.opening = true;
        self.does("starting");
        self.live = None;
        self.kept.record.server_pid = std::process::id();
        let open = opening::open(self.codex.clone(), self.kept.clone(), self.toolbox.clone());
        self.work.push(Box::pin(async { Done::Opened(open.await) }));
    }

    pub(super) fn start_turn(&mut self, job: Job) {
        let message = match &job {
            Job::Call(call) => {
                let call = self.calls.get_mut(call);
                call.map(|call| (vec![std::mem::take(&mut call.prompt)], call.limit, call.mark.clone()))
            }
            Job::Delivery(id) => {
                let message = self.under_way.take_message(id);
                message.map(|(parts, limit)| (parts, limit, Some(id.clone())))
            }
        };
        let (Some(Live { client, thread, .. }), Some((parts, limit, mark))) = (&self.live, message) else {
            return self.input(Input::Refused { job, why: "the agent has no thread".into() });
        };
        let (client, thread) = (client.clone(), thread.clone());
        let place = self.kept.place();
        let news = (self.kept.record.context.as_ref() != Some(&place)).then_some(place);
        let notes = match job {
            Job::Call(_) => std::mem::take(&mut self.notes),
            Job::Delivery(_) => Vec::new(),
        };
        self.turn = Some(Progress::new(job.clone(), limit, notes));
        self.tell_configured(&job);
        self.watchdog.heard();
        self.kept.record.last_active = Timestamp::now();
        self.does("asked");
        self.work.push(Box::pin(async move {
            let mut told = None;
            if let Some(news) = news {
                match client.tell(&thread, &news).await {
                    Ok(()) => told = Some(news),
                    // It is told again before the next turn.
                    Err(error) => tracing::warn!(%error, "an agent could not be told of its new place"),
                }
            }
            let answer = client.turn_start(&thread, &parts, mark.as_ref()).await;
            if matches!(job, Job::Delivery(_)) {
                steps::at("deliver.answered");
            }
            let failed =
                answer.err().map(|error| not_done(&error, |why| Input::Refused { job: job.clone(), why }, &job));
            Done::Asked { told, failed }
        }));
    }

    pub(super) fn steer(&mut self, id: DeliveryId, turn: TurnId) {
        let (Some(Live { client, thread, .. }), Some((parts, _))) = (&self.live, self.under_way.take_message(&id))
        else {
            return self.input(Input::NotSteered(id));
        };
        let (client, thread) = (client.clone(), thread.clone());
        self.work.push(Box::pin(async move {
            let answer = client.turn_steer(&thread, &turn, &parts, &id).await;
            steps::at("deliver.answered");
            let not_steered = |why: Arc<str>| {
                tracing::debug!(%why, "a delivery that could not join the turn");
                Input::NotSteered(id.clone())
            };
            let failed = answer.err().map(|error| not_done(&error, not_steered, &Job::Delivery(id.clone())));
            Done::Asked { told: None, failed }
        }));
    }

    pub(super) fn interrupt(&mut self, turn: TurnId) {
        let Some(Live { client, thread, .. }) = &self.live else { return };
        let (client, thread) = (client.clone(), thread.clone());
        self.work.push(Box::pin(async move {
            if let Err(error) = client.turn_interrupt(&thread, &turn).await {
                tracing::debug!(%error, "a turn that could not be interrupted");
            }
            Done::Nothing
        }));
    }

    /// Answers what is asked of the thread's history, once there is one to ask.
    pub(super) fn look_up(&mut self) {
        let Some(Live { client, thread, rollout, .. }) = &self.live else { return };
        for question in self.questions.drain(..) {
            let (client, thread, rollout) = (client.clone(), thread.clone(), rollout.clone());
            self.work.push(Box::pin(async move {
                // Who does not wait any more asks again.
                match question {
                    Question::Arrived(delivery, asker) => {
                        let found = client.find(&thread, &delivery).await;
                        asker.send(found.map_err(|error| Arc::from(error.to_string()))).ok();
                    }
                    Question::InResults(texts, asker) => drop(asker.send(Ok(in_results(rollout, texts).await))),
                }
                Done::Nothing
            }));
        }
    }
}

/// Of a thread of which no file can be read nobody knows more than that nothing was found.
async fn in_results(rollout: Option<PathBuf>, texts: Vec<String>) -> HashSet<String> {
    let Some(path) = rollout else { return HashSet::new() };
    let file = path.clone();
    match tokio::task::spawn_blocking(move || rollout::found_in_results(&file, texts)).await {
        Ok(Ok(found)) => return found,
        Ok(Err(error)) => {
            tracing::warn!(file = %path.display(), %error, "what an agent's model has cannot be looked up")
        }
        Err(error) => tracing::error!(%error, "what an agent's model has was not looked up"),
    }
    HashSet::new()
}

/// What the rules are told of a request that came to nothing: that it was refused, if that is sure; that Codex is gone, if it
/// is.
fn not_done(error: &CodexError, refused: impl FnOnce(Arc<str>) -> Input, job: &Job) -> Input {
    if let CodexError::Lost(why) = error {
        return Input::Lost(why.clone());
    }
    let why = Arc::from(error.to_string());
    if error.is_sure() { refused(why) } else { Input::Unanswered { job: job.clone(), why } }
}
