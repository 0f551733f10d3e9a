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
        let got = continued(given.as_bytes(), id()).map(|value| String::from_utf8(value.to_vec()).unwrap());
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
    assert!(continued(&own, id()).is_some(), "{own:?}");
}

/// What our own headers come to, as lines of HTTP/1.1; the same as fields, by the same names.
fn said(put: impl Fn(&mut Own<'_>) -> Option<()>) -> Option<String> {
    let (mut lines, mut fields) = (Vec::new(), HeaderMap::new());
    let as_lines = put(&mut Own::lines(&mut lines));
    assert_eq!(as_lines, put(&mut Own::Fields(&mut fields)));
    as_lines?;
    let lines = String::from_utf8(lines).unwrap();
    assert_eq!(lines.lines().count(), fields.len());
    for (name, value) in &fields {
        assert!(lines.contains(&format!("{name}: {}\r\n", value.to_str().unwrap())), "{lines}");
    }
    Some(lines)
}

#[test]
fn origin_headers_are_ours() {
    let check = |address: &str, is_tls: bool, host: &str, expected: Option<&str>| {
        let peer = Peer { address: address.parse().unwrap(), is_tls };
        let got = said(|own| put_origin(own, peer, host)).map(|lines| lines.replace("\r\n", "\n"));
        assert_eq!(got.as_deref(), expected, "{address} {host}");
    };
    check(
        "192.0.2.1",
        false,
        "api.example",
        Some(
            "x-forwarded-for: 192.0.2.1\nforwarded: for=192.0.2.1;proto=http;host=\"api.example\"\n\
             x-forwarded-proto: http\nx-forwarded-host: api.example\n",
        ),
    );
    check(
        "10.0.255.100",
        false,
        "a",
        Some(
            "x-forwarded-for: 10.0.255.100\nforwarded: for=10.0.255.100;proto=http;host=\"a\"\n\
             x-forwarded-proto: http\nx-forwarded-host: a\n",
        ),
    );
    check(
        "2001:db8::1",
        true,
        "[::1]:8443",
        Some(
            "x-forwarded-for: 2001:db8::1\nforwarded: for=\"[2001:db8::1]\";proto=https;host=\"[::1]:8443\"\n\
             x-forwarded-proto: https\nx-forwarded-host: [::1]:8443\n",
        ),
    );
    check("192.0.2.1", false, "a\"b", None);
    check("192.0.2.1", false, "a\r\nx: y", None);
}

#[test]
fn lengths_are_exact() {
    let check = |method: Method, length: usize, expected: &str| {
        let got = said(|own| put_length(own, &method, length));
        assert_eq!(got.unwrap(), expected, "{method} {length}");
    };
    check(Method::GET, 0, "");
    check(Method::POST, 0, "content-length: 0\r\n");
    check(Method::POST, 7, "content-length: 7\r\n");
    check(Method::DELETE, 0, "");
    check(Method::DELETE, 7, "content-length: 7\r\n");
}
