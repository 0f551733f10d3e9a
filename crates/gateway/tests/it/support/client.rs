//! A client that writes bytes and reads answers by their framing, so that a broken end is seen.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::LONG;

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// The head as it came, in lower case.
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
    /// The body ended where its framing says.
    pub(crate) is_whole: bool,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(':'));
        lines.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    read: Vec<u8>,
}

impl Client {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        Self { stream: TcpStream::connect(address).await.unwrap(), read: Vec::new() }
    }

    /// Sends a head whose lines end in `\n`, and what follows it as it is.
    pub(crate) async fn send(&mut self, request: &str) {
        let (head, body) = request.split_once("\n\n").unwrap();
        self.send_bytes(format!("{}\r\n\r\n{body}", head.replace('\n', "\r\n")).as_bytes()).await;
    }

    pub(crate) async fn send_bytes(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    /// Reads more; false at the end, clean or not.
    async fn fill(&mut self) -> bool {
        let read = timeout(LONG, self.stream.read_buf(&mut self.read)).await.expect("nothing comes");
        matches!(read, Ok(count) if count > 0)
    }

    /// Reads until `text` has come, and takes all up to its end.
    pub(crate) async fn until(&mut self, text: &str) -> String {
        loop {
            if let Some(at) = find(&self.read, text.as_bytes()) {
                return String::from_utf8(self.read.drain(..at + text.len()).collect()).unwrap();
            }
            assert!(self.fill().await, "closed before {text:?}: {}", String::from_utf8_lossy(&self.read));
        }
    }

    /// Reads until the other side closes.
    pub(crate) async fn rest(&mut self) -> Vec<u8> {
        while self.fill().await {}
        std::mem::take(&mut self.read)
    }

    pub(crate) async fn answer(&mut self, is_head: bool) -> Answer {
        let head = self.until("\r\n\r\n").await.to_ascii_lowercase();
        let status: u16 = head.split(' ').nth(1).unwrap().parse().unwrap();
        let mut answer = Answer { status, head, body: Vec::new(), is_whole: true };
        if is_head || matches!(status, 100..200 | 204 | 304) {
            return answer;
        }
        if answer.header("transfer-encoding").is_some() {
            answer.is_whole = self.chunks(&mut answer.body).await;
        } else {
            let length: usize = answer.header("content-length").map_or(usize::MAX, |l| l.parse().unwrap());
            while self.read.len() < length && self.fill().await {}
            answer.is_whole = self.read.len() >= length;
            let end = self.read.len().min(length);
            answer.body = self.read.drain(..end).collect();
        }
        answer
    }

    /// True when the last chunk came.
    async fn chunks(&mut self, body: &mut Vec<u8>) -> bool {
        loop {
            let Some(line) = find(&self.read, b"\r\n") else {
                if self.fill().await {
                    continue;
                }
                return false;
            };
            let size = std::str::from_utf8(&self.read[..line]).unwrap();
            let size = usize::from_str_radix(size, 16).unwrap();
            while self.read.len() < line + 2 + size + 2 {
                if !self.fill().await {
                    return false;
                }
            }
            body.extend_from_slice(&self.read[line + 2..line + 2 + size]);
            self.read.drain(..line + 2 + size + 2);
            if size == 0 {
                return true;
            }
        }
    }
}

pub(super) fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}
