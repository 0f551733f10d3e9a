//! Text as features see it: no case, no accents, one space between words, every digit a zero.

use std::sync::LazyLock;

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::{decompose_canonical, is_combining_mark};

/// What each of the first characters becomes; 0 for those that are left out.
static TABLE: LazyLock<Vec<u32>> =
    LazyLock::new(|| (0..0x2000).map(|code| char::from_u32(code).map_or(0, folded)).collect());

/// A text's characters as features see them, with the byte that each starts at.
#[derive(Debug, Default)]
pub(super) struct Folded {
    pub(super) chars: Vec<u32>,
    pub(super) at: Vec<u32>,
}

/// Folds a text. It begins and ends with a space.
pub(super) fn fold(text: &str) -> Folded {
    let table: &[u32] = &TABLE;
    let mut out =
        Folded { chars: Vec::with_capacity(text.len() + 2), at: Vec::with_capacity(text.len() + 2) };
    out.push(SPACE, 0);
    for (index, c) in text.char_indices() {
        let code = c as u32;
        let sign = match table.get(code as usize) {
            Some(sign) => *sign,
            None => folded(c),
        };
        out.push(sign, index);
    }
    out.push(SPACE, text.len());
    out
}

/// Folds a word of the list of concepts, without spaces around it.
pub(super) fn fold_word(word: &str) -> Vec<u32> {
    word.nfkc().map(folded).filter(|sign| *sign != 0).collect()
}

pub(super) const SPACE: u32 = ' ' as u32;

impl Folded {
    fn push(&mut self, sign: u32, at: usize) {
        if sign == 0 || (sign == SPACE && self.chars.last() == Some(&SPACE)) {
            return;
        }
        self.chars.push(sign);
        self.at.push(u32::try_from(at).unwrap_or(u32::MAX));
    }
}

fn folded(c: char) -> u32 {
    if c.is_whitespace() || c.is_control() {
        return SPACE;
    }
    if c.is_numeric() && (c as u32) < 0x2000 {
        return u32::from(b'0');
    }
    let c = match c {
        // Forms of letters that Arabic and Persian writers mix, and marks that most leave out.
        'أ' | 'إ' | 'آ' | 'ٱ' => 'ا',
        'ى' | 'ی' => 'ي',
        'ک' => 'ك',
        'ة' | 'ۀ' => 'ه',
        '\u{640}' | '\u{64b}'..='\u{652}' | '\u{670}' | '\u{591}'..='\u{5c7}' | '\u{300}'..='\u{36f}' => {
            return 0;
        }
        'ı' => 'i',
        'ß' => 's',
        'đ' | 'Đ' => 'd',
        'ł' | 'Ł' => 'l',
        'ø' | 'Ø' => 'o',
        _ => c,
    };
    let lower = c.to_lowercase().next().unwrap_or(c);
    if !matches!(lower, '\u{c0}'..='\u{52f}' | '\u{1e00}'..='\u{1fff}') {
        return lower as u32;
    }
    let mut base = None;
    decompose_canonical(lower, |part| {
        if base.is_none() && !is_combining_mark(part) {
            base = Some(part);
        }
    });
    base.unwrap_or(lower) as u32
}
