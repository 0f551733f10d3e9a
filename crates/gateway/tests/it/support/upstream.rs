//! An upstream that does what it is told, byte for byte, and remembers what reached it.

use std::net::SocketAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use super::client::find;

/// A step of an answer.
#[derive(Clone)]
pub(crate) enum Piece {
    Bytes(Vec<u8>),
    /// Waits for a permit.
    Wait(Arc<Semaphore>),
    /// Closes the connection.
    Close,
}

/// What reached the upstream.
#[derive(Clone)]
pub(crate) struct Seen {
    /// In lower case.
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> Vec<String> {
        let lines = self.head.lines().skip(1).filter_map(|line| line.split_once(": "));
        lines.filter(|(known, _)| *known == name).map(|(_, value)| value.to_owned()).collect()
    }

    pub(crate) fn first_line(&self) -> &str {
        self.head.lines().next().unwrap()
    }
}

#[derive(Default)]
struct State {
    script: Mutex<Vec<Piece>>,
    seen: Mutex<Vec<Seen>>,
}

pub(crate) struct Upstream {
    address: SocketAddr,
    state: Arc<State>,
    task: JoinHandle<()>,
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Upstream {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State::default());
        let theirs = Arc::clone(&state);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&theirs)));
            }
        });
        let upstream = Self { address, state, task };
        upstream.answers("200 OK", "content-type: application/json", "{}");
        upstream
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on every request is answered so.
    pub(crate) fn plays(&self, script: Vec<Piece>) {
        *self.state.script.lock() = script;
    }

    /// Answers with a head whose lines end in `\n`, and a body of known length.
    pub(crate) fn answers(&self, status: &str, headers: &str, body: &str) {
        let headers = headers.replace('\n', "\r\n");
        let headers = if headers.is_empty() { headers } else { format!("{headers}\r\n") };
        let length = body.len();
        self.says(&format!("HTTP/1.1 {status}\r\n{headers}content-length: {length}\r\n\r\n{body}"));
    }

    /// Answers with exactly these bytes.
    pub(crate) fn says(&self, bytes: &str) {
        self.plays(vec![Piece::Bytes(bytes.as_bytes().to_vec())]);
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.state.seen.lock().clone()
    }

    pub(crate) fn count(&self) -> usize {
        self.state.seen.lock().len()
    }

    /// Takes no connection any more.
    pub(crate) fn go_down(&self) {
        self.task.abort();
    }
}

async fn serve(mut stream: TcpStream, state: Arc<State>) {
    let mut read = Vec::new();
    while let Some(seen) = request(&mut stream, &mut read).await {
        state.seen.lock().push(seen);
        let script = state.script.lock().clone();
        for piece in script {
            match piece {
                Piece::Bytes(bytes) => {
                    if stream.write_all(&bytes).await.is_err() {
                        return;
                    }
                }
                Piece::Wait(permits) => permits.acquire().await.unwrap().forget(),
                Piece::Close => return,
            }
        }
    }
}

async fn request(stream: &mut TcpStream, read: &mut Vec<u8>) -> Option<Seen> {
    let end = loop {
        if let Some(end) = find(read, b"\r\n\r\n") {
            break end + 4;
        }
        if stream.read_buf(read).await.ok()? == 0 {
            return None;
        }
    };
    let head: Vec<u8> = read.drain(..end).collect();
    let head = String::from_utf8(head).unwrap();
    let mut seen = Seen { head: String::new(), body: Vec::new() };
    // Names in lower case; targets and values as they came.
    for line in head.trim_end().split("\r\n") {
        match line.split_once(": ") {
            Some((name, value)) => seen.head.push_str(&format!("{}: {value}\n", name.to_ascii_lowercase())),
            None => seen.head.push_str(&format!("{line}\n")),
        }
    }
    let length = seen.header("content-length").first().map_or(0, |length| length.parse().unwrap());
    assert!(seen.header("transfer-encoding").is_empty(), "a known body has a length");
    while read.len() < length {
        if stream.read_buf(read).await.ok()? == 0 {
            return None;
        }
    }
    seen.body = read.drain(..length).collect();
    Some(seen)
}
