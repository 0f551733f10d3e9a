//! The bytes of an HTTP/1 connection, checked before any parser sees them.
//!
//! A parser that is lenient in one place (a bare LF, two equal lengths, both `Content-Length` and
//! `Transfer-Encoding`) hides what the next hop may read otherwise; that difference is request smuggling
//! (RFC 9112 section 11.2). The [`Checker`] follows heads and bodies over pipelined requests, so it always knows
//! where a head starts, and lets nothing through that has two readings. It keeps no more than one unfinished line.

use memchr::memchr;

use crate::halt::Reason;

mod line;

/// What a head may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeadLimits {
    /// Largest request target, in bytes.
    pub target: usize,
    /// Most header fields.
    pub headers: usize,
    /// Most bytes of all header lines together, line ends included.
    pub header_bytes: usize,
}

impl Default for HeadLimits {
    fn default() -> Self {
        Self { target: 8 * 1024, headers: 100, header_bytes: 32 * 1024 }
    }
}

macro_rules! violations {
    ($($(#[$doc:meta])* $name:ident: $reason:ident $text:literal;)+) => {
        /// What is wrong with the bytes of a request.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Violation { $($(#[$doc])* $name,)+ }

        impl Violation {
            /// The row of the table of halts.
            pub const fn reason(self) -> Reason { match self { $(Self::$name => Reason::$reason,)+ } }
            /// For the record: what was seen, without quoting it.
            pub const fn as_str(self) -> &'static str { match self { $(Self::$name => $text,)+ } }
        }
    };
}

violations! {
    /// A line that ends without CR.
    BareLf: MalformedRequest "line ends in a bare LF";
    /// CR, NUL or another control character within a line.
    Control: MalformedRequest "control character in the head";
    /// Not `method SP target SP version`.
    RequestLine: MalformedRequest "request line is not method, target and version";
    /// A target with a fragment, or a byte that no target may have.
    Target: MalformedRequest "character in the target that may not be there";
    /// Not HTTP/1.0 or HTTP/1.1.
    Version: MalformedRequest "version is not HTTP/1.0 or HTTP/1.1";
    /// No colon, white space before it, or a byte that no name may have.
    FieldName: MalformedRequest "header name is not a token";
    /// A line that starts with white space (RFC 9112 section 5.2).
    Folded: MalformedRequest "header line is folded";
    /// Two `Content-Length`, equal or not.
    LengthRepeated: AmbiguousFraming "content-length is repeated";
    /// A list, a sign, a leading zero, or more than fits.
    LengthInvalid: AmbiguousFraming "content-length is not one plain number";
    /// Two `Transfer-Encoding`.
    EncodingRepeated: AmbiguousFraming "transfer-encoding is repeated";
    /// Anything but `chunked`.
    EncodingUnknown: AmbiguousFraming "transfer-encoding is not exactly chunked";
    /// `Transfer-Encoding` in HTTP/1.0 (RFC 9112 section 6.1).
    EncodingTooOld: AmbiguousFraming "transfer-encoding in HTTP/1.0";
    /// `Content-Length` with `Transfer-Encoding`.
    LengthAndEncoding: AmbiguousFraming "both content-length and transfer-encoding";
    /// Not 1 to 16 hexadecimal digits; chunk extensions are refused too.
    ChunkSize: AmbiguousFraming "chunk size is not a plain hexadecimal number";
    /// Chunk data without CR LF after it.
    ChunkEnd: AmbiguousFraming "chunk is longer than its size";
    /// A trailer field that would change framing or routing.
    Trailer: AmbiguousFraming "trailer names a field of the head";
    /// Target over the limit.
    TargetTooLong: TargetTooLong "target is over the limit";
    /// More fields than the limit.
    TooManyHeaders: HeadersTooLarge "more header fields than the limit";
    /// More bytes of fields than the limit.
    HeadersTooLarge: HeadersTooLarge "header fields are over the limit";
    /// The head did not come to its end in time. The checker has no clock; its owner says so.
    HeadTimeout: HeadTimeout "head did not arrive in time";
}

/// What [`Checker::feed`] says of some bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fed {
    /// How many of these bytes may be handed on. With any of them goes all that was kept back before.
    ///
    /// What follows belongs to a head that is not complete yet, or to the violation.
    pub passed: usize,
    /// What ends the connection. Later bytes are never looked at.
    pub violation: Option<Violation>,
}

/// Follows one connection. Bytes in, verdict out; how they were split never changes it.
#[derive(Debug)]
pub struct Checker {
    limits: HeadLimits,
    state: State,
    head: line::Head,
    /// The start of a line whose end has not come yet.
    line: Vec<u8>,
    heads: u64,
}

/// Where in the message the next byte stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    RequestLine,
    Fields,
    Body(u64),
    ChunkSize,
    ChunkData(u64),
    ChunkEnd,
    Trailers,
    Violated(Violation),
}

impl Checker {
    /// At the start of a connection.
    pub fn new(limits: HeadLimits) -> Self {
        Self { limits, state: State::RequestLine, head: line::Head::default(), line: Vec::new(), heads: 0 }
    }

    /// Complete, well-formed heads so far.
    pub fn heads(&self) -> u64 {
        self.heads
    }

    /// Whether the next byte belongs to a head: between requests, or within an unfinished head.
    ///
    /// After a violation it says whether the violation is in a head.
    pub fn is_in_head(&self) -> bool {
        match self.state {
            State::RequestLine | State::Fields => true,
            State::Violated(_) => self.head.is_open,
            _ => false,
        }
    }

    /// Takes the next bytes of the connection.
    pub fn feed(&mut self, bytes: &[u8]) -> Fed {
        let mut rest = bytes;
        // What may be handed on so far: up to the end of the last complete head or body part.
        let mut passed = 0;
        while !rest.is_empty() {
            match self.step(rest) {
                Ok(left) => rest = left,
                Err(violation) => {
                    self.head.is_open = self.is_in_head();
                    self.state = State::Violated(violation);
                    return Fed { passed, violation: Some(violation) };
                }
            }
            if !self.is_in_head() || self.is_between() {
                passed = bytes.len() - rest.len();
            }
        }
        Fed { passed, violation: None }
    }

    /// Whether the last request is complete and nothing of the next one came.
    pub fn is_between(&self) -> bool {
        self.state == State::RequestLine && self.line.is_empty() && !self.head.is_blank_seen
    }

    /// Goes over one line, or as much of a body as there is; returns what is left.
    fn step<'b>(&mut self, bytes: &'b [u8]) -> Result<&'b [u8], Violation> {
        match self.state {
            State::Violated(violation) => Err(violation),
            State::Body(left) => {
                let (taken, left) = skip(bytes, left);
                self.state = if left == 0 { self.between() } else { State::Body(left) };
                Ok(taken)
            }
            State::ChunkData(left) => {
                let (taken, left) = skip(bytes, left);
                self.state = if left == 0 { State::ChunkEnd } else { State::ChunkData(left) };
                Ok(taken)
            }
            State::RequestLine | State::Fields | State::ChunkSize | State::ChunkEnd | State::Trailers => {
                self.step_line(bytes)
            }
        }
    }

    fn step_line<'b>(&mut self, bytes: &'b [u8]) -> Result<&'b [u8], Violation> {
        let end = memchr(b'\n', bytes).map_or(bytes.len(), |at| at + 1);
        let (piece, rest) = bytes.split_at_checked(end).unwrap_or((bytes, &[]));
        if piece.last() != Some(&b'\n') || !self.line.is_empty() {
            self.check_length(self.line.len() + piece.len())?;
            self.line.extend_from_slice(piece);
            if piece.last() != Some(&b'\n') {
                return Ok(rest);
            }
            let mut line = std::mem::take(&mut self.line);
            self.take_line(&line)?;
            line.clear();
            // PERF: the buffer is kept while a head comes in pieces, and freed when it is complete.
            if self.is_in_head() && !self.is_between() {
                self.line = line;
            }
        } else {
            self.check_length(piece.len())?;
            self.take_line(piece)?;
        }
        Ok(rest)
    }

    /// Bounds an unfinished line as it grows, with the same verdict as if it came at once.
    fn check_length(&self, length: usize) -> Result<(), Violation> {
        match self.state {
            State::RequestLine if length > self.limits.target + line::REQUEST_LINE_REST => {
                Err(Violation::TargetTooLong)
            }
            State::Fields | State::Trailers if self.head.bytes + length > self.limits.header_bytes => {
                Err(Violation::HeadersTooLarge)
            }
            State::ChunkSize if length > line::CHUNK_SIZE_LINE => Err(Violation::ChunkSize),
            State::ChunkEnd if length > 2 => Err(Violation::ChunkEnd),
            _ => Ok(()),
        }
    }

    /// `line` is whole and ends in LF.
    fn take_line(&mut self, line: &[u8]) -> Result<(), Violation> {
        let Some(line) = line.strip_suffix(b"\r\n") else {
            return Err(match self.state {
                State::ChunkSize => Violation::ChunkSize,
                State::ChunkEnd => Violation::ChunkEnd,
                _ => Violation::BareLf,
            });
        };
        match self.state {
            State::RequestLine => {
                // RFC 9112 section 2.2: one empty line before a request is ignored, as old clients send it.
                if line.is_empty() && !self.head.is_blank_seen {
                    self.head.is_blank_seen = true;
                    return Ok(());
                }
                self.head = line::Head::of(line, self.limits.target)?;
                self.state = State::Fields;
            }
            State::Fields if line.is_empty() => {
                self.state = match self.head.framing()? {
                    line::Framing::None => self.between(),
                    line::Framing::Length(0) => self.between(),
                    line::Framing::Length(length) => State::Body(length),
                    line::Framing::Chunked => State::ChunkSize,
                };
                self.head.bytes = 0;
                self.head.count = 0;
                self.heads += 1;
            }
            State::Fields => self.head.field(line, &self.limits)?,
            State::ChunkSize => {
                self.state = match line::chunk_size(line)? {
                    0 => State::Trailers,
                    size => State::ChunkData(size),
                };
            }
            State::ChunkEnd if line.is_empty() => self.state = State::ChunkSize,
            State::ChunkEnd => return Err(Violation::ChunkEnd),
            State::Trailers if line.is_empty() => self.state = self.between(),
            State::Trailers => self.head.trailer(line, &self.limits)?,
            State::Body(_) | State::ChunkData(_) | State::Violated(_) => {}
        }
        Ok(())
    }

    fn between(&mut self) -> State {
        self.head.is_blank_seen = false;
        State::RequestLine
    }
}

/// Skips up to `left` bytes: what remains of the bytes, and of the count.
fn skip(bytes: &[u8], left: u64) -> (&[u8], u64) {
    let taken = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
    (bytes.get(taken..).unwrap_or(&[]), left - taken as u64)
}

#[cfg(test)]
mod tests;
