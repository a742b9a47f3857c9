//! Whether anybody reads what we print: who only waits would not notice, for it writes nothing.

use super::error::CliError;

/// Comes when nobody reads stdout any more, with what ends the command then; never where that cannot be known.
#[cfg(unix)]
pub(super) async fn gone() -> CliError {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    /// How often it is looked: a look costs a system call.
    const LOOK: std::time::Duration = std::time::Duration::from_millis(500);
    let stdout = std::io::stdout();
    loop {
        tokio::time::sleep(LOOK).await;
        // Of errors it tells unasked.
        let mut fds = [PollFd::new(&stdout, PollFlags::empty())];
        let looked = poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 }));
        if looked.is_ok() && fds[0].revents().intersects(PollFlags::ERR | PollFlags::HUP) {
            return CliError::Output(std::io::ErrorKind::BrokenPipe.into());
        }
    }
}

/// Comes never: here it cannot be known.
#[cfg(not(unix))]
pub(super) async fn gone() -> CliError {
    std::future::pending().await
}
