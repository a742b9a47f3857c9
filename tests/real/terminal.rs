//! A real terminal (tmux) with our program in it: keys go in, the screen is read.

use std::path::Path;
use std::time::Duration;

use tokio::process::Command;

use crate::stage::Scene;

/// Nothing on a screen takes this long; it guards against hanging, and says what was there instead.
const GUARD: Duration = Duration::from_secs(40);

/// A terminal of its own; it goes with its owner.
pub(crate) struct Terminal {
    socket: tempfile::TempDir,
}

impl Terminal {
    /// Runs our program in a terminal of this size; when it ends, its exit code stands on the screen.
    pub(crate) async fn run(scene: &Scene, (columns, rows): (u16, u16), args: &[&str]) -> Terminal {
        Terminal::run_with(scene, (columns, rows), args, &[]).await
    }

    /// The same, with more in its environment.
    pub(crate) async fn run_with(
        scene: &Scene,
        (columns, rows): (u16, u16),
        args: &[&str],
        more: &[(&str, &str)],
    ) -> Terminal {
        let mut tmux = scene.foreign(Path::new("tmux"));
        tmux.envs(more.iter().copied());
        let program = env!("CARGO_BIN_EXE_atm-agent-mcp");
        let line = format!("{program} {}", args.join(" "));
        Terminal::open(tmux, (columns, rows), &line).await
    }

    /// Runs a line of the shell, with the environment and the directory of this tmux.
    pub(crate) async fn open(mut tmux: Command, (columns, rows): (u16, u16), line: &str) -> Terminal {
        let socket = tempfile::Builder::new().prefix("atm-tmux-").tempdir().expect("a directory");
        let terminal = Terminal { socket };
        let line = format!("{line}; echo ended with $?; exec cat");
        let (columns, rows) = (columns.to_string(), rows.to_string());
        tmux.env("TERM", "xterm-256color").env("SHELL", "/bin/sh").arg("-S").arg(terminal.socket());
        tmux.args(["-f", "/dev/null", "new-session", "-d", "-x", &columns, "-y", &rows, &line]);
        assert!(tmux.status().await.expect("tmux runs").success());
        terminal
    }

    fn socket(&self) -> std::path::PathBuf {
        self.socket.path().join("s")
    }

    fn tmux(&self, args: &[&str]) -> Command {
        let mut tmux = Command::new("tmux");
        tmux.arg("-S").arg(self.socket()).args(args).env_remove("TMUX").kill_on_drop(true);
        tmux
    }

    /// Presses keys, by tmux's names for them.
    pub(crate) async fn press(&self, keys: &[&str]) {
        assert!(self.tmux(&[&["send-keys"], keys].concat()).status().await.expect("tmux runs").success());
    }

    /// Types a text.
    pub(crate) async fn types(&self, text: &str) {
        self.press(&["-l", text]).await;
    }

    /// Makes it another size.
    pub(crate) async fn resize(&self, (columns, rows): (u16, u16)) {
        let (columns, rows) = (columns.to_string(), rows.to_string());
        let resized = self.tmux(&["resize-window", "-x", &columns, "-y", &rows]).status().await;
        assert!(resized.expect("tmux runs").success());
    }

    /// What is on the screen, colours left out.
    pub(crate) async fn screen(&self) -> String {
        let seen = self.tmux(&["capture-pane", "-p"]).output().await.expect("tmux runs");
        String::from_utf8_lossy(&seen.stdout).into_owned()
    }

    /// All that was ever on it.
    pub(crate) async fn all(&self) -> String {
        let seen = self.tmux(&["capture-pane", "-p", "-J", "-S", "-"]).output().await.expect("tmux runs");
        String::from_utf8_lossy(&seen.stdout).into_owned()
    }

    /// The same, with its colours as escapes.
    pub(crate) async fn coloured(&self) -> String {
        let seen = self.tmux(&["capture-pane", "-p", "-e"]).output().await.expect("tmux runs");
        String::from_utf8_lossy(&seen.stdout).into_owned()
    }

    /// Looks until this is on the screen, and tells all that is.
    pub(crate) async fn shows(&self, text: &str) -> String {
        self.looks(async |screen| screen.contains(text))
            .await
            .unwrap_or_else(|screen| panic!("no {text:?} on\n{screen}"))
    }

    /// Looks until it is so, and tells what is on the screen then; the error is what is there when it takes too long.
    pub(crate) async fn looks(&self, mut is_so: impl AsyncFnMut(&str) -> bool) -> Result<String, String> {
        let since = tokio::time::Instant::now();
        loop {
            let screen = self.screen().await;
            if is_so(&screen).await {
                return Ok(screen);
            }
            if since.elapsed() > GUARD {
                return Err(screen);
            }
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        std::process::Command::new("tmux").arg("-S").arg(self.socket()).arg("kill-server").status().ok();
    }
}
