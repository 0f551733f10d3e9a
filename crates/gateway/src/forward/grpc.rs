//! What a gRPC request says to the upstream about itself: its deadline, and how it may be answered.

use std::time::Duration;

use http::header::TE;
use http::{HeaderMap, HeaderName, HeaderValue, Response};

use super::asked::Asked;
use super::{ForwardError, Outgoing, Upstream, UpstreamBody};

const GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");
const GRPC_ACCEPT_ENCODING: HeaderName = HeaderName::from_static("grpc-accept-encoding");

/// Bounds the client's deadline by the upstream's own, which is also the deadline of a client that says none; asks for
/// trailers, and for messages that can be read where something reads them.
pub(super) fn prepare(headers: &mut HeaderMap, longest: Option<Duration>, reads_answers: bool) {
    headers.insert(TE, HeaderValue::from_static("trailers"));
    if reads_answers {
        headers.insert(GRPC_ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    }
    let wanted = timeout(headers);
    let bounded = match (wanted, longest) {
        (Some(wanted), Some(longest)) => Some(wanted.min(longest)),
        (one, other) => one.or(other),
    };
    headers.remove(GRPC_TIMEOUT);
    if let Some(value) = bounded.and_then(written) {
        headers.insert(GRPC_TIMEOUT, value);
    }
}

/// The deadline that a head says; a broken one is none.
pub(super) fn timeout(headers: &HeaderMap) -> Option<Duration> {
    let mut all = headers.get_all(GRPC_TIMEOUT).iter();
    let (Some(only), None) = (all.next(), all.next()) else { return None };
    let (digits, unit) = only.to_str().ok()?.split_at_checked(only.len().checked_sub(1)?)?;
    if !(1..=8).contains(&digits.len()) || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let count: u64 = digits.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(count * 3600),
        "M" => Duration::from_secs(count * 60),
        "S" => Duration::from_secs(count),
        "m" => Duration::from_millis(count),
        "u" => Duration::from_micros(count),
        "n" => Duration::from_nanos(count),
        _ => return None,
    })
}

/// In milliseconds, or in seconds where these have more than eight digits.
fn written(timeout: Duration) -> Option<HeaderValue> {
    // Less than one of them is one: nothing is a deadline that passed.
    let millis = timeout.as_millis().max(1);
    let text = if millis < 100_000_000 {
        format!("{millis}m")
    } else {
        format!("{}S", timeout.as_secs().min(99_999_999))
    };
    HeaderValue::try_from(text).ok()
}

/// Sends a request, whole or still coming, and waits for the answer until the client's deadline.
pub(super) async fn send(
    upstream: &Upstream,
    outgoing: Box<Outgoing>,
    asked: Option<Box<Asked>>,
    deadline: Option<Duration>,
) -> Result<Response<UpstreamBody>, ForwardError> {
    let answer = async {
        match asked {
            None => upstream.send(outgoing).await,
            Some(asked) => upstream.send_asked(outgoing, asked).await,
        }
    };
    let answer = tokio::time::timeout(deadline.unwrap_or(Duration::MAX), answer).await;
    answer.unwrap_or(Err(ForwardError::FirstByteTimeout))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_is_bounded_by_the_upstreams() {
        let check = |said: &[&'static str], longest: Option<u64>, expected: Option<&str>| {
            let mut headers = HeaderMap::new();
            for one in said {
                headers.append(GRPC_TIMEOUT, HeaderValue::from_static(one));
            }
            prepare(&mut headers, longest.map(Duration::from_secs), true);
            let sent = headers.get(GRPC_TIMEOUT).map(|value| value.to_str().unwrap());
            assert_eq!(sent, expected, "{said:?}");
            assert_eq!(headers.get(TE).unwrap(), "trailers");
        };
        check(&["5S"], Some(60), Some("5000m"));
        check(&["2H"], Some(60), Some("60000m"));
        check(&["250u"], Some(60), Some("1m"));
        check(&["1M"], None, Some("60000m"));
        check(&["99999999H"], None, Some("99999999S"));
        check(&[], Some(60), Some("60000m"));
        check(&[], None, None);
        // What is no deadline, or two, is none.
        check(&["123456789S"], Some(60), Some("60000m"));
        check(&["5s"], Some(60), Some("60000m"));
        check(&["S"], Some(60), Some("60000m"));
        check(&[""], Some(60), Some("60000m"));
        check(&["1S", "2S"], Some(60), Some("60000m"));
    }
}
