//! `Content-Type` and `Content-Encoding`, read strictly.

use std::borrow::Cow;

use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};

use crate::contract::MediaType;

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

/// The media type of a body, lower case and without parameters. The only charset is UTF-8, the only encoding none.
pub(super) fn media_type(headers: &HeaderMap) -> Result<Cow<'_, str>, MediaFault> {
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
    let value = value.to_str().map_err(|_| MediaFault::Malformed)?;
    let (essence, parameters) = match value.split_once(';') {
        Some((essence, parameters)) => (essence, Some(parameters)),
        None => (value, None),
    };
    let essence = essence.trim_matches([' ', '\t']);
    let is_good = essence.split_once('/').is_some_and(|(kind, sub)| is_token(kind) && is_token(sub));
    if !is_good || essence.contains('*') {
        return Err(MediaFault::Malformed);
    }
    for parameter in parameters.into_iter().flat_map(|parameters| parameters.split(';')) {
        charset(parameter.trim_matches([' ', '\t']))?;
    }
    if essence.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Ok(Cow::Owned(essence.to_ascii_lowercase()));
    }
    Ok(Cow::Borrowed(essence))
}

fn charset(parameter: &str) -> Result<(), MediaFault> {
    let Some((name, value)) = parameter.split_once('=') else {
        return if parameter.is_empty() { Ok(()) } else { Err(MediaFault::Malformed) };
    };
    if !name.eq_ignore_ascii_case("charset") {
        return Ok(());
    }
    let value = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value);
    if value.eq_ignore_ascii_case("utf-8") { Ok(()) } else { Err(MediaFault::Charset) }
}

/// RFC 9110 section 5.6.2.
fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

/// The closest of the declared media types.
pub(super) fn declared<'c>(content: &'c [MediaType], media: &str) -> Option<&'c MediaType> {
    let ranked =
        content.iter().map(|one| (one.closeness(media), one)).filter(|(closeness, _)| *closeness > 0);
    ranked.max_by_key(|(closeness, _)| *closeness).map(|(_, one)| one)
}
