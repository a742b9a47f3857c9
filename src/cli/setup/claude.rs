//! Claude Code's command: told to do something, and not waited for longer than it can need.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use tokio::process::Command;
use tokio::time::timeout;

use super::super::shell;
use super::error::SetupFailure;
use super::wait;
use crate::codex::group;

/// It takes a second or two.
const LIMIT: Duration = Duration::from_secs(30);

/// Claude Code's command, if there is one.
pub(super) struct Claude(Option<PathBuf>);

impl Claude {
    /// Looks for it on `PATH`.
    pub(super) fn find() -> Claude {
        Claude(which::which("claude").ok())
    }

    /// Whether it is there.
    pub(super) fn is_there(&self) -> bool {
        self.0.is_some()
    }

    /// Has it do what these words say.
    pub(super) async fn told(&self, words: &[&str], directory: &Path) -> Result<(), SetupFailure> {
        let program = self.0.as_ref().ok_or(SetupFailure::NoClaude { notes: Vec::new() })?;
        let command = shell::line(["claude"].into_iter().chain(words.iter().copied()));
        let mut process = Command::new(program);
        process.args(words).current_dir(directory).kill_on_drop(true);
        process.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let Some(output) = bounded(process, &command).await else {
            return Err(SetupFailure::ClaudeHangs { command, secs: LIMIT.as_secs() });
        };
        let failed = |said: String| SetupFailure::Claude { command, said };
        match output {
            Err(error) => Err(failed(error.to_string())),
            Ok(output) if output.status.success() => Ok(()),
            Ok(Output { status, stdout, stderr }) => {
                let said = [stdout, stderr].concat();
                Err(failed(format!("{status}: {}", String::from_utf8_lossy(&said).trim())))
            }
        }
    }
}

/// What it says; `None` if it does not end in time, and was ended with all that it has started: `claude` may be a script.
async fn bounded(process: Command, command: &str) -> Option<io::Result<Output>> {
    let mut output = std::pin::pin!(group::output(process));
    if let Ok(output) = timeout(wait::SILENCE, &mut output).await {
        return Some(output);
    }
    wait::say(&format!("`{command}`"));
    timeout(LIMIT.saturating_sub(wait::SILENCE), output).await.ok()
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_claude_that_hangs_is_ended_and_it_is_said() {
        let claude = Claude(Some(which::which("sleep").unwrap()));
        let hangs = claude.told(&["1000"], Path::new("/")).await;
        assert!(matches!(hangs, Err(SetupFailure::ClaudeHangs { secs: 30, .. })), "{hangs:?}");
    }
}
