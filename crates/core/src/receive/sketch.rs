//! What may be kept of a path that no contract names: enough to see which route was meant, too little to name a person.

/// Most segments that are kept.
const MOST_SEGMENTS: usize = 8;
/// Longest segment that can be a word, in bytes.
const LONGEST_WORD: usize = 24;
/// Stands in place of what may identify somebody or something.
const IDENTIFIER: &str = "{id}";

/// Takes a canonical path; returns it with all segments replaced that may be identifiers, at most 240 bytes of it.
///
/// A segment is kept where it is a lower-case word, or a version such as `v2`. What has a digit, a capital or any other
/// sign is replaced, and so is what follows the plural of a word: `/users/alice` becomes `/users/{id}`.
pub(super) fn sketch(path: &str) -> Box<str> {
    let mut out = String::new();
    let mut follows_plural = false;
    for (number, segment) in path.split('/').skip(1).enumerate() {
        out.push('/');
        if number == MOST_SEGMENTS {
            out.push('…');
            break;
        }
        let is_kept = is_version(segment) || is_word(segment) && !follows_plural;
        out.push_str(if is_kept { segment } else { IDENTIFIER });
        follows_plural = is_kept && segment.ends_with('s');
    }
    out.into()
}

fn is_version(segment: &str) -> bool {
    let digits = segment.strip_prefix('v').unwrap_or_default();
    matches!(digits.len(), 1 | 2) && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// Lower-case letters, in parts: `wp-admin`, `openapi.json`, `_health`. The empty segment after a final slash as well.
fn is_word(segment: &str) -> bool {
    let is_sign = |byte: u8| byte.is_ascii_lowercase() || matches!(byte, b'-' | b'_' | b'.');
    segment.len() <= LONGEST_WORD && segment.bytes().all(is_sign)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn words_stay_and_identifiers_go() {
        let check = |path: &str, expected: &str| assert_eq!(&*sketch(path), expected, "{path}");
        check("/", "/");
        check("/admin/console", "/admin/console");
        check("/api/v1/users/alice", "/api/v1/users/{id}");
        check("/users/alice/orders/", "/users/{id}/orders/{id}");
        check("/api/v2/orders/17/lines", "/api/v2/orders/{id}/lines");
        check("/wp-admin/setup.php", "/wp-admin/setup.php");
        check("/.git/config", "/.git/config");
        check("/mail/alice@example.com", "/mail/{id}");
        check("/x/4242424242424242", "/x/{id}");
        check("/x/eyJhbGciOiJub25lIn0", "/x/{id}");
        check("/x/Alice", "/x/{id}");
        check("/x/jörg", "/x/{id}");
        check("/x/a b", "/x/{id}");
        check("/v123/v", "/{id}/v");
        check("/x/deoxyribonucleicacidsequence", "/x/{id}");
        check("/a/b/c/d/e/f/g/h/i/j", "/a/b/c/d/e/f/g/h/…");
    }

    proptest! {
        #[test]
        fn it_is_short_and_has_no_digit_but_in_versions(path in "(/[ -~]{0,40}){0,20}") {
            let found = sketch(&path);
            prop_assert!(found.len() <= 240);
            for segment in found.split('/') {
                prop_assert!(is_version(segment) || !segment.bytes().any(|byte| byte.is_ascii_digit()));
            }
        }
    }
}
