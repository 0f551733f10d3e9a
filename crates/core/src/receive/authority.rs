//! Which host is meant: exactly one, in one spelling (RFC 9112 section 3.2, RFC 9113 section 8.3.1).

use std::net::Ipv6Addr;

use http::Version;
use http::header::HOST;
use http::request::Parts;

use crate::halt::{Halt, Reason};

/// The one authority of the target and `Host`, lower case, without userinfo.
///
/// # Errors
/// `AmbiguousHost`: none, two, two that differ, or one that no host can have.
pub(super) fn canonical(parts: &Parts) -> Result<Box<str>, Halt> {
    let mut hosts = parts.headers.get_all(HOST).iter();
    let host = hosts.next();
    if hosts.next().is_some() {
        return Err(refuse("more than one host"));
    }
    let host = match host {
        Some(value) => Some(spell(value.to_str().map_err(|_| refuse("host is not ASCII"))?)?),
        None => None,
    };
    if host.is_none() && parts.version != Version::HTTP_2 {
        return Err(refuse("no host"));
    }
    let Some(target) = parts.uri.authority() else { return host.ok_or_else(|| refuse("no host")) };
    if !matches!(parts.uri.scheme_str(), Some("http" | "https")) {
        return Err(refuse("target is neither http nor https"));
    }
    let target = spell(target.as_str())?;
    match host {
        // SMUGGLING: RFC 9112 section 3.2.2 lets the target win; a second reader may let `Host` win.
        Some(host) if host != target => Err(refuse("host and target differ")),
        _ => Ok(target),
    }
}

/// Lower case, checked: a name, an IPv4 or a bracketed IPv6 address, and a port if given.
fn spell(raw: &str) -> Result<Box<str>, Halt> {
    let (host, port) = match raw.strip_prefix('[') {
        Some(rest) => {
            let (address, rest) = rest.split_once(']').ok_or_else(|| refuse("host has an open bracket"))?;
            if address.parse::<Ipv6Addr>().is_err() {
                return Err(refuse("host is no IPv6 address"));
            }
            match rest.strip_prefix(':') {
                None if rest.is_empty() => (address, None),
                None => return Err(refuse("host goes on after its address")),
                Some(port) => (address, Some(port)),
            }
        }
        None => {
            let colon = raw.bytes().position(|byte| byte == b':');
            let (name, port) = match colon.and_then(|colon| raw.split_at_checked(colon)) {
                Some((name, port)) => (name, port.strip_prefix(':')),
                None => (raw, None),
            };
            if !is_name(name) {
                return Err(refuse("host is no name"));
            }
            (name, port)
        }
    };
    // A leading zero or a plus sign would be a second spelling of the same port.
    let is_port =
        |port: &str| port.parse::<u16>().is_ok_and(|number| number > 0) && !port.starts_with(['0', '+']);
    if host.is_empty() || !port.is_none_or(is_port) {
        return Err(refuse("host is empty or its port is no number"));
    }
    Ok(raw.to_ascii_lowercase().into())
}

/// Labels of letters, digits, `-` and `_`, none of them empty: no userinfo, no escape, no final dot.
fn is_name(name: &str) -> bool {
    let mut label = 0;
    for byte in name.bytes() {
        label = match byte {
            b'.' if label > 0 => 0,
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' if label < 63 => label + 1,
            _ => return false,
        };
    }
    label > 0 && name.len() <= 253
}

fn refuse(detail: &'static str) -> Halt {
    Halt::new(Reason::AmbiguousHost, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_has_one_spelling_or_none() {
        let check =
            |raw: &str, expected: Option<&str>| assert_eq!(spell(raw).ok().as_deref(), expected, "{raw}");
        check("a.example", Some("a.example"));
        check("A.Example:8443", Some("a.example:8443"));
        check("127.0.0.1:80", Some("127.0.0.1:80"));
        check("[::1]", Some("[::1]"));
        check("[FE80::1]:80", Some("[fe80::1]:80"));
        check("a_b-c", Some("a_b-c"));
        check("", None);
        check("a.example.", None);
        check("a..example", None);
        check("user@a.example", None);
        check("a.example:", None);
        check("a.example:0", None);
        check("a.example:080", None);
        check("a.example:+80", None);
        check("a.example:99999", None);
        check("a.example:80:80", None);
        check("a b", None);
        check("a/b", None);
        check("a,b", None);
        check("a%2eb", None);
        check("[::1", None);
        check("[::1]x", None);
        check("[fe80::1%25eth0]", None);
        check("::1", None);
    }
}
