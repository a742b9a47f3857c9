//! A turn of which nothing is heard, or nothing but that its model cannot be reached.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

/// How long Codex may try to reach its model before somebody is told. It tries for ever where it finds no network
/// (0.169.0).
const UNREACHED: Duration = Duration::from_secs(45);

/// What is wrong with a running turn, as far as anybody can tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// In which way.
    pub kind: TroubleKind,
    /// Since when.
    pub since: Timestamp,
    /// What was heard last.
    pub last: Arc<str>,
}

/// In which way a turn does not go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TroubleKind {
    /// Nothing is heard of it.
    Stalled,
    /// Codex tries in vain to reach its model.
    Unreachable,
}

/// What was heard of a turn, and when.
#[derive(Debug)]
pub(super) struct Watchdog {
    patience: Option<Duration>,
    heard: Instant,
    /// Since when Codex says nothing but that it tries again, and what it says.
    trying: Option<(Instant, Arc<str>)>,
    trouble: Option<Arc<Trouble>>,
}

impl Watchdog {
    /// A turn is stalled when nothing is heard of it for so long.
    pub(super) fn new(patience: Option<Duration>) -> Watchdog {
        Watchdog { patience, heard: Instant::now(), trying: None, trouble: None }
    }

    /// Something was heard: all is well.
    pub(super) fn heard(&mut self) {
        self.heard = Instant::now();
        self.trying = None;
        self.trouble = None;
    }

    /// Codex tries again.
    pub(super) fn tries(&mut self, message: &str) {
        self.heard = Instant::now();
        let since = self.trying.as_ref().map_or(self.heard, |(since, _)| *since);
        self.trying = Some((since, message.into()));
        self.trouble.take_if(|trouble| trouble.kind == TroubleKind::Stalled);
    }

    /// When there will be trouble, if nothing is heard.
    pub(super) fn due(&self) -> Option<Instant> {
        if self.trouble.is_some() {
            return None;
        }
        let unreached = self.trying.as_ref().map(|(since, _)| *since + UNREACHED);
        let stalled = self.patience.map(|patience| self.heard + patience);
        unreached.into_iter().chain(stalled).min()
    }

    /// It is due.
    pub(super) fn bark(&mut self, last: &Arc<str>) {
        let now = Instant::now();
        let unreached = self.trying.as_ref().filter(|(since, _)| now >= *since + UNREACHED);
        let (kind, since, last) = match unreached {
            Some((since, message)) => (TroubleKind::Unreachable, *since, message.clone()),
            None => (TroubleKind::Stalled, self.heard, last.clone()),
        };
        let since = Timestamp::now().checked_sub(now - since).unwrap_or_else(|_| Timestamp::now());
        self.trouble = Some(Arc::new(Trouble { kind, since, last }));
    }

    pub(super) fn trouble(&self) -> Option<Arc<Trouble>> {
        self.trouble.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(dog: &mut Watchdog) -> Option<TroubleKind> {
        if dog.due().is_some_and(|due| due <= Instant::now()) {
            dog.bark(&"running ls".into());
        }
        dog.trouble().map(|trouble| trouble.kind)
    }

    #[tokio::test(start_paused = true)]
    async fn a_turn_of_which_nothing_is_heard_is_stalled_until_something_is() {
        let mut dog = Watchdog::new(Some(Duration::from_secs(600)));
        tokio::time::advance(Duration::from_secs(599)).await;
        assert_eq!(kind(&mut dog), None);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(kind(&mut dog), Some(TroubleKind::Stalled));
        assert_eq!(&*dog.trouble().unwrap().last, "running ls");
        dog.heard();
        assert_eq!((kind(&mut dog), Watchdog::new(None).due()), (None, None));
    }

    #[tokio::test(start_paused = true)]
    async fn a_model_that_is_tried_in_vain_is_unreachable_however_often_that_is_said() {
        let mut dog = Watchdog::new(None);
        for _ in 0..4 {
            dog.tries("Reconnecting");
            assert_eq!(kind(&mut dog), None);
            tokio::time::advance(Duration::from_secs(11)).await;
        }
        dog.tries("Reconnecting");
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(kind(&mut dog), Some(TroubleKind::Unreachable));
        dog.tries("Reconnecting");
        assert_eq!(kind(&mut dog), Some(TroubleKind::Unreachable), "it is not over");
        dog.heard();
        assert_eq!(kind(&mut dog), None);
    }
}
