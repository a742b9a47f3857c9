//! A child in a group of its own, so that what it has started ends with it: npm's `codex` is a script that starts another program.

use std::io;
use std::process::Output;

use tokio::process::Command;

/// A running child, for its pipes and its end.
#[cfg(unix)]
pub(super) type Child = tokio::process::Child;
#[cfg(windows)]
pub(super) type Child = Box<dyn process_wrap::tokio::ChildWrapper>;

#[cfg(unix)]
pub(super) fn start(mut command: Command) -> io::Result<Child> {
    command.process_group(0).spawn()
}

/// A job object ends everything in it when our last handle to it is gone, our death included.
#[cfg(windows)]
pub(super) fn start(command: Command) -> io::Result<Child> {
    process_wrap::tokio::CommandWrap::from(command).wrap(process_wrap::tokio::JobObject).spawn()
}

/// What a program prints, and how it ends. Whatever of its group is there then is killed; dropped, all of it is.
pub async fn output(command: Command) -> io::Result<Output> {
    let child = start(command)?;
    #[cfg(unix)]
    let _all = Killed(child.id());
    let output = child.wait_with_output();
    #[cfg(windows)]
    let output = Box::into_pin(output);
    output.await
}

/// Kills a group when it is dropped.
#[cfg(unix)]
struct Killed(Option<u32>);

#[cfg(unix)]
impl Drop for Killed {
    fn drop(&mut self) {
        if let Some(number) = self.0 {
            kill(number);
        }
    }
}

/// Kills the group of this child.
#[cfg(unix)]
pub(super) fn kill(number: u32) {
    if let Some(group) = pid(number) {
        rustix::process::kill_process_group(group, rustix::process::Signal::KILL).ok();
    }
}

#[cfg(unix)]
pub(super) fn pid(number: u32) -> Option<rustix::process::Pid> {
    i32::try_from(number).ok().and_then(rustix::process::Pid::from_raw)
}

#[cfg(all(test, unix))]
mod tests {
    use std::process::Stdio;

    use tokio::io::AsyncReadExt;

    use super::*;

    /// A script that has started another program, and the pipe that both hold.
    fn held(root: &std::path::Path, end: &str) -> (Command, tokio::net::unix::pipe::Receiver) {
        let fifo = root.join("held");
        std::process::Command::new("mkfifo").arg(&fifo).status().unwrap();
        let held = tokio::net::unix::pipe::OpenOptions::new().open_receiver(&fifo).unwrap();
        let script = format!("exec 3>'{}'; sleep 1000 >&3 2>&3 & echo ready >&3; {end}", fifo.display());
        let mut command = Command::new("/bin/sh");
        command.args(["-c", &script]).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        (command, held)
    }

    #[tokio::test]
    async fn what_a_program_has_started_ends_with_it() {
        let root = tempfile::tempdir().unwrap();
        let (command, mut held) = held(root.path(), "exit 0");
        assert!(output(command).await.unwrap().status.success());
        let mut said = String::new();
        held.read_to_string(&mut said).await.unwrap();
        assert_eq!(said, "ready\n");
    }

    #[tokio::test]
    async fn what_a_program_has_started_ends_when_nobody_waits_for_it_any_more() {
        let root = tempfile::tempdir().unwrap();
        let (command, mut held) = held(root.path(), "wait");
        let mut said = [0; 6];
        tokio::select! {
            ready = held.read_exact(&mut said) => drop(ready.unwrap()),
            output = output(command) => panic!("{output:?}"),
        }
        assert_eq!(held.read(&mut said).await.unwrap(), 0, "the script and what it has started are gone");
    }
}
