//! Credentials in URLs: `scheme://user:password@host` (RFC 3986 section 3.2.1), whatever the scheme: databases, brokers,
//! file servers, repositories.
//!
//! What stays is the scheme and the host; what goes is the user with the password.

use super::cursor::{Cursor, More};
use super::secret::{entropy, is_stand_in};
use super::{Bytes, Match, Probe, Start};

pub(super) const STARTS: &[Start] =
    &[Start { left: |b| b.is_ascii_alphanumeric(), bytes: Bytes::Prefixes(&[b"://"]) }];

/// Most bytes of user and password together.
const LONGEST: usize = 256;

/// Users that only examples have.
const USERS: &[&str] = &["user", "username", "dbuser", "testuser", "myuser", "usr", "login", "name", "me"];

/// Passwords that only examples have.
const PASSWORDS: &[&str] = &[
    "password",
    "mypassword",
    "passwd",
    "pwd",
    "secret",
    "passw0rd",
    "pw",
    "pass",
    "mysecretpassword",
    "token",
];

/// Whether credentials stand here, behind the `://`.
pub(super) fn probe(mut cursor: Cursor<'_>) -> Probe {
    if !cursor.eat_literal(b"://")? {
        return Ok(None);
    }
    let skip = cursor.at();
    let user = cursor.eat_while(64, |b| is_userinfo(b) && b != b':')?;
    if !cursor.eat(|b| b == b':')? {
        return Ok(None);
    }
    let Some(password) = password(&mut cursor)? else { return Ok(None) };
    let (name, secret) = (
        cursor.seen().get(skip..skip + user).unwrap_or_default(),
        cursor.seen().get(skip + user + 1..password).unwrap_or_default(),
    );
    let is_local = is_local(cursor)?;
    Ok((!is_example(name, secret, is_local)).then_some(Match::behind(skip, password, "url credentials")))
}

/// Reads on to the last `@` before the host: where the password ends.
fn password(cursor: &mut Cursor<'_>) -> Result<Option<usize>, More> {
    let mut end = None;
    let mut ahead = cursor.clone();
    while ahead.at() < LONGEST && ahead.eat(is_userinfo)? {
        while ahead.eat(|b| b == b'@')? {
            if ahead
                .peek()?
                .is_some_and(|b| b.is_ascii_alphanumeric() || b >= 0x80 || matches!(b, b'[' | b'_'))
            {
                end = Some(ahead.at() - 1);
                *cursor = ahead.clone();
            }
        }
    }
    Ok(end)
}

fn is_userinfo(byte: u8) -> bool {
    byte.is_ascii_graphic()
        && !matches!(byte, b'/' | b'@' | b'"' | b'\'' | b'`' | b'<' | b'>' | b'?' | b'#' | b'\\' | b'|')
}

/// Whether the host behind the `@` is this machine.
fn is_local(mut cursor: Cursor<'_>) -> Result<bool, More> {
    let from = cursor.at();
    cursor.eat_while(10, |b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b':' | b'['))?;
    let host = cursor.seen().get(from..).unwrap_or_default();
    Ok([&b"localhost"[..], b"127.0.0.1", b"[::1"].iter().any(|name| host.starts_with(name)))
}

fn is_example(user: &[u8], password: &[u8], is_local: bool) -> bool {
    let is =
        |words: &[&str], text: &[u8]| words.iter().any(|word| text.eq_ignore_ascii_case(word.as_bytes()));
    let is_weak = is(PASSWORDS, password);
    password.len() < 4
        || user == password
        || is_stand_in(password)
        || is_stand_in(user)
        || (is_weak && is_local)
        || (is_weak && is(USERS, user) && password != b"pass")
        || (entropy(password) < 150)
}

#[cfg(test)]
mod tests {
    use crate::detect::{Detector, redacted};

    #[test]
    fn finds_credentials_of_every_scheme() {
        for (text, expected) in [
            (
                "postgres://api:s3cr3tP4ss@db.example.net:5432/x",
                "postgres://[credentials]@db.example.net:5432/x",
            ),
            (
                "mongodb+srv://app:hub24aoeu@c0.example.net/?w=1",
                "mongodb+srv://[credentials]@c0.example.net/?w=1",
            ),
            ("redis://:p4ss-w0rd-9@cache:6379", "redis://[credentials]@cache:6379"),
            ("amqp://guest1:Zk3!x@[::2]/vh", "amqp://[credentials]@[::2]/vh"),
            ("jdbc:mysql://sandy:hush42@[h1:1,h2:2]/db", "jdbc:mysql://[credentials]@[h1:1,h2:2]/db"),
            ("(https://svc:C0mpl3xP@ss@svc.example.com)", "(https://[credentials]@svc.example.com)"),
            ("このhttps://ann:hunter22@example.comは", "このhttps://[credentials]@example.comは"),
            ("sftp://admin:password@files.example.com/", "sftp://[credentials]@files.example.com/"),
        ] {
            assert_eq!(redacted(Detector::UrlCredentials, text), expected, "{text}");
        }
    }

    #[test]
    fn leaves_urls_without_a_secret() {
        for text in [
            "https://example.com:8443/a@b",
            "https://ann@example.com/",
            "https://${USER}:${PASSWORD}@example.com",
            "https://{{user}}:{{pass}}@example.com",
            "https://YOUR_USER:YOUR_PASSWORD@example.com",
            "postgres://postgres:postgres@localhost/db",
            "postgres://user:password@localhost/db",
            "postgres://$(PGUSER):$(PGPASSWORD)@$(PGHOST)/db",
            "https://user:1111@example.com",
            "https://example.com/x:y@z",
            "std::string s; // a: b@c",
            "http://a:b@",
        ] {
            assert_eq!(redacted(Detector::UrlCredentials, text), text);
        }
    }
}
