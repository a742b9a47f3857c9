//! One agent is one session: an actor with pure rules, its record on disk, its name's lock.
//!
//! Theory of operation. A [`Roster`] knows the agents of this server. [`Roster::start`] makes a session: it takes the
//! name's lock, and starts an actor that opens the thread (`opening.rs`). A [`Handle`] gives it calls; each is
//! enqueued at once and ends exactly once with an [`Outcome`]; a text that is to arrive ([`Handle::deliver`]) ends with a
//! [`Receipt`]. The actor turns commands, Codex's events and the
//! answers to its own requests into inputs of [`rules::Rules`], and does what comes out.

mod actor;
mod answering;
pub mod approval;
mod approving;
mod asking;
mod calling;
pub mod context;
pub mod delivery;
pub mod events;
pub mod handle;
pub mod identity;
mod joining;
mod kept;
mod opening;
pub mod outcome;
mod parting;
pub mod record;
pub mod roster;
pub mod rules;
mod seen;
mod setup;
mod snapshot;
pub mod state;
pub mod toolbox;
mod turn;
mod watchdog;
pub mod who;

pub use approval::{AskId, NotTaken, OpenAsk};
pub use delivery::{Delivery, Receipt};
pub use events::{Configured, Events, Prompt, TurnEvent};
pub use handle::{Farewell, Handle, Ticket};
pub use outcome::{End, Outcome, Usage};
pub use record::Record;
pub use roster::{Found, NewAgent, Roster};
pub use setup::{FullAccess, Setup};
pub use snapshot::Snapshot;
pub use state::{State, Stop, Takes};
pub use toolbox::{Caller, Given, McpServer, Then, Tool, ToolResult, Toolbox, Tools};
pub use turn::activity;
pub use watchdog::{Trouble, TroubleKind};
pub use who::{RosterError, Who};

pub use crate::codex::ask::{Ask, Decision, Question, RequestId, Verdict};
pub use crate::codex::event::ThreadEvent;
pub use crate::codex::wire::{Change, Execution, Item, ThreadOptions, TokenUsage, Tokens, Turn, TurnError, TurnStatus};
pub use crate::codex::{Client, Transport, guest, telling};
