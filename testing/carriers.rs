//! What carries the fake's texts: its pipes, or a Unix socket.

use std::process::exit;

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWriteExt, BufReader};
use tokio::sync::mpsc;

/// What goes out.
pub(crate) enum Out {
    /// A text, as it is.
    Text(String),
    /// The end of the connection, but not of the process.
    Close,
    /// The end of the process.
    Die,
}

/// As lines on stdin and stdout.
pub(crate) async fn over_pipes(from_peer: mpsc::UnboundedSender<String>, mut out: mpsc::UnboundedReceiver<Out>) {
    tokio::spawn(read_lines(tokio::io::stdin(), from_peer));
    let mut stdout = tokio::io::stdout();
    while let Some(Out::Text(text)) = out.recv().await {
        stdout.write_all(format!("{text}\n").as_bytes()).await.ok();
        stdout.flush().await.ok();
    }
    exit(9);
}

async fn read_lines(stdin: impl AsyncRead + Unpin, from_peer: mpsc::UnboundedSender<String>) {
    let mut lines = BufReader::new(stdin).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        from_peer.send(line).ok();
    }
    exit(0);
}

/// As a WebSocket, one text a frame.
#[cfg(unix)]
pub(crate) async fn over_socket(
    listener: tokio::net::UnixListener,
    from_peer: mpsc::UnboundedSender<String>,
    mut out: mpsc::UnboundedReceiver<Out>,
) {
    use futures_util::{SinkExt, StreamExt};
    use tokio_tungstenite::tungstenite::Message;
    let (stream, _) = listener.accept().await.expect("a client");
    let (mut sink, mut frames) = tokio_tungstenite::accept_async(stream).await.expect("a WebSocket").split();
    let reading = tokio::spawn(async move {
        while let Some(Ok(frame)) = frames.next().await {
            if let Message::Text(text) = frame {
                from_peer.send(text.as_str().to_owned()).ok();
            }
        }
        // A listening server stays when its client has gone.
        std::future::pending::<()>().await;
    });
    loop {
        match out.recv().await {
            Some(Out::Text(text)) => drop(sink.send(Message::text(text)).await),
            Some(Out::Close) => break,
            Some(Out::Die) | None => exit(9),
        }
    }
    reading.abort();
    drop(sink);
    std::future::pending().await
}
