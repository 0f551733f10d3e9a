//! The bytes of a connection: the checker says the same however they were split, a head that passes has one reading,
//! and what `receive` makes of it is canonical.

#[path = "split.rs"]
mod split;
#[path = "world.rs"]
mod world;

use std::sync::LazyLock;

use http::header::{CONNECTION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderName, HeaderValue, Method, Uri, Version};
use portcullis_core::receive::path::{CanonicalPath, is_well_formed_query};
use portcullis_core::receive::strict::{Checker, HeadLimits, Violation};
use portcullis_core::receive::{ReceiveRules, receive};
use portcullis_core::request::{Peer, Wire};
use portcullis_core::route::Routes;

static ROUTES: LazyLock<Routes> = LazyLock::new(world::routes);
static RULES: LazyLock<ReceiveRules> = LazyLock::new(|| ReceiveRules {
    trusted_proxies: vec!["192.0.2.0/24".parse().expect("a network")],
    limits: LIMITS,
});
/// Small, so that they are met.
const LIMITS: HeadLimits = HeadLimits { target: 64, headers: 8, header_bytes: 512 };

pub fn run(bytes: &[u8]) {
    let [whole, rest @ ..] = split::splits(bytes).map(|pieces| feed(&pieces));
    for other in rest {
        whole.check(&other);
    }
    path(bytes);
    if let Some(wire) = head(bytes.get(..whole.passed).unwrap_or_default()) {
        receive_one(wire);
    }
}

/// What the checker said of all the pieces.
#[derive(Debug)]
struct Told {
    passed: usize,
    violation: Option<Violation>,
    heads: u64,
    is_in_head: bool,
}

impl Told {
    fn check(&self, other: &Self) {
        assert_eq!(self.violation, other.violation, "the split decides");
        assert_eq!(self.heads, other.heads, "the split decides");
        assert_eq!(self.is_in_head, other.is_in_head, "the split decides");
        // Of a body that breaks its framing the part before goes on as it comes; a head does not.
        if self.violation.is_none() || self.is_in_head {
            assert_eq!(self.passed, other.passed, "the split decides what is handed on");
        } else {
            assert!(self.passed <= other.passed, "whole, more was handed on than in pieces");
        }
    }
}

fn feed(pieces: &[&[u8]]) -> Told {
    let mut checker = Checker::new(LIMITS);
    let (mut passed, mut before) = (0, 0);
    let mut violation = None;
    for piece in pieces {
        let fed = checker.feed(piece);
        assert!(fed.passed <= piece.len(), "more was handed on than came");
        if fed.passed > 0 {
            passed = before + fed.passed;
        }
        before += piece.len();
        violation = fed.violation;
        if violation.is_some() {
            assert_eq!(checker.feed(b"GET / HTTP/1.1\r\n\r\n").passed, 0, "something passed a violation");
            break;
        }
    }
    Told { passed, violation, heads: checker.heads(), is_in_head: checker.is_in_head() }
}

/// A path that has one reading keeps it on its way to the upstream.
fn path(bytes: &[u8]) {
    for word in bytes.split(|byte| byte.is_ascii_whitespace()) {
        let Ok(word) = std::str::from_utf8(word) else { continue };
        let Ok(path) = CanonicalPath::parse(word) else { continue };
        assert!(path.as_str().starts_with('/'), "the path is not absolute");
        assert!(!path.as_str().bytes().any(|byte| byte < 0x20 || byte == 0x7f), "a control character");
        let inner = path.as_str().trim_start_matches('/');
        assert!(!inner.split('/').any(|segment| segment == "." || segment == ".."), "a dot segment");
        assert!(!path.as_str().contains("//"), "an empty segment");
        let wire = path.to_wire();
        assert_eq!(CanonicalPath::parse(&wire).as_ref(), Ok(&path), "another path on the wire: {wire}");
        assert!(wire.parse::<Uri>().is_ok(), "no target: {wire}");
    }
}

/// The first head, read by the simplest reader there can be.
fn head(bytes: &[u8]) -> Option<Wire> {
    let text = bytes.strip_prefix(b"\r\n").unwrap_or(bytes);
    let end = text.windows(4).position(|window| window == b"\r\n\r\n")?;
    let mut lines = text.get(..end)?.split(|byte| *byte == b'\n').map(|line| line.trim_ascii_end());
    let mut words = lines.next()?.split(|byte| *byte == b' ');
    let mut request = http::Request::new(());
    *request.method_mut() = Method::from_bytes(words.next()?).expect("the checker passed the method");
    // The type of targets may be stricter than the grammar; such a request is not seen by `receive`.
    *request.uri_mut() = Uri::try_from(words.next()?).ok()?;
    *request.version_mut() = if words.next()? == b"HTTP/1.0" { Version::HTTP_10 } else { Version::HTTP_11 };
    for line in lines {
        let colon = line.iter().position(|byte| *byte == b':').expect("the checker passed the line");
        let (name, value) = (line.get(..colon)?, line.get(colon + 1..)?);
        let name = HeaderName::from_bytes(name).expect("the checker passed the name");
        let value = HeaderValue::from_bytes(value.trim_ascii()).expect("the checker passed the value");
        request.headers_mut().append(name, value);
    }
    let has_body = request.headers().contains_key(TRANSFER_ENCODING)
        || request.headers().get(CONTENT_LENGTH).is_some_and(|length| length != "0");
    let peer = Peer { address: [192, 0, 2, 1].into(), is_tls: false };
    Some(Wire { parts: request.into_parts().0, peer, has_body })
}

fn receive_one(wire: Wire) {
    let Ok(request) = receive(&ROUTES, &RULES, wire) else { return };
    let head = request.head();
    for name in [HOST, CONTENT_LENGTH, TRANSFER_ENCODING, CONNECTION, UPGRADE] {
        assert!(!head.headers.contains_key(&name), "{name} was kept");
    }
    assert!(head.query.as_deref().is_none_or(is_well_formed_query), "the query has two readings");
    assert!(ROUTES.find(head.path.as_str()).is_some(), "another route");
    assert!(!head.authority.contains('@'), "userinfo in the authority");
}
