//! Our program, spawned, with a Codex that does what real Codex cannot be made to do.

mod access;
mod agents;
#[cfg(unix)]
mod attach;
#[cfg(unix)]
mod completions;
#[cfg(unix)]
mod doctor;
mod ends;
mod flags;
mod flood;
mod foreign;
mod input;
#[cfg(unix)]
mod interrupted;
mod json;
mod log;
mod mail;
#[cfg(unix)]
mod notices;
mod people;
mod purity;
#[cfg(unix)]
mod queue;
mod queue_cli;
#[cfg(unix)]
mod readers;
mod roster;
mod server;
mod settings;
mod setup;
mod setup_refused;
mod setup_undo;
mod stage;
mod starts;
mod turns;
