//! A connection over a Unix socket: WebSocket, one JSON text a frame, as `codex app-server --listen unix://PATH` speaks.

use futures_util::{SinkExt, StreamExt};
use tokio::net::UnixStream;
use tokio_tungstenite::tungstenite::{self, Message, protocol::WebSocketConfig};

use super::{Carried, Connection};

impl Connection {
    /// Opens the WebSocket on a connected stream.
    pub async fn over_socket(stream: UnixStream) -> Result<Connection, Box<tungstenite::Error>> {
        let config = WebSocketConfig::default().max_message_size(None).max_frame_size(None);
        let opened = tokio_tungstenite::client_async_with_config("ws://localhost/", stream, Some(config)).await;
        let (mut sink, mut stream) = opened.map_err(Box::new)?.0.split();
        let (mut connection, Carried { mut to_carry, carried }) = Connection::open();
        connection.carriers.spawn(async move {
            while let Some(text) = to_carry.recv().await {
                if let Err(error) = sink.send(Message::text(text)).await {
                    return tracing::debug!(%error, "the other side reads no more");
                }
            }
            sink.close().await.ok();
        });
        connection.carriers.spawn(async move {
            while let Some(frame) = stream.next().await {
                match frame {
                    Ok(Message::Text(text)) => {
                        if carried.send(text.as_str().to_owned()).await.is_err() {
                            return;
                        }
                    }
                    Ok(_) => {}
                    Err(error) => return tracing::debug!(%error, "the other side cannot be read"),
                }
            }
        });
        Ok(connection)
    }
}
