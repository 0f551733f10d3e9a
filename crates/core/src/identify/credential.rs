//! The credential of a request: exactly one `Authorization: Bearer` (RFC 6750), or the header that a route's clients
//! send a key in, and nowhere else.

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName};
use percent_encoding::percent_decode_str;

/// Why the credential cannot even be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CredentialFault {
    /// More than one.
    Ambiguous(&'static str),
    /// One, but of another kind or not well-formed.
    Unreadable(&'static str),
}

/// Takes headers and query; returns the bearer token, if one was presented. `key_header` may carry it in the place of
/// `Authorization`, by itself and without a scheme.
///
/// A token in the query is refused rather than overlooked: it ends in logs and histories (RFC 9700 section 4.3.2).
pub(super) fn bearer<'h>(
    headers: &'h HeaderMap,
    query: Option<&str>,
    key_header: Option<&HeaderName>,
) -> Result<Option<&'h [u8]>, CredentialFault> {
    let mut keys = key_header.into_iter().flat_map(|name| headers.get_all(name));
    let key = keys.next();
    if keys.next().is_some() || (key.is_some() && headers.contains_key(AUTHORIZATION)) {
        return Err(CredentialFault::Ambiguous("more than one header with a credential"));
    }
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let first = values.next();
    if values.next().is_some() {
        return Err(CredentialFault::Ambiguous("more than one `Authorization` header"));
    }
    if query.is_some_and(names_token) {
        return Err(match first.or(key) {
            Some(_) => CredentialFault::Ambiguous("a token in the query besides a header"),
            None => CredentialFault::Unreadable("a token in the query"),
        });
    }
    if let Some(key) = key {
        let token = key.as_bytes();
        return if token.is_empty() {
            Err(CredentialFault::Unreadable("a key that is empty"))
        } else {
            Ok(Some(token))
        };
    }
    let Some(value) = first else { return Ok(None) };
    let (scheme, rest) = value
        .as_bytes()
        .split_at_checked("bearer".len())
        .ok_or(CredentialFault::Unreadable("an unknown scheme"))?;
    let token = rest.trim_ascii_start();
    if !scheme.eq_ignore_ascii_case(b"bearer") || (token.len() == rest.len() && !rest.is_empty()) {
        return Err(CredentialFault::Unreadable("a scheme other than `Bearer`"));
    }
    if token.is_empty() {
        return Err(CredentialFault::Unreadable("`Bearer` without a token"));
    }
    Ok(Some(token))
}

fn names_token(query: &str) -> bool {
    query.split(['&', ';']).any(|pair| {
        let name = pair.split_once('=').map_or(pair, |(name, _)| name);
        name == "access_token"
            || (name.contains('%') && percent_decode_str(name).eq(b"access_token".iter().copied()))
    })
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn check(headers: &[&str], query: Option<&str>, expected: Result<Option<&str>, CredentialFault>) {
        let mut map = HeaderMap::new();
        for value in headers {
            map.append(AUTHORIZATION, HeaderValue::from_str(value).unwrap());
        }
        assert_eq!(
            bearer(&map, query, None),
            expected.map(|token| token.map(str::as_bytes)),
            "{headers:?} {query:?}"
        );
    }

    #[test]
    fn exactly_one_bearer() {
        check(&[], None, Ok(None));
        check(&[], Some("a=1&access_tokens=2"), Ok(None));
        check(&["Bearer a.b.c"], None, Ok(Some("a.b.c")));
        check(&["bEARER  a.b.c"], Some("q=1"), Ok(Some("a.b.c")));
    }

    #[test]
    fn everything_else_is_refused() {
        let other = CredentialFault::Unreadable("a scheme other than `Bearer`");
        check(&["Basic dTpw"], None, Err(CredentialFault::Unreadable("a scheme other than `Bearer`")));
        check(&["Bearera.b.c"], None, Err(other));
        check(&["DPoP a.b.c"], None, Err(other));
        check(&["Digest"], None, Err(other));
        check(&[""], None, Err(CredentialFault::Unreadable("an unknown scheme")));
        check(&["Bear"], None, Err(CredentialFault::Unreadable("an unknown scheme")));
        check(&["Bearer"], None, Err(CredentialFault::Unreadable("`Bearer` without a token")));
        check(&["Bearer  "], None, Err(CredentialFault::Unreadable("`Bearer` without a token")));
        let twice = CredentialFault::Ambiguous("more than one `Authorization` header");
        check(&["Bearer a", "Bearer a"], None, Err(twice));
        check(&["Basic a", "Bearer a"], None, Err(twice));
    }

    #[test]
    fn a_header_for_keys_counts_only_where_the_route_has_one() {
        const KEY: HeaderName = HeaderName::from_static("x-api-key");
        let check = |headers: &[(HeaderName, &'static str)],
                     query,
                     expected: Result<Option<&str>, CredentialFault>| {
            let mut map = HeaderMap::new();
            for (name, value) in headers {
                map.append(name, HeaderValue::from_static(value));
            }
            assert_eq!(
                bearer(&map, query, Some(&KEY)),
                expected.map(|token| token.map(str::as_bytes)),
                "{headers:?}"
            );
        };
        check(&[], None, Ok(None));
        check(&[(KEY, "a.b.c")], Some("q=1"), Ok(Some("a.b.c")));
        check(&[(AUTHORIZATION, "Bearer a.b.c")], None, Ok(Some("a.b.c")));
        check(&[(KEY, "")], None, Err(CredentialFault::Unreadable("a key that is empty")));
        let twice = Err(CredentialFault::Ambiguous("more than one header with a credential"));
        check(&[(KEY, "a"), (KEY, "a")], None, twice);
        check(&[(KEY, "a"), (AUTHORIZATION, "Bearer a")], None, twice);
        let both = CredentialFault::Ambiguous("a token in the query besides a header");
        check(&[(KEY, "a")], Some("access_token=x"), Err(both));
        let mut map = HeaderMap::new();
        map.append(KEY, HeaderValue::from_static("a.b.c"));
        assert_eq!(bearer(&map, None, None), Ok(None));
    }

    #[test]
    fn a_token_in_the_query_is_never_overlooked() {
        let in_query = CredentialFault::Unreadable("a token in the query");
        for query in ["access_token=x", "a=1&access_token", "a;access_token=x", "%61ccess%5Ftoken=x"] {
            check(&[], Some(query), Err(in_query));
            let both = CredentialFault::Ambiguous("a token in the query besides a header");
            check(&["Bearer a"], Some(query), Err(both));
        }
    }
}
