//! The tools of mail, once, for two counters: the client's and the agents' own.
//!
//! Who speaks is never an argument here: the counter knows it ([`Speaker`]). The client's counter is in `mcp`; the agents'
//! is [`AgentTools`], where the thread says who calls.

mod agent;
mod args;
mod office;
mod people;
mod reading;
mod recipient;
mod refusal;
mod sent;
mod showing;
#[cfg(test)]
mod tests;

pub use agent::AgentTools;
pub use args::{BroadcastArgs, Nothing, ReadMailArgs, SendArgs, object_schema, parse, unread};
pub use office::{Answer, Office, Speaker};
pub use reading::{LIMIT_MAX, Marking, Reading};
pub use refusal::Refusal;
