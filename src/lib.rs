//! An MCP server that runs a team of Codex agents.
pub mod home;
pub mod ids;
pub mod policy;
