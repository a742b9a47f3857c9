//! The program `atm-agent-mcp`.
fn main() {}
