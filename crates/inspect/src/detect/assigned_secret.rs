//! Secrets that are told by what they are assigned to: `password = …`, `"api_key": "…"`, `--token …`, `Bearer …`.
//!
//! A name that says secret, an assignment, and a value that is random enough to be one and does not stand in for one.
//! What is found is the value alone. Published shapes ([`super::api_key`] and its like) come first, where they fit.

use super::cursor::{Cursor, More};
use super::secret::{Signs, entropy, is_stand_in, signs};
use super::{Bytes, Match, Probe, Start, api_key, jwt};

/// Most bytes between a word and what it is assigned.
const LONGEST_NAME: usize = 40;

/// Most bytes of a value that are read; the rest of a longer token is its tail.
const LONGEST_VALUE: usize = 120;

/// What a word says about the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Chosen by a person: short and hardly random.
    Password,
    /// Made by a machine.
    Secret,
    /// Like `Secret`, if the name goes on with `key`, `token` or `secret`.
    Compound,
    /// Like `Compound`, or an identifier of a client.
    Client,
    /// Like `Provider`, or the number of an account.
    Account,
    /// The value follows without a sign: `Bearer …`.
    Header,
    /// Like `Secret`, of a well-known provider.
    Provider,
}

/// The words, by their first three bytes, the longer first.
const WORDS: &[(&str, Kind)] = &[
    ("accesstoken", Kind::Secret),
    ("accountkey", Kind::Secret),
    ("accesskey", Kind::Secret),
    ("account", Kind::Compound),
    ("access", Kind::Compound),
    ("ad_tenant", Kind::Client),
    ("adafruit", Kind::Provider),
    ("adobe", Kind::Provider),
    ("airtable", Kind::Provider),
    ("algolia", Kind::Provider),
    ("alibaba", Kind::Provider),
    ("anthropic", Kind::Provider),
    ("apikey", Kind::Secret),
    ("api", Kind::Compound),
    ("artifactory", Kind::Provider),
    ("asana", Kind::Provider),
    ("atlassian", Kind::Provider),
    ("authorization", Kind::Header),
    ("authtoken", Kind::Secret),
    ("auth", Kind::Compound),
    ("aws", Kind::Account),
    ("azure", Kind::Provider),
    ("basic", Kind::Header),
    ("beamer", Kind::Provider),
    ("bearer", Kind::Header),
    ("bitbucket", Kind::Provider),
    ("bittrex", Kind::Provider),
    ("braintree", Kind::Provider),
    ("bugsnag", Kind::Provider),
    ("client", Kind::Client),
    ("cloudflare", Kind::Provider),
    ("codecov", Kind::Provider),
    ("cohere", Kind::Provider),
    ("coinbase", Kind::Provider),
    ("contentful", Kind::Provider),
    ("contrasena", Kind::Password),
    ("confluent", Kind::Provider),
    ("credential", Kind::Secret),
    ("creds", Kind::Secret),
    ("databricks", Kind::Provider),
    ("datadog", Kind::Provider),
    ("dbpassword", Kind::Password),
    ("deepseek", Kind::Provider),
    ("digitalocean", Kind::Provider),
    ("discord", Kind::Provider),
    ("dropbox", Kind::Provider),
    ("drone", Kind::Provider),
    ("elastic", Kind::Provider),
    ("encryption", Kind::Compound),
    ("etsy", Kind::Provider),
    ("facebook", Kind::Provider),
    ("fastly", Kind::Provider),
    ("finicity", Kind::Provider),
    ("finnhub", Kind::Provider),
    ("firebase", Kind::Provider),
    ("flickr", Kind::Provider),
    ("freshbooks", Kind::Provider),
    ("github", Kind::Provider),
    ("gitlab", Kind::Provider),
    ("gitter", Kind::Provider),
    ("gocardless", Kind::Provider),
    ("google", Kind::Provider),
    ("grafana", Kind::Provider),
    ("heroku", Kind::Provider),
    ("hubspot", Kind::Provider),
    ("huggingface", Kind::Provider),
    ("infracost", Kind::Provider),
    ("intercom", Kind::Provider),
    ("jfrog", Kind::Provider),
    ("jira", Kind::Provider),
    ("kraken", Kind::Provider),
    ("kucoin", Kind::Provider),
    ("launchdarkly", Kind::Provider),
    ("license", Kind::Compound),
    ("linkedin", Kind::Provider),
    ("linear", Kind::Provider),
    ("looker", Kind::Provider),
    ("mailchimp", Kind::Provider),
    ("mailgun", Kind::Provider),
    ("mapbox", Kind::Provider),
    ("master", Kind::Compound),
    ("mattermost", Kind::Provider),
    ("maxmind", Kind::Provider),
    ("messagebird", Kind::Provider),
    ("mistral", Kind::Provider),
    ("netlify", Kind::Provider),
    ("new_relic", Kind::Provider),
    ("newrelic", Kind::Provider),
    ("notion", Kind::Provider),
    ("nytimes", Kind::Provider),
    ("okta", Kind::Provider),
    ("openai", Kind::Provider),
    ("opsgenie", Kind::Provider),
    ("pagerduty", Kind::Provider),
    ("passphrase", Kind::Password),
    ("password", Kind::Password),
    ("passwort", Kind::Password),
    ("passwd", Kind::Password),
    ("pass", Kind::Password),
    ("paypal", Kind::Provider),
    ("pgpassword", Kind::Password),
    ("pinecone", Kind::Provider),
    ("plaid", Kind::Provider),
    ("postman", Kind::Provider),
    ("private", Kind::Compound),
    ("pwd", Kind::Password),
    ("rapidapi", Kind::Provider),
    ("rollbar", Kind::Provider),
    ("sas", Kind::Compound),
    ("secret", Kind::Secret),
    ("segment", Kind::Provider),
    ("sendbird", Kind::Provider),
    ("sendgrid", Kind::Provider),
    ("sentry", Kind::Provider),
    ("service", Kind::Compound),
    ("session", Kind::Compound),
    ("shared", Kind::Compound),
    ("shopify", Kind::Provider),
    ("sidekiq", Kind::Provider),
    ("signing", Kind::Compound),
    ("slack", Kind::Provider),
    ("snyk", Kind::Provider),
    ("sonar", Kind::Provider),
    ("splunk", Kind::Provider),
    ("squarespace", Kind::Provider),
    ("square", Kind::Provider),
    ("storage", Kind::Compound),
    ("stripe", Kind::Provider),
    ("subscription", Kind::Compound),
    ("sumo", Kind::Provider),
    ("supabase", Kind::Provider),
    ("telegram", Kind::Provider),
    ("tenant", Kind::Client),
    ("terraform", Kind::Provider),
    ("token", Kind::Secret),
    ("travis", Kind::Provider),
    ("trello", Kind::Provider),
    ("twitter", Kind::Provider),
    ("twilio", Kind::Provider),
    ("twitch", Kind::Provider),
    ("typeform", Kind::Provider),
    ("vault", Kind::Provider),
    ("vercel", Kind::Provider),
    ("wandb", Kind::Provider),
    ("yandex", Kind::Provider),
    ("zendesk", Kind::Provider),
    ("zoho", Kind::Provider),
];

/// Parts of a name that say that it names something about a secret, not the secret.
const ABOUT: &[&str] = &[
    "url",
    "uri",
    "type",
    "name",
    "path",
    "file",
    "endpoint",
    "_count",
    " count",
    "length",
    "limit",
    "size",
    "expir",
    "ttl",
    "header",
    "field",
    "param",
    "version",
    "algorithm",
    "prefix",
    "suffix",
    "regex",
    "pattern",
    "format",
    "method",
    "provider",
    "policy",
    "reset",
    "updated",
    "created",
    "status",
    "enabled",
    "required",
    "usage",
    "public",
    "issuer",
    "manager",
    "hint",
    "label",
    "index",
    "budget",
    "model",
    "region",
    "host",
    "port",
    "scope",
    "audience",
    "date",
    "time",
    "page",
    "title",
    "description",
    "class",
    "icon",
    "color",
];

/// Parts of a name that say that it names a secret.
const SECRET: &[&str] = &[
    "key",
    "token",
    "secret",
    "pass",
    "pwd",
    "auth",
    "credential",
    "cred",
    "api",
    "pat",
    "sid",
    "webhook",
    "dsn",
];

fn left(byte: u8) -> bool {
    !byte.is_ascii_alphanumeric()
}

/// What stands left of a hump: `clientSecret`.
fn is_hump(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit()
}

pub(super) const STARTS: &[Start] = &[
    Start {
        left,
        bytes: Bytes::Words(&[
            b"acc", b"ad_", b"ada", b"ado", b"air", b"alg", b"ali", b"ant", b"api", b"art", b"asa", b"atl",
            b"aut", b"aws", b"azu",
        ]),
    },
    Start { left, bytes: Bytes::Words(&[b"bas", b"bea", b"bit", b"bra", b"bug"]) },
    Start { left, bytes: Bytes::Words(&[b"cli", b"clo", b"cod", b"coh", b"coi", b"con", b"cre"]) },
    Start { left, bytes: Bytes::Words(&[b"dat", b"dbp", b"dee", b"dig", b"dis", b"dro"]) },
    Start { left, bytes: Bytes::Words(&[b"ela", b"enc", b"ets", b"inf", b"int"]) },
    Start { left, bytes: Bytes::Words(&[b"fac", b"fas", b"fin", b"fir", b"fli", b"fre"]) },
    Start { left, bytes: Bytes::Words(&[b"git", b"goc", b"goo", b"gra"]) },
    Start { left, bytes: Bytes::Words(&[b"her", b"hub", b"hug"]) },
    Start {
        left,
        bytes: Bytes::Words(&[
            b"jfr", b"jir", b"kra", b"kuc", b"okt", b"ope", b"ops", b"rap", b"rol", b"vau", b"ver",
        ]),
    },
    Start { left, bytes: Bytes::Words(&[b"lau", b"lic", b"lin", b"loo"]) },
    Start { left, bytes: Bytes::Words(&[b"mai", b"map", b"mas", b"mat", b"max", b"mes", b"mis"]) },
    Start { left, bytes: Bytes::Words(&[b"net", b"new", b"not", b"nyt"]) },
    Start {
        left,
        bytes: Bytes::Words(&[b"pag", b"pas", b"pay", b"pgp", b"pin", b"pla", b"pos", b"pri", b"pwd"]),
    },
    Start {
        left,
        bytes: Bytes::Words(&[
            b"sas", b"sec", b"seg", b"sen", b"ser", b"ses", b"sha", b"sho", b"sid", b"sig", b"sla", b"sny",
            b"son", b"spl", b"squ", b"sto", b"str", b"sub", b"sum", b"sup",
        ]),
    },
    Start { left, bytes: Bytes::Words(&[b"tel", b"ten", b"ter", b"tok", b"tra", b"tre", b"twi", b"typ"]) },
    Start { left, bytes: Bytes::Words(&[b"wan", b"yan", b"zen", b"zoh"]) },
    Start {
        left: is_hump,
        bytes: Bytes::Prefixes(&[
            b"API", b"Acc", b"Api", b"Aut", b"Cli", b"Con", b"Cre", b"Dbp", b"Enc", b"Lic", b"Mas", b"Pas",
            b"Pgp", b"Pri", b"Pwd", b"Sas", b"Sec", b"Ser", b"Ses", b"Sha", b"Sig", b"Sto", b"Sub", b"Ten",
            b"Tok",
        ]),
    },
];

/// Where in [`WORDS`] those with the same first two bytes begin; [`NONE`] where there are none.
// PERF: a third of the candidates of ordinary text are asked for here; halving all the words took twice as long.
const FROM: [u8; 1 << 10] = {
    let mut from = [NONE; 1 << 10];
    let mut word = WORDS.len();
    while word > 0 {
        word -= 1;
        #[expect(clippy::indexing_slicing, clippy::cast_possible_truncation, reason = "run by the compiler")]
        {
            let word_bytes = WORDS[word].0.as_bytes();
            from[pair(word_bytes[0], word_bytes[1])] = word as u8;
        }
    }
    from
};

/// No place: there are fewer words.
const NONE: u8 = u8::MAX;

/// The row of two bytes, the same for both cases; other bytes share it.
const fn pair(first: u8, second: u8) -> usize {
    (first as usize & 31) << 5 | second as usize & 31
}

/// Whether a word starts here that something secret is assigned to.
pub(super) fn probe(cursor: &Cursor<'_>) -> Probe {
    let mut ahead = cursor.clone();
    let (Some(a), Some(b), Some(c)) = (ahead.next()?, ahead.next()?, ahead.next()?) else { return Ok(None) };
    let head = [a, b, c].map(|byte| byte.to_ascii_lowercase());
    let from = FROM.get(pair(a, b)).copied().unwrap_or(NONE);
    for (word, kind) in WORDS.iter().skip(usize::from(from)) {
        match word.as_bytes().first_chunk::<3>() {
            Some(own) if *own < head => continue,
            Some(own) if *own == head => {}
            _ => break,
        }
        let mut cursor = cursor.clone();
        if eat_word(&mut cursor, word)? {
            return assigned(cursor, *kind);
        }
    }
    Ok(None)
}

/// Takes `word` in any case.
fn eat_word(cursor: &mut Cursor<'_>, word: &str) -> Result<bool, More> {
    for letter in word.bytes() {
        if !cursor.eat(|byte| byte.to_ascii_lowercase() == letter)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// What follows a word of this kind.
fn assigned(mut cursor: Cursor<'_>, kind: Kind) -> Probe {
    let word = cursor.at();
    let Some(sign) = sign(&mut cursor, kind)? else { return Ok(None) };
    let name = cursor.seen().get(word..sign.name_end).unwrap_or_default();
    let Some(kind) = kind.with_name(name, cursor.seen().get(..word).unwrap_or_default()) else {
        return Ok(None);
    };
    let skip = cursor.at();
    let Some(value) = value(&mut cursor, sign.quote)? else { return Ok(None) };
    let text = cursor.seen().get(skip..value.end).unwrap_or_default();
    let is_close = sign.is_close || sign.quote.is_some();
    // Access keys are not padded; what is, was encrypted with one.
    let is_padded = cursor.seen().get(..word).is_some_and(|word| word.eq_ignore_ascii_case(b"access"))
        && text.ends_with(b"=");
    if is_padded || !is_secret(kind, name, text, is_close) {
        return Ok(None);
    }
    // What has a shape of its own is found by it when its turn comes.
    let own = cursor.rewound(skip);
    if api_key::probe(&own)?.is_some() || jwt::probe(own)?.is_some() {
        return Ok(None);
    }
    let found = Match::behind(skip, value.end, kind.label());
    Ok(Some(if value.is_cut { found.with_token() } else { found }))
}

/// An assignment, read up to the first byte of its value.
struct Sign {
    /// Where the name ends.
    name_end: usize,
    /// Whether no space stands around the sign, as in files of variables.
    is_close: bool,
    /// The quote that the value is in.
    quote: Option<u8>,
}

/// Reads the rest of a name, the sign of assignment, and the opening quote.
fn sign(cursor: &mut Cursor<'_>, kind: Kind) -> Result<Option<Sign>, More> {
    let from = cursor.at();
    let is_option = cursor.before() == b'-';
    let mut words = 0;
    let mut says_is;
    // `API key of the shop is`: some words more, as long as they are short.
    let name_end = loop {
        let room = (from + LONGEST_NAME).saturating_sub(cursor.at());
        let word = cursor.at();
        cursor.eat_while(room, |b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'))?;
        says_is = words > 0
            && cursor.seen().get(word..).is_some_and(|word| matches!(word, b"is" | b"ist" | b"es" | b"est"));
        if says_is || kind == Kind::Header && words == 0 {
            break word;
        }
        let end = cursor.at();
        if words == 6
            || room == 0
            || is_option
            || cursor.peek()? != Some(b' ')
            || !cursor.peek_second()?.is_some_and(|b| b.is_ascii_alphabetic())
        {
            break end;
        }
        words += 1;
        cursor.next()?;
    };
    // A closing quote or bracket of the name.
    cursor.eat_while(3, |b| matches!(b, b'"' | b'\'' | b'`' | b']' | b'\\'))?;
    let is_named = cursor.at() > name_end && !says_is;
    let spaces = cursor.eat_while(16, |b| matches!(b, b' ' | b'\t'))?;
    let at = cursor.at();
    cursor.eat_while(3, |b| matches!(b, b':' | b'=' | b'?' | b'|' | b'>' | b'!'))?;
    let has_sign = match cursor.seen().get(at..).unwrap_or_default() {
        [] if says_is || is_option || kind == Kind::Header => spaces > 0,
        [] if is_named => cursor.eat(|b| b == b',')?,
        [] => false,
        sign => !sign.contains(&b'!') && sign != b"::" && sign != b"?",
    };
    if !has_sign {
        return Ok(None);
    }
    let after = cursor.eat_while(16, |b| matches!(b, b' ' | b'\t'))?;
    let mut quote = None;
    for _ in 0..4 {
        match cursor.peek()? {
            Some(found @ (b'"' | b'\'' | b'`')) => quote = Some(found),
            Some(b'\\') if cursor.peek_second()?.is_some_and(|b| matches!(b, b'"' | b'\'')) => {}
            _ => break,
        }
        cursor.next()?;
    }
    Ok(Some(Sign { name_end, is_close: spaces + after == 0, quote }))
}

/// A value: where it ends, and whether it goes on beyond what is read.
struct Value {
    end: usize,
    is_cut: bool,
}

/// Reads a value.
fn value(cursor: &mut Cursor<'_>, quote: Option<u8>) -> Result<Option<Value>, More> {
    let from = cursor.at();
    match quote {
        Some(quote) => {
            cursor.eat_while(LONGEST_VALUE, |b| b.is_ascii_graphic() && b != quote && b != b'\\')?
        }
        None => cursor.eat_while(LONGEST_VALUE, |b| {
            b.is_ascii_graphic()
                && !matches!(
                    b,
                    b'"' | b'\'' | b'`' | b',' | b';' | b'(' | b')' | b'[' | b']' | b'<' | b'>' | b'\\'
                )
        })?,
    };
    let is_cut = cursor.at() - from == LONGEST_VALUE;
    // A call, an index, or words: no literal.
    let is_literal = match (quote, cursor.peek()?) {
        (Some(quote), Some(next)) => next == quote || next == b'\\' || is_cut,
        (Some(_), None) => true,
        (None, next) => !matches!(next, Some(b'(' | b'[')),
    };
    let text = cursor.seen().get(from..).unwrap_or_default();
    let tail = if quote.is_some() {
        0
    } else {
        text.iter().rev().take_while(|b| matches!(b, b'.' | b':' | b'!' | b'?')).count()
    };
    let end = cursor.at() - if tail > 1 || text.ends_with(b".") { tail } else { 0 };
    Ok(is_literal.then_some(Value { end, is_cut }))
}

impl Kind {
    /// What the whole name makes of it; `None` if it names something else.
    fn with_name(self, name: &[u8], word: &[u8]) -> Option<Self> {
        let mut lower = [0_u8; LONGEST_NAME];
        for (slot, byte) in lower.iter_mut().zip(name) {
            *slot = byte.to_ascii_lowercase();
        }
        let lower = lower.get(..name.len().min(LONGEST_NAME)).unwrap_or_default();
        let has =
            |parts: &[&str]| parts.iter().any(|part| memchr::memmem::find(lower, part.as_bytes()).is_some());
        if self != Self::Header && has(ABOUT) {
            return None;
        }
        let ends_in_id = lower.ends_with(b"id") || lower.ends_with(b"ids");
        // `pass` and `token` begin many words.
        let goes_on = lower.first().is_some_and(u8::is_ascii_lowercase)
            && !name.first().is_some_and(u8::is_ascii_uppercase);
        match self {
            Self::Password if goes_on && word.len() <= 4 && !lower.starts_with(b"word") => None,
            Self::Password | Self::Header => Some(self),
            Self::Secret if ends_in_id => None,
            Self::Secret => Some(self),
            Self::Compound => (has(&["key", "token", "secret"]) && !ends_in_id).then_some(Self::Secret),
            Self::Client if ends_in_id => Some(self),
            Self::Client => has(&["key", "token", "secret"]).then_some(Self::Secret),
            Self::Account if has(&["account"]) => Some(self),
            Self::Account | Self::Provider if goes_on && !has(SECRET) => None,
            Self::Account | Self::Provider if has(SECRET) => Some(Self::Secret),
            Self::Account | Self::Provider => (lower.is_empty() || ends_in_id).then_some(Self::Provider),
        }
    }

    fn label(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::Secret | Self::Compound | Self::Provider => "secret",
            Self::Client => "client id",
            Self::Account => "account id",
            Self::Header => "authorization",
        }
    }
}

/// Whether `value` is a secret of this kind.
fn is_secret(kind: Kind, name: &[u8], value: &[u8], is_close: bool) -> bool {
    let signs = signs(value);
    if is_stand_in(value)
        || value.starts_with(b"/")
        || value.starts_with(b"./")
        || memchr::memmem::find(value, b"://").is_some()
    {
        return false;
    }
    match kind {
        Kind::Password => is_password(value, signs, is_close),
        Kind::Account => is_account(value),
        Kind::Client | Kind::Provider => {
            value.len() >= 16 && is_random(value, signs, 300) && !is_digest(value)
        }
        // The one name whose value has a published length.
        Kind::Secret if is_aws(name) => value.len() == 40 && is_random(value, signs, 350),
        Kind::Header => value.len() >= 16 && is_random(value, signs, 330),
        _ if value.len() >= 16 => is_random(value, signs, 300),
        _ => {
            value.len() >= 8
                && is_close
                && signs.digits >= 2
                && signs.lower + signs.upper >= 2
                && is_random(value, signs, 275)
        }
    }
}

/// `secret` goes on with `_access_key`, `aws` with `_secret_access_key`.
fn is_aws(name: &[u8]) -> bool {
    let name = name.strip_prefix(b"_secret").or_else(|| name.strip_prefix(b"_SECRET")).unwrap_or(name);
    let mut letters = name.iter().filter(|b| b.is_ascii_alphabetic()).map(u8::to_ascii_lowercase);
    b"accesskey".iter().all(|expected| letters.next() == Some(*expected))
}

/// Chosen by a person: six signs or more of at least two kinds, of which letters are not all.
fn is_password(value: &[u8], signs: Signs, is_close: bool) -> bool {
    let special = value
        .iter()
        .filter(|b| matches!(b, b'!' | b'@' | b'#' | b'$' | b'%' | b'^' | b'&' | b'*' | b'+' | b'~' | b'?'))
        .count();
    value.len() >= 6
        && (signs.digits > 0 || special > 0)
        && signs.kinds() >= 2
        && (is_close || signs.kinds() >= 3 || signs.digits >= 2)
        && entropy(value) >= 200
        && !value.iter().any(|b| matches!(b, b'=' | b'|'))
}

/// Twelve digits, or three times four.
fn is_account(value: &[u8]) -> bool {
    let digits = value.iter().filter(|b| b.is_ascii_digit()).count();
    digits == 12
        && (value.len() == 12
            || (value.len() == 14 && value.get(4) == Some(&b'-') && value.get(9) == Some(&b'-')))
}

/// Random enough: so many hundredths of a bit for each sign, digits, and a part that mixes them with letters.
fn is_random(value: &[u8], signs: Signs, bits: u32) -> bool {
    signs.digits >= 1
        && entropy(value) >= bits
        && value.iter().all(|b| {
            b.is_ascii_alphanumeric()
                || matches!(b, b'-' | b'_' | b'.' | b'/' | b'+' | b'=' | b'~' | b':' | b'%' | b'@' | b'!')
        })
        && value.split(|b| matches!(b, b'-' | b'_' | b'.' | b'/' | b':')).any(|part| {
            part.len() >= 4 && part.iter().any(u8::is_ascii_digit) && part.iter().any(u8::is_ascii_alphabetic)
        })
}

/// A digest in hexadecimal digits: of a commit, an image, a file.
fn is_digest(value: &[u8]) -> bool {
    matches!(value.len(), 40 | 64) && value.iter().all(u8::is_ascii_hexdigit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::{Detector, redacted};

    #[test]
    fn words_are_in_order_and_can_start() {
        assert!(WORDS.is_sorted_by_key(|(word, _)| &word.as_bytes()[..3]));
        for (word, _) in WORDS {
            let bytes = word.as_bytes();
            assert!(
                STARTS.iter().any(|start| (start.left)(b' ') && (0..3).all(|i| start.admits(i, bytes[i]))),
                "{word}"
            );
        }
    }

    #[test]
    fn every_word_is_found_by_its_first_bytes() {
        assert!(WORDS.len() < usize::from(NONE));
        for (place, (word, _)) in WORDS.iter().enumerate() {
            let bytes = word.as_bytes();
            let from = usize::from(FROM[pair(bytes[0], bytes[1])]);
            assert!(from <= place && WORDS[from].0.as_bytes()[..2] == bytes[..2], "{word}");
        }
    }

    #[test]
    fn finds_values_and_leaves_names() {
        for (text, expected) in [
            ("password = Tr0ub4dor&3", "password = [secret]"),
            ("DB_PASSWORD=hunter2x\nDB_HOST=x", "DB_PASSWORD=[secret]\nDB_HOST=x"),
            ("\"password\": \"Sup3r!Geheim\",", "\"password\": \"[secret]\","),
            ("clientSecret: 'ahDzWAqqBHgp8eUBUULuU0gA4p09rt0W'", "clientSecret: '[secret]'"),
            ("export API_KEY=secret123", "export API_KEY=[secret]"),
            ("mysql --user=x --password=str0ngp@55! --host=y", "mysql --user=x --password=[secret] --host=y"),
            ("tool --token 9f8e7d6c5b4a39281706", "tool --token [secret]"),
            (
                "AWS_SECRET_ACCESS_KEY = wJalrXUtnFEMI/K7MDENG/bPxRfiCYKEYKEYKEY9",
                "AWS_SECRET_ACCESS_KEY = [secret]",
            ),
            ("Authorization: Bearer 4f9d2ce81b7a4c0e93aa5d", "Authorization: Bearer [secret]"),
            (
                "the API key of the shop is 7f3k9Qz2LmX8vB4nT6yR, keep it",
                "the API key of the shop is [secret], keep it",
            ),
            ("datadog_api_key := \"0a1b2c3d4e5f60718293a4b5c6d7e8f9\"", "datadog_api_key := \"[secret]\""),
            ("<password>Tr0ub4dor&3</password>", "<password>[secret]</password>"),
            ("password: MWYyZDFlMmU2N2Rm", "password: [secret]"),
            ("config['token'] = '7f3k9Qz2LmX8vB4nT6yR'", "config['token'] = '[secret]'"),
            ("AWS_ACCOUNT_ID=123456789012", "AWS_ACCOUNT_ID=[secret]"),
        ] {
            assert_eq!(redacted(Detector::AssignedSecret, text), expected, "{text}");
        }
    }

    #[test]
    fn leaves_talk_of_secrets() {
        for text in [
            "Your password must have 8 characters.",
            "password: required|min:8",
            "password = getpass.getpass()",
            "password = request.form[\"password\"]",
            "password: ${DB_PASSWORD}",
            "password = <your-password-1>",
            "token_type: bearer",
            "max_tokens = 4096",
            "token = next_token(stream)",
            "secret_name: my-secret-v2-for-production-use",
            "API key: see https://example.com/docs/api-keys-2024",
            "apiVersion: v1beta1",
            "access = public-read-2024",
            "passenger: seat12A",
            "password = foo-bar",
            "token != other1token",
            "model: claude-3-opus-20240229",
            "GitHub commit 3f786850e387550fdab836ed7e6dc881de23001b",
            "authorization: required",
            "private key -----BEGIN",
            "password = None",
            "AWS_SECRET_ACCESS_KEY = R6WCNd0erkAuZyD+Fe8C4IwjpYQtniKqnHAzE7Pk5fPrBRpwOnuYxA==",
            "the secret of success is 10% inspiration",
            "basic understanding of 2D geometry",
        ] {
            assert_eq!(redacted(Detector::AssignedSecret, text), text);
        }
    }

    #[test]
    fn a_long_value_goes_whole() {
        let text = format!("token = \"{}\" next", "A7b3x9Qz".repeat(60));
        assert_eq!(redacted(Detector::AssignedSecret, &text), "token = \"[secret]\" next");
    }
}
