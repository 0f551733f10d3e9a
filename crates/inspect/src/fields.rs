//! Header fields under a screen: those that an application reads, and none that HTTP itself reads.

use http::HeaderMap;
use portcullis_core::record::{Action, Finding};

use crate::machine::Screen;
use crate::text;

/// Fields of HTTP itself, and credentials; in order.
const PROTOCOL: &[&str] = &[
    "accept",
    "accept-charset",
    "accept-encoding",
    "accept-language",
    "accept-ranges",
    "age",
    "allow",
    "alt-svc",
    "authorization",
    "cache-control",
    "clear-site-data",
    "connection",
    "content-encoding",
    "content-language",
    "content-length",
    "content-location",
    "content-range",
    "content-security-policy",
    "content-type",
    "cookie",
    "date",
    "dnt",
    "early-data",
    "etag",
    "expect",
    "expires",
    "forwarded",
    "grpc-accept-encoding",
    "grpc-encoding",
    "grpc-message",
    "grpc-status",
    "grpc-status-details-bin",
    "grpc-timeout",
    "host",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "keep-alive",
    "last-modified",
    "max-forwards",
    "nel",
    "origin",
    "permissions-policy",
    "pragma",
    "priority",
    "proxy-authenticate",
    "proxy-authorization",
    "range",
    "referer",
    "referrer-policy",
    "report-to",
    "reporting-endpoints",
    "retry-after",
    "server",
    "server-timing",
    "set-cookie",
    "strict-transport-security",
    "sunset",
    "te",
    "traceparent",
    "tracestate",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "vary",
    "via",
    "www-authenticate",
    "x-api-key",
    "x-content-type-options",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-proto",
    "x-frame-options",
    "x-real-ip",
    "x-request-id",
];

/// What families of such fields begin with.
const FAMILIES: &[&str] =
    &["sec-", "access-control-", "cross-origin-", "ratelimit", "x-ratelimit", "x-stainless-"];

/// Whether a field is HTTP's own, or carries a credential: the first has a grammar in which nothing can be told, the
/// second is meant for whoever verifies it, and detectors of secrets would refuse every caller that has one.
pub fn is_protocol(name: &str) -> bool {
    PROTOCOL.binary_search(&name).is_ok() || FAMILIES.iter().any(|start| name.starts_with(start))
}

/// Screens the fields that an application reads; `at` comes before their names in findings. Nothing in a field can be
/// rewritten: what would be redacted is blocked.
pub(crate) fn screen(screen: &Screen, fields: &HeaderMap, at: &str, findings: &mut Vec<Finding>) {
    if screen.is_off() {
        return;
    }
    for (name, value) in fields {
        if is_protocol(name.as_str()) {
            continue;
        }
        let known = findings.len();
        // What is not ASCII may be UTF-8, or anything: what of it is text is read.
        let value = String::from_utf8_lossy(value.as_bytes());
        text::screen(screen, &value, findings, || [at, name.as_str()].concat());
        for finding in findings.iter_mut().skip(known) {
            if finding.action.rewrites() {
                finding.action = Action::Block;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;
    use crate::detect::Detector;

    #[test]
    fn the_list_is_in_order() {
        assert!(PROTOCOL.is_sorted());
    }

    #[test]
    fn fields_of_the_application_are_read_and_those_of_http_are_not() {
        let on = Screen::new(&[(Detector::Email, Action::Redact), (Detector::Card, Action::Observe)]);
        for (name, value, expected) in [
            ("x-note", "ann@example.com", Some(Action::Block)),
            ("idempotency-key", "4242424242424242", Some(Action::Observe)),
            ("x-note", "\u{e9} ann@example.com", Some(Action::Block)),
            ("x-note", "nothing", None),
            ("authorization", "Bearer ann@example.com", None),
            ("sec-fetch-site", "ann@example.com", None),
            ("referer", "https://h/?ann@example.com", None),
        ] {
            let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
            let fields = HeaderMap::from_iter([(HeaderName::from_static(name), value)]);
            let mut findings = Vec::new();
            screen(&on, &fields, "header:", &mut findings);
            let found: Vec<_> = findings.iter().map(|one| (one.at.clone(), one.action)).collect();
            let expected: Vec<_> =
                expected.map(|action| (format!("header:{name}"), action)).into_iter().collect();
            assert_eq!(found, expected, "{name}");
            screen(&Screen::off(), &fields, "", &mut findings);
            assert_eq!(findings.len(), expected.len());
        }
    }
}
