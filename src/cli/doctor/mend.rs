//! What `--fix` does.

#[cfg(unix)]
use std::path::PathBuf;

use super::finding::{Finding, Fix, Mending};
use super::leftovers;
use crate::codex::run_dir;
use crate::home::Home;

/// Mends what can be mended, one after the other, and notes what came of it.
pub(super) fn mend(findings: &mut [Finding], home: &Home) {
    for finding in findings {
        if let Mending::Possible(fix) = &finding.mending {
            finding.mending = match apply(fix, home) {
                Ok(()) => Mending::Done,
                Err(why) => Mending::Failed(why),
            };
        }
    }
}

fn apply(fix: &Fix, home: &Home) -> Result<(), String> {
    match fix {
        #[cfg(unix)]
        Fix::Private(directories) => make_private(directories),
        Fix::Runs => {
            run_dir::sweep(home);
            let (left, _) = run_dir::look(home);
            let paths: Vec<String> = left.iter().map(|left| left.path.display().to_string()).collect();
            if paths.is_empty() { Ok(()) } else { Err(format!("still there: {}", paths.join(", "))) }
        }
        Fix::Members(team) => leftovers::take_out(home, team),
    }
}

#[cfg(unix)]
fn make_private(directories: &[PathBuf]) -> Result<(), String> {
    use std::os::unix::fs::PermissionsExt;
    let private = || std::fs::Permissions::from_mode(0o700);
    directories.iter().try_for_each(|path| {
        std::fs::set_permissions(path, private()).map_err(|error| format!("{}: {error}", path.display()))
    })
}
