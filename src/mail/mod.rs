//! The mail of a team: who is in it, and what they write to each other, in files shared with programs that are not ours.
//!
//! Theory of operation. A team is a directory of Claude Code's: `config.json` says who is in it, `inboxes/{name}.json` is an
//! array of messages. Several programs rewrite both at once, so every change is made under the locks of all of them
//! (`lock`), on what stands there at that moment, and put in place whole. What we do not understand we do not touch: a file
//! is cut into its elements and put together again (`splice`), and an entry that others wrote keeps every byte, but for the
//! one field that says it was read. What is no array is set aside under another name and mail goes on (`inbox`), but for what a
//! symbolic link leads to elsewhere (`linked`).
//!
//! A process may be killed between any two steps. Before the rename nothing has happened; after it, all has. What is left
//! over (a file written aside, a lock that becomes stale after 10 seconds) is in nobody's way. Old mail goes to the archive
//! before it leaves the inbox: killed in between, it is in both, and counts once.
//!
//! This room knows neither Codex nor sessions, nor what is done with a message. [`Post`] is what others see of it.

mod archive;
mod claude;
mod entry;
pub mod envelope;
mod error;
pub mod frame;
mod hands;
mod inbox;
mod ledger;
mod linked;
mod lock;
mod look;
mod member;
mod post;
mod roster;
mod slip;
mod splice;
mod teams;
#[cfg(test)]
mod tests;
mod under_way;

pub use claude::ClaudePost;
pub use entry::{Draft, MESSAGE_MAX, Message, Urgency};
pub use error::MailError;
pub use hands::{Hands, InHand};
pub use ledger::{DeliveredLine, Ledger, SentLine};
pub use member::{Lead, Member, NewMember, Ours, Person, color_of};
pub use post::{Copy, Fate, Filter, Marked, Page, Post, Sent, Which};
pub use roster::Activity;
pub use splice::InOrder;
pub use teams::{Teams, TeamsSetup};
pub use under_way::{GivenFile, GivenLetter, Sending, SendingFile, in_doubt};
