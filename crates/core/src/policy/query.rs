//! The query of a target, taken apart as HTML forms write it.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

/// Name and value of each pair of a raw query, decoded. `None` for a pair that is not UTF-8 once decoded.
///
/// `+` is read as a space, as most upstreams do.
pub(crate) fn pairs(raw: &str) -> impl Iterator<Item = Option<(Cow<'_, str>, Cow<'_, str>)>> {
    raw_pairs(raw).map(pair)
}

/// The pairs of a raw query as they are written.
pub(crate) fn raw_pairs(raw: &str) -> impl Iterator<Item = &str> {
    raw.split('&').filter(|pair| !pair.is_empty())
}

/// Name and value of one raw pair, decoded; `None` if it is not UTF-8 then.
pub(crate) fn pair(raw: &str) -> Option<(Cow<'_, str>, Cow<'_, str>)> {
    let (name, value) = raw.split_once('=').unwrap_or((raw, ""));
    Some((decoded(name)?, decoded(value)?))
}

fn decoded(text: &str) -> Option<Cow<'_, str>> {
    if !text.bytes().any(|byte| byte == b'%' || byte == b'+') {
        return Some(Cow::Borrowed(text));
    }
    let spaced = text.replace('+', " ");
    let decoded = percent_decode_str(&spaced).decode_utf8().ok()?.into_owned();
    Some(Cow::Owned(decoded))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(raw: &str, expected: &[Option<(&str, &str)>]) {
        let found: Vec<_> = pairs(raw).collect();
        let found: Vec<_> = found.iter().map(|pair| pair.as_ref().map(|(n, v)| (&**n, &**v))).collect();
        assert_eq!(found, expected, "{raw}");
    }

    #[test]
    fn pairs_are_decoded() {
        check("", &[]);
        check("a=1&b=2", &[Some(("a", "1")), Some(("b", "2"))]);
        check("&&a&=x&b=", &[Some(("a", "")), Some(("", "x")), Some(("b", ""))]);
        check("user%49d=a%20b+c&q=a=b", &[Some(("userId", "a b c")), Some(("q", "a=b"))]);
        check("a=%ff&b=%2B", &[None, Some(("b", "+"))]);
    }
}
