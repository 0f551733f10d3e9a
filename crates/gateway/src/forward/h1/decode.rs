//! The body of an HTTP/1.1 answer, out of bytes as they come (RFC 9112 sections 6 and 7).

use bytes::{Buf as _, Bytes, BytesMut};
use http::HeaderMap;

use super::super::error::Broken;
use super::head;

/// Longest line with a chunk's size, extensions included.
const SIZE_LINE: usize = 1024;
/// Largest trailer section.
const TRAILERS: usize = 16 * 1024;

/// What is still to come of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    /// So many bytes; with 0 the body is over.
    Length(u64),
    Chunked(Chunked),
    /// All until the connection ends.
    UntilClose,
}

/// Where in the chunked coding the next byte stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Chunked {
    Size,
    Data(u64),
    DataEnd,
    Trailers,
}

/// What can be taken of a body now.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece {
    Data(Bytes),
    /// The last of a body.
    Trailers(HeaderMap),
    /// Nothing until more comes.
    Wanting,
    End,
}

impl Framing {
    /// At the start of a chunked body.
    pub(super) fn chunked() -> Self {
        Self::Chunked(Chunked::Size)
    }

    /// Whether the body is over.
    pub(super) fn is_over(self) -> bool {
        self == Self::Length(0)
    }

    /// Takes the next piece off `read`. How the bytes were split never changes what they mean.
    ///
    /// # Errors
    /// When the coding is broken.
    pub(super) fn take(&mut self, read: &mut BytesMut) -> Result<Piece, Broken> {
        loop {
            match self {
                Self::Length(0) => return Ok(Piece::End),
                _ if read.is_empty() => return Ok(Piece::Wanting),
                Self::Length(left) => return Ok(Piece::Data(cut(read, left))),
                Self::UntilClose => return Ok(Piece::Data(read.split().freeze())),
                Self::Chunked(Chunked::Data(left)) => {
                    let data = cut(read, left);
                    if *left == 0 {
                        *self = Self::Chunked(Chunked::DataEnd);
                    }
                    return Ok(Piece::Data(data));
                }
                Self::Chunked(Chunked::DataEnd) => match line(read, 2)? {
                    None => return Ok(Piece::Wanting),
                    Some(rest) if rest.is_empty() => *self = Self::chunked(),
                    Some(_) => return Err(Broken::Framing("a chunk of it is longer than its size")),
                },
                Self::Chunked(Chunked::Size) => match line(read, SIZE_LINE)? {
                    None => return Ok(Piece::Wanting),
                    Some(line) => {
                        *self = Self::Chunked(match size(&line)? {
                            0 => Chunked::Trailers,
                            size => Chunked::Data(size),
                        });
                    }
                },
                Self::Chunked(Chunked::Trailers) => {
                    let Some(lines) = section(read)? else { return Ok(Piece::Wanting) };
                    *self = Self::Length(0);
                    if lines.len() > 2 {
                        return head::read_trailers(&lines).map(Piece::Trailers);
                    }
                }
            }
        }
    }
}

/// As much of `left` as there is.
fn cut(read: &mut BytesMut, left: &mut u64) -> Bytes {
    let count = usize::try_from(*left).unwrap_or(usize::MAX).min(read.len());
    *left -= count as u64;
    read.split_to(count).freeze()
}

/// A line without its end, once it is whole. A line ends in CR LF and nothing else.
fn line(read: &mut BytesMut, limit: usize) -> Result<Option<Bytes>, Broken> {
    let Some(at) = memchr::memchr(b'\n', read) else {
        return if read.len() < limit {
            Ok(None)
        } else {
            Err(Broken::Framing("a line of its chunks is too long"))
        };
    };
    if at >= limit || at == 0 || read.get(at - 1) != Some(&b'\r') {
        return Err(Broken::Framing("a line of its chunks does not end in CR LF in time"));
    }
    let line = read.split_to(at - 1).freeze();
    read.advance(2);
    Ok(Some(line))
}

/// The lines after the last chunk up to the empty one, once they are whole.
fn section(read: &mut BytesMut) -> Result<Option<Bytes>, Broken> {
    if read.starts_with(b"\r\n") {
        return Ok(Some(read.split_to(2).freeze()));
    }
    match memchr::memmem::find(read, b"\r\n\r\n") {
        Some(at) if at <= TRAILERS => Ok(Some(read.split_to(at + 4).freeze())),
        None if read.len() < TRAILERS + 4 => Ok(None),
        _ => Err(Broken::Framing("its trailers are too large")),
    }
}

/// One to sixteen hexadecimal digits; extensions are read over (RFC 9112 section 7.1.1).
fn size(line: &[u8]) -> Result<u64, Broken> {
    let fault = Broken::Framing("the size of a chunk of it is no number");
    let end = line.iter().position(|byte| matches!(byte, b';' | b' ' | b'\t')).unwrap_or(line.len());
    let (digits, rest) = line.split_at_checked(end).unwrap_or((line, &[]));
    let is_extension = matches!(rest.trim_ascii_start().first(), None | Some(b';'));
    if digits.is_empty() || digits.len() > 16 || !is_extension || rest.contains(&b'\r') {
        return Err(fault);
    }
    let mut size = 0;
    for byte in digits {
        let Some(digit) = char::from(*byte).to_digit(16) else { return Err(fault) };
        size = size << 4 | u64::from(digit);
    }
    Ok(size)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What a body says when it comes in pieces that end at `cuts`: data, trailers, and whether it came to its end.
    fn read(
        mut framing: Framing,
        body: &[u8],
        cuts: &[usize],
    ) -> Result<(Vec<u8>, Option<HeaderMap>, bool), String> {
        let (mut data, mut trailers) = (Vec::new(), None);
        let mut buffer = BytesMut::new();
        let mut start = 0;
        for end in cuts.iter().copied().chain([body.len()]) {
            buffer.extend_from_slice(&body[start..end]);
            start = end;
            loop {
                match framing.take(&mut buffer).map_err(|error| error.to_string())? {
                    Piece::Data(piece) => data.extend_from_slice(&piece),
                    Piece::Trailers(fields) => trailers = Some(fields),
                    Piece::Wanting => break,
                    Piece::End => return Ok((data, trailers, true)),
                }
            }
        }
        Ok((data, trailers, false))
    }

    fn check(body: &str, expected: Option<(&str, bool)>) {
        let got = read(Framing::chunked(), body.as_bytes(), &[]).ok();
        let got = got.map(|(data, _, is_over)| (String::from_utf8(data).unwrap(), is_over));
        assert_eq!(got, expected.map(|(data, is_over)| (data.to_owned(), is_over)), "{body:?}");
    }

    #[test]
    fn chunks_are_read_to_their_end_and_not_further() {
        check("2\r\nab\r\n003;x=y\r\ncde\r\n0\r\n\r\nrest", Some(("abcde", true)));
        check("A ; x\r\n0123456789\r\n0\r\n\r\n", Some(("0123456789", true)));
        check("2\r\nab\r\n0\r\n", Some(("ab", false)));
        check("2\r\nab\r\n0\r\nx: y\r\n\r\n", Some(("ab", true)));
        check("2\r\nabc\r\n0\r\n\r\n", None);
        check("2\nab\r\n0\r\n\r\n", None);
        check("2\r\nab\n0\r\n\r\n", None);
        check("\r\nab\r\n0\r\n\r\n", None);
        check("0x2\r\nab\r\n0\r\n\r\n", None);
        check("+2\r\nab\r\n0\r\n\r\n", None);
        check("2 3\r\nab\r\n0\r\n\r\n", None);
        check("2;\rx\r\nab\r\n0\r\n\r\n", None);
        check("00000000000000002\r\nab\r\n0\r\n\r\n", None);
        check("2\r\nab\r\n0\r\nx y: z\r\n\r\n", None);
        check(&format!("2;{}\r\nab", "x".repeat(SIZE_LINE)), None);
        check(&format!("0\r\n{}", "x: y\r\n".repeat(TRAILERS / 4)), None);
    }

    #[test]
    fn lengths_are_exact() {
        let at = |length, body: &str| read(Framing::Length(length), body.as_bytes(), &[]).unwrap();
        assert_eq!(at(3, "abcd"), (b"abc".to_vec(), None, true));
        assert_eq!(at(3, "ab"), (b"ab".to_vec(), None, false));
        assert_eq!(at(0, "ab"), (Vec::new(), None, true));
        assert_eq!(read(Framing::UntilClose, b"ab", &[]).unwrap(), (b"ab".to_vec(), None, false));
    }

    proptest! {
        #[test]
        fn how_bytes_were_split_changes_nothing(
            body in prop_oneof![
                "(3\r\nabc\r\n|1;q\r\nz\r\n|a\r\n0123456789\r\n){0,5}0\r\n(x: y\r\n){0,2}\r\n.{0,3}",
                "[0-9a\r\n;: x]{0,24}",
            ],
            cuts in prop::collection::vec(0_usize..80, 0..8),
        ) {
            let body = body.as_bytes();
            let mut cuts: Vec<usize> = cuts.into_iter().filter(|cut| *cut <= body.len()).collect();
            cuts.sort_unstable();
            let (whole, split) = (read(Framing::chunked(), body, &[]), read(Framing::chunked(), body, &cuts));
            match (whole, split) {
                (Ok(whole), Ok(split)) => prop_assert_eq!(whole, split),
                (whole, split) => prop_assert_eq!(whole.is_err(), split.is_err()),
            }
        }
    }
}
