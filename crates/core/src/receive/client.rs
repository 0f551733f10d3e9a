//! Who the client is, where a proxy stands before the gate.

use std::net::{IpAddr, SocketAddr};

use http::HeaderMap;
use http::header::{FORWARDED, HeaderName, HeaderValue};
use ipnet::IpNet;

use crate::halt::{Halt, Reason};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The client's address: the connection's, unless a trusted proxy says otherwise.
///
/// A list is read from its end, where the nearest proxy wrote; the first address that is not itself a trusted proxy
/// is the client. What stands before it was written by the client and is worth nothing.
///
/// # Errors
/// `AmbiguousHeader`: `X-Forwarded-For` and `Forwarded` disagree, or the part that counts is no address.
pub(super) fn address(headers: &HeaderMap, connection: IpAddr, trusted: &[IpNet]) -> Result<IpAddr, Halt> {
    let connection = connection.to_canonical();
    let is_trusted = |address: IpAddr| trusted.iter().any(|net| net.contains(&address));
    // PERF: without a trusted proxy nothing is looked up.
    if trusted.is_empty() || !is_trusted(connection) {
        return Ok(connection);
    }
    let listed = client_of(headers, &X_FORWARDED_FOR, is_trusted, |element| Some(element.trim()))?;
    let forwarded = client_of(headers, &FORWARDED, is_trusted, for_of)?;
    match (listed, forwarded) {
        (Some(a), Some(b)) if a != b => Err(refuse("x-forwarded-for and forwarded disagree")),
        (Some(client), _) | (None, Some(client)) => Ok(client),
        (None, None) => Ok(connection),
    }
}

fn client_of(
    headers: &HeaderMap,
    name: &HeaderName,
    is_trusted: impl Fn(IpAddr) -> bool,
    node: impl Fn(&str) -> Option<&str>,
) -> Result<Option<IpAddr>, Halt> {
    let mut client = None;
    let values: Vec<&HeaderValue> = headers.get_all(name).iter().collect();
    for value in values.into_iter().rev() {
        let value = value.to_str().map_err(|_| refuse("a forwarding header is not ASCII"))?;
        for element in value.rsplit(',') {
            let address =
                node(element).and_then(parse).ok_or_else(|| refuse("a forwarding header has no address"))?;
            client = Some(address);
            if !is_trusted(address) {
                return Ok(client);
            }
        }
    }
    Ok(client)
}

/// The `for` parameter of one element of `Forwarded` (RFC 7239 section 4), without quotes.
fn for_of(element: &str) -> Option<&str> {
    element.split(';').find_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        name.trim().eq_ignore_ascii_case("for").then(|| value.trim().trim_matches('"'))
    })
}

/// An address, with or without a port, with or without brackets.
fn parse(node: &str) -> Option<IpAddr> {
    let bare = node.strip_prefix('[').and_then(|node| node.strip_suffix(']')).unwrap_or(node);
    let address = bare.parse::<IpAddr>().ok();
    address
        .or_else(|| node.parse::<SocketAddr>().ok().map(|socket| socket.ip()))
        .map(|address| address.to_canonical())
}

fn refuse(detail: &'static str) -> Halt {
    Halt::new(Reason::AmbiguousHeader, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_trusted_proxy_is_believed() {
        let check = |connection: &str, headers: &[(&'static str, &'static str)], expected: Option<&str>| {
            let mut map = HeaderMap::new();
            for (name, value) in headers {
                map.append(*name, HeaderValue::from_static(value));
            }
            let trusted = ["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()];
            let found = address(&map, connection.parse().unwrap(), &trusted).ok();
            assert_eq!(found, expected.map(|text| text.parse().unwrap()), "{connection} {headers:?}");
        };
        const XFF: &str = "x-forwarded-for";
        check("192.0.2.1", &[], Some("192.0.2.1"));
        check("192.0.2.1", &[(XFF, "198.51.100.7")], Some("192.0.2.1"));
        check("10.0.0.1", &[], Some("10.0.0.1"));
        check("10.0.0.1", &[(XFF, "198.51.100.7")], Some("198.51.100.7"));
        check("::ffff:10.0.0.1", &[(XFF, "198.51.100.7")], Some("198.51.100.7"));
        check("10.0.0.1", &[(XFF, "1.1.1.1, 198.51.100.7")], Some("198.51.100.7"));
        check("10.0.0.1", &[(XFF, "rubbish, 198.51.100.7, 10.2.3.4")], Some("198.51.100.7"));
        check("10.0.0.1", &[(XFF, "1.1.1.1"), (XFF, "198.51.100.7")], Some("198.51.100.7"));
        check("10.0.0.1", &[(XFF, "10.1.1.1, 10.2.2.2")], Some("10.1.1.1"));
        check("10.0.0.1", &[(XFF, "198.51.100.7:4711")], Some("198.51.100.7"));
        check("10.0.0.1", &[(XFF, "[2001:db8::7]:4711")], Some("2001:db8::7"));
        check("10.0.0.1", &[(XFF, "2001:db8::7")], Some("2001:db8::7"));
        check("10.0.0.1", &[(XFF, "unknown")], None);
        check("10.0.0.1", &[(XFF, "")], None);
        check("10.0.0.1", &[("forwarded", "for=198.51.100.7;proto=https")], Some("198.51.100.7"));
        check("10.0.0.1", &[("forwarded", "for=1.1.1.1, For=\"[2001:db8::7]:4711\"")], Some("2001:db8::7"));
        check("10.0.0.1", &[("forwarded", "by=1.1.1.1")], None);
        check("10.0.0.1", &[("forwarded", "for=198.51.100.7"), (XFF, "198.51.100.7")], Some("198.51.100.7"));
        check("10.0.0.1", &[("forwarded", "for=1.1.1.1"), (XFF, "198.51.100.7")], None);
    }
}
