//! Walks along WebSocket frames without reading their payload (RFC 6455 section 5.2). No input, no output.

/// Who sends the frames: a client masks them, a server does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sender {
    /// The client, whose frames are masked.
    Client,
    /// The upstream, whose frames are not.
    Upstream,
}

/// What is wrong with a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// A reserved bit is set, though no extension was agreed on.
    #[error("reserved bit is set")]
    ReservedBit,
    /// An opcode that means nothing.
    #[error("opcode is reserved")]
    Opcode,
    /// A control frame that is fragmented or longer than 125 bytes.
    #[error("control frame is fragmented or too long")]
    Control,
    /// A client's frame without a mask, or an upstream's with one.
    #[error("mask is missing or unexpected")]
    Mask,
    /// A length that is not in its shortest form, or has its highest bit set.
    #[error("length is not in its shortest form")]
    Length,
    /// A continuation of nothing, or a new message within another.
    #[error("fragment is out of order")]
    Fragment,
    /// Anything after a Close.
    #[error("frame follows a close")]
    AfterClose,
    /// A payload longer than the limit.
    #[error("frame is too large")]
    TooLarge,
}

impl Violation {
    /// The status code of the Close (RFC 6455 section 7.4.1).
    pub fn close_code(self) -> u16 {
        match self {
            Self::TooLarge => 1009,
            Self::ReservedBit
            | Self::Opcode
            | Self::Control
            | Self::Mask
            | Self::Length
            | Self::Fragment
            | Self::AfterClose => 1002,
        }
    }
}

const CONTINUATION: u8 = 0x0;
const CLOSE: u8 = 0x8;

/// Follows the frames of one direction.
#[derive(Debug)]
pub struct Walker {
    sender: Sender,
    max_frame: u64,
    /// Payload of the current frame that is still to come.
    left: u64,
    is_fragmented: bool,
    is_closed: bool,
}

/// One frame's head.
struct FrameHead {
    length: usize,
    payload: u64,
    opcode: u8,
    is_final: bool,
}

impl Walker {
    /// A walker at the start of a direction.
    pub fn new(sender: Sender, max_frame: u64) -> Self {
        Self { sender, max_frame, left: 0, is_fragmented: false, is_closed: false }
    }

    /// Takes the bytes that come next and gives how many of them may leave; the rest, an unfinished frame head, must
    /// be given again with what follows. What may leave must not be given again.
    ///
    /// # Errors
    /// The first broken rule. Frames before the broken one were given in an earlier call, so that a Close can follow
    /// them: a call that finds good frames before a bad one gives the good ones first.
    pub fn walk(&mut self, bytes: &[u8]) -> Result<usize, Violation> {
        let mut at = 0;
        loop {
            at += self.walk_on(bytes.get(at..).unwrap_or_default());
            if self.left > 0 {
                return Ok(at);
            }
            match self.head(bytes.get(at..).unwrap_or_default()) {
                Ok(None) => return Ok(at),
                Ok(Some(head)) => {
                    at += head.length;
                    self.enter(&head);
                }
                Err(_) if at > 0 => return Ok(at),
                Err(violation) => return Err(violation),
            }
        }
    }

    /// As [`walk`](Self::walk), but to the end of the current frame and no further.
    pub fn walk_on(&mut self, bytes: &[u8]) -> usize {
        let taken = usize::try_from(self.left).unwrap_or(usize::MAX).min(bytes.len());
        self.left -= taken as u64;
        taken
    }

    /// Whether all that may leave ends with a whole frame.
    pub fn is_between_frames(&self) -> bool {
        self.left == 0
    }

    /// Whether a Close was seen.
    pub fn is_closed(&self) -> bool {
        self.is_closed
    }

    fn enter(&mut self, head: &FrameHead) {
        self.left = head.payload;
        if head.opcode < CLOSE {
            self.is_fragmented = !head.is_final;
        }
        self.is_closed |= head.opcode == CLOSE;
    }

    /// The head at the front of `bytes`, or `None` if it is not all there; rules are applied as early as they can be.
    fn head(&self, bytes: &[u8]) -> Result<Option<FrameHead>, Violation> {
        let [first, second, rest @ ..] = bytes else {
            return Ok(None);
        };
        let (is_final, opcode) = (first & 0x80 != 0, first & 0x0f);
        let (is_masked, short) = (second & 0x80 != 0, second & 0x7f);
        self.check(*first, is_masked, short)?;
        let (extended, payload) = match (short, rest) {
            (126, [a, b, ..]) => (2, u64::from(u16::from_be_bytes([*a, *b]))),
            (127, [a, b, c, d, e, f, g, h, ..]) => (8, u64::from_be_bytes([*a, *b, *c, *d, *e, *f, *g, *h])),
            (126 | 127, _) => return Ok(None),
            (short, _) => (0, u64::from(short)),
        };
        let is_shortest = match extended {
            2 => payload > 125,
            8 => payload > u64::from(u16::MAX) && payload >> 63 == 0,
            _ => true,
        };
        if !is_shortest {
            return Err(Violation::Length);
        }
        if payload > self.max_frame {
            return Err(Violation::TooLarge);
        }
        let length = 2 + extended + if is_masked { 4 } else { 0 };
        Ok((bytes.len() >= length).then_some(FrameHead { length, payload, opcode, is_final }))
    }

    fn check(&self, first: u8, is_masked: bool, short: u8) -> Result<(), Violation> {
        let (is_final, opcode) = (first & 0x80 != 0, first & 0x0f);
        if self.is_closed {
            return Err(Violation::AfterClose);
        }
        if first & 0x70 != 0 {
            return Err(Violation::ReservedBit);
        }
        if is_masked != (self.sender == Sender::Client) {
            return Err(Violation::Mask);
        }
        match opcode {
            CONTINUATION if !self.is_fragmented => Err(Violation::Fragment),
            0x1 | 0x2 if self.is_fragmented => Err(Violation::Fragment),
            CLOSE..=0xa if !is_final || short > 125 => Err(Violation::Control),
            CONTINUATION..=0x2 | CLOSE..=0xa => Ok(()),
            _ => Err(Violation::Opcode),
        }
    }
}

/// A Close frame as `sender` would send it.
pub fn close_frame(sender: Sender, code: u16) -> Vec<u8> {
    let [high, low] = code.to_be_bytes();
    match sender {
        Sender::Upstream => vec![0x88, 2, high, low],
        // A mask of zeros is a mask. It need not be unguessable here: no client chose a byte of this frame.
        Sender::Client => vec![0x88, 0x82, 0, 0, 0, 0, high, low],
    }
}

#[cfg(test)]
mod tests;
