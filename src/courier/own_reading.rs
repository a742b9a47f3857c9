//! What an agent was given by its own tool, and who gave it did not come to mark it: its turn was ended, or something was killed.

use std::sync::Arc;

use super::desk::Desk;
use super::history;
use super::inbox::Failure;
use super::round::off_the_loop;
use crate::ids::{MemberName, MessageId};
use crate::mail::{GivenFile, GivenLetter, Post};
use crate::session::Handle;

/// One reading that is nobody's any more.
pub(super) struct Unsettled {
    file: GivenFile,
    letters: Vec<GivenLetter>,
}

impl Unsettled {
    /// The first from this inbox.
    pub(super) async fn first(
        handle: &Handle,
        desk: &Desk,
        post: &Arc<dyn Post>,
    ) -> Result<Option<Unsettled>, Failure> {
        let (dir, agent, team) = (desk.dir.clone(), handle.agent().clone(), post.team().clone());
        let hands = desk.teams.hands().clone();
        let name = MemberName::from(handle.identity());
        // What is in hand here is marked by who has it there.
        let is_ours = move |letters: &[GivenLetter]| letters.iter().any(|letter| hands.has(&team, &name, &letter.id));
        let team = post.team().clone();
        let all = off_the_loop(move || GivenFile::all(&dir, &agent, &team)).await?;
        let first = all.into_iter().find(|(_, letters)| !is_ours(letters));
        Ok(first.map(|(file, letters)| Unsettled { file, letters }))
    }

    /// Those of its messages that the agent's model has; nothing if that cannot be found out now.
    pub(super) async fn seen(&self, handle: &Handle) -> Option<Vec<MessageId>> {
        let ends = self.letters.iter().map(|letter| letter.end.clone()).collect();
        let found = history::in_results(handle, ends).await;
        let failed = |why: &Arc<str>| tracing::warn!(agent = %handle.identity(), %why, "whether it has read its mail is not known yet");
        let found = found.inspect_err(failed).ok()?;
        let seen = self.letters.iter().filter(|letter| found.contains(&letter.end));
        Some(seen.map(|letter| letter.id.clone()).collect())
    }

    /// They are marked, or to be brought again.
    pub(super) async fn settled(self) -> Result<(), Failure> {
        Ok(off_the_loop(move || self.file.clear()).await?)
    }
}
