//! The wire format of protocol buffers, read strictly: what two readers could read differently is not read at all.

/// One field as it is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sent<'b> {
    pub(super) number: u32,
    pub(super) value: Value<'b>,
}

/// The value of a field, by its wire type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Value<'b> {
    Varint(u64),
    Fixed64(u64),
    Fixed32(u32),
    Bytes(&'b [u8]),
}

/// Why bytes are no message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WireFault {
    /// The end comes within a field.
    #[error("ends within a field")]
    Truncated,
    /// More than 64 bits, or more than ten bytes.
    #[error("has a number that is too long")]
    Varint,
    /// Field number 0, above 2^29 - 1, or written longer than it need be.
    #[error("has a field number that is none")]
    Number,
    /// Groups (proto2) and what is no wire type.
    #[error("has a field of a kind that is not read")]
    WireType,
}

/// Reads the fields of one message in their order.
#[derive(Debug, Clone)]
pub(super) struct Reader<'b> {
    rest: &'b [u8],
}

impl<'b> Reader<'b> {
    pub(super) fn new(rest: &'b [u8]) -> Self {
        Self { rest }
    }

    /// The next field; `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<Sent<'b>>, WireFault> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let before = self.rest.len();
        let tag = self.varint()?;
        let length = before - self.rest.len();
        // SMUGGLING: a tag of more bytes than it needs is another field, or an error, to some readers.
        let shortest = (64 - tag.max(1).leading_zeros()).div_ceil(7);
        let number = u32::try_from(tag >> 3).ok().filter(|number| (1..1 << 29).contains(number));
        let number = number.filter(|_| u32::try_from(length) == Ok(shortest)).ok_or(WireFault::Number)?;
        let value = match tag & 7 {
            0 => Value::Varint(self.varint()?),
            1 => Value::Fixed64(u64::from_le_bytes(self.array()?)),
            2 => {
                let length = usize::try_from(self.varint()?).map_err(|_| WireFault::Truncated)?;
                Value::Bytes(self.take(length)?)
            }
            5 => Value::Fixed32(u32::from_le_bytes(self.array()?)),
            _ => return Err(WireFault::WireType),
        };
        Ok(Some(Sent { number, value }))
    }

    /// The values of a packed field of this wire type; `None` at the end.
    pub(super) fn packed(&mut self, like: Packed) -> Result<Option<Value<'b>>, WireFault> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        Ok(Some(match like {
            Packed::Varint => Value::Varint(self.varint()?),
            Packed::Fixed64 => Value::Fixed64(u64::from_le_bytes(self.array()?)),
            Packed::Fixed32 => Value::Fixed32(u32::from_le_bytes(self.array()?)),
        }))
    }

    fn varint(&mut self) -> Result<u64, WireFault> {
        let mut value = 0_u64;
        for shift in (0..70).step_by(7) {
            let (byte, rest) = self.rest.split_first().ok_or(WireFault::Truncated)?;
            self.rest = rest;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                return Err(WireFault::Varint);
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(WireFault::Varint)
    }

    fn take(&mut self, length: usize) -> Result<&'b [u8], WireFault> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(WireFault::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], WireFault> {
        self.take(N)?.try_into().map_err(|_| WireFault::Truncated)
    }
}

/// The wire type of the values in a packed field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Packed {
    Varint,
    Fixed64,
    Fixed32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_have_one_reading_or_none() {
        let check = |bytes: &[u8], expected: Result<&[(u32, Value<'_>)], WireFault>| {
            let mut reader = Reader::new(bytes);
            let mut found = Vec::new();
            let read = loop {
                match reader.next() {
                    Ok(Some(sent)) => found.push((sent.number, sent.value)),
                    Ok(None) => break Ok(found.as_slice()),
                    Err(fault) => break Err(fault),
                }
            };
            assert_eq!(read, expected, "{bytes:x?}");
        };
        check(b"", Ok(&[]));
        check(b"\x08\x96\x01", Ok(&[(1, Value::Varint(150))]));
        check(b"\x12\x02hi\x08\x00", Ok(&[(2, Value::Bytes(b"hi")), (1, Value::Varint(0))]));
        check(b"\x0d\x01\x00\x00\x00", Ok(&[(1, Value::Fixed32(1))]));
        check(b"\x09\x01\x00\x00\x00\x00\x00\x00\x00", Ok(&[(1, Value::Fixed64(1))]));
        check(b"\xfa\xff\xff\xff\x0f\x00", Ok(&[((1 << 29) - 1, Value::Bytes(b""))]));
        check(b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", Ok(&[(1, Value::Varint(u64::MAX))]));
        check(b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", Err(WireFault::Varint));
        check(b"\x08\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00", Err(WireFault::Varint));
        check(b"\x08", Err(WireFault::Truncated));
        check(b"\x08\x80", Err(WireFault::Truncated));
        check(b"\x12\x03hi", Err(WireFault::Truncated));
        check(b"\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", Err(WireFault::Truncated));
        check(b"\x0d\x01\x00", Err(WireFault::Truncated));
        check(b"\x00\x00", Err(WireFault::Number));
        check(b"\x88\x00\x01", Err(WireFault::Number));
        check(b"\x82\x80\x80\x80\x10\x00", Err(WireFault::Number));
        check(b"\x0b\x0c", Err(WireFault::WireType));
        check(b"\x0e", Err(WireFault::WireType));
    }
}
