//! What secrets look like where no published shape says so: how random a text is, and what stands in for a secret.

/// Bits of Shannon entropy for each byte of `text`, times 100.
pub(super) fn entropy(text: &[u8]) -> u32 {
    let mut counts = [0_u16; 256];
    for byte in text {
        if let Some(count) = counts.get_mut(usize::from(*byte)) {
            *count = count.saturating_add(1);
        }
    }
    let length = f32::from(u16::try_from(text.len()).unwrap_or(u16::MAX).max(1));
    let bits: f32 = counts
        .iter()
        .filter(|count| **count > 0)
        .map(|count| {
            let share = f32::from(*count) / length;
            -share * share.log2()
        })
        .sum();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 800")]
    let hundredths = (bits * 100.0) as u32;
    hundredths
}

/// Words that say that a real secret is to be put there, or that this one is only an example of form.
const STAND_INS: &[&str] = &[
    "your",
    "replace",
    "change",
    "placeholder",
    "insert",
    "example_",
    "_example",
    "sample",
    "dummy",
    "redacted",
    "xxxx",
    "****",
    "....",
    "<",
    "{",
    "$(",
    "%(",
    "%s",
    "todo",
    "fixme",
    "undefined",
    "null",
    "none",
    "process.env",
    "os.environ",
    "getenv",
    "env.",
    "environ[",
    "secrets.",
    "vault:",
    "config.",
    "settings.",
    "self.",
    "this.",
    "request.",
    "foobar",
    "foo-bar",
];

/// Whether `value` only stands in for a secret: a template, a variable, the name of what belongs there.
pub(super) fn is_stand_in(value: &[u8]) -> bool {
    let mut lower = [0_u8; 64];
    let length = value.len().min(lower.len());
    for (slot, byte) in lower.iter_mut().zip(value) {
        *slot = byte.to_ascii_lowercase();
    }
    let lower = lower.get(..length).unwrap_or_default();
    let is_one_sign = !lower.is_empty() && lower.iter().all(|byte| Some(byte) == lower.first());
    let is_variable = lower.first() == Some(&b'$') && lower.get(1).is_some_and(u8::is_ascii_alphabetic);
    is_one_sign
        || is_variable
        || STAND_INS.iter().any(|word| memchr::memmem::find(lower, word.as_bytes()).is_some())
}

/// Which kinds of signs `text` has.
#[derive(Debug, Clone, Copy)]
pub(super) struct Signs {
    pub(super) lower: usize,
    pub(super) upper: usize,
    pub(super) digits: usize,
    pub(super) others: usize,
}

/// Counts the kinds of signs.
pub(super) fn signs(text: &[u8]) -> Signs {
    let count = |class: fn(&u8) -> bool| text.iter().filter(|byte| class(byte)).count();
    let (lower, upper, digits) =
        (count(u8::is_ascii_lowercase), count(u8::is_ascii_uppercase), count(u8::is_ascii_digit));
    Signs { lower, upper, digits, others: text.len() - lower - upper - digits }
}

impl Signs {
    /// How many kinds there are.
    pub(super) fn kinds(self) -> usize {
        [self.lower, self.upper, self.digits, self.others].into_iter().filter(|count| *count > 0).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_text_has_more_bits_than_words() {
        assert_eq!(entropy(b"aaaaaaaa"), 0);
        assert_eq!(entropy(b"abcdefgh"), 300);
        assert!(entropy(b"wJalrXUtnFEMIK7MDENGbPxRfiCY") > 400);
        assert_eq!(entropy(b""), 0);
    }

    #[test]
    fn stand_ins_are_known() {
        for text in [
            "YOUR_PASSWORD",
            "${PASSWORD}",
            "{{pass}}",
            "xxxxxxxx",
            "1111",
            "<secret>",
            "changeme",
            "process.env.KEY",
        ] {
            assert!(is_stand_in(text.as_bytes()), "{text}");
        }
        for text in ["Tr0ub4dor&3", "hunter2", "wJalrXUtnFEMIK7MDENG"] {
            assert!(!is_stand_in(text.as_bytes()), "{text}");
        }
    }
}
