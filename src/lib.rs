//! An MCP server that runs a team of Codex agents.
pub mod codex;
pub mod demo;
pub mod home;
pub mod ids;
pub mod policy;
pub mod rpc;
