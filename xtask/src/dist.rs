//! What a packager takes: the program, its man pages and completions, and the licences, in one directory.

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use crate::run::run;
use crate::workspace::Workspace;
use crate::{Error, Outcome};

const PROGRAM: &str = "atm-agent-mcp";
const TEXTS: [&str; 4] = ["LICENSE-APACHE", "LICENSE-MIT", "README.md", "CHANGELOG.md"];

/// Fills `target/dist` anew.
pub(crate) fn dist(workspace: &Workspace) -> Outcome {
    let dir = workspace.installed("dist");
    if dir.exists() {
        fs::remove_dir_all(&dir).map_err(|why| at(&dir, &why))?;
    }
    fs::create_dir_all(&dir).map_err(|why| at(&dir, &why))?;
    // The profile strips it.
    let built = run(workspace.cargo().args(["build", "--release", "--locked", "--bin", PROGRAM]))?;
    if built != ExitCode::SUCCESS {
        return Ok(built);
    }
    let program = workspace.built("release", PROGRAM);
    copy(&program, &dir)?;
    for text in TEXTS {
        copy(&workspace.file(text), &dir)?;
    }
    let pages = run(workspace.cargo().args(["run", "--quiet", "--locked", "--package", "pages", "--"]).arg(&dir))?;
    if pages == ExitCode::SUCCESS {
        eprintln!("{}", dir.display());
    }
    Ok(pages)
}

fn copy(file: &Path, dir: &Path) -> Result<(), Error> {
    let name = file.file_name().ok_or_else(|| format!("{} is no file", file.display()))?;
    fs::copy(file, dir.join(name)).map(drop).map_err(|why| at(file, &why))
}

fn at(path: &Path, why: &std::io::Error) -> Error {
    format!("{}: {why}", path.display())
}
