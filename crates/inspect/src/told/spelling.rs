//! The canary, in every spelling that a model may be asked for: as it is, in capitals, spaced, backwards, rotated,
//! in hexadecimal, in base64.

use std::collections::VecDeque;
use std::sync::Arc;

use super::{CANARY, Heard, Leak, PLACEHOLDER};
use portcullis_core::record::Action;

/// Signs that may stand between two of the canary's.
const GAP: usize = 4;

/// One spelling.
#[derive(Debug)]
struct Form {
    signs: Box<[u8]>,
    is_exact: bool,
    name: &'static str,
}

/// All spellings of a canary.
#[derive(Debug)]
pub(super) struct Forms {
    forms: Vec<Form>,
    longest: usize,
    /// Signs that a spelling ends with, in both cases.
    last: Box<[bool; 256]>,
}

impl Form {
    /// How much of it leaves unheld: so little says nothing.
    fn free(&self) -> usize {
        self.signs.len() / 4
    }

    fn is(&self, at: usize, sign: u8) -> bool {
        self.signs
            .get(at)
            .is_some_and(|own| if self.is_exact { *own == sign } else { own.eq_ignore_ascii_case(&sign) })
    }

    /// Whether the last `len` signs seen are the first of this.
    fn begins(&self, seen: &VecDeque<(u8, usize)>, len: usize) -> bool {
        seen.iter().rev().take(len).enumerate().all(|(back, (sign, _))| self.is(len - 1 - back, *sign))
    }
}

impl Forms {
    pub(super) fn new(canary: &str) -> Self {
        let bytes = canary.as_bytes();
        let form = |signs: Vec<u8>, name| Form { signs: signs.into(), is_exact: false, name };
        let rotated = |byte: &u8| match byte {
            b'a'..=b'z' => (byte - b'a' + 13) % 26 + b'a',
            other => *other,
        };
        let hex = |bytes: &mut dyn Iterator<Item = &u8>| -> Vec<u8> {
            bytes
                .flat_map(|byte| [byte >> 4, byte & 15])
                .filter_map(|n| b"0123456789abcdef".get(usize::from(n)))
                .copied()
                .collect()
        };
        let mut forms = vec![
            form(bytes.to_vec(), "as it is"),
            form(bytes.iter().rev().copied().collect(), "backwards"),
            form(bytes.iter().map(rotated).collect(), "rotated"),
            form(hex(&mut bytes.iter()), "hexadecimal"),
        ];
        forms.extend((0..3).map(|offset| Form {
            signs: base64(bytes, offset).into(),
            is_exact: true,
            name: "base64",
        }));
        let longest = forms.iter().map(|form| form.signs.len()).max().unwrap_or(0);
        let mut last = Box::new([false; 256]);
        for byte in forms.iter().filter_map(|form| form.signs.last()) {
            for case in [byte.to_ascii_lowercase(), byte.to_ascii_uppercase()] {
                if let Some(place) = last.get_mut(usize::from(case)) {
                    *place = true;
                }
            }
        }
        Self { forms, longest, last }
    }
}

/// The signs of base64 that only these bytes decide, if `offset` bytes of a group stand before them.
fn base64(bytes: &[u8], offset: usize) -> Vec<u8> {
    const SIGNS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bits: Vec<u8> = bytes.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1)).collect();
    // The first sign that begins inside: signs are six bits, and `offset * 8` bits came before.
    let skip = (6 - offset * 8 % 6) % 6;
    let (groups, _) = bits.get(skip..).unwrap_or_default().as_chunks::<6>();
    groups
        .iter()
        .filter_map(|group| SIGNS.get(group.iter().fold(0, |sign, bit| sign << 1 | usize::from(*bit))))
        .copied()
        .collect()
}

/// Looks for a canary in one text.
#[derive(Debug)]
pub(super) struct Spelling {
    leak: Arc<Leak>,
    /// The last letters and digits, each with its place in the text.
    seen: VecDeque<(u8, usize)>,
    /// Other signs since.
    gap: usize,
    held: String,
    /// Where in the text `held` begins.
    base: usize,
    pub(super) heard: Heard,
}

impl Spelling {
    pub(super) fn new(leak: Arc<Leak>) -> Self {
        Self { leak, seen: VecDeque::new(), gap: 0, held: String::new(), base: 0, heard: Heard::default() }
    }

    pub(super) fn held(&self) -> usize {
        self.held.len()
    }

    /// Takes a piece and appends to `out` what is no canary.
    pub(super) fn push(&mut self, piece: &str, is_last: bool, out: &mut String) {
        let leak = Arc::clone(&self.leak);
        let Some(forms) = &leak.canary else { return out.push_str(piece) };
        let start = self.base + self.held.len();
        self.held.push_str(piece);
        for (at, byte) in (start..).zip(piece.bytes()) {
            if !byte.is_ascii_alphanumeric() {
                self.gap += 1;
                if self.gap > GAP {
                    self.seen.clear();
                }
                continue;
            }
            self.gap = 0;
            if self.seen.len() == forms.longest {
                self.seen.pop_front();
            }
            self.seen.push_back((byte, at));
            if !forms.last.get(usize::from(byte)).copied().unwrap_or(true) {
                continue;
            }
            let whole = |form: &&Form| {
                form.signs.len() <= self.seen.len() && form.begins(&self.seen, form.signs.len())
            };
            if let Some(form) = forms.forms.iter().find(whole) {
                self.cut(form, at, leak.action, out);
                if self.heard.is_blocked {
                    return;
                }
            }
        }
        let kept = if is_last { None } else { self.kept(forms) };
        self.release(kept.unwrap_or(self.base + self.held.len()), out);
    }

    /// Takes out the spelling that ends with the sign at `end`.
    fn cut(&mut self, form: &Form, end: usize, action: Action, out: &mut String) {
        let first = self.seen.len() - form.signs.len() + form.free();
        let from = self.seen.get(first).map_or(end, |(_, at)| *at);
        self.heard.note(CANARY, action, || form.name.to_owned());
        self.seen.clear();
        if action == Action::Observe {
            return;
        }
        self.release(from, out);
        if action == Action::Redact {
            out.push_str(PLACEHOLDER);
        }
        self.held.drain(..(end + 1).saturating_sub(self.base).min(self.held.len()));
        self.base = end + 1;
    }

    /// From where on the text may still be a canary.
    fn kept(&self, forms: &Forms) -> Option<usize> {
        let starts = forms.forms.iter().filter_map(|form| {
            let most = self.seen.len().min(form.signs.len() - 1);
            let len = (form.free() + 1..=most).rev().find(|len| form.begins(&self.seen, *len))?;
            self.seen.get(self.seen.len() - len + form.free()).map(|(_, at)| *at)
        });
        starts.min()
    }

    /// Lets go what stands before `to`.
    fn release(&mut self, to: usize, out: &mut String) {
        let len = to.saturating_sub(self.base).min(self.held.len());
        out.push_str(self.held.get(..len).unwrap_or_default());
        self.held.drain(..len);
        self.base += len;
    }
}
