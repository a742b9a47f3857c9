//! The end of a session: what is owed is given, the record is written, the thread is let go.

use std::time::Duration;

use futures_util::StreamExt;

use super::actor::{Actor, LAST_TURN, Live};
use super::handle::{Command, Farewell, Goodbye};
use super::state::Input;

/// How long the end of its commands in the background may take.
pub(super) const LAST_WORDS: Duration = Duration::from_secs(1);

impl Actor {
    pub(super) fn end(&mut self, farewell: Farewell, done: Option<Goodbye>) {
        let (kept, waiting) = self.farewell.get_or_insert_with(|| (farewell, Vec::new()));
        if farewell == Farewell::Close {
            *kept = Farewell::Close;
        }
        waiting.extend(done);
        self.give_up = None;
        self.decline_all("the agent was closed");
        self.input(Input::Close);
    }

    /// What is under way may write the record, or open the thread: the last word on both is ours.
    async fn let_work_end(&mut self) {
        while self.opening || self.kept.is_being_written() {
            match self.work.next().await {
                Some(done) => self.take(done),
                None => return,
            }
        }
    }

    pub(super) async fn retire(mut self) {
        self.publish();
        tokio::time::timeout(LAST_TURN, self.let_work_end()).await.ok();
        let (farewell, waiting) = self.farewell.take().unwrap_or((Farewell::Park, Vec::new()));
        let closes = farewell == Farewell::Close;
        let nothing_new = !self.was_open && !closes && self.kept.record.thread_id.is_some();
        self.kept.record.closed |= closes;
        let saved = if nothing_new { Ok(()) } else { self.kept.save_now().await };
        if let Err(error) = &saved {
            tracing::warn!("{error}");
        }
        if let Some(Live { client, thread, events, .. }) = self.live.take() {
            if closes {
                tokio::time::timeout(LAST_WORDS, client.clean_terminals(&thread)).await.ok();
            }
            client.release(events).await;
        }
        for done in waiting {
            done.send(saved.clone()).ok();
        }
        self.commands.close();
        while let Ok(command) = self.commands.try_recv() {
            // The reply goes with it: its caller hears that the session is closed.
            if let Command::End { done, .. } = command {
                done.send(saved.clone()).ok();
            }
        }
    }
}
