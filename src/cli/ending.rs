//! The system, or the user, asks the program to end.

use std::io;
use std::process::ExitCode;

/// What a shell adds to a signal's number for the exit code of who was ended by it.
const SIGNALLED: u8 = 128;
const INTERRUPT: u8 = 2;
#[cfg(unix)]
const TERMINATE: u8 = 15;
#[cfg(unix)]
const HANG_UP: u8 = 1;

/// Does this to its end, or until somebody presses Ctrl-C or the system asks the program to end: then it is dropped, and the exit
/// code is that of shells, 130, 143 or 129.
pub(super) async fn unless_asked<T>(work: impl Future<Output = T>) -> Result<T, ExitCode> {
    let mut asked = Asked::listen().ok();
    let system = async {
        match &mut asked {
            Some(asked) => asked.signal().await,
            None => std::future::pending().await,
        }
    };
    let signal = tokio::select! {
        done = work => return Ok(done),
        signal = system => signal,
        Ok(()) = tokio::signal::ctrl_c() => INTERRUPT,
    };
    Err(ExitCode::from(SIGNALLED + signal))
}

/// SIGTERM and SIGHUP, from now on ours; elsewhere than on Unix nobody asks so.
pub(super) struct Asked {
    #[cfg(unix)]
    signals: [tokio::signal::unix::Signal; 2],
}

impl Asked {
    /// Listens.
    pub(super) fn listen() -> io::Result<Asked> {
        #[cfg(unix)]
        {
            use tokio::signal::unix::{SignalKind, signal};
            Ok(Asked { signals: [signal(SignalKind::terminate())?, signal(SignalKind::hangup())?] })
        }
        #[cfg(not(unix))]
        Ok(Asked {})
    }

    /// The number of the signal, the next time; what was asked while nobody waited here counts.
    pub(super) async fn signal(&mut self) -> u8 {
        #[cfg(unix)]
        {
            let [term, hup] = &mut self.signals;
            tokio::select! {
                _ = term.recv() => TERMINATE,
                _ = hup.recv() => HANG_UP,
            }
        }
        #[cfg(not(unix))]
        std::future::pending().await
    }
}
