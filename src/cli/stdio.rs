//! Our stdin and stdout, waited for in the loop like everything else.
//!
//! tokio's own hand every read and every write to a pool of threads, for a file or a terminal cannot be waited for;
//! that is four changes of thread in each call. What a client gives a server is a pipe or a socket, which can.

use tokio::io::{AsyncRead, AsyncWrite};

/// Stdin.
pub(super) fn stdin() -> Box<dyn AsyncRead + Send + Unpin> {
    #[cfg(unix)]
    if let Ok(stdin) = unix::stdin() {
        return stdin;
    }
    Box::new(tokio::io::stdin())
}

/// Stdout.
pub(super) fn stdout() -> Box<dyn AsyncWrite + Send + Unpin> {
    #[cfg(unix)]
    if let Ok(stdout) = unix::stdout() {
        return stdout;
    }
    Box::new(tokio::io::stdout())
}

/// Both fail on what is neither a pipe nor a socket. The other end, which is the client's, stays as it is.
#[cfg(unix)]
mod unix {
    use std::io;
    use std::os::fd::{AsFd, OwnedFd};

    use rustix::fs::{FileType, fstat};
    use tokio::io::{AsyncRead, AsyncWrite};
    use tokio::net::{UnixStream, unix::pipe};

    pub(super) fn stdin() -> io::Result<Box<dyn AsyncRead + Send + Unpin>> {
        let fd = io::stdin().as_fd().try_clone_to_owned()?;
        Ok(if is_socket(&fd)? { Box::new(socket(fd)?) } else { Box::new(pipe::Receiver::from_owned_fd(fd)?) })
    }

    pub(super) fn stdout() -> io::Result<Box<dyn AsyncWrite + Send + Unpin>> {
        let fd = io::stdout().as_fd().try_clone_to_owned()?;
        Ok(if is_socket(&fd)? { Box::new(socket(fd)?) } else { Box::new(pipe::Sender::from_owned_fd(fd)?) })
    }

    fn is_socket(fd: &OwnedFd) -> io::Result<bool> {
        Ok(FileType::from_raw_mode(fstat(fd)?.st_mode) == FileType::Socket)
    }

    fn socket(fd: OwnedFd) -> io::Result<UnixStream> {
        let socket = std::os::unix::net::UnixStream::from(fd);
        socket.set_nonblocking(true)?;
        UnixStream::from_std(socket)
    }
}
