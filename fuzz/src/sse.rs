//! Streams: read and screened the same however they were split.

#[path = "split.rs"]
mod split;

use std::sync::LazyLock;

use bytes::BytesMut;
use portcullis_core::record::{Action, Finding, Usage};
use portcullis_inspect::detect::Groups;
use portcullis_inspect::dialect::{Endpoint, ModelRules, Stream, StreamEnd};
use portcullis_inspect::machine::Screen;
use portcullis_inspect::sse::{Decoder, Event, Limits, SseError};

/// One screen that redacts and one that blocks, each with all detectors.
static RULES: LazyLock<[ModelRules; 2]> = LazyLock::new(|| {
    [Action::Redact, Action::Block]
        .map(|action| ModelRules { answer: screen(action), ..ModelRules::default() })
});

fn screen(action: Action) -> Screen {
    let action = Some(action);
    Screen::from_groups(&Groups {
        pii: action,
        secrets: action,
        injection: action,
        roles: action,
        active_content: action,
        links: action,
        code: action,
    })
}

pub fn run(bytes: &[u8]) {
    let splits = split::splits(bytes);
    for limits in [Limits::default(), Limits { line: 32, event: 64 }] {
        let [whole, rest @ ..] = splits.each_ref().map(|pieces| decode(pieces, limits));
        let raw: usize = whole.0.iter().map(|event| event.raw.len()).sum();
        assert!(raw <= bytes.len(), "events are longer than the stream");
        for other in rest {
            assert_eq!(whole, other, "the split decides what is read");
        }
    }
    for rules in &*RULES {
        for (endpoint, hides_usage) in [
            (Endpoint::Chat, false),
            (Endpoint::Chat, true),
            (Endpoint::Responses, false),
            (Endpoint::Messages, false),
        ] {
            let screened = |pieces: &Vec<&[u8]>| screened(endpoint, rules, hides_usage, pieces);
            let [whole, rest @ ..] = splits.each_ref().map(screened);
            let out = decode(&[&whole.out], Limits::default());
            assert_eq!(out.1, None, "what leaves is no stream of events");
            for other in rest {
                assert_eq!(whole, other, "the split decides what leaves");
            }
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Read {
    raw: Vec<u8>,
    data: Option<Vec<u8>>,
    others: Vec<Vec<u8>>,
    is_plain: bool,
}

impl Read {
    fn of(event: &Event<'_>) -> Self {
        Self {
            raw: event.raw.to_vec(),
            data: event.data.as_deref().map(<[u8]>::to_vec),
            others: event.other_lines().map(<[u8]>::to_vec).collect(),
            is_plain: event.is_plain,
        }
    }
}

fn decode(pieces: &[&[u8]], limits: Limits) -> (Vec<Read>, Option<SseError>) {
    let mut decoder = Decoder::new(limits);
    let mut all = Vec::new();
    for piece in pieces {
        let mut rest = *piece;
        loop {
            match decoder.next(&mut rest) {
                Ok(Some(event)) => all.push(Read::of(&event)),
                Ok(None) => break,
                Err(error) => return (all, Some(error)),
            }
        }
        assert!(rest.is_empty(), "a piece was not taken whole");
    }
    match decoder.finish() {
        Ok(event) => {
            all.extend(event.as_ref().map(Read::of));
            (all, None)
        }
        Err(error) => (all, Some(error)),
    }
}

#[derive(Debug, PartialEq)]
struct Screened {
    out: Vec<u8>,
    end: Result<(), StreamEnd>,
    findings: Vec<Finding>,
    usage: Option<Usage>,
    is_over: bool,
}

fn screened(endpoint: Endpoint, rules: &ModelRules, hides_usage: bool, pieces: &[&[u8]]) -> Screened {
    let mut stream = Stream::new(endpoint, rules, hides_usage, "record").expect("it has streams");
    let mut out = BytesMut::new();
    let pushed = pieces.iter().try_for_each(|piece| stream.push(piece, &mut out));
    let end = pushed.and_then(|()| stream.finish(&mut out));
    assert!(stream.is_over(), "a stream goes on after its end");
    let (findings, usage, is_over) = (stream.take_findings(), stream.usage(), stream.is_over());
    Screened { out: out.to_vec(), end, findings, usage, is_over }
}
