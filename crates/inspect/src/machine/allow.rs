//! Values that are no finding: an operator's own addresses, numbers and networks.

use std::net::IpAddr;

use crate::detect::{Detector, Group};

/// Values that detectors of personal data and of secrets pass over.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Allow(Box<[Entry]>);

/// One of them, as an operator writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Entry {
    /// `10.0.0.0/8`, `192.0.2.1`.
    Network(IpAddr, u32),
    /// `*@example.com`, `*@*.example.com`: the name, unless any; the domain, behind `*.` its subdomains.
    Mail(Option<Box<str>>, Box<str>),
    /// Anything else: its letters and digits, however they are separated.
    Value(Box<str>),
}

/// An entry of an allow-list that means nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an address, a network, an e-mail address or a value with letters or digits")]
pub struct NotAllowable;

impl Allow {
    /// Reads what an operator wrote.
    ///
    /// # Errors
    /// The place of the first entry that means nothing.
    pub fn parse<'t>(entries: impl IntoIterator<Item = &'t str>) -> Result<Self, (usize, NotAllowable)> {
        let read = entries.into_iter().enumerate().map(|(nth, text)| entry(text).ok_or((nth, NotAllowable)));
        read.collect::<Result<Box<[_]>, _>>().map(Self)
    }

    /// Whether what `detector` found is none.
    pub(crate) fn admits(&self, detector: Detector, found: &str) -> bool {
        if self.0.is_empty() || !matches!(detector.group(), Group::Pii | Group::Secrets) {
            return false;
        }
        self.0.iter().any(|entry| match entry {
            Entry::Network(network, bits) => {
                detector == Detector::IpAddress
                    && found.parse().is_ok_and(|one| is_within(one, *network, *bits))
            }
            Entry::Mail(name, domain) => {
                detector == Detector::Email && is_mail(found, name.as_deref(), domain)
            }
            Entry::Value(value) => plain(found).eq(value.chars()),
        })
    }
}

fn entry(text: &str) -> Option<Entry> {
    let text = text.trim();
    if let Some((name, domain)) = text.rsplit_once('@')
        && !domain.is_empty()
        && !name.is_empty()
    {
        let name = (name != "*").then(|| name.to_lowercase().into());
        return Some(Entry::Mail(name, domain.to_lowercase().into()));
    }
    let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
    if let Ok(address) = address.parse::<IpAddr>() {
        let all = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Some(all), |bits| bits.parse().ok())?;
        return (bits <= all).then_some(Entry::Network(address, bits));
    }
    let value: Box<str> = plain(text).collect::<String>().into();
    (!value.is_empty() && !text.contains('*')).then_some(Entry::Value(value))
}

/// Letters and digits, in lower case.
fn plain(text: &str) -> impl Iterator<Item = char> {
    text.chars().filter(|sign| sign.is_alphanumeric()).flat_map(char::to_lowercase)
}

fn is_mail(found: &str, name: Option<&str>, domain: &str) -> bool {
    let found = found.to_lowercase();
    let Some((local, host)) = found.rsplit_once('@') else { return false };
    let is_host = match domain.strip_prefix('*') {
        Some(end) => host.ends_with(end),
        None => host == domain,
    };
    is_host && name.is_none_or(|name| name == local)
}

fn is_within(address: IpAddr, network: IpAddr, bits: u32) -> bool {
    let same = |one: u128, other: u128, width: u32| (one ^ other).checked_shr(width - bits).unwrap_or(0) == 0;
    match (address, network) {
        (IpAddr::V4(one), IpAddr::V4(other)) => same(u32::from(one).into(), u32::from(other).into(), 32),
        (IpAddr::V6(one), IpAddr::V6(other)) => same(one.into(), other.into(), 128),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_admit_what_they_say() {
        let list = [
            "*@example.com",
            "ann@other.org",
            "*@*.lab.net",
            "+49 30 1234567",
            "10.0.0.0/8",
            "2001:db8::/32",
            "0.0.0.0/0 ",
        ];
        let allow = Allow::parse(list[..6].iter().copied()).unwrap();
        for (detector, found, expected) in [
            (Detector::Email, "Bob@Example.com", true),
            (Detector::Email, "bob@sub.example.com", false),
            (Detector::Email, "ann@other.org", true),
            (Detector::Email, "bob@other.org", false),
            (Detector::Email, "x@a.lab.net", true),
            (Detector::Email, "x@lab.net", false),
            (Detector::Phone, "+49-30-1234567", true),
            (Detector::Phone, "+49 30 12345678", false),
            (Detector::IpAddress, "10.1.2.3", true),
            (Detector::IpAddress, "11.1.2.3", false),
            (Detector::IpAddress, "2001:db8::1", true),
            (Detector::IpAddress, "2001:db9::1", false),
            (Detector::PromptOverride, "+49 30 1234567", false),
        ] {
            assert_eq!(allow.admits(detector, found), expected, "{found}");
        }
        assert!(Allow::parse([list[6]]).unwrap().admits(Detector::IpAddress, "8.8.8.8"));
        for wrong in ["", "*", "10.0.0.0/33", "@", "*.*"] {
            assert_eq!(Allow::parse(["ok", wrong]), Err((1, NotAllowable)), "{wrong}");
        }
    }
}
