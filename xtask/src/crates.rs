//! Installs atm from crates.io, the other program that writes mail.

use std::env;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use crate::Error;
use crate::run::{answers, run};
use crate::workspace::Workspace;

/// Sees to it that this version of atm is installed, and says where its program is.
pub(crate) fn install_atm(workspace: &Workspace, version: &str) -> Result<PathBuf, Error> {
    let root = workspace.installed("atm").join(version);
    let program = root.join("bin").join(format!("atm{}", env::consts::EXE_SUFFIX));
    // cargo puts the program there when it is whole.
    if program.exists() && answers(Command::new(&program).arg("--version")) {
        return Ok(program);
    }
    let mut cargo = workspace.cargo();
    // Unoptimised and without debug information: half a minute on two cores.
    cargo.args(["install", "agent-team-mail", "--version", version, "--locked", "--debug"]);
    cargo.args(["--config", "profile.dev.debug=0", "--root"]).arg(root);
    match run(&mut cargo)? {
        ExitCode::SUCCESS => Ok(program),
        _ => Err(format!("cargo could not install agent-team-mail {version}; it says above why")),
    }
}
