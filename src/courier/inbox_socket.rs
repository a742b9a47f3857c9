//! The inbox socket of a Claude Code session: what is written there wakes the session, which says nothing to it.
//!
//! Claude Code (since 2.1.224) names the socket to the servers that it starts. A message is a line of JSON, behind one with
//! the token if there is one.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;

/// How long the session may take to take a message.
const DEADLINE: Duration = Duration::from_secs(2);

/// The socket of the client's session.
#[derive(Clone)]
pub struct InboxSocket {
    path: PathBuf,
    token: Option<String>,
}

impl fmt::Debug for InboxSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let token = self.token.as_ref().map(|_| "[masked]");
        f.debug_struct("InboxSocket").field("path", &self.path).field("token", &token).finish()
    }
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Line<'a> {
    Auth { token: &'a str },
    User { message: Message<'a>, priority: &'a str },
}

#[derive(Serialize)]
struct Message<'a> {
    role: &'a str,
    content: &'a str,
}

impl InboxSocket {
    /// The socket there; with a token, if the session wants one.
    pub fn new(path: PathBuf, token: Option<String>) -> InboxSocket {
        InboxSocket { path, token }
    }

    /// Says something to the session. That it was written is all that can be known.
    pub(super) async fn say(&self, text: &str) -> io::Result<()> {
        let said = write(&self.path, self.lines(text));
        tokio::time::timeout(DEADLINE, said).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }

    fn lines(&self, text: &str) -> String {
        let auth = self.token.as_deref().map(|token| Line::Auth { token });
        let user = Line::User { message: Message { role: "user", content: text }, priority: "next" };
        let json = |line: &Line<'_>| serde_json::to_string(line).expect("it has nothing but texts") + "\n";
        auth.iter().chain([&user]).map(json).collect()
    }
}

#[cfg(unix)]
async fn write(path: &Path, lines: String) -> io::Result<()> {
    use tokio::io::AsyncWriteExt;
    let mut stream = tokio::net::UnixStream::connect(path).await?;
    stream.write_all(lines.as_bytes()).await?;
    stream.shutdown().await
}

#[cfg(not(unix))]
async fn write(_: &Path, _: String) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use tokio::io::AsyncReadExt;
    use tokio::net::UnixListener;

    #[tokio::test]
    async fn a_message_is_a_line_behind_that_with_the_token() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("inbox");
        let listener = UnixListener::bind(&path).unwrap();
        let user = |text| {
            format!(
                "{{\"type\":\"user\",\"message\":{{\"role\":\"user\",\"content\":{text:?}}},\"priority\":\"next\"}}\n"
            )
        };
        for (token, auth) in [(Some("secret".to_owned()), "{\"type\":\"auth\",\"token\":\"secret\"}\n"), (None, "")] {
            let socket = InboxSocket::new(path.clone(), token);
            assert!(!format!("{socket:?}").contains("secret"));
            socket.say("two\n\"lines\"").await.unwrap();
            let mut heard = String::new();
            listener.accept().await.unwrap().0.read_to_string(&mut heard).await.unwrap();
            assert_eq!(heard, auth.to_owned() + &user("two\n\"lines\""));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_socket_that_is_not_there_or_does_not_read_holds_nobody_up() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("inbox");
        let socket = InboxSocket::new(path.clone(), None);
        assert_eq!(socket.say("x").await.unwrap_err().kind(), io::ErrorKind::NotFound);
        let _deaf = UnixListener::bind(&path).unwrap();
        let begun = tokio::time::Instant::now();
        let more_than_a_buffer = "x".repeat(16 << 20);
        assert_eq!(socket.say(&more_than_a_buffer).await.unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert!(begun.elapsed() < Duration::from_secs(3));
    }
}
