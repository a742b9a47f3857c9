//! The system asks the program to end.

use std::io;

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

    /// The next time; what was asked while nobody waited here counts.
    pub(super) async fn end(&mut self) {
        #[cfg(unix)]
        {
            let [term, hup] = &mut self.signals;
            tokio::select! {
                _ = term.recv() => {}
                _ = hup.recv() => {}
            }
        }
        #[cfg(not(unix))]
        std::future::pending::<()>().await
    }
}
