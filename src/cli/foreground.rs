//! A program that has the terminal: what the system and the shell ask of it.

use std::io;
use std::process::ExitStatus;

use super::ending::Asked;

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wish {
    /// To end.
    End,
    /// To end, for somebody wants to do something else (SIGINT, which Ctrl-C is where the terminal makes a signal of it).
    Interrupt,
    /// To stop until it is continued (SIGTSTP).
    #[cfg(unix)]
    Stop,
}

/// All of these are from now on ours.
pub(super) struct Wishes {
    asked: Asked,
    #[cfg(unix)]
    signals: [tokio::signal::unix::Signal; 2],
    #[cfg(windows)]
    ctrl_c: tokio::signal::windows::CtrlC,
}

impl Wishes {
    /// Listens.
    pub(super) fn listen() -> io::Result<Wishes> {
        let asked = Asked::listen()?;
        #[cfg(unix)]
        {
            use rustix::process::Signal;
            use tokio::signal::unix::{SignalKind, signal};
            let of = |kind: Signal| signal(SignalKind::from_raw(kind.as_raw()));
            Ok(Wishes { asked, signals: [of(Signal::INT)?, of(Signal::TSTP)?] })
        }
        #[cfg(windows)]
        Ok(Wishes { asked, ctrl_c: tokio::signal::windows::ctrl_c()? })
    }

    /// The next; what was asked while nobody waited here counts.
    pub(super) async fn next(&mut self) -> Wish {
        #[cfg(unix)]
        {
            let [int, tstp] = &mut self.signals;
            tokio::select! {
                _ = self.asked.signal() => Wish::End,
                _ = int.recv() => Wish::Interrupt,
                _ = tstp.recv() => Wish::Stop,
            }
        }
        #[cfg(windows)]
        tokio::select! {
            _ = self.asked.signal() => Wish::End,
            _ = self.ctrl_c.recv() => Wish::Interrupt,
        }
    }
}

/// Whether another program was ended by SIGINT.
#[cfg(unix)]
pub(super) fn was_interrupted(status: &ExitStatus) -> bool {
    use rustix::process::Signal;
    use std::os::unix::process::ExitStatusExt;
    status.signal() == Some(Signal::INT.as_raw())
}

/// Here nothing tells.
#[cfg(not(unix))]
pub(super) fn was_interrupted(_: &ExitStatus) -> bool {
    false
}

/// Stops the program, and whatever else the shell began with it, until that continues it; says whether a shell is there
/// that could.
#[cfg(unix)]
pub(super) fn stop() -> bool {
    use rustix::process::{Signal, getpgrp, getsid, kill_current_process_group};
    // Nobody is told when the group of a session's first process stops.
    let is_alone = getsid(None).is_ok_and(|session| session == getpgrp());
    !is_alone && kill_current_process_group(Signal::STOP).is_ok()
}

/// Here no shell could continue it.
#[cfg(not(unix))]
pub(super) fn stop() -> bool {
    false
}
