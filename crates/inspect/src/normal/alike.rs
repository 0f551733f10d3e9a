//! Letters that look like Latin ones.

use std::sync::LazyLock;

use rustc_hash::FxHashMap;

/// Letters of Cyrillic, Greek, Armenian, Cherokee and small capitals that cannot be told from the Latin one behind.
const STRONG: &[(&str, char)] = &[
    ("АΑᎪ", 'A'),
    ("аαᴀɑ", 'a'),
    ("ВΒᏴ", 'B'),
    ("ʙ", 'b'),
    ("СᏟ", 'C'),
    ("сᴄ", 'c'),
    ("Ꭰ", 'D'),
    ("ԁᴅ", 'd'),
    ("ЕΕᎬ", 'E'),
    ("еᴇ", 'e'),
    ("ꜰ", 'f'),
    ("Ꮐ", 'G'),
    ("ցɢɡ", 'g'),
    ("НΗᎻ", 'H'),
    ("һʜ", 'h'),
    ("ІӀΙ", 'I'),
    ("іιɪɩ", 'i'),
    ("ЈᎫ", 'J'),
    ("јϳᴊ", 'j'),
    ("КΚᏦ", 'K'),
    ("ᴋ", 'k'),
    ("Ꮮ", 'L'),
    ("ӏʟ", 'l'),
    ("МΜᎷ", 'M'),
    ("ᴍ", 'm'),
    ("Ν", 'N'),
    ("ոɴ", 'n'),
    ("ОΟ", 'O'),
    ("оοօᴏ", 'o'),
    ("РΡᏢ", 'P'),
    ("рρᴘ", 'p'),
    ("ԛꞯ", 'q'),
    ("Ꭱ", 'R'),
    ("ʀɾ", 'r'),
    ("ЅᏚ", 'S'),
    ("ѕꜱ", 's'),
    ("ТΤᎢ", 'T'),
    ("ᴛ", 't'),
    ("սᴜ", 'u'),
    ("Ꮩ", 'V'),
    ("ѵνᴠʋ", 'v'),
    ("Ꮃ", 'W'),
    ("ԝᴡ", 'w'),
    ("ХΧ", 'X'),
    ("х", 'x'),
    ("УΥ", 'Y'),
    ("уʏ", 'y'),
    ("ΖᏃ", 'Z'),
    ("ᴢ", 'z'),
];

/// Letters that are taken for the one behind only between Latin letters.
const WEAK: &[(&str, char)] = &[
    ("Λ", 'A'),
    ("вьβƅ", 'b'),
    ("ς", 'c'),
    ("ԃ", 'd'),
    ("ε", 'e'),
    ("Ԍ", 'G'),
    ("ԍ", 'g'),
    ("нհ", 'h'),
    ("кκ", 'k'),
    ("м", 'm'),
    ("И", 'N'),
    ("пη", 'n'),
    ("σ", 'o'),
    ("Я", 'R'),
    ("гя", 'r'),
    ("тτ", 't'),
    ("иμυ", 'u'),
    ("ω", 'w'),
    ("χ", 'x'),
    ("γ", 'y'),
    ("З", 'Z'),
    ("з", 'z'),
];

/// Each letter's Latin one, and whether it cannot be told from it.
static ALIKE: LazyLock<FxHashMap<char, (char, bool)>> = LazyLock::new(|| {
    let strong = STRONG.iter().flat_map(|(letters, latin)| letters.chars().map(|c| (c, (*latin, true))));
    let weak = WEAK.iter().flat_map(|(letters, latin)| letters.chars().map(|c| (c, (*latin, false))));
    weak.chain(strong).collect()
});

/// The letter that `c` cannot be told from.
pub(super) fn strong(c: char) -> Option<char> {
    ALIKE.get(&c).filter(|(_, is_strong)| *is_strong).map(|(latin, _)| *latin).or_else(|| squared(c))
}

/// The letter that `c` is taken for between Latin letters.
pub(super) fn weak(c: char) -> Option<char> {
    ALIKE.get(&c).map(|(latin, _)| *latin).or_else(|| squared(c))
}

/// White letters on black squares and discs, which NFKC leaves.
pub(super) fn squared(c: char) -> Option<char> {
    let base = match c {
        '\u{1f150}'..='\u{1f169}' => 0x1_f150,
        '\u{1f170}'..='\u{1f189}' => 0x1_f170,
        _ => return None,
    };
    char::from_u32(c as u32 - base + u32::from(b'A'))
}
