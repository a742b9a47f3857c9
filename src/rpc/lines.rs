//! A connection over a child's pipes: one JSON text a line.

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};

use super::{Carried, Connection};

impl Connection {
    /// Speaks in lines: reads `reader` to its end, writes to `writer` and closes it when there is no more to say.
    pub fn over_lines<R, W>(reader: R, writer: W) -> Connection
    where
        R: AsyncRead + Send + Unpin + 'static,
        W: AsyncWrite + Send + Unpin + 'static,
    {
        let (mut connection, Carried { mut to_carry, carried }) = Connection::open();
        connection.carriers.spawn(async move {
            let mut writer = writer;
            while let Some(mut text) = to_carry.recv().await {
                text.push('\n');
                let written = async { writer.write_all(text.as_bytes()).await.and(writer.flush().await) };
                if let Err(error) = written.await {
                    tracing::debug!(%error, "the other side reads no more");
                    return;
                }
            }
        });
        connection.carriers.spawn(async move {
            let mut reader = BufReader::new(reader);
            let mut line = Vec::new();
            loop {
                line.clear();
                match reader.read_until(b'\n', &mut line).await {
                    Ok(0) => return,
                    Err(error) => return tracing::debug!(%error, "the other side cannot be read"),
                    Ok(_) => {}
                }
                let text = String::from_utf8_lossy(line.trim_ascii()).into_owned();
                if !text.is_empty() && carried.send(text).await.is_err() {
                    return;
                }
            }
        });
        connection
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn lines_survive_being_written_in_pieces_and_bytes_that_are_no_text() {
        let (mut far, near) = tokio::io::duplex(16);
        let (reader, writer) = tokio::io::split(near);
        let mut connection = Connection::over_lines(reader, writer);
        let writing = tokio::spawn(async move {
            for piece in [&b"{\"a\""[..], b":1}\r\n\n", b"\xff\xfe\n", b"last without an end"] {
                far.write_all(piece).await.unwrap();
            }
            far
        });
        assert_eq!(connection.incoming.recv().await.unwrap(), "{\"a\":1}");
        assert_eq!(connection.incoming.recv().await.unwrap(), "\u{fffd}\u{fffd}");
        drop(writing.await.unwrap());
        assert_eq!(connection.incoming.recv().await.unwrap(), "last without an end");
        assert!(connection.incoming.recv().await.is_none());
    }
}
