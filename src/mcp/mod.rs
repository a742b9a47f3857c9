//! The client's side: an MCP server on stdin and stdout, of the 2025 revisions and of 2026-07-28.
//!
//! rmcp speaks the protocol; this room says which tools there are and what they do. It knows sessions, and neither
//! Codex nor files.

mod agent;
mod answers;
pub mod args;
mod asking;
mod asks;
mod audit;
pub mod catalog;
pub mod codes;
pub mod door;
pub mod error;
mod events;
mod old_events;
mod progress;
pub mod result;
pub mod server;
mod task_elsewhere;
mod tasks;
mod tools;

pub use agent::AgentServer;
pub use door::Door;
pub use server::Server;
