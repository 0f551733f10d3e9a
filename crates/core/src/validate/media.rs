//! `Content-Type` and `Content-Encoding`, read strictly.

use std::borrow::Cow;

use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};

use crate::contract::{MediaType, closeness};

/// Why the type of a body is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum MediaFault {
    #[error("no content type")]
    Missing,
    #[error("more than one content type")]
    Repeated,
    #[error("the content type is not well-formed")]
    Malformed,
    #[error("the charset is not utf-8")]
    Charset,
    #[error("the body is encoded")]
    Encoded,
}

/// What a body says it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Media<'h> {
    /// The media type in lower case, without parameters.
    pub(super) essence: Cow<'h, str>,
    /// The parameter `boundary`, as written.
    pub(super) boundary: Option<&'h str>,
}

/// What the headers say of a body. The only charset is UTF-8, the only encoding none.
pub(super) fn media_type(headers: &HeaderMap) -> Result<Media<'_>, MediaFault> {
    for encoding in headers.get_all(CONTENT_ENCODING) {
        if !encoding.as_bytes().eq_ignore_ascii_case(b"identity") {
            return Err(MediaFault::Encoded);
        }
    }
    let mut all = headers.get_all(CONTENT_TYPE).iter();
    let value = all.next().ok_or(MediaFault::Missing)?;
    if all.next().is_some() {
        return Err(MediaFault::Repeated);
    }
    parse(value.to_str().map_err(|_| MediaFault::Malformed)?)
}

/// Reads the value of a `Content-Type` (RFC 9110 section 8.3.1), strictly: no parameter twice.
pub(super) fn parse(value: &str) -> Result<Media<'_>, MediaFault> {
    let mut pieces = value.split(';').map(|piece| piece.trim_matches([' ', '\t']));
    let essence = pieces.next().unwrap_or_default();
    let is_good = essence.split_once('/').is_some_and(|(kind, sub)| is_token(kind) && is_token(sub));
    if !is_good || essence.contains('*') {
        return Err(MediaFault::Malformed);
    }
    let (mut boundary, mut charset) = (None, None);
    for parameter in pieces.filter(|piece| !piece.is_empty()) {
        let (name, value) = parameter.split_once('=').ok_or(MediaFault::Malformed)?;
        let slot = match name {
            _ if name.eq_ignore_ascii_case("boundary") => &mut boundary,
            _ if name.eq_ignore_ascii_case("charset") => &mut charset,
            _ => continue,
        };
        let value = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value);
        // SMUGGLING: two readers could take two boundaries.
        if slot.replace(value).is_some() {
            return Err(MediaFault::Malformed);
        }
    }
    if charset.is_some_and(|charset| !charset.eq_ignore_ascii_case("utf-8")) {
        return Err(MediaFault::Charset);
    }
    let is_lower = !essence.bytes().any(|byte| byte.is_ascii_uppercase());
    let essence = if is_lower { Cow::Borrowed(essence) } else { Cow::Owned(essence.to_ascii_lowercase()) };
    Ok(Media { essence, boundary })
}

/// RFC 9110 section 5.6.2.
pub(super) fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

/// The closest of the declared media types.
pub(super) fn declared<'c>(content: &'c [MediaType], media: &str) -> Option<&'c MediaType> {
    let ranked =
        content.iter().map(|one| (closeness(&one.range, media), one)).filter(|(closeness, _)| *closeness > 0);
    ranked.max_by_key(|(closeness, _)| *closeness).map(|(_, one)| one)
}
