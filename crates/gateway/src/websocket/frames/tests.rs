use proptest::prelude::*;

use super::*;

const MAX: u64 = 70_000;

fn frame(first: u8, is_masked: bool, payload: usize) -> Vec<u8> {
    let mask = if is_masked { 0x80 } else { 0 };
    let mut bytes = vec![first];
    match payload {
        0..=125 => bytes.push(mask | payload as u8),
        126..=0xffff => {
            bytes.push(mask | 126);
            bytes.extend_from_slice(&(payload as u16).to_be_bytes());
        }
        _ => {
            bytes.push(mask | 127);
            bytes.extend_from_slice(&(payload as u64).to_be_bytes());
        }
    }
    bytes.extend_from_slice(if is_masked { &[1, 2, 3, 4] } else { &[] });
    bytes.extend(std::iter::repeat_n(0xff, payload));
    bytes
}

/// Feeds `bytes` in pieces that end at `cuts`; gives how many left, and what stopped them.
fn feed(sender: Sender, bytes: &[u8], cuts: &[usize]) -> (usize, Option<Violation>) {
    let mut walker = Walker::new(sender, MAX);
    let mut passed = 0;
    let mut ends: Vec<usize> = cuts.iter().map(|cut| cut % (bytes.len() + 1)).collect();
    ends.push(bytes.len());
    ends.sort_unstable();
    for end in ends {
        loop {
            match walker.walk(&bytes[passed.min(end)..end]) {
                Ok(0) => break,
                Ok(count) => passed += count,
                Err(violation) => return (passed, Some(violation)),
            }
        }
    }
    (passed, None)
}

#[test]
fn frames_are_judged() {
    use Violation::*;
    let check = |sender: Sender, frames: &[Vec<u8>], expected: Option<Violation>| {
        let bytes = frames.concat();
        let (passed, violation) = feed(sender, &bytes, &[]);
        assert_eq!(violation, expected, "{frames:?}");
        let good = if expected.is_none() { frames.len() } else { frames.len() - 1 };
        assert_eq!(passed, frames[..good].concat().len(), "{frames:?}");
    };
    let (client, upstream) = (Sender::Client, Sender::Upstream);
    let server = |first, payload| frame(first, false, payload);
    check(client, &[frame(0x81, true, 5), frame(0x82, true, 300)], None);
    check(upstream, &[server(0x81, 0), server(0x82, 65_536)], None);
    check(
        upstream,
        &[server(0x01, 5), server(0x89, 3), server(0x00, 2), server(0x80, 1), server(0x81, 1)],
        None,
    );
    check(client, &[frame(0x81, true, 1), frame(0x81, false, 5)], Some(Mask));
    check(upstream, &[server(0x81, 1), frame(0x81, true, 5)], Some(Mask));
    check(upstream, &[server(0xc1, 5)], Some(ReservedBit));
    check(upstream, &[server(0x83, 5)], Some(Opcode));
    check(upstream, &[server(0x8b, 5)], Some(Opcode));
    check(upstream, &[server(0x89, 126)], Some(Control));
    check(upstream, &[server(0x09, 5)], Some(Control));
    check(upstream, &[server(0x80, 5)], Some(Fragment));
    check(upstream, &[server(0x01, 5), server(0x81, 5)], Some(Fragment));
    check(upstream, &[server(0x88, 2), server(0x81, 1)], Some(AfterClose));
    check(upstream, &[server(0x81, 1), server(0x82, 70_001)], Some(TooLarge));
    check(upstream, &[vec![0x81, 126, 0, 125]], Some(Length));
    check(upstream, &[vec![0x81, 127, 0, 0, 0, 0, 0, 0, 0xff, 0xff]], Some(Length));
    check(upstream, &[vec![0x81, 127, 0x80, 0, 0, 0, 0, 0, 0, 1]], Some(Length));
}

#[test]
fn own_closes_are_valid_frames() {
    for sender in [Sender::Client, Sender::Upstream] {
        let bytes = close_frame(sender, 1002);
        assert_eq!(feed(sender, &bytes, &[]), (bytes.len(), None));
    }
}

fn any_frame() -> impl Strategy<Value = Vec<u8>> {
    let first =
        prop_oneof![Just(0x81_u8), Just(0x82), Just(0x01), Just(0x00), Just(0x80), Just(0x89), any::<u8>()];
    let payload = prop_oneof![0..200_usize, Just(65_536_usize), Just(70_001_usize)];
    (first, prop::bool::weighted(0.9), payload)
        .prop_map(|(first, masked, payload)| frame(first, masked, payload))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn splits_change_nothing(
        frames in prop::collection::vec(any_frame(), 1..8),
        noise in prop::collection::vec(any::<u8>(), 0..20),
        cuts in prop::collection::vec(any::<usize>(), 0..12),
    ) {
        let bytes = [frames.concat(), noise].concat();
        let whole = feed(Sender::Client, &bytes, &[]);
        prop_assert_eq!(whole, feed(Sender::Client, &bytes, &cuts));
        let head: Vec<usize> = (0..64).collect();
        prop_assert_eq!(whole, feed(Sender::Client, &bytes, &head));
    }
}
