//! Answers of upstreams: read the same however they were split, and never past their end.

#[path = "split.rs"]
mod split;

use http::{HeaderMap, Method, StatusCode};
use portcullis_gateway::forward::h1::inbound::Inbound;

pub fn run(bytes: &[u8]) {
    let splits = split::splits(bytes);
    for method in [Method::GET, Method::HEAD] {
        let [whole, rest @ ..] = splits.each_ref().map(|pieces| read(pieces, &method));
        let said: usize = whole.answers.iter().map(|answer| answer.body.len()).sum();
        assert!(said <= bytes.len(), "bodies are longer than what came");
        for other in rest {
            assert_eq!(whole, other, "the split decides what is read");
        }
    }
}

/// All answers on a connection, and whether it broke.
#[derive(Debug, Default, PartialEq, Eq)]
struct Read {
    answers: Vec<Answer>,
    is_broken: bool,
}

#[derive(Debug, PartialEq, Eq)]
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
    trailers: Option<HeaderMap>,
    is_over: bool,
}

fn read(pieces: &[&[u8]], method: &Method) -> Read {
    let mut inbound = Inbound::default();
    let mut read = Read::default();
    for piece in pieces {
        inbound.bytes.extend_from_slice(piece);
        if take(&mut inbound, method, &mut read).is_none() {
            // How much of a broken body was taken first depends on the split; that it broke does not.
            read.is_broken = true;
            read.answers.iter_mut().filter(|answer| !answer.is_over).for_each(|answer| answer.body.clear());
            return read;
        }
    }
    read
}

/// Takes all that is there; `None` when it is broken.
fn take(inbound: &mut Inbound, method: &Method, read: &mut Read) -> Option<()> {
    loop {
        if inbound.is_over() {
            let Some(head) = inbound.take_head(method).ok()? else { return Some(()) };
            let (parts, ()) = head.into_parts();
            let (status, headers) = (parts.status, parts.headers);
            read.answers.push(Answer {
                status,
                headers,
                body: Vec::new(),
                trailers: None,
                is_over: inbound.is_over(),
            });
            if inbound.is_over() {
                continue;
            }
        }
        let answer = read.answers.last_mut().expect("a body follows a head");
        match inbound.take_frame().ok()? {
            Some(frame) => match frame.into_data() {
                Ok(data) => answer.body.extend_from_slice(&data),
                Err(frame) => answer.trailers = frame.into_trailers().ok(),
            },
            None if !inbound.is_over() => return Some(()),
            None => {}
        }
        answer.is_over = inbound.is_over();
    }
}
