//! What an agent does, told to a client that gave a progress token: at most one short line a second.

use std::time::Duration;

use rmcp::RoleServer;
use rmcp::model::{ProgressNotificationParam, ProgressToken};
use rmcp::service::{Peer, RequestContext};
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use crate::config::Events;
use crate::session::Handle;

/// The least time between two lines.
const PAUSE: Duration = Duration::from_secs(1);

/// Tells what `handle`'s agent does whenever that has changed, for ever; without a token it does nothing.
pub(super) async fn tell(handle: &Handle, events: Events, context: &RequestContext<RoleServer>) {
    match context.meta.get_progress_token() {
        Some(token) if events != Events::Off => tell_all(handle, &context.peer, token).await,
        _ => std::future::pending().await,
    }
}

async fn tell_all(handle: &Handle, peer: &Peer<RoleServer>, token: ProgressToken) {
    let mut watch = handle.watch();
    let mut pause = interval_at(Instant::now() + PAUSE, PAUSE);
    pause.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut told = None;
    let mut count = 0.0;
    loop {
        pause.tick().await;
        let line = watch.borrow_and_update().activity.clone();
        if told.as_ref() != Some(&line) {
            count += 1.0;
            let message = format!("{}: {line}", handle.identity());
            let note = ProgressNotificationParam::new(token.clone(), count).with_message(message);
            if peer.notify_progress(note).await.is_err() {
                return std::future::pending().await;
            }
            told = Some(line);
        }
        if watch.changed().await.is_err() {
            return std::future::pending().await;
        }
    }
}
