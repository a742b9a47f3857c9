//! Our binary with real Codex, oldest and newest supported, the scripted model behind it and an MCP client before it.
//!
//! Nothing here speaks to anything but this machine. A promise is a function that is given a [`stage::Stage`];
//! `on_each_codex!` makes a test of it for every version. What a test waits for is an event: a gate that the model
//! reached, a request that arrived, a result; the one deadline is a guard against hanging.

#![cfg(unix)]

/// Makes a test of each promise with each supported Codex.
macro_rules! on_each_codex {
    ($($promise:ident),+ $(,)?) => {
        mod codex_0_144_6 {
            $(#[tokio::test] async fn $promise() { crate::stage::play("0.144.6", super::$promise).await; })+
        }
        mod codex_0_169_0 {
            $(#[tokio::test] async fn $promise() { crate::stage::play("0.169.0", super::$promise).await; })+
        }
    };
}

mod access;
mod approvals;
mod attach;
mod background;
mod cancel;
mod chaos;
mod claude;
#[path = "../../testing/claude_api.rs"]
mod claude_api;
mod clients;
mod close;
mod commands;
mod context;
mod crash;
mod doctor;
mod documents;
mod environment;
mod events;
mod faults;
mod fullscreen;
mod letters;
mod limits;
mod mail;
mod people;
mod post;
mod protocol;
mod queue;
mod raw;
mod reading;
mod restart;
mod schema;
mod session;
mod setup;
mod stage;
mod tasks;
mod terminal;
#[path = "../../testing/toolbox.rs"]
mod toolbox;
mod tools;
mod top;
mod turns;
