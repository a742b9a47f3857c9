//! An agent's answer to a message, by the courier.

use std::sync::Arc;

use super::inbox::Failure;
use super::round::off_the_loop;
use crate::ids::{Address, AgentName, MemberName};
use crate::mail::{Draft, Message, Post, Urgency};

/// Answers a message as the agent. It is a courtesy: that it cannot be sent changes nothing.
pub(super) async fn answer(post: &Arc<dyn Post>, name: &AgentName, message: &Message, text: String) {
    let from = Address { name: MemberName::from(name), team: None };
    let draft = Draft { from, text, summary: None, color: None, urgency: Urgency::Normal };
    let (post, to) = (post.clone(), message.from.clone());
    let sent =
        off_the_loop(move || Ok(MemberName::parse(&to).map_err(Into::into).and_then(|to| post.send(&to, &[draft]))));
    if let Err(error) = sent.await.map_err(Failure::from).and_then(|sent| sent.map_err(Failure::from)) {
        tracing::warn!(agent = %name, to = %message.from, %error, "an answer cannot be sent");
    }
}
