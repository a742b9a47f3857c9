//! The program `atm-agent-mcp`.

use std::process::ExitCode;

fn main() -> ExitCode {
    atm_agent_mcp::cli::main()
}
