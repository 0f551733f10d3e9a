//! The same bytes cut in different ways.

/// At once, byte by byte, at line ends, and at places that depend on the bytes themselves.
pub fn splits(bytes: &[u8]) -> [Vec<&[u8]>; 4] {
    let lines = bytes.split_inclusive(|byte| *byte == b'\n').collect();
    [vec![bytes], bytes.chunks(1).collect(), lines, uneven(bytes)]
}

/// Pieces of 1 to 16 bytes, the same ones whenever the bytes are the same.
fn uneven(bytes: &[u8]) -> Vec<&[u8]> {
    // FNV-1a.
    let hash = |sum: u64, byte: &u8| (sum ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
    let mut state = bytes.iter().fold(0xcbf2_9ce4_8422_2325, hash);
    let mut pieces = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        state = hash(state, &7);
        let length = usize::try_from((state >> 32) % 16 + 1).unwrap_or(1);
        let (piece, left) = rest.split_at(length.min(rest.len()));
        pieces.push(piece);
        rest = left;
    }
    pieces
}
