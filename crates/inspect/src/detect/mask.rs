//! What is left of a value that is masked: as much as people need to know which one is meant, and no more.

use super::Detector;

/// Appends what is shown of `found`.
pub(crate) fn mask(detector: Detector, found: &str, out: &mut String) {
    match detector {
        Detector::Email => {
            let (local, domain) = found.rsplit_once('@').unwrap_or(("", found));
            out.extend(local.chars().take(1));
            out.push_str("***@");
            out.push_str(domain);
        }
        Detector::Card | Detector::UsSsn | Detector::Phone => last(found, 4, out),
        Detector::Iban => {
            let (country, rest) = found.split_at_checked(2).unwrap_or(("", found));
            out.push_str(country);
            last(rest, 4, out);
        }
        Detector::NationalId => last(found, 3, out),
        Detector::IpAddress | Detector::MacAddress => network(found, out),
        Detector::CryptoAddress => {
            out.extend(found.chars().take(6));
            out.push_str("***");
            out.extend(found.chars().skip(found.chars().count().saturating_sub(4)));
        }
        // The rest says too much by any part, or means nothing by one.
        _ => out.push_str(detector.placeholder()),
    }
}

/// Stars for all letters and digits but the last `shown`, of which there are never more than a third.
fn last(found: &str, shown: usize, out: &mut String) {
    let all = found.chars().filter(|sign| sign.is_ascii_alphanumeric()).count();
    let hidden = all - shown.min(all / 3);
    let mut nth = 0;
    for sign in found.chars() {
        if sign.is_ascii_alphanumeric() {
            nth += 1;
            out.push(if nth > hidden { sign } else { '*' });
        } else {
            out.push(sign);
        }
    }
}

/// The first half of an address's groups.
fn network(found: &str, out: &mut String) {
    let is_border = |sign: char| matches!(sign, '.' | ':' | '-');
    let groups = found.split(is_border).count();
    let mut nth = 0;
    for sign in found.chars() {
        if is_border(sign) {
            nth += 1;
            out.push(sign);
        } else if nth < groups / 2 {
            out.push(sign);
        } else if !out.ends_with('*') {
            out.push('*');
        }
    }
}

#[cfg(test)]
mod tests {
    use portcullis_core::record::Action;

    use crate::detect::Detector;
    use crate::machine::Screen;

    fn masked(detector: Detector, text: &str) -> String {
        let mut machine = Screen::new(&[(detector, Action::Mask)]).machine();
        let mut out = String::new();
        machine.push(text, &mut out);
        machine.finish(&mut out);
        out
    }

    #[test]
    fn what_is_shown_of_each() {
        for (detector, text, expected) in [
            (Detector::Email, "to ann.lee@mail.example.com.", "to a***@mail.example.com."),
            (Detector::Card, "4111 1111 1111 1111", "**** **** **** 1111"),
            (Detector::UsSsn, "123-45-6789", "***-**-*789"),
            (Detector::Phone, "+49 30 12345678", "+** ** ****5678"),
            (Detector::Iban, "DE89 3704 0044 0532 0130 00", "DE** **** **** **** **30 00"),
            (Detector::IpAddress, "10.20.30.40", "10.20.*.*"),
            (Detector::MacAddress, "00:1b:44:11:3a:b7", "00:1b:44:*:*:*"),
            (Detector::BirthDate, "born on 1962-02-16", "born on [birth-date]"),
        ] {
            assert_eq!(masked(detector, text), expected);
        }
    }

    #[test]
    fn what_is_masked_is_not_found_again() {
        for (detector, text) in [
            (Detector::Email, "ann.lee@mail.example.com"),
            (Detector::Card, "4111 1111 1111 1111"),
            (Detector::UsSsn, "123-45-6789"),
            (Detector::Phone, "phone: +49 30 12345678"),
            (Detector::Iban, "DE89 3704 0044 0532 0130 00"),
            (Detector::IpAddress, "10.20.30.40"),
            (Detector::MacAddress, "00:1b:44:11:3a:b7"),
            (Detector::NationalId, "756.9217.0769.85"),
            (Detector::CryptoAddress, "0x52908400098527886E0F7030069857D2E4169EE7"),
        ] {
            let once = masked(detector, text);
            assert!(once.contains('*'), "{text} {once}");
            let all = Screen::new(&Detector::ALL.map(|one| (one, Action::Redact)));
            assert!(!all.finds(&once), "{once}");
        }
    }
}
