//! The rooms joined, in process, with a scripted Codex and time in our hand; and the house they stand in.

mod arrows;
mod documents;
mod events;
mod joined;
mod mail;
mod package;
mod queue;
mod reference;
mod stage;
#[path = "../../testing/toolbox.rs"]
mod toolbox;
mod tools;
mod trouble;
