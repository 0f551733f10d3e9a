use super::*;

fn id() -> Uuid {
    Uuid::from_u128(0x0192_3456_789a_7bcd_8123_4567_89ab_cdef)
}

#[test]
fn targets_are_canonical() {
    let check = |base: &str, rest: &str, query: Option<&str>, expected: &str| {
        assert_eq!(target(base, rest, query).unwrap().to_string(), expected, "{base} {rest} {query:?}");
    };
    check("", "", None, "/");
    check("", "/a", None, "/a");
    check("/v1", "", None, "/v1");
    check("/v1", "/a/b", Some("x=%20y&z"), "/v1/a/b?x=%20y&z");
    check("", "/a b", None, "/a%20b");
    check("", "/a?b#c", None, "/a%3Fb%23c");
    check("", "/100%", None, "/100%25");
    check("", "/é", None, "/%C3%A9");
    check("", "/-._~!$&'()*+,;=:@", None, "/-._~!$&'()*+,;=:@");
    check("", "/[x]\"<>\\^`{|}", None, "/%5Bx%5D%22%3C%3E%5C%5E%60%7B%7C%7D");
    check("", "/a\r\nX: y", None, "/a%0D%0AX:%20y");
    assert!(target("", "a", None).is_none());
    assert!(target("", "/a", Some("x y")).is_none());
}

#[test]
fn valid_traces_are_continued_and_others_are_not() {
    let trace = "0af7651916cd43dd8448eb211c80319c";
    let ours = |flags: &str| Some(format!("00-{trace}-81234567{}-{flags}", "89abcdef"));
    let check = |given: String, expected: Option<String>| {
        let got = continued(given.as_bytes(), id()).map(|value| value.to_str().unwrap().to_owned());
        assert_eq!(got, expected, "{given}");
    };
    check(format!("00-{trace}-b7ad6b7169203331-01"), ours("01"));
    check(format!("01-{trace}-b7ad6b7169203331-01-more"), ours("01"));
    check(format!("00-{trace}-b7ad6b7169203331-01-more"), None);
    check(format!("00-{trace}-b7ad6b7169203331-01x"), None);
    check(format!("ff-{trace}-b7ad6b7169203331-01"), None);
    check(format!("00-{trace}-0000000000000000-01"), None);
    check(format!("00-{}-b7ad6b7169203331-01", "0".repeat(32)), None);
    check(format!("00-{}-b7ad6b7169203331-01", trace.to_uppercase()), None);
    check(format!("00_{trace}-b7ad6b7169203331-01"), None);
    check(String::new(), None);
    let own = started(id());
    assert!(continued(own.as_bytes(), id()).is_some(), "{own:?}");
}

#[test]
fn origin_headers_are_ours() {
    let check = |address: &str, is_tls: bool, host: &'static str, forwarded: &str| {
        let mut headers = HeaderMap::new();
        headers.append(X_FORWARDED_FOR, HeaderValue::from_static("6.6.6.6"));
        headers.append(X_FORWARDED_FOR, HeaderValue::from_static("7.7.7.7"));
        headers.append(FORWARDED, HeaderValue::from_static("for=6.6.6.6"));
        let peer = Peer { address: address.parse().unwrap(), is_tls };
        assert_eq!(set_origin(&mut headers, peer, host).unwrap(), host);
        let all = |name: HeaderName| headers.get_all(name).iter().cloned().collect::<Vec<_>>();
        assert_eq!(all(FORWARDED), [forwarded]);
        assert_eq!(all(X_FORWARDED_FOR), [address]);
        assert_eq!(all(X_FORWARDED_PROTO), [if is_tls { "https" } else { "http" }]);
        assert_eq!(all(X_FORWARDED_HOST), [host]);
    };
    check("192.0.2.1", false, "api.example", "for=192.0.2.1;proto=http;host=\"api.example\"");
    check("10.0.255.100", false, "a", "for=10.0.255.100;proto=http;host=\"a\"");
    check("2001:db8::1", true, "[::1]:8443", "for=\"[2001:db8::1]\";proto=https;host=\"[::1]:8443\"");
    let mut headers = HeaderMap::new();
    let peer = Peer { address: "192.0.2.1".parse().unwrap(), is_tls: false };
    assert_eq!(set_origin(&mut headers, peer, "a\"b"), None);
}

#[test]
fn lengths_are_exact() {
    let check = |method: Method, length: usize, expected: Option<&str>| {
        let mut headers = HeaderMap::new();
        set_length(&mut headers, &method, length);
        let got = headers.get(header::CONTENT_LENGTH).map(|value| value.to_str().unwrap());
        assert_eq!(got, expected, "{method} {length}");
    };
    check(Method::GET, 0, None);
    check(Method::POST, 0, Some("0"));
    check(Method::POST, 7, Some("7"));
    check(Method::DELETE, 0, None);
    check(Method::DELETE, 7, Some("7"));
}
