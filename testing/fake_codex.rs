//! A stand-in for Codex.
fn main() {}
