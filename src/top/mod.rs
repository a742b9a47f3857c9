//! The live screen: every agent at a glance, and keys for what can be done about them.
//!
//! Theory of operation. `model.rs` is all that is known: rows that `look.rs` reads from the files once a second,
//! lines of the audits, and what the running agents' own Codex says, of which `live.rs` is a guest. `update.rs`
//! turns news and keys into a new state and effects, `view.rs` the state into a picture; both are pure. `screen.rs` carries
//! news in, effects out, and draws. Nothing here needs a server: without one there are only files to be seen.

mod asking;
mod keys;
mod line;
mod live;
mod look;
mod model;
mod pane;
mod screen;
#[cfg(test)]
mod tests;
mod update;
mod view;
mod wrap;

pub use look::{Place, Teams};
pub use screen::{Left, Screen, TopError};
