//! The client's stdin and stdout: one JSON-RPC message a line, and an error answer to what is none.
//!
//! rmcp's own transport drops a line that is no JSON, or longer than 16 MiB, without a word; the caller of a request
//! in it would wait for ever. This one says what was wrong.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rmcp::RoleServer;
use rmcp::model::{ClientRequest, GetMeta, JsonRpcMessage, ServerNotification};
use rmcp::service::{RxJsonRpcMessage, TxJsonRpcMessage};
use rmcp::transport::Transport;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::task::JoinHandle;

use super::events::METHOD;
use crate::plain::shown;

/// The longest line that is read, in bytes. Arguments have smaller limits of their own, with better errors.
const LINE_MAX: usize = 64 * 1024 * 1024;
/// How long a client that has left may take to read what there is for it.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// How many messages wait on their way in and out. When they are full, the client waits, or we wait for it: neither
/// side of the door waits for the other.
const DEPTH: usize = 256;

/// How many of these are events of turns: so an answer has few of them before it, however many there are.
const EVENTS: usize = 16;

/// A line on its way out, and the place of an event, if it is one.
#[derive(Debug)]
struct Line {
    text: Vec<u8>,
    _place: Option<OwnedSemaphorePermit>,
}

impl From<Vec<u8>> for Line {
    fn from(text: Vec<u8>) -> Line {
        Line { text, _place: None }
    }
}

/// The two pipes, each owned by a task.
#[derive(Debug)]
pub struct Door {
    incoming: mpsc::Receiver<RxJsonRpcMessage<RoleServer>>,
    outgoing: Option<mpsc::Sender<Line>>,
    events: Arc<Semaphore>,
    reader: JoinHandle<()>,
    writer: JoinHandle<()>,
    left: watch::Receiver<()>,
}

impl Door {
    /// Opens it on a pair of pipes.
    pub fn open<R, W>(reader: R, writer: W) -> Door
    where
        R: AsyncRead + Send + Unpin + 'static,
        W: AsyncWrite + Send + Unpin + 'static,
    {
        let (to_client, outgoing) = mpsc::channel(DEPTH);
        let (from_client, incoming) = mpsc::channel(DEPTH);
        let (open, left) = watch::channel(());
        let reading = read(BufReader::with_capacity(64 * 1024, reader), from_client, to_client.clone());
        let reader = tokio::spawn(async move {
            reading.await;
            drop(open);
        });
        let writer = tokio::spawn(write(writer, outgoing));
        let events = Arc::new(Semaphore::new(EVENTS));
        Door { incoming, outgoing: Some(to_client), events, reader, writer, left }
    }

    /// Comes when the client has closed our stdin: it wants no more answers.
    pub fn left(&self) -> impl Future<Output = ()> + use<> {
        let mut left = self.left.clone();
        async move { while left.changed().await.is_ok() {} }
    }
}

impl Transport<RoleServer> for Door {
    type Error = io::Error;

    fn send(
        &mut self,
        message: TxJsonRpcMessage<RoleServer>,
    ) -> impl Future<Output = Result<(), io::Error>> + Send + 'static {
        let outgoing = self.outgoing.clone();
        let events = is_event(&message).then(|| self.events.clone());
        async move {
            let closed = || io::Error::new(io::ErrorKind::NotConnected, "the client is gone");
            let text = serde_json::to_vec(&message)?;
            let _place = match events {
                Some(events) => Some(events.acquire_owned().await.map_err(|_| closed())?),
                None => None,
            };
            outgoing.ok_or_else(closed)?.send(Line { text, _place }).await.map_err(|_| closed())
        }
    }

    async fn receive(&mut self) -> Option<RxJsonRpcMessage<RoleServer>> {
        self.incoming.recv().await
    }

    async fn close(&mut self) -> Result<(), io::Error> {
        self.reader.abort();
        (&mut self.reader).await.ok();
        self.outgoing = None;
        self.events.close();
        if tokio::time::timeout(LAST_WORDS, &mut self.writer).await.is_err() {
            tracing::debug!("the client has left and reads no more");
            self.writer.abort();
        }
        Ok(())
    }
}

fn is_event(message: &TxJsonRpcMessage<RoleServer>) -> bool {
    match message {
        JsonRpcMessage::Notification(notification) => {
            matches!(&notification.notification, ServerNotification::CustomNotification(note) if note.method == METHOD)
        }
        _ => false,
    }
}

async fn write(mut writer: impl AsyncWrite + Unpin, mut outgoing: mpsc::Receiver<Line>) {
    while let Some(mut line) = outgoing.recv().await {
        line.text.push(b'\n');
        if let Err(error) = async { writer.write_all(&line.text).await.and(writer.flush().await) }.await {
            return tracing::debug!(%error, "the client reads no more");
        }
    }
}

async fn read(
    mut reader: impl AsyncBufRead + Unpin,
    from_client: mpsc::Sender<RxJsonRpcMessage<RoleServer>>,
    to_client: mpsc::Sender<Line>,
) {
    let mut line = Vec::new();
    let mut opened = false;
    loop {
        line.clear();
        let message = match read_line(&mut reader, &mut line).await {
            Ok(Read::End) => return,
            Ok(Read::Whole) => understand(line.trim_ascii()),
            Ok(Read::TooLong) => Err(refusal(
                -32600,
                &Value::Null,
                &format!("the line is longer than {LINE_MAX} bytes and was not read"),
            )),
            Err(error) => return tracing::warn!(%error, "stdin cannot be read"),
        };
        let taken = match message {
            Ok(None) => true,
            Ok(Some(message)) => {
                opened |= opens(&message);
                // Before the client has opened the session there is nobody whom a notification could concern.
                let passes = opened || matches!(*message, JsonRpcMessage::Request(_));
                !passes || from_client.send(*message).await.is_ok()
            }
            Err(answer) => to_client.send(answer.into()).await.is_ok(),
        };
        if !taken {
            return;
        }
    }
}

enum Read {
    Whole,
    TooLong,
    End,
}

/// Reads to the end of a line, keeping at most [`LINE_MAX`] bytes of it.
async fn read_line(reader: &mut (impl AsyncBufRead + Unpin), line: &mut Vec<u8>) -> io::Result<Read> {
    let mut too_long = false;
    loop {
        let available = reader.fill_buf().await?;
        if available.is_empty() {
            return Ok(if line.is_empty() { Read::End } else { Read::Whole });
        }
        let end = available.iter().position(|byte| *byte == b'\n');
        let taken = end.map_or(available.len(), |end| end + 1);
        too_long |= line.len() + taken > LINE_MAX;
        if too_long {
            line.clear();
            line.shrink_to(DEPTH);
        } else {
            line.extend_from_slice(&available[..taken]);
        }
        reader.consume(taken);
        if end.is_some() {
            return Ok(if too_long { Read::TooLong } else { Read::Whole });
        }
    }
}

/// Whether this message opens the session: an `initialize`, or a request that names its protocol version.
fn opens(message: &RxJsonRpcMessage<RoleServer>) -> bool {
    match message {
        JsonRpcMessage::Request(request) => match &request.request {
            ClientRequest::InitializeRequest(_) => true,
            ClientRequest::DiscoverRequest(_) | ClientRequest::PingRequest(_) => false,
            other => other.get_meta().protocol_version().is_some(),
        },
        _ => false,
    }
}

type Understood = Result<Option<Box<RxJsonRpcMessage<RoleServer>>>, Vec<u8>>;

/// Reads one line; what cannot be read becomes the line that says so.
fn understand(line: &[u8]) -> Understood {
    if line.is_empty() {
        return Ok(None);
    }
    if let Ok(message) = serde_json::from_slice(line) {
        return Ok(Some(Box::new(message)));
    }
    let shape = serde_json::from_slice::<Shape>(line);
    if let Some(why) = unreadable(line) {
        // Who has sent it waits, if its id can be read in spite of that.
        let id = shape.ok().and_then(|shape| shape.id).unwrap_or_default();
        return Err(refusal(-32700, &id, &why));
    }
    match shape.unwrap_or_default() {
        // A notification is never answered, and one that we do not know is nothing to us.
        Shape { id: None, method: Some(_) } => Ok(None),
        Shape { id, method } => {
            let why = match method {
                Some(method) => format!(
                    "the request \"{}\" is no JSON-RPC 2.0 request: jsonrpc must be \"2.0\" and params an object",
                    shown(&method)
                ),
                None => "the line is not a JSON-RPC 2.0 message: an object with jsonrpc, method and params".to_owned(),
            };
            Err(refusal(-32600, &id.unwrap_or_default(), &why))
        }
    }
}

/// Why the line is no text of JSON, if it is none: all of it is looked at, what is passed over otherwise too.
fn unreadable(line: &[u8]) -> Option<String> {
    if let Err(error) = std::str::from_utf8(line) {
        return Some(format!("the line is not UTF-8: {error}; nothing of it was done"));
    }
    let mut error = serde_json::from_slice::<Value>(line).err()?.to_string();
    if error.contains("hex escape") {
        error.push_str(" (a \\u escape must stand for a character, half of a surrogate pair stands for none)");
    }
    Some(format!("the line is not JSON that can be read: {error}; nothing of it was done"))
}

#[derive(Default, Deserialize)]
struct Shape {
    id: Option<Value>,
    method: Option<String>,
}

fn refusal(code: i32, id: &Value, message: &str) -> Vec<u8> {
    let id = if id.is_string() || id.is_number() { id } else { &Value::Null };
    json!({ "jsonrpc": "2.0", "id": id, "error": { "code": code, "message": message } }).to_string().into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(line: &[u8]) -> Value {
        serde_json::from_slice(&understand(line).unwrap_err()).unwrap()
    }

    #[test]
    fn what_is_no_message_is_told_why_and_nothing_else_happens() {
        assert_eq!(refused(b"nonsense")["error"]["code"], -32700);
        assert_eq!(refused(b"{\"jsonrpc\":\"2.0\",")["error"]["code"], -32700);
        assert!(refused(b"\xff\xfe")["error"]["message"].as_str().unwrap().contains("UTF-8"));
        assert_eq!(refused(b"[]")["error"]["code"], -32600);
        assert_eq!(refused(b"{}")["error"]["code"], -32600);
        let wrong = refused(br#"{"jsonrpc":"1.0","id":7,"method":"tools/list"}"#);
        assert_eq!((wrong["error"]["code"].as_i64(), wrong["id"].as_i64()), (Some(-32600), Some(7)));
    }

    #[test]
    fn a_notification_that_we_do_not_know_is_nothing_to_us() {
        assert!(understand(br#"{"jsonrpc":"2.0","method":"notifications/invented","params":{}}"#).is_ok());
        assert!(matches!(understand(b""), Ok(None)));
    }

    #[tokio::test]
    async fn a_line_that_is_too_long_is_refused_and_the_next_one_is_read() {
        let mut text = vec![b'x'; LINE_MAX + 1];
        text.extend_from_slice(b"\n{}\nlast");
        let mut reader = BufReader::new(text.as_slice());
        let mut line = Vec::new();
        assert!(matches!(read_line(&mut reader, &mut line).await, Ok(Read::TooLong)));
        line.clear();
        assert!(matches!(read_line(&mut reader, &mut line).await, Ok(Read::Whole)));
        assert_eq!(line, b"{}\n");
        line.clear();
        assert!(matches!(read_line(&mut reader, &mut line).await, Ok(Read::Whole)));
        line.clear();
        assert!(matches!(read_line(&mut reader, &mut line).await, Ok(Read::End)));
    }
}
