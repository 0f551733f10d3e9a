//! Addresses of crypto-currencies: bech32 and bech32m (BIP 173, BIP 350) and Ethereum's (EIP-55 without its case check).

use super::cursor::Cursor;
use super::{Bytes, Match, Probe, Start, is_no_word};

pub(super) const STARTS: &[Start] = &[
    Start { left: is_no_word, bytes: Bytes::Prefixes(&[b"bc1", b"tb1", b"ltc"]) },
    Start {
        left: is_no_word,
        bytes: Bytes::Classes([|b| b == b'0', |b| b == b'x', |b| b.is_ascii_hexdigit()]),
    },
];

/// The alphabet of bech32.
const ALPHABET: &[u8; 32] = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";

/// Whether an address starts here.
pub(super) fn probe(mut cursor: Cursor<'_>) -> Probe {
    if cursor.peek()? == Some(b'0') {
        cursor.eat_while(2, |_| true)?;
        let length = cursor.eat_while(41, |b| b.is_ascii_hexdigit())?;
        let body = cursor.seen().get(2..).unwrap_or_default();
        let is_varied = body.iter().any(u8::is_ascii_digit) && body.iter().any(u8::is_ascii_alphabetic);
        return Ok((length == 40 && is_varied && cursor.is_border(super::is_word)?)
            .then_some(Match::exact(42, "ethereum")));
    }
    let prefix = cursor.eat_while(3, |b| b.is_ascii_lowercase())?;
    if !cursor.eat(|b| b == b'1')? {
        return Ok(None);
    }
    let length = cursor.eat_while(80, |b| ALPHABET.contains(&b))?;
    if length < 38 || !cursor.is_border(super::is_word)? {
        return Ok(None);
    }
    let (name, body) = cursor.seen().split_at(prefix);
    Ok(is_bech32(name, body.get(1..).unwrap_or_default()).then(|| Match::exact(cursor.at(), "bech32")))
}

/// The checksum of BIP 173 (1) or BIP 350 (0x2bc830a3).
fn is_bech32(name: &[u8], body: &[u8]) -> bool {
    const GENERATOR: [u32; 5] = [0x3b6a_57b2, 0x2650_8e6d, 0x1ea1_19fa, 0x3d42_33dd, 0x2a14_62b3];
    let step = |check: u32, value: u32| {
        let top = check >> 25;
        GENERATOR
            .iter()
            .enumerate()
            .filter(|(bit, _)| (top >> bit) & 1 == 1)
            .fold(((check & 0x01ff_ffff) << 5) ^ value, |check, (_, generator)| check ^ generator)
    };
    let places = body.iter().filter_map(|b| ALPHABET.iter().position(|one| one == b));
    let values = name
        .iter()
        .map(|b| u32::from(b >> 5))
        .chain(std::iter::once(0))
        .chain(name.iter().map(|b| u32::from(b & 31)))
        .chain(places.map(|place| u32::try_from(place).unwrap_or(0)));
    matches!(values.fold(1, step), 1 | 0x2bc8_30a3)
}

#[cfg(test)]
mod tests {
    use crate::detect::{Detector, redacted};

    #[test]
    fn finds_addresses_that_add_up() {
        for (text, expected) in [
            ("bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4", "[crypto-address]"),
            ("pay 0x52908400098527886E0F7030069857D2E4169EE7 now", "pay [crypto-address] now"),
            ("bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t5", "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t5"),
            ("0x1234", "0x1234"),
            ("bc1 and tb1", "bc1 and tb1"),
        ] {
            assert_eq!(redacted(Detector::CryptoAddress, text), expected, "{text}");
        }
    }
}
