//! The project's own commands: demo, test, codex, bench.
fn main() {}
