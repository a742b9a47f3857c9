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
        Terminal::open(tmux, (columns, rows), &Terminal::line(args)).await
    }

    /// The same, where this is the name of the kind of terminal.
    pub(crate) async fn run_on(scene: &Scene, term: &str, size: (u16, u16), args: &[&str]) -> Terminal {
        let tmux = scene.foreign(Path::new("tmux"));
        Terminal::open(tmux, size, &format!("export TERM={term}; {}", Terminal::line(args))).await
    }

    /// Types the same line into a shell with job control, as somebody at a terminal does.
    pub(crate) async fn run_in_a_shell(scene: &Scene, (columns, rows): (u16, u16), args: &[&str]) -> Terminal {
        let mut tmux = scene.foreign(Path::new("tmux"));
        tmux.env("LINE", Terminal::line(args)).env("PS1", "shell> ");
        let terminal = Terminal::open(tmux, (columns, rows), "sh -i").await;
        terminal.shows("shell>").await;
        terminal.types("eval \"$LINE\"").await;
        terminal.press(&["Enter"]).await;
        terminal
    }

    /// What a program has to restore is on the screen before it and after it.
    fn line(args: &[&str]) -> String {
        let program = env!("CARGO_BIN_EXE_atm-agent-mcp");
        let program = format!("sh -c 'echo $$ >\"$PID_FILE\"; exec \"$@\"' sh {program} {}", args.join(" "));
        format!("echo was $(stty -g); {program}; code=$?; echo is $(stty -g); (exit $code)")
    }

    /// That the terminal is as it was before the program: its modes, its own screen, its cursor.
    pub(crate) async fn is_restored(&self) {
        let screen = self.all().await;
        let modes = |word: &str| screen.lines().find_map(|line| line.strip_prefix(word)).map(str::to_owned);
        assert!(modes("was ").is_some() && modes("was ") == modes("is "), "{screen}");
        let flags =
            self.tmux(&["display-message", "-p", "#{alternate_on} #{cursor_flag}"]).output().await.expect("tmux runs");
        assert_eq!(String::from_utf8_lossy(&flags.stdout).trim(), "0 1", "{screen}");
    }

    /// The process of our program in it.
    pub(crate) fn pid(&self) -> rustix::process::Pid {
        let pid = std::fs::read_to_string(self.pid_file()).expect("a program that runs");
        rustix::process::Pid::from_raw(pid.trim().parse().expect("a number")).expect("a process id")
    }

    /// Sends a signal to our program in it.
    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        rustix::process::kill_process(self.pid(), signal).expect("a process to signal");
    }

    /// Runs a line of the shell, with the environment and the directory of this tmux.
    pub(crate) async fn open(mut tmux: Command, (columns, rows): (u16, u16), line: &str) -> Terminal {
        let socket = tempfile::Builder::new().prefix("atm-tmux-").tempdir().expect("a directory");
        let terminal = Terminal { socket };
        let line = format!("{line}; echo ended with $?; exec cat");
        let (columns, rows) = (columns.to_string(), rows.to_string());
        tmux.env("TERM", "xterm-256color")
            .env("SHELL", "/bin/sh")
            .env("PID_FILE", terminal.pid_file())
            .arg("-S")
            .arg(terminal.socket());
        tmux.args(["-f", "/dev/null", "new-session", "-d", "-x", &columns, "-y", &rows, &line]);
        assert!(tmux.status().await.expect("tmux runs").success());
        terminal
    }

    fn socket(&self) -> std::path::PathBuf {
        self.socket.path().join("s")
    }

    fn pid_file(&self) -> std::path::PathBuf {
        self.socket.path().join("pid")
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

    /// Pastes a text, as a terminal does that says so.
    pub(crate) async fn pastes(&self, text: &str) {
        for args in [&["set-buffer", "--", text][..], &["paste-buffer", "-p"]] {
            assert!(self.tmux(args).status().await.expect("tmux runs").success());
        }
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
