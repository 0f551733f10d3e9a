//! Numbers that states give to persons and firms: found where the check digits of a published rule agree, and, where
//! the rule alone would let too many other numbers pass, only behind a word that says what the number is.
//!
//! The rules and their sources are in the reference of detectors (`docs/detectors.md`).

use super::cursor::{Cursor, More};
use super::number::{Number, eat_words, go_to_value, is_luhn, value, weighted};
use super::{Bytes, Match, Probe, Start, is_no_word};

/// What a word says about the number behind it: each rule that may hold.
type Rule = fn(&Number) -> Option<&'static str>;

/// Words that a number follows, and the rule for it.
const WORDS: &[(&str, Rule)] = &[
    ("aadhaar", aadhaar),
    ("adhaar", aadhaar),
    ("abn", abn),
    ("bsn", bsn),
    ("burgerservicenummer", bsn),
    ("cnpj", cnpj),
    ("cpf", cpf),
    ("employer", ein),
    ("ein", ein),
    ("identifikationsnummer", steuer_id),
    ("idnr", steuer_id),
    ("itin", itin),
    ("insurance", sin),
    ("matricule", nir),
    ("medicare", medicare),
    ("nhs", nhs),
    ("nif", nif_pt),
    ("nir", nir),
    ("pesel", pesel),
    ("personnummer", personnummer),
    ("sin", sin),
    ("social", social),
    ("ssn", ssn),
    ("steuerid", steuer_id),
    ("steuer", steuer_id),
    ("tax", tax),
    ("taxpayer", tax),
    ("tfn", tfn),
    ("tin", tax),
];

fn left(byte: u8) -> bool {
    is_no_word(byte) && !matches!(byte, b'-' | b'.' | b'+' | b'/')
}

fn digit(byte: u8) -> bool {
    byte.is_ascii_digit()
}

fn upper(byte: u8) -> bool {
    byte.is_ascii_uppercase()
}

fn is_separator(byte: u8) -> bool {
    matches!(byte, b' ' | b'-' | b'.' | b'/')
}

pub(super) const STARTS: &[Start] = &[
    Start { left, bytes: Bytes::Classes([digit, |b| digit(b) || b == b' ' || b == b'-', digit]) },
    Start { left, bytes: Bytes::Classes([digit, digit, |b| matches!(b, b'.' | b' ')]) },
    Start { left, bytes: Bytes::Classes([upper, upper, |b| digit(b) || b == b' ']) },
    Start {
        left,
        bytes: Bytes::Classes([
            |b| matches!(b, b'X' | b'Y' | b'Z' | b'S' | b'T' | b'F' | b'G'),
            digit,
            digit,
        ]),
    },
    Start { left, bytes: Bytes::Classes([upper, upper, upper]) },
    Start { left: is_no_word, bytes: Bytes::Words(&[b"aad", b"adh", b"abn", b"ein", b"emp"]) },
    Start { left: is_no_word, bytes: Bytes::Words(&[b"bsn", b"bur", b"cnp", b"cpf"]) },
    Start { left: is_no_word, bytes: Bytes::Words(&[b"ide", b"idn", b"iti", b"ins"]) },
    Start { left: is_no_word, bytes: Bytes::Words(&[b"mat", b"med", b"nhs", b"nif", b"nir"]) },
    Start { left: is_no_word, bytes: Bytes::Words(&[b"pes", b"per"]) },
    Start {
        left: is_no_word,
        bytes: Bytes::Words(&[b"sin", b"soc", b"ssn", b"ste", b"tax", b"tfn", b"tin"]),
    },
];

/// Whether a number starts here, or a word that one follows.
pub(super) fn probe(mut cursor: Cursor<'_>) -> Probe {
    let (Some(first), Some(second)) = (cursor.peek()?, cursor.peek_second()?) else { return Ok(None) };
    if first.is_ascii_digit() {
        return numeric(cursor);
    }
    if first.is_ascii_uppercase()
        && (second.is_ascii_digit() || second.is_ascii_uppercase())
        && let Some(found) = lettered(&cursor)?
    {
        return Ok(Some(found));
    }
    let Some((word, rule)) = eat_words(&cursor, WORDS)? else { return Ok(None) };
    cursor.eat_while(word, |_| true)?;
    if !go_to_value(&mut cursor, 4, |_| false)? {
        return Ok(None);
    }
    let skip = cursor.at();
    let mut value = cursor.rewound(skip);
    let Some(number) = Number::read(&mut value, is_separator)? else { return Ok(None) };
    let is_over = value.is_border(super::is_word)?;
    let found = rule(&number).filter(|_| is_over);
    Ok(found.map(|label| Match::behind(skip, skip + number.end, label)))
}

/// Numbers whose rule is strict enough without a word.
fn numeric(mut cursor: Cursor<'_>) -> Probe {
    let Some(number) = Number::read(&mut cursor, is_separator)? else { return Ok(None) };
    let (sizes, seps) = (number.sizes(), number.seps());
    let next = cursor.peek()?;
    // A letter closes Spain's.
    if sizes == [8] && next.is_some_and(|b| b.is_ascii_uppercase() || b == b'-') {
        return dni(cursor, &number);
    }
    if sizes == [17] && matches!(next, Some(b'X')) {
        cursor.next()?;
        let is_over = cursor.is_border(super::is_word)?;
        return Ok((is_over && is_china(number.digits(), 10)).then(|| Match::exact(cursor.at(), "cn-id")));
    }
    if !cursor.is_border(super::is_word)? {
        return Ok(None);
    }
    let label = match (sizes, seps) {
        ([3, 3, 3, 2], b"..-") => cpf(&number),
        ([2, 3, 3, 4, 2], b"../-") => cnpj(&number),
        ([4, 4, 4], b"  " | b"--") => aadhaar(&number),
        ([1, 2, 2, 2, 3, 3, 2], _) | ([15], _) => nir(&number),
        ([3, 4, 4, 2], b"...") => swiss(&number),
        ([2, 2, 2, 3, 2], b"..-.") => belgian(&number),
        ([18], _) => {
            let (body, check) = number.digits().split_at(17);
            is_china(body, u32::from(check.first().copied().unwrap_or(11))).then_some("cn-id")
        }
        ([3, 2, 4], b"--" | b"  ") => itin(&number),
        ([6 | 8, 4], b"-") => personnummer(&number),
        _ => None,
    };
    Ok(label.map(|label| Match::exact(number.end, label)))
}

/// Numbers with letters, by their pattern, in upper case.
fn lettered(cursor: &Cursor<'_>) -> Probe {
    for one in [nino, nie, pan, nric, codice_fiscale] {
        if let Some(found) = one(cursor.clone())? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// Takes signs by a pattern: `A` a capital, `9` a digit. Returns whether all of it and a border follow.
fn eat_pattern(cursor: &mut Cursor<'_>, pattern: &str, gap: Option<u8>) -> Result<bool, More> {
    for sign in pattern.bytes() {
        if let Some(gap) = gap
            && cursor.at() > 0
        {
            cursor.eat(|b| b == gap)?;
        }
        let is_one = cursor.eat(|b| if sign == b'A' { upper(b) } else { digit(b) })?;
        if !is_one {
            return Ok(false);
        }
    }
    cursor.is_border(|b| super::is_word(b) || b == b'-')
}

/// United Kingdom: national insurance number (HMRC, NIM39110).
fn nino(mut cursor: Cursor<'_>) -> Probe {
    if !eat_pattern(&mut cursor, "AA999999A", Some(b' '))? {
        return Ok(None);
    }
    let signs: Vec<u8> = cursor.seen().iter().copied().filter(|b| *b != b' ').collect();
    let is_one = matches!(signs.as_slice(), [a, b, .., last]
        if !b"DFIQUV".contains(a) && !b"DFIOQUV".contains(b) && matches!(last, b'A'..=b'D')
            && ![b"BG", b"GB", b"KN", b"NK", b"NT", b"TN", b"ZZ"].contains(&&[*a, *b]));
    Ok(is_one.then(|| Match::exact(cursor.at(), "uk-nino")))
}

/// Spain: the letter of DNI and NIE is the number modulo 23 (Ministerio del Interior).
const DNI_LETTERS: &[u8; 23] = b"TRWAGMYFPDXBNJZSQVHLCKE";

fn dni(mut cursor: Cursor<'_>, number: &Number) -> Probe {
    cursor.eat(|b| b == b'-')?;
    let Some(letter) = cursor.next()? else { return Ok(None) };
    let expected = DNI_LETTERS.get(usize::try_from(number.value(0, 8) % 23).unwrap_or(0));
    let is_one = expected == Some(&letter) && cursor.is_border(super::is_word)?;
    Ok(is_one.then(|| Match::exact(cursor.at(), "es-dni")))
}

fn nie(mut cursor: Cursor<'_>) -> Probe {
    let is_first = cursor.peek()?.is_some_and(|b| matches!(b, b'X' | b'Y' | b'Z'));
    if !is_first || !eat_pattern(&mut cursor, "A9999999A", None)? {
        return Ok(None);
    }
    let [first, body @ .., letter] = cursor.seen() else { return Ok(None) };
    let number = body.iter().fold(usize::from(*first - b'X'), |sum, b| sum * 10 + usize::from(b - b'0'));
    Ok((DNI_LETTERS.get(number % 23) == Some(letter)).then(|| Match::exact(cursor.at(), "es-nie")))
}

/// India: permanent account number; the fourth letter is the kind of holder (Income Tax Department).
fn pan(mut cursor: Cursor<'_>) -> Probe {
    if !eat_pattern(&mut cursor, "AAAAA9999A", None)? {
        return Ok(None);
    }
    let holder = cursor.seen().get(3).copied().unwrap_or_default();
    Ok(b"ABCFGHLJPT".contains(&holder).then(|| Match::exact(cursor.at(), "in-pan")))
}

/// Singapore: NRIC and FIN.
fn nric(mut cursor: Cursor<'_>) -> Probe {
    let is_first = cursor.peek()?.is_some_and(|b| matches!(b, b'S' | b'T' | b'F' | b'G'));
    if !is_first || !eat_pattern(&mut cursor, "A9999999A", None)? {
        return Ok(None);
    }
    let [first, body @ .., letter] = cursor.seen() else { return Ok(None) };
    let digits: Vec<u8> = body.iter().map(|b| b - b'0').collect();
    let sum = weighted(&digits, &[2, 7, 6, 5, 4, 3, 2]) + if matches!(first, b'T' | b'G') { 4 } else { 0 };
    let letters: &[u8; 11] = if matches!(first, b'S' | b'T') { b"JZIHGFEDCBA" } else { b"XWUTRQPNMLK" };
    let expected = letters.get(usize::try_from(sum % 11).unwrap_or(0));
    Ok((expected == Some(letter)).then(|| Match::exact(cursor.at(), "sg-nric")))
}

/// Italy: codice fiscale (D.M. 23 December 1976); digits may be written as letters where two persons collide.
fn codice_fiscale(mut cursor: Cursor<'_>) -> Probe {
    const ODD: [u32; 26] =
        [1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23];
    for sign in b"AAAAAA99A99A999A" {
        if !cursor.eat(|b| upper(b) || (*sign == b'9' && digit(b)))? {
            return Ok(None);
        }
    }
    if !cursor.is_border(super::is_word)? || cursor.seen().iter().filter(|b| b.is_ascii_digit()).count() < 3 {
        return Ok(None);
    }
    let place = |b: u8| u32::from(if b.is_ascii_digit() { b - b'0' } else { b.saturating_sub(b'A') });
    let (body, check) = cursor.seen().split_at(15);
    let sum: u32 = body
        .iter()
        .enumerate()
        .map(|(index, b)| {
            if index % 2 == 1 {
                place(*b)
            } else {
                ODD.get(usize::try_from(place(*b)).unwrap_or(0)).copied().unwrap_or(0)
            }
        })
        .sum();
    let is_one = check.first().is_some_and(|b| place(*b) == sum % 26);
    Ok(is_one.then(|| Match::exact(cursor.at(), "it-codice-fiscale")))
}

/// Brazil: two check digits modulo 11 (Receita Federal).
fn cpf(number: &Number) -> Option<&'static str> {
    let digits = number.digits();
    let check = |upto: usize| {
        let sum: u32 = digits
            .iter()
            .take(upto)
            .zip((2..=upto + 1).rev())
            .map(|(d, w)| u32::from(*d) * u32::try_from(w).unwrap_or(0))
            .sum();
        sum * 10 % 11 % 10
    };
    let is_one = digits.len() == 11
        && digits.iter().any(|digit| Some(digit) != digits.first())
        && digits.get(9).is_some_and(|d| u32::from(*d) == check(9))
        && digits.get(10).is_some_and(|d| u32::from(*d) == check(10));
    is_one.then_some("br-cpf")
}

fn cnpj(number: &Number) -> Option<&'static str> {
    let digits = number.digits();
    let check = |weights: &[u32]| match weighted(digits, weights) % 11 {
        0 | 1 => 0,
        rest => 11 - rest,
    };
    let is_one = digits.len() == 14
        && digits.iter().any(|digit| Some(digit) != digits.first())
        && digits.get(12).is_some_and(|d| u32::from(*d) == check(&[5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2]))
        && digits.get(13).is_some_and(|d| u32::from(*d) == check(&[6, 5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2]));
    is_one.then_some("br-cnpj")
}

/// India: twelve digits, the last by Verhoeff's rule; none begins with 0 or 1 (UIDAI).
fn aadhaar(number: &Number) -> Option<&'static str> {
    const TIMES: [[u8; 10]; 10] = [
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
        [1, 2, 3, 4, 0, 6, 7, 8, 9, 5],
        [2, 3, 4, 0, 1, 7, 8, 9, 5, 6],
        [3, 4, 0, 1, 2, 8, 9, 5, 6, 7],
        [4, 0, 1, 2, 3, 9, 5, 6, 7, 8],
        [5, 9, 8, 7, 6, 0, 4, 3, 2, 1],
        [6, 5, 9, 8, 7, 1, 0, 4, 3, 2],
        [7, 6, 5, 9, 8, 2, 1, 0, 4, 3],
        [8, 7, 6, 5, 9, 3, 2, 1, 0, 4],
        [9, 8, 7, 6, 5, 4, 3, 2, 1, 0],
    ];
    const PLACES: [[u8; 10]; 8] = [
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
        [1, 5, 7, 6, 2, 8, 3, 0, 9, 4],
        [5, 8, 0, 3, 7, 9, 6, 1, 4, 2],
        [8, 9, 1, 6, 0, 4, 3, 5, 2, 7],
        [9, 4, 5, 3, 1, 2, 6, 8, 7, 0],
        [4, 2, 8, 6, 5, 7, 3, 9, 0, 1],
        [2, 7, 9, 3, 8, 0, 6, 4, 1, 5],
        [7, 0, 4, 6, 9, 1, 3, 2, 5, 8],
    ];
    let at = |table: &[[u8; 10]], row: usize, column: u8| {
        table.get(row).and_then(|row| row.get(usize::from(column))).copied().unwrap_or(1)
    };
    let digits = number.digits();
    let check = digits
        .iter()
        .rev()
        .enumerate()
        .fold(0, |sum, (place, digit)| at(&TIMES, usize::from(sum), at(&PLACES, place % 8, *digit)));
    (digits.len() == 12 && digits.first().is_some_and(|d| *d > 1) && check == 0).then_some("in-aadhaar")
}

/// France: numéro d'inscription au répertoire: sex, year, month, place, order, and 97 less the rest modulo 97 (INSEE).
fn nir(number: &Number) -> Option<&'static str> {
    let digits = number.digits();
    let is_one = digits.len() == 15
        && matches!(digits.first(), Some(1 | 2))
        && matches!(number.value(3, 5), 1..=12 | 20..=42 | 50..=99)
        && 97 - value(digits.get(..13).unwrap_or_default()) % 97 == number.value(13, 15);
    is_one.then_some("fr-nir")
}

/// Switzerland: AHV number, an EAN-13 of the country 756.
fn swiss(number: &Number) -> Option<&'static str> {
    let digits = number.digits();
    let sum = weighted(digits, &[1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1]);
    (digits.len() == 13 && number.value(0, 3) == 756 && sum.is_multiple_of(10)).then_some("ch-ahv")
}

/// Belgium: national register, 97 less the rest modulo 97, with a 2 in front for those born since 2000.
fn belgian(number: &Number) -> Option<&'static str> {
    let (body, check) = (number.value(0, 9), number.value(9, 11));
    let is_date = matches!(number.value(2, 4), 0..=12) && number.value(4, 6) <= 31;
    let is_one = 97 - body % 97 == check || 97 - (2_000_000_000 + body) % 97 == check;
    (number.digits().len() == 11 && is_date && is_one).then_some("be-nrn")
}

/// China: resident identity card (GB 11643), modulo 11 with weights of powers of two.
fn is_china(body: &[u8], check: u32) -> bool {
    let sum = weighted(body, &[7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2]);
    let expected = (12 - sum % 11) % 11;
    let part = |from: usize, to: usize| value(body.get(from..to).unwrap_or_default());
    expected == check
        && (1900..2100).contains(&part(6, 10))
        && (1..=12).contains(&part(10, 12))
        && (1..=31).contains(&part(12, 14))
}

/// Sweden: a date and a check digit of Luhn over the last ten.
fn personnummer(number: &Number) -> Option<&'static str> {
    let digits = number.digits();
    let ten = digits.get(digits.len().checked_sub(10)?..)?;
    let is_date = (1..=12).contains(&value(ten.get(2..4)?)) && (1..=31).contains(&value(ten.get(4..6)?));
    let century = digits.len() == 10 || (digits.len() == 12 && matches!(number.value(0, 2), 19 | 20));
    (century && is_date && is_luhn(ten)).then_some("se-personnummer")
}

/// United States: individual taxpayer identification number (IRS Publication 1915).
fn itin(number: &Number) -> Option<&'static str> {
    let group = number.value(3, 5);
    let is_one = number.digits().len() == 9
        && number.digits().first() == Some(&9)
        && matches!(group, 50..=65 | 70..=88 | 90..=92 | 94..=99);
    is_one.then_some("us-itin")
}

/// United States: employer identification number, by its form and its prefixes (IRS).
fn ein(number: &Number) -> Option<&'static str> {
    let prefix = number.value(0, 2);
    let is_one = matches!(number.sizes(), [9] | [2, 7])
        && !matches!(prefix, 0 | 7..=9 | 17..=19 | 28 | 29 | 49 | 69 | 70 | 78 | 79 | 89 | 96 | 97);
    is_one.then_some("us-ein")
}

/// United States: social security number in one run (20 CFR 422.103).
fn ssn(number: &Number) -> Option<&'static str> {
    let area = number.value(0, 3);
    let is_one = matches!(number.sizes(), [9] | [3, 2, 4])
        && !matches!(area, 0 | 666 | 900..)
        && number.value(3, 5) != 0
        && number.value(5, 9) != 0;
    is_one.then_some("us-ssn")
}

/// Canada: nine digits with a check digit of Luhn.
fn sin(number: &Number) -> Option<&'static str> {
    let is_one = matches!(number.sizes(), [9] | [3, 3, 3])
        && number.digits().first().is_some_and(|d| *d != 0 && *d != 8)
        && is_luhn(number.digits());
    is_one.then_some("ca-sin")
}

fn social(number: &Number) -> Option<&'static str> {
    sin(number).or_else(|| ssn(number)).or_else(|| nir(number))
}

/// Behind `tax id`: any of them.
fn tax(number: &Number) -> Option<&'static str> {
    [itin, steuer_id, ein, tfn, cpf, cnpj].into_iter().find_map(|rule| rule(number))
}

/// United Kingdom: NHS number, modulo 11 (NHS Data Dictionary).
fn nhs(number: &Number) -> Option<&'static str> {
    let digits = number.digits();
    let rest = 11 - weighted(digits, &[10, 9, 8, 7, 6, 5, 4, 3, 2]) % 11;
    let is_one =
        digits.len() == 10 && digits.get(9).is_some_and(|d| u32::from(*d) == rest % 11) && rest != 10;
    is_one.then_some("uk-nhs")
}

/// Germany: steuerliche Identifikationsnummer, eleven digits, ISO 7064 MOD 11,10; of the first ten one or two repeat.
fn steuer_id(number: &Number) -> Option<&'static str> {
    let digits = number.digits();
    let product = digits.iter().take(10).fold(10_u32, |product, digit| {
        let sum = (u32::from(*digit) + product) % 10;
        (if sum == 0 { 10 } else { sum }) * 2 % 11
    });
    let check = (11 - product) % 10;
    let is_one = digits.len() == 11
        && digits.first() != Some(&0)
        && digits.get(10).is_some_and(|d| u32::from(*d) == check);
    is_one.then_some("de-steuer-id")
}

/// Netherlands: burgerservicenummer, the test of eleven.
fn bsn(number: &Number) -> Option<&'static str> {
    let digits = number.digits();
    let sum = i64::from(weighted(digits, &[9, 8, 7, 6, 5, 4, 3, 2]))
        - i64::from(digits.get(8).copied().unwrap_or(0));
    (digits.len() == 9 && sum != 0 && sum % 11 == 0).then_some("nl-bsn")
}

/// Poland: PESEL, weights 1 3 7 9.
fn pesel(number: &Number) -> Option<&'static str> {
    let sum = weighted(number.digits(), &[1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1]);
    (number.digits().len() == 11 && sum.is_multiple_of(10)).then_some("pl-pesel")
}

/// Portugal: NIF, modulo 11.
fn nif_pt(number: &Number) -> Option<&'static str> {
    let digits = number.digits();
    let rest = weighted(digits, &[9, 8, 7, 6, 5, 4, 3, 2]) % 11;
    let check = if rest < 2 { 0 } else { 11 - rest };
    (digits.len() == 9 && digits.get(8).is_some_and(|d| u32::from(*d) == check)).then_some("pt-nif")
}

/// Australia: tax file number, modulo 11 (ATO).
fn tfn(number: &Number) -> Option<&'static str> {
    let sum = weighted(number.digits(), &[1, 4, 3, 7, 5, 8, 6, 9, 10]);
    (number.digits().len() == 9 && sum.is_multiple_of(11)).then_some("au-tfn")
}

/// Australia: business number, modulo 89 after one is taken from the first digit.
fn abn(number: &Number) -> Option<&'static str> {
    let sum = weighted(number.digits(), &[10, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19]);
    (number.digits().len() == 11 && sum >= 10 && (sum - 10).is_multiple_of(89)).then_some("au-abn")
}

/// Australia: Medicare card, the ninth digit modulo 10.
fn medicare(number: &Number) -> Option<&'static str> {
    let digits = number.digits();
    let sum = weighted(digits, &[1, 3, 7, 9, 1, 3, 7, 9]) % 10;
    let is_one = matches!(digits.len(), 10 | 11)
        && digits.first().is_some_and(|d| (2..=6).contains(d))
        && digits.get(8).is_some_and(|d| u32::from(*d) == sum);
    is_one.then_some("au-medicare")
}

#[cfg(test)]
mod tests {
    use crate::detect::{Detector, finds, redacted};

    #[test]
    fn finds_numbers_that_add_up() {
        for (text, label) in [
            ("AB123456C", "uk-nino"),
            ("QQ 12 34 56 C is none, JG 12 13 16 A is", "uk-nino"),
            ("NHS number: 943 476 5919", "uk-nhs"),
            ("Steuer-ID 86095742719", "de-steuer-id"),
            ("2 69 05 49 588 157 80", "fr-nir"),
            ("12345678Z", "es-dni"),
            ("X1234567L", "es-nie"),
            ("RSSMRA85T10A562S", "it-codice-fiscale"),
            ("2341 2341 2346", "in-aadhaar"),
            ("ABCPE1234F", "in-pan"),
            ("529.982.247-25", "br-cpf"),
            ("11.222.333/0001-81", "br-cnpj"),
            ("BSN 111222333", "nl-bsn"),
            ("PESEL: 44051401359", "pl-pesel"),
            ("SIN 123 456 782", "ca-sin"),
            ("TFN 123 456 782", "au-tfn"),
            ("Medicare card 2123 45670 1", "au-medicare"),
            ("ABN 51 824 753 556", "au-abn"),
            ("912-70-1234", "us-itin"),
            ("EIN 12-3456789", "us-ein"),
            ("my social security number is 123456789", "us-ssn"),
            ("756.9217.0769.85", "ch-ahv"),
            ("85.07.30-033.28", "be-nrn"),
            ("811218-9876", "se-personnummer"),
            ("11010519491231002X", "cn-id"),
            ("S1234567D", "sg-nric"),
        ] {
            assert_eq!(finds(Detector::NationalId, text), [format!("{label} ***")], "{text}");
        }
    }

    #[test]
    fn leaves_what_does_not_add_up_or_is_not_named() {
        for text in [
            "AB123456E",
            "NHS number: 943 476 5918",
            "Steuer-ID 86095742718",
            "86095742719",
            "2 69 05 49 588 157 81",
            "12345678A",
            "RSSMRA85T10A562T",
            "2341 2341 2347",
            "ABCDE1234F",
            "529.982.247-26",
            "111222333",
            "123456789",
            "EIN 07-3456789",
            "the tax of 2024 is 1200",
            "HTTP 404",
            "insurance for 2 years",
            "single 12 sin(30)",
            "UTF8 ISO 8859",
        ] {
            assert_eq!(redacted(Detector::NationalId, text), text);
        }
    }
}
