//! A client small enough to send what no well-behaved one would.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const PATIENCE: Duration = Duration::from_secs(10);

/// An answer, its body without transfer coding.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Answer {
    /// The value of a header, by its lower-case name.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// Writes `request` byte by byte as it is and reads the answer to the end of the connection.
pub(crate) async fn ask(address: SocketAddr, request: &[u8]) -> anyhow::Result<Answer> {
    let talk = async {
        let mut stream = TcpStream::connect(address).await.context("no connection to the gate")?;
        stream.write_all(request).await?;
        let mut raw = Vec::new();
        // A connection that is reset after the answer has given its answer.
        if let Err(error) = stream.read_to_end(&mut raw).await
            && raw.is_empty()
        {
            return Err(error).context("the gate closed the connection without an answer");
        }
        anyhow::Ok(raw)
    };
    let raw = tokio::time::timeout(PATIENCE, talk).await.context("no answer in time")??;
    parse(&raw)
}

fn parse(raw: &[u8]) -> anyhow::Result<Answer> {
    let text = String::from_utf8_lossy(raw);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { bail!("not an answer: `{text}`") };
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|status| status.parse().ok());
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()))
        .collect();
    let is_chunked = headers.iter().any(|(name, value)| name == "transfer-encoding" && value == "chunked");
    let body = if is_chunked { dechunk(body) } else { body.to_owned() };
    Ok(Answer { status: status.context("no status")?, headers, body })
}

fn dechunk(mut rest: &str) -> String {
    let mut body = String::new();
    while let Some((size, after)) = rest.split_once("\r\n") {
        let Ok(size) = usize::from_str_radix(size, 16) else { break };
        let Some((chunk, after)) = after.split_at_checked(size) else { break };
        if size == 0 {
            break;
        }
        body.push_str(chunk);
        rest = after.strip_prefix("\r\n").unwrap_or(after);
    }
    body
}
