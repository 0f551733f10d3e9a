//! Heads of HTTP/1.1 messages: a request is written, an answer is read (RFC 9112).

use std::mem::MaybeUninit;

use bytes::Bytes;
use http::header::{self, HeaderMap};
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use httparse::{Header, ParserConfig, Status};

use super::super::error::Broken;
use super::decode::Framing;

/// Most fields of an answer.
const MAX_FIELDS: usize = 128;

/// The head of an answer, and what it says of the rest of the connection.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) response: Response<()>,
    pub(super) framing: Framing,
    /// Another exchange may follow on this connection.
    pub(super) keeps_alive: bool,
}

/// Writes the head of `request` with these lines more, and nothing that is not in them.
pub(super) fn write<B>(request: &Request<B>, lines: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(request.method().as_str().as_bytes());
    out.push(b' ');
    out.extend_from_slice(request.uri().path_and_query().map_or("/", |target| target.as_str()).as_bytes());
    out.extend_from_slice(b" HTTP/1.1\r\n");
    for (name, value) in request.headers() {
        out.extend_from_slice(name.as_str().as_bytes());
        out.extend_from_slice(b": ");
        out.extend_from_slice(value.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(lines);
    out.extend_from_slice(b"\r\n");
}

/// Reads a whole head of an answer to `method`, its empty line included.
///
/// # Errors
/// When it is no head, or leaves two opinions on where the answer ends (RFC 9112 section 6.3).
pub(super) fn read(head: &Bytes, method: &Method) -> Result<Head, Broken> {
    let mut fields = [const { MaybeUninit::<Header<'_>>::uninit() }; MAX_FIELDS];
    let mut parsed = httparse::Response::new(&mut []);
    let config = ParserConfig::default();
    if config.parse_response_with_uninit_headers(&mut parsed, head, &mut fields)?
        != Status::Complete(head.len())
    {
        return Err(Broken::Head("it ends before its empty line"));
    }
    let status = parsed.code.and_then(|code| StatusCode::from_u16(code).ok());
    let status = status.ok_or(Broken::Head("its status is no status"))?;
    let headers = fields_of(head, parsed.headers)?;
    let is_http_11 = parsed.version == Some(1);
    let framing = framing(status, method, is_http_11, &headers)?;
    let keeps_alive = framing != Framing::UntilClose && keeps_alive(&headers, is_http_11);
    let mut response = Response::new(());
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    Ok(Head { response, framing, keeps_alive })
}

/// Reads trailer fields, with the empty line after them.
///
/// # Errors
/// When they are no fields.
pub(super) fn read_trailers(lines: &Bytes) -> Result<HeaderMap, Broken> {
    let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
    match httparse::parse_headers(lines, &mut fields)? {
        Status::Complete((length, fields)) if length == lines.len() => fields_of(lines, fields),
        _ => Err(Broken::Framing("its trailers end before their empty line")),
    }
}

/// The fields as a map. Values are parts of `head` and share its bytes.
fn fields_of(head: &Bytes, fields: &[Header<'_>]) -> Result<HeaderMap, Broken> {
    let mut headers = HeaderMap::with_capacity(fields.len());
    for field in fields {
        let name = HeaderName::from_bytes(field.name.as_bytes());
        let value = HeaderValue::from_maybe_shared(head.slice_ref(field.value));
        let (Ok(name), Ok(value)) = (name, value) else {
            return Err(Broken::Head("a field of it is none"));
        };
        headers.append(name, value);
    }
    Ok(headers)
}

/// Where the body ends (RFC 9112 section 6.3).
fn framing(
    status: StatusCode,
    method: &Method,
    is_http_11: bool,
    headers: &HeaderMap,
) -> Result<Framing, Broken> {
    let is_bodiless = *method == Method::HEAD
        || status.is_informational()
        || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    if is_bodiless {
        return Ok(Framing::Length(0));
    }
    let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
    if let Some(coding) = codings.next() {
        // SMUGGLING: another coding, or one that HTTP/1.0 does not know, is read differently by others.
        let is_chunked = coding.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked");
        return match is_chunked && is_http_11 && codings.next().is_none() {
            true => Ok(Framing::chunked()),
            false => Err(Broken::Framing("its transfer coding is not exactly chunked")),
        };
    }
    let mut lengths = headers.get_all(header::CONTENT_LENGTH).iter();
    let Some(first) = lengths.next() else { return Ok(Framing::UntilClose) };
    if lengths.next().is_some() {
        return Err(Broken::Framing("its length is repeated"));
    }
    length(first.as_bytes()).map(Framing::Length).ok_or(Broken::Framing("its length is no number"))
}

/// One number without sign or list. 18 digits keep it far below overflow.
fn length(value: &[u8]) -> Option<u64> {
    let digits = value.trim_ascii();
    if digits.is_empty() || digits.len() > 18 {
        return None;
    }
    digits
        .iter()
        .try_fold(0, |length: u64, byte| byte.is_ascii_digit().then(|| length * 10 + u64::from(byte - b'0')))
}

fn keeps_alive(headers: &HeaderMap, is_http_11: bool) -> bool {
    let says = |option: &[u8]| {
        headers.get_all(header::CONNECTION).iter().any(|value| {
            value
                .as_bytes()
                .split(|byte| *byte == b',')
                .any(|one| one.trim_ascii().eq_ignore_ascii_case(option))
        })
    };
    if is_http_11 { !says(b"close") } else { says(b"keep-alive") && !says(b"close") }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How the rest of an answer to GET is read, and whether the connection goes on.
    fn check(fields: &'static str, expected: Option<(Framing, bool)>) {
        check_as("HTTP/1.1 200 OK", &Method::GET, fields, expected);
    }

    fn check_as(line: &str, method: &Method, fields: &str, expected: Option<(Framing, bool)>) {
        let text = format!("{line}\r\n{}\r\n\r\n", fields.replace('\n', "\r\n"));
        let text = text.replace("\r\n\r\n\r\n", "\r\n\r\n");
        let head = read(&Bytes::from(text.clone()), method);
        assert_eq!(head.ok().map(|head| (head.framing, head.keeps_alive)), expected, "{text:?}");
    }

    #[test]
    fn an_answer_has_one_end() {
        let (length, chunked) =
            (|length| Some((Framing::Length(length), true)), Some((Framing::chunked(), true)));
        check("content-length: 12", length(12));
        check("content-length:  0", length(0));
        check("transfer-encoding: Chunked", chunked);
        check("transfer-encoding: chunked\ncontent-length: 3", chunked);
        check("content-length: 12\nconnection: x, Close", Some((Framing::Length(12), false)));
        check("", Some((Framing::UntilClose, false)));
        check("connection: keep-alive", Some((Framing::UntilClose, false)));
        check("content-length: 1\ncontent-length: 1", None);
        check("content-length: 1, 1", None);
        check("content-length: +1", None);
        check("content-length: ", None);
        check("content-length: 1234567890123456789", None);
        check("transfer-encoding: gzip, chunked", None);
        check("transfer-encoding: chunked\ntransfer-encoding: chunked", None);
        check("transfer-encoding: identity", None);
        check("a b: c", None);
        check("a : c", None);
        check("a: b\n c", None);
        check("a: \u{1}", None);
    }

    #[test]
    fn status_method_and_version_decide_too() {
        let get = &Method::GET;
        let none = Some((Framing::Length(0), true));
        check_as("HTTP/1.1 200 OK", &Method::HEAD, "content-length: 5", none);
        check_as("HTTP/1.1 204 x", get, "content-length: 5", none);
        check_as("HTTP/1.1 304", get, "transfer-encoding: chunked", none);
        check_as("HTTP/1.1 100 Continue", get, "", none);
        check_as("HTTP/1.0 200 OK", get, "content-length: 5", Some((Framing::Length(5), false)));
        let kept = Some((Framing::Length(5), true));
        check_as("HTTP/1.0 200 OK", get, "content-length: 5\nconnection: keep-alive", kept);
        check_as("HTTP/1.0 200 OK", get, "transfer-encoding: chunked", None);
        check_as("HTTP/2.0 200 OK", get, "content-length: 5", None);
        check_as("HTTP/1.1 20 OK", get, "content-length: 5", None);
        check_as("HTTP/1.1 099 OK", get, "content-length: 5", None);
        check_as("ICY 200 OK", get, "content-length: 5", None);
    }

    #[test]
    fn a_request_is_written_as_it_is() {
        let request =
            Request::post("http://ignored/a%20b?c=d").header("x-a", "1").header("x-a", "2").body(());
        let mut out = Vec::new();
        write(&request.unwrap(), b"x-b: 3\r\n", &mut out);
        assert_eq!(out, b"POST /a%20b?c=d HTTP/1.1\r\nx-a: 1\r\nx-a: 2\r\nx-b: 3\r\n\r\n");
    }
}
