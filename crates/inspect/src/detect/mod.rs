//! The detectors: each says whether its kind of text starts at a place, and nothing about what to do with it.

pub(crate) mod cursor;

mod active_content;
mod ansi;
mod api_key;
mod assigned_secret;
mod birth_date;
mod card;
mod chat_template;
mod crypto_address;
mod email;
mod forged_role;
mod iban;
mod identity_document;
mod insecure_code;
mod ip_address;
mod jwt;
mod link;
mod look_alike;
mod mask;
mod national_id;
mod number;
mod phone;
mod phrase;
mod postal_address;
mod private_key;
mod prompt_override;
mod secret;
mod url_credentials;
mod us_ssn;
mod webhook;

use portcullis_core::record::{Action, Severity};

use self::cursor::{Cursor, More};

pub(crate) use self::email::{is_local, local_start};
pub(crate) use self::insecure_code::{Fence, is_of};
pub(crate) use self::link::{DATA, ELSEWHERE, host};
pub(crate) use self::mask::mask;
pub(crate) use self::private_key::skip_body;

/// Every detector there is. Closed: the identifiers are also metric labels and configuration keys.
///
/// The order is the priority: where two detectors match from the same byte on, and both are asked to do the same,
/// the earlier one has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Detector {
    /// A PEM or PGP private key, from its `BEGIN` line to its `END` line (RFC 7468, RFC 9580).
    PrivateKey,
    /// A key or token of a well-known provider, by its published shape.
    ApiKey,
    /// A signed JSON Web Token in compact form (RFC 7515).
    Jwt,
    /// A URL of a webhook, which is a secret itself.
    Webhook,
    /// A user with a password in a URL (RFC 3986).
    UrlCredentials,
    /// A value that a name calls a secret, random enough to be one.
    AssignedSecret,
    /// A payment card number: brand ranges, Luhn, 13 to 19 digits (ISO/IEC 7812).
    Card,
    /// An international bank account number: country, length, remainder 97 (ISO 13616).
    Iban,
    /// A US social security number in its separated form.
    UsSsn,
    /// An address of the internet (RFC 791, RFC 4291).
    IpAddress,
    /// A hardware address (IEEE 802).
    MacAddress,
    /// An address of a crypto-currency.
    CryptoAddress,
    /// A number that a state gave to a person or a firm, by its check digits.
    NationalId,
    /// The number of a passport, a driving licence or an identity card, where words say so.
    IdentityDocument,
    /// A date of birth, where words say so.
    BirthDate,
    /// A telephone number (E.164), or one that words say so of.
    Phone,
    /// A street with a house number, or a postal code that words say so of.
    PostalAddress,
    /// An e-mail address (the dot-atom form of RFC 5321).
    Email,
    /// Words that try to replace the operator's instructions to a model, or to get at them.
    PromptOverride,
    /// Control tokens of chat templates, which only the template itself may write.
    ChatTemplate,
    /// Signs that somebody else speaks: headings, tags, rules, turns that are none.
    ForgedRole,
    /// Markup that runs when it is shown: script tags, event handlers, script URLs.
    ActiveContent,
    /// An image of Markdown whose address carries data out, or of a host that is not listed.
    ImageData,
    /// A link of Markdown whose address carries data out, or to a host that is not listed.
    LinkData,
    /// An `<img>` that is not seen or carries data out, or of a host that is not listed.
    TrackingPixel,
    /// A host whose name looks like another (UTS 39).
    LookAlikeHost,
    /// An escape sequence of terminals (ECMA-48).
    AnsiEscape,
    /// Code that is dangerous by the look of one line, with its weakness (CWE).
    InsecureCode,
}

/// What an operator switches: detectors come in groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Group {
    /// Personal data.
    Pii,
    /// Keys, tokens, passwords.
    Secrets,
    /// Orders to a model from those who may not give any.
    Injection,
    /// Signs of a role that the writer does not have.
    Roles,
    /// Markup that a browser would execute.
    ActiveContent,
    /// Addresses that carry data out or look like others.
    Links,
    /// Code that is dangerous to run.
    Code,
}

/// What is done about each group; `None` turns its detectors off.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Groups {
    /// For [`Group::Pii`].
    pub pii: Option<Action>,
    /// For [`Group::Secrets`].
    pub secrets: Option<Action>,
    /// For [`Group::Injection`].
    pub injection: Option<Action>,
    /// For [`Group::Roles`].
    pub roles: Option<Action>,
    /// For [`Group::ActiveContent`].
    pub active_content: Option<Action>,
    /// For [`Group::Links`].
    pub links: Option<Action>,
    /// For [`Group::Code`].
    pub code: Option<Action>,
}

impl Groups {
    /// All detectors of the groups that are on but for these, each with what is done.
    pub fn rules(&self, except: &[Detector]) -> Vec<(Detector, Action)> {
        let all = Detector::ALL.into_iter().filter(|detector| !except.contains(detector));
        all.filter_map(|detector| Some((detector, self.action(detector.group())?))).collect()
    }

    /// What is done about `group`.
    pub fn action(&self, group: Group) -> Option<Action> {
        match group {
            Group::Pii => self.pii,
            Group::Secrets => self.secrets,
            Group::Injection => self.injection,
            Group::Roles => self.roles,
            Group::ActiveContent => self.active_content,
            Group::Links => self.links,
            Group::Code => self.code,
        }
    }
}

impl Detector {
    /// How many there are.
    #[cfg(test)]
    pub(crate) const COUNT: usize = Self::ALL.len();

    /// All detectors, in the order of priority.
    pub const ALL: [Self; 28] = [
        Self::PrivateKey,
        Self::ApiKey,
        Self::Jwt,
        Self::Webhook,
        Self::UrlCredentials,
        Self::AssignedSecret,
        Self::Card,
        Self::Iban,
        Self::UsSsn,
        Self::IpAddress,
        Self::MacAddress,
        Self::CryptoAddress,
        Self::NationalId,
        Self::IdentityDocument,
        Self::BirthDate,
        Self::Phone,
        Self::PostalAddress,
        Self::Email,
        Self::PromptOverride,
        Self::ChatTemplate,
        Self::ForgedRole,
        Self::ActiveContent,
        Self::ImageData,
        Self::LinkData,
        Self::TrackingPixel,
        Self::LookAlikeHost,
        Self::AnsiEscape,
        Self::InsecureCode,
    ];

    /// The stable identifier, as in findings, metrics and the configuration.
    pub const fn id(self) -> &'static str {
        match self {
            Self::PrivateKey => "private-key",
            Self::ApiKey => "api-key",
            Self::Jwt => "jwt",
            Self::Webhook => "webhook",
            Self::UrlCredentials => "url-credentials",
            Self::AssignedSecret => "assigned-secret",
            Self::Card => "card",
            Self::Iban => "iban",
            Self::UsSsn => "us-ssn",
            Self::IpAddress => "ip-address",
            Self::MacAddress => "mac-address",
            Self::CryptoAddress => "crypto-address",
            Self::NationalId => "national-id",
            Self::IdentityDocument => "identity-document",
            Self::BirthDate => "birth-date",
            Self::Phone => "phone",
            Self::PostalAddress => "postal-address",
            Self::Email => "email",
            Self::PromptOverride => "prompt-override",
            Self::ChatTemplate => "chat-template",
            Self::ForgedRole => "forged-role",
            Self::ActiveContent => "active-content",
            Self::ImageData => "image-data",
            Self::LinkData => "link-data",
            Self::TrackingPixel => "tracking-pixel",
            Self::LookAlikeHost => "look-alike-host",
            Self::AnsiEscape => "ansi-escape",
            Self::InsecureCode => "insecure-code",
        }
    }

    /// The group it is switched with.
    pub const fn group(self) -> Group {
        match self {
            Self::PrivateKey
            | Self::ApiKey
            | Self::Jwt
            | Self::Webhook
            | Self::UrlCredentials
            | Self::AssignedSecret => Group::Secrets,
            Self::Card
            | Self::Iban
            | Self::UsSsn
            | Self::IpAddress
            | Self::MacAddress
            | Self::CryptoAddress
            | Self::NationalId
            | Self::IdentityDocument
            | Self::BirthDate
            | Self::Phone
            | Self::PostalAddress
            | Self::Email => Group::Pii,
            Self::PromptOverride => Group::Injection,
            Self::ChatTemplate | Self::ForgedRole => Group::Roles,
            Self::ActiveContent | Self::AnsiEscape => Group::ActiveContent,
            Self::InsecureCode => Group::Code,
            Self::ImageData | Self::LinkData | Self::TrackingPixel | Self::LookAlikeHost => Group::Links,
        }
    }

    /// How bad a finding is.
    pub const fn severity(self) -> Severity {
        match self {
            Self::PrivateKey
            | Self::ApiKey
            | Self::UrlCredentials
            | Self::Card
            | Self::UsSsn
            | Self::NationalId
            | Self::IdentityDocument
            | Self::ImageData
            | Self::LookAlikeHost => Severity::High,
            Self::Jwt
            | Self::Webhook
            | Self::AssignedSecret
            | Self::Iban
            | Self::IpAddress
            | Self::CryptoAddress
            | Self::BirthDate
            | Self::Phone
            | Self::PostalAddress
            | Self::PromptOverride
            | Self::ChatTemplate
            | Self::ForgedRole
            | Self::ActiveContent
            | Self::LinkData
            | Self::TrackingPixel
            | Self::AnsiEscape
            | Self::InsecureCode => Severity::Medium,
            Self::Email | Self::MacAddress => Severity::Low,
        }
    }

    /// What stands in the place of redacted text. It does not depend on the text or its length.
    pub const fn placeholder(self) -> &'static str {
        match self {
            Self::PrivateKey => "[private-key]",
            Self::ApiKey => "[api-key]",
            Self::Jwt => "[token]",
            Self::Webhook => "[webhook]",
            Self::UrlCredentials => "[credentials]",
            Self::AssignedSecret => "[secret]",
            Self::Card => "[card]",
            Self::Iban => "[iban]",
            Self::UsSsn => "[ssn]",
            Self::IpAddress => "[ip]",
            Self::MacAddress => "[mac]",
            Self::CryptoAddress => "[crypto-address]",
            Self::NationalId => "[national-id]",
            Self::IdentityDocument => "[id-document]",
            Self::BirthDate => "[birth-date]",
            Self::Phone => "[phone]",
            Self::PostalAddress => "[address]",
            Self::Email => "[email]",
            Self::PromptOverride => "[prompt-override]",
            Self::ChatTemplate => "[chat-template]",
            Self::ForgedRole => "[forged-role]",
            Self::ActiveContent => "[active-content]",
            Self::ImageData => "[image]",
            Self::LinkData => "[link]",
            Self::TrackingPixel => "[pixel]",
            Self::LookAlikeHost => "[host]",
            Self::AnsiEscape => "[escape]",
            Self::InsecureCode => "[insecure-code]",
        }
    }

    /// What a token for its kind of data begins with; `None` for what is not personal.
    pub(crate) const fn token_kind(self) -> Option<&'static str> {
        Some(match self {
            Self::Card => "CARD",
            Self::Iban => "IBAN",
            Self::UsSsn => "SSN",
            Self::IpAddress => "IP",
            Self::MacAddress => "MAC",
            Self::CryptoAddress => "WALLET",
            Self::NationalId => "ID",
            Self::IdentityDocument => "DOCUMENT",
            Self::BirthDate => "BIRTHDATE",
            Self::Phone => "PHONE",
            Self::PostalAddress => "ADDRESS",
            Self::Email => "EMAIL",
            _ => return None,
        })
    }

    /// Its bit in a set of detectors.
    pub(crate) const fn bit(self) -> u64 {
        1 << self.index()
    }

    /// Those in a set, in the order of priority.
    pub(crate) fn of_set(mut set: u64) -> impl Iterator<Item = Self> {
        std::iter::from_fn(move || {
            let next = Self::ALL.get(set.trailing_zeros() as usize).copied()?;
            set &= set - 1;
            Some(next)
        })
    }

    /// Its place in [`Detector::ALL`].
    pub(crate) const fn index(self) -> usize {
        self as usize
    }

    /// Builds what the detector compiles once, so that no request waits for it.
    pub(crate) fn prepare(self) {
        match self {
            Self::PromptOverride => prompt_override::prepare(),
            Self::ForgedRole => forged_role::prepare(),
            Self::ActiveContent => active_content::prepare(),
            Self::InsecureCode => insecure_code::prepare(),
            _ => {}
        }
    }

    /// Where it can start: a necessary condition on the byte before and the first three bytes.
    ///
    /// Empty for e-mail, whose candidates are found from the `@` backwards.
    pub(crate) fn starts(self) -> &'static [Start] {
        match self {
            Self::PrivateKey => private_key::STARTS,
            Self::ApiKey => api_key::STARTS,
            Self::Jwt => jwt::STARTS,
            Self::Webhook => webhook::STARTS,
            Self::UrlCredentials => url_credentials::STARTS,
            Self::AssignedSecret => assigned_secret::STARTS,
            Self::Card => card::STARTS,
            Self::Iban => iban::STARTS,
            Self::UsSsn => us_ssn::STARTS,
            Self::IpAddress => ip_address::STARTS,
            Self::MacAddress => ip_address::MAC_STARTS,
            Self::CryptoAddress => crypto_address::STARTS,
            Self::NationalId => national_id::STARTS,
            Self::IdentityDocument => identity_document::STARTS,
            Self::BirthDate => birth_date::STARTS,
            Self::Phone => phone::STARTS,
            Self::PostalAddress => postal_address::STARTS,
            Self::Email => &[],
            Self::PromptOverride => prompt_override::STARTS,
            Self::ChatTemplate => chat_template::STARTS,
            Self::ForgedRole => forged_role::STARTS,
            Self::ActiveContent => active_content::STARTS,
            Self::ImageData => link::IMAGE_STARTS,
            Self::LinkData => link::LINK_STARTS,
            Self::TrackingPixel => link::PIXEL_STARTS,
            Self::LookAlikeHost => look_alike::STARTS,
            Self::AnsiEscape => ansi::STARTS,
            Self::InsecureCode => insecure_code::STARTS,
        }
    }

    /// Whether its kind of text starts where `cursor` stands.
    pub(crate) fn probe(self, cursor: Cursor<'_>) -> Probe {
        match self {
            Self::PrivateKey => private_key::probe(cursor),
            Self::ApiKey => api_key::probe(&cursor),
            Self::Jwt => jwt::probe(cursor),
            Self::Webhook => webhook::probe(cursor),
            Self::UrlCredentials => url_credentials::probe(cursor),
            Self::AssignedSecret => assigned_secret::probe(&cursor),
            Self::Card => card::probe(cursor),
            Self::Iban => iban::probe(cursor),
            Self::UsSsn => us_ssn::probe(cursor),
            Self::IpAddress => ip_address::probe(cursor),
            Self::MacAddress => ip_address::probe_mac(cursor),
            Self::CryptoAddress => crypto_address::probe(cursor),
            Self::NationalId => national_id::probe(cursor),
            Self::IdentityDocument => identity_document::probe(cursor),
            Self::BirthDate => birth_date::probe(cursor),
            Self::Phone => phone::probe(cursor),
            Self::PostalAddress => postal_address::probe(cursor),
            Self::Email => email::probe(cursor),
            Self::PromptOverride => prompt_override::probe(cursor),
            Self::ChatTemplate => chat_template::probe(&cursor),
            Self::ForgedRole => forged_role::probe(cursor),
            Self::ActiveContent => active_content::probe(cursor),
            Self::ImageData => link::probe_image(cursor),
            Self::LinkData => link::probe_link(cursor),
            Self::TrackingPixel => link::probe_pixel(cursor),
            Self::LookAlikeHost => look_alike::probe(cursor),
            Self::AnsiEscape => ansi::probe(cursor),
            Self::InsecureCode => insecure_code::probe(cursor),
        }
    }

    /// The shape of `found`, fit for a record.
    pub(crate) fn evidence(self, found: &str, label: &'static str) -> String {
        match self {
            Self::Email => email::evidence(found),
            Self::Card | Self::UsSsn => last_digits(found),
            Self::Iban => iban::evidence(found),
            Self::ApiKey => [label, "***"].concat(),
            Self::NationalId | Self::IdentityDocument => [label, " ***"].concat(),
            Self::PrivateKey
            | Self::Jwt
            | Self::IpAddress
            | Self::MacAddress
            | Self::CryptoAddress
            | Self::BirthDate
            | Self::Phone
            | Self::PostalAddress
            | Self::Webhook
            | Self::UrlCredentials
            | Self::AssignedSecret
            | Self::PromptOverride
            | Self::ChatTemplate
            | Self::ForgedRole
            | Self::ActiveContent
            | Self::ImageData
            | Self::LinkData
            | Self::TrackingPixel
            | Self::LookAlikeHost
            | Self::AnsiEscape
            | Self::InsecureCode => label.to_owned(),
        }
    }
}

/// `Err`: more text is needed. `Ok(None)`: not here, whatever follows. `Ok(Some(_))`: here, whatever follows.
pub(crate) type Probe = Result<Option<Match>, More>;

/// Text that a detector is sure of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Match {
    /// Bytes from the candidate's start.
    pub(crate) len: usize,
    /// How many of them only gave the match away (`password = `) and stay as they are.
    pub(crate) skip: usize,
    /// What of the following text belongs to it too.
    pub(crate) tail: Tail,
    /// Which shape of the detector matched; a part of the evidence.
    pub(crate) label: &'static str,
}

impl Match {
    /// A match that ends where it ends.
    pub(crate) const fn exact(len: usize, label: &'static str) -> Self {
        Self { len, skip: 0, tail: Tail::None, label }
    }

    /// A match that begins behind `skip` bytes and ends where it ends.
    pub(crate) const fn behind(skip: usize, len: usize, label: &'static str) -> Self {
        Self { len, skip, tail: Tail::None, label }
    }

    /// The same with the rest of the token.
    pub(crate) const fn with_token(self) -> Self {
        Self { tail: Tail::Token, ..self }
    }
}

/// Text behind a match that belongs to it and is dropped with it, however long: nothing of it needs to be held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tail {
    /// Nothing.
    None,
    /// The rest of a token: letters, digits, `_`, `-`, `.`, `+`, `/`, `=`.
    Token,
    /// The body of a private key up to its `END` line.
    Key,
}

/// A necessary condition for a detector to start: cheap enough to be asked of every byte.
#[derive(Debug)]
pub(crate) struct Start {
    /// On the byte before; a line feed at the start of the text.
    pub(crate) left: fn(u8) -> bool,
    /// On the first three bytes. Bytes from 0x80 on may not be in the first.
    pub(crate) bytes: Bytes,
}

/// See [`Start`].
#[derive(Debug)]
pub(crate) enum Bytes {
    /// One class for each.
    Classes([fn(u8) -> bool; 3]),
    /// Begins with one of these.
    Prefixes(&'static [&'static [u8; 3]]),
    /// Begins with one of these (lower case), in any case.
    Words(&'static [&'static [u8; 3]]),
}

impl Start {
    /// Whether `byte` may stand at `position` (0 to 2).
    pub(crate) fn admits(&self, position: usize, byte: u8) -> bool {
        match &self.bytes {
            Bytes::Classes(classes) => classes.get(position).is_some_and(|class| class(byte)),
            Bytes::Prefixes(prefixes) => prefixes.iter().any(|prefix| prefix.get(position) == Some(&byte)),
            Bytes::Words(words) => {
                words.iter().any(|word| word.get(position) == Some(&byte.to_ascii_lowercase()))
            }
        }
    }
}

/// Not a letter, digit or underscore of ASCII.
pub(crate) fn is_no_word(byte: u8) -> bool {
    !is_word(byte)
}

/// A letter, digit or underscore of ASCII.
pub(crate) fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// A byte of a token: the alphabets of base64 and base64url, and the dot.
pub(crate) fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'+' | b'/' | b'=')
}

/// `**** 4242`: the last four digits, as receipts print them.
fn last_digits(found: &str) -> String {
    let digits: Vec<char> = found.chars().filter(char::is_ascii_digit).collect();
    let mut evidence = String::from("**** ");
    evidence.extend(digits.iter().skip(digits.len().saturating_sub(4)));
    evidence
}

/// Asks one detector about a whole text from its first byte on; for the tables of the detectors' own tests.
#[cfg(test)]
pub(crate) fn finds(detector: Detector, text: &str) -> Vec<String> {
    let screen = crate::machine::Screen::new(&[(detector, Action::Redact)]);
    let mut machine = screen.machine();
    let mut out = String::new();
    machine.push(text, &mut out);
    machine.finish(&mut out);
    machine.take_findings().into_iter().map(|finding| finding.evidence).collect()
}

/// One detector applied to a whole text, with what it finds redacted; for the tables of the detectors' own tests.
#[cfg(test)]
pub(crate) fn redacted(detector: Detector, text: &str) -> String {
    let mut machine = crate::machine::Screen::new(&[(detector, Action::Redact)]).machine();
    let mut out = String::new();
    machine.push(text, &mut out);
    machine.finish(&mut out);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_is_index_and_ids_are_slugs() {
        for (index, detector) in Detector::ALL.into_iter().enumerate() {
            assert_eq!(detector.index(), index);
            assert!(detector.id().bytes().all(|b| b.is_ascii_lowercase() || b == b'-'), "{detector:?}");
            assert!(detector.placeholder().starts_with('[') && detector.placeholder().ends_with(']'));
        }
    }

    #[test]
    fn the_reference_names_every_detector() {
        let reference = include_str!("../../../../docs/detectors.md");
        for detector in Detector::ALL {
            assert!(reference.contains(&format!("| `{}` |", detector.id())), "{detector:?}");
            assert!(reference.contains(&format!("`{}`", detector.placeholder())), "{detector:?}");
        }
    }

    #[test]
    fn no_placeholder_is_itself_found() {
        for found in Detector::ALL {
            for replaced in Detector::ALL {
                assert_eq!(redacted(found, replaced.placeholder()), replaced.placeholder(), "{found:?}");
            }
        }
    }
}
