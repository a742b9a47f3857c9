//! What a packager takes: the program, its man pages and completions, the documents and the licences, in one directory.

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use crate::run::run;
use crate::workspace::Workspace;
use crate::{Error, Outcome};

const PROGRAM: &str = "atm-agent-mcp";
const TEXTS: [&str; 4] = ["LICENSE-APACHE", "LICENSE-MIT", "README.md", "CHANGELOG.md"];

/// The stripped program is kept smaller.
const MOST: u64 = 15_000_000;

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
    let size = fs::metadata(&program).map_err(|why| at(&program, &why))?.len();
    if size > MOST {
        return Err(format!("{} has {size} bytes, and is to have {MOST} at most", program.display()));
    }
    copy_all(&workspace.file("docs"), &dir.join("docs"))?;
    for text in TEXTS {
        copy(&workspace.file(text), &dir)?;
    }
    let pages = run(workspace.cargo().args(["run", "--quiet", "--locked", "--package", "pages", "--"]).arg(&dir))?;
    if pages == ExitCode::SUCCESS {
        eprintln!("{} (the program has {:.1} MB)", dir.display(), size as f64 / 1e6);
    }
    Ok(pages)
}

fn copy_all(from: &Path, to: &Path) -> Result<(), Error> {
    fs::create_dir(to).map_err(|why| at(to, &why))?;
    for entry in fs::read_dir(from).map_err(|why| at(from, &why))? {
        let path = entry.map_err(|why| at(from, &why))?.path();
        match path.is_dir() {
            true => copy_all(&path, &to.join(path.file_name().unwrap_or_default()))?,
            false => copy(&path, to)?,
        }
    }
    Ok(())
}

fn copy(file: &Path, dir: &Path) -> Result<(), Error> {
    let name = file.file_name().ok_or_else(|| format!("{} is no file", file.display()))?;
    fs::copy(file, dir.join(name)).map(drop).map_err(|why| at(file, &why))
}

fn at(path: &Path, why: &std::io::Error) -> Error {
    format!("{}: {why}", path.display())
}
