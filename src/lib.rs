//! An MCP server that runs a team of Codex agents.
//!
//! The rooms, from those that know nothing of ours to the one that builds them all. A room may name only what its line
//! names; `tests/rooms/arrows.rs` holds the table to it, `docs/architecture.md` says why.
//!
//! ```text
//! ids, policy, repo, rpc, steps,
//! demo::model, plain, watch             nothing of ours
//! home                                  ids, steps
//! queue                                 ids, home, steps, watch
//! journal                               ids, home
//! mail                                  ids, home, plain, steps
//! config                                ids, home, policy, repo
//! codex                                 rpc, ids, home, policy
//! session                               codex, ids, home, repo, steps
//! tools                                 mail, session, journal, home, ids, plain, steps
//! courier                               session, queue, mail, journal, home, ids, plain, steps, watch
//! top                                   session, queue, mail, journal, home, ids, plain, steps
//! mcp                                   session, queue, tools, journal, ids, config, policy, plain
//! serve                                 everything above
//! demo                                  codex, home, demo::model
//! cli                                   everything above
//! ```

pub mod cli;
pub mod codex;
pub mod config;
pub mod courier;
pub mod demo;
pub mod home;
pub mod ids;
pub mod journal;
pub mod mail;
pub mod mcp;
pub mod plain;
pub mod policy;
pub mod queue;
pub mod repo;
pub mod rpc;
pub mod serve;
pub mod session;
pub mod steps;
pub mod tools;
pub mod top;
pub mod watch;
