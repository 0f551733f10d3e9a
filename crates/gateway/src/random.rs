//! Random bytes: for what nobody may guess.

use std::cell::RefCell;

/// Bytes drawn at a time: one call of the generator serves many requests.
const POOL: usize = 640;

/// `N` random bytes, 64 at most.
///
/// A failed draw leaves old bytes. Nothing secret hangs on them alone: identifiers of records have the time beside them,
/// and a fence that was seen before is still one that its document did not know.
pub(crate) fn random<const N: usize>() -> [u8; N] {
    thread_local! {
        static DRAWN: RefCell<(usize, [u8; POOL])> = const { RefCell::new((POOL, [0; POOL])) };
    }
    DRAWN.with_borrow_mut(|(used, pool)| {
        if *used + N > pool.len() {
            let _ = aws_lc_rs::rand::fill(pool);
            *used = 0;
        }
        let mut bytes = [0; N];
        if let Some(fresh) = pool.get(*used..*used + N) {
            bytes.copy_from_slice(fresh);
        }
        *used += N;
        bytes
    })
}
