use proptest::prelude::*;

use super::*;

/// What came of a whole connection: heads that were let through, bytes handed on, and the end.
#[derive(Debug, PartialEq, Eq)]
struct Verdict {
    heads: u64,
    passed: Vec<u8>,
    violation: Option<Violation>,
    is_in_head: bool,
}

/// Feeds pieces as the gateway does: keeps back what did not pass, hands it on with what passes later.
fn run<'p>(limits: HeadLimits, pieces: impl IntoIterator<Item = &'p [u8]>) -> Verdict {
    let mut checker = Checker::new(limits);
    let mut passed = Vec::new();
    let mut held = Vec::new();
    let mut violation = None;
    for piece in pieces {
        let fed = checker.feed(piece);
        if fed.passed > 0 {
            passed.append(&mut held);
            passed.extend_from_slice(&piece[..fed.passed]);
        }
        held.extend_from_slice(&piece[fed.passed..]);
        violation = fed.violation;
        if violation.is_some() {
            break;
        }
    }
    // What passes of a body before its violation depends on the pieces; only whole heads are comparable.
    if violation.is_some() && !checker.is_in_head() {
        passed.clear();
    }
    Verdict { heads: checker.heads(), passed, violation, is_in_head: checker.is_in_head() }
}

fn whole(bytes: &[u8]) -> Verdict {
    run(HeadLimits::default(), [bytes])
}

#[test]
fn heads_and_bodies_are_followed_over_a_connection() {
    let check = |bytes: &str, heads: u64| {
        let verdict = whole(bytes.as_bytes());
        assert_eq!(verdict.violation, None, "{bytes}");
        assert_eq!(verdict.heads, heads, "{bytes}");
        assert_eq!(verdict.passed, bytes.as_bytes(), "{bytes}");
    };
    check("GET / HTTP/1.1\r\nHost: a\r\n\r\n", 1);
    check("\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 1);
    check("GET / HTTP/1.0\r\n\r\nGET /b?c=d|e HTTP/1.1\r\n\r\n", 2);
    check("CONNECT a:443 HTTP/1.1\r\n\r\n", 1);
    check("GET http://a/b HTTP/1.1\r\nHost: a\r\n\r\n", 1);
    check("OPTIONS * HTTP/1.1\r\nEmpty:\r\nTab:\ta\tb \r\nObs: \u{e9}\r\n\r\n", 1);
    check("POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nhelloGET / HTTP/1.1\r\n\r\n", 2);
    check("POST / HTTP/1.1\r\ncontent-length:\t5 \r\n\r\n\r\n\0\n\n", 1);
    check("POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\nGET / HTTP/1.1\r\n\r\n", 2);
    check(
        "POST / HTTP/1.1\r\nTransfer-Encoding: Chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\nGET / HTTP/1.1\r\n\r\n",
        2,
    );
    check(
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0a\r\nGET / HTTP\r\n000\r\nX-Sum: 1\r\n\r\n",
        1,
    );
}

#[test]
fn what_has_two_readings_is_refused() {
    use Violation::*;
    let check = |bytes: &[u8], violation: Violation| {
        let verdict = whole(bytes);
        assert_eq!(verdict.violation, Some(violation), "{}", bytes.escape_ascii());
        assert_eq!((verdict.heads, verdict.is_in_head), (0, true), "{}", bytes.escape_ascii());
        assert_eq!(verdict.passed, b"", "{}", bytes.escape_ascii());
    };
    let field = |field: &[u8], violation: Violation| {
        check(&[b"POST / HTTP/1.1\r\nHost: a\r\n", field, b"\r\n\r\n"].concat(), violation);
    };
    field(b"Content-Length: 5\r\nTransfer-Encoding: chunked", LengthAndEncoding);
    field(b"Transfer-Encoding: chunked\r\nContent-Length: 5", LengthAndEncoding);
    field(b"Content-Length: 5\r\nContent-Length: 6", LengthRepeated);
    field(b"Content-Length: 5\r\ncontent-length: 5", LengthRepeated);
    field(b"Content-Length: 5, 5", LengthInvalid);
    field(b"Content-Length: +5", LengthInvalid);
    field(b"Content-Length: -5", LengthInvalid);
    field(b"Content-Length: 05", LengthInvalid);
    field(b"Content-Length: 0x5", LengthInvalid);
    field(b"Content-Length:", LengthInvalid);
    field(b"Content-Length: 9999999999999999999", LengthInvalid);
    field(b"Transfer-Encoding: xchunked", EncodingUnknown);
    field(b"Transfer-Encoding: chunked, identity", EncodingUnknown);
    field(b"Transfer-Encoding: gzip, chunked", EncodingUnknown);
    field(b"Transfer-Encoding: \x0bchunked", Control);
    field(b"Transfer-Encoding: identity", EncodingUnknown);
    field(b"Transfer-Encoding: chunked\r\nTransfer-Encoding: x", EncodingRepeated);
    field(b"Transfer-Encoding : chunked", FieldName);
    field(b"Transfer-Encoding\t: chunked", FieldName);
    field(b" X: a", Folded);
    field(b"X: a\r\n b", Folded);
    field(b"X: a\r\n\tb", Folded);
    field(b"X: a\nY: b", BareLf);
    field(b"X: a\rY: b", Control);
    field(b"X: a\r", Control);
    field(b"X: a\0b", Control);
    field(b"X: a\x7fb", Control);
    field(b"X@A: a", FieldName);
    field(b"X\0: a", FieldName);
    field(b": a", FieldName);
    field(b"no colon", FieldName);
    check(b"GET / HTTP/1.1\nHost: a\n\n", BareLf);
    check(b"GET / HTTP/1.1\r\nHost: a\r\n\n", BareLf);
    check(b"\r\n\r\nGET / HTTP/1.1\r\n\r\n", RequestLine);
    check(b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", EncodingTooOld);
    check(b"GET / HTTP/1.2\r\n\r\n", Version);
    check(b"GET / HTTP/2.0\r\n\r\n", Version);
    check(b"GET / http/1.1\r\n\r\n", Version);
    check(b"GET /\r\n\r\n", RequestLine);
    check(b"GET\r\n\r\n", RequestLine);
    check(b" GET / HTTP/1.1\r\n\r\n", RequestLine);
    check(b"GET  / HTTP/1.1\r\n\r\n", RequestLine);
    check(b"GET /  HTTP/1.1\r\n\r\n", RequestLine);
    check(b"GET\t/ HTTP/1.1\r\n\r\n", RequestLine);
    check(b"G@T / HTTP/1.1\r\n\r\n", RequestLine);
    check(b"GET /a b HTTP/1.1\r\n\r\n", RequestLine);
    check(b"GET a/b HTTP/1.1\r\n\r\n", Target);
    check(b"GET ftp://a/b HTTP/1.1\r\n\r\n", Target);
    check(b"GET a:443 HTTP/1.1\r\n\r\n", Target);
    check(b"GET /#b HTTP/1.1\r\n\r\n", Target);
    check(b"GET /\xff HTTP/1.1\r\n\r\n", Target);
    check(b"GET /<\"> HTTP/1.1\r\n\r\n", Target);
    check(b"GET /\0 HTTP/1.1\r\n\r\n", Target);
    check(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Version);
    check(b"\x16\x03\x01\x02\x00\r\n", RequestLine);
    check(b"\x16\x03\x01\x02\x00\n", BareLf);
}

#[test]
fn a_chunked_body_has_one_reading() {
    use Violation::*;
    let check = |body: &[u8], violation: Violation| {
        let verdict = whole(&[b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", body].concat());
        assert_eq!(verdict.violation, Some(violation), "{}", body.escape_ascii());
        assert_eq!((verdict.heads, verdict.is_in_head), (1, false), "{}", body.escape_ascii());
    };
    check(b"5;\n\nhello\r\n", ChunkSize);
    check(b"5;a=b\r\nhello\r\n", ChunkSize);
    check(b"5 \r\nhello\r\n", ChunkSize);
    check(b"5\nhello\n", ChunkSize);
    check(b"0x5\r\nhello\r\n", ChunkSize);
    check(b"00000000000000005\r\nhello\r\n", ChunkSize);
    check(b"\r\nhello", ChunkSize);
    check(b"-1\r\n", ChunkSize);
    check(b"5\r\nhello0\r\n\r\n", ChunkEnd);
    check(b"5\r\nhello\n0\r\n", ChunkEnd);
    check(b"5\r\nhello!\r\n", ChunkEnd);
    check(b"0\r\nContent-Length: 5\r\n\r\n", Trailer);
    check(b"0\r\nX: a\n\r\n", BareLf);
    check(b"0\r\n folded\r\n\r\n", Folded);
}

#[test]
fn limits_hold() {
    let limits = HeadLimits { target: 10, headers: 3, header_bytes: 40 };
    let check = |bytes: &str, violation: Option<Violation>| {
        assert_eq!(run(limits, [bytes.as_bytes()]).violation, violation, "{bytes}");
        assert_eq!(run(limits, bytes.as_bytes().chunks(1)).violation, violation, "{bytes} bytewise");
    };
    check("GET /0123456789 HTTP/1.1\r\n\r\n", Some(Violation::TargetTooLong));
    check("GET /123456789 HTTP/1.1\r\n\r\n", None);
    check(&format!("GET /{}", "a".repeat(60)), Some(Violation::TargetTooLong));
    check("GET / HTTP/1.1\r\na: b\r\na: b\r\na: b\r\n\r\n", None);
    check("GET / HTTP/1.1\r\na: b\r\na: b\r\na: b\r\na: b\r\n\r\n", Some(Violation::TooManyHeaders));
    check(&format!("GET / HTTP/1.1\r\na: {}", "b".repeat(60)), Some(Violation::HeadersTooLarge));
    check(
        "GET / HTTP/1.1\r\na: 34567890123456\r\nb: 456789012345678\r\n\r\n",
        Some(Violation::HeadersTooLarge),
    );
    let next = "GET / HTTP/1.1\r\na: 34567890123456\r\nb: 45678901234567\r\n\r\n";
    check(&next.repeat(2), None);
    check("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\na: b\r\na: b\r\na: b\r\n\r\n", None);
    check(
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\na: b\r\na: b\r\na: b\r\na: b\r\n\r\n",
        Some(Violation::TooManyHeaders),
    );
}

#[test]
fn an_unfinished_head_is_kept_back() {
    let mut checker = Checker::new(HeadLimits::default());
    let first = b"GET /a HTTP/1.1\r\n\r\nGET /b HT";
    assert_eq!(checker.feed(first), Fed { passed: 19, violation: None });
    assert!(checker.is_in_head() && !checker.is_between());
    assert_eq!(checker.feed(b"TP/1.1\r\nHost: a"), Fed { passed: 0, violation: None });
    assert_eq!(checker.feed(b"\r\n\r\n"), Fed { passed: 4, violation: None });
    assert!(checker.is_between());
    assert_eq!(checker.heads(), 2);
    assert_eq!(checker.feed(b"x\n").violation, Some(Violation::BareLf));
    assert_eq!(
        checker.feed(b"GET / HTTP/1.1\r\n\r\n"),
        Fed { passed: 0, violation: Some(Violation::BareLf) }
    );
}

/// Connections near the border between good and bad.
fn connection() -> impl Strategy<Value = Vec<u8>> {
    let part = prop_oneof![
        4 => Just(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".to_vec()),
        2 => Just(b"POST /a HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc".to_vec()),
        2 => Just(b"POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\na\nc\r\n0\r\n\r\n".to_vec()),
        1 => Just(b"\r\n".to_vec()),
        1 => Just(b"\n".to_vec()),
        1 => Just(b"3\r\n".to_vec()),
        1 => Just(b"Content-Length: 3\r\n".to_vec()),
        1 => Just(b"GET / HTTP/1.1\r\n".to_vec()),
        1 => proptest::collection::vec(any::<u8>(), 0..12),
    ];
    proptest::collection::vec(part, 0..8).prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn how_bytes_were_split_never_changes_the_verdict(
        bytes in connection(),
        cuts in proptest::collection::vec(1usize..40, 0..40),
    ) {
        let limits = HeadLimits { target: 64, headers: 4, header_bytes: 80 };
        let at_once = run(limits, [&bytes[..]]);
        let bytewise = run(limits, bytes.chunks(1));
        prop_assert_eq!(&at_once, &bytewise);
        let mut pieces = Vec::new();
        let mut rest = &bytes[..];
        for cut in cuts {
            let (piece, left) = rest.split_at(cut.min(rest.len()));
            pieces.push(piece);
            rest = left;
        }
        pieces.push(rest);
        prop_assert_eq!(&at_once, &run(limits, pieces));
    }

    #[test]
    fn nothing_passes_that_was_not_fed(bytes in connection()) {
        let verdict = whole(&bytes);
        prop_assert!(bytes.starts_with(&verdict.passed));
        prop_assert!(verdict.violation.is_some() || verdict.heads > 0 || verdict.passed.len() <= 2);
    }
}
