//! Claims: what a verified token must say (RFC 7519 section 4.1, RFC 9068 section 4), and who it then names.

use serde_json::{Map, Value};

use super::fault::TokenFault;
use super::issuer::IssuerRules;
use super::{Identity, jws};

/// Takes the claims of a token whose signature was verified with a key of this issuer; returns who it names.
pub(super) fn judge(
    rules: &IssuerRules,
    header: &jws::UnverifiedHeader,
    claims: Map<String, Value>,
    now: u64,
) -> Result<Identity, TokenFault> {
    check_type(rules, header.typ.as_deref())?;
    if text(&claims, "iss")? != Some(&*rules.issuer) {
        return Err(TokenFault::ClaimMalformed("iss"));
    }
    check_audience(rules, &claims)?;
    let times = Times::of(&claims)?;
    times.check(rules, now)?;
    name(&rules.name, claims)
}

/// Who verified claims name: an identity of this issuer.
pub(super) fn name(issuer: &str, claims: Map<String, Value>) -> Result<Identity, TokenFault> {
    let subject = text(&claims, "sub")?.ok_or(TokenFault::ClaimMissing("sub"))?;
    if subject.is_empty() {
        return Err(TokenFault::ClaimMalformed("sub"));
    }
    let mut scopes = words(&claims, "scope")?;
    scopes.append(&mut words(&claims, "scp")?);
    let mut roles = list(&claims, "roles")?;
    roles.append(&mut list(&claims, "groups")?);
    Ok(Identity {
        issuer: issuer.into(),
        subject: subject.into(),
        scopes,
        roles,
        expires: seconds(&claims, "exp", f64::floor)?.unwrap_or(u64::MAX),
        not_before: seconds(&claims, "nbf", f64::ceil)?,
        token_id: text(&claims, "jti")?.map(Box::from),
        claims,
    })
}

/// Checks a remembered identity against the clock: it may have come of age or expired meanwhile.
pub(super) fn check_again(rules: &IssuerRules, identity: &Identity, now: u64) -> Result<(), TokenFault> {
    let leeway = rules.leeway.as_secs();
    check_window(identity.expires, identity.not_before, leeway, now)
}

/// RFC 8725 section 3.11: tokens of other kinds by the same issuer are told apart by their type.
fn check_type(rules: &IssuerRules, typ: Option<&str>) -> Result<(), TokenFault> {
    // RFC 7515 section 4.1.9: media type names ignore case, and `application/` may be left out.
    let short = typ.map(|typ| match typ.split_at_checked("application/".len()) {
        Some((prefix, rest)) if prefix.eq_ignore_ascii_case("application/") => rest,
        _ => typ,
    });
    let is_allowed = match (&rules.required_type, short) {
        (Some(required), Some(short)) => short.eq_ignore_ascii_case(required),
        (Some(_), None) => false,
        (None, Some(short)) => short.eq_ignore_ascii_case("jwt") || short.eq_ignore_ascii_case("at+jwt"),
        (None, None) => true,
    };
    if is_allowed { Ok(()) } else { Err(TokenFault::wrong_type(typ)) }
}

fn check_audience(rules: &IssuerRules, claims: &Map<String, Value>) -> Result<(), TokenFault> {
    let counts = |one: &str| rules.audiences.iter().any(|audience| **audience == *one);
    let is_named = match claims.get("aud") {
        None => return Err(TokenFault::ClaimMissing("aud")),
        Some(Value::String(one)) => counts(one),
        Some(Value::Array(many)) => {
            let mut is_named = false;
            for one in many {
                is_named |= counts(one.as_str().ok_or(TokenFault::ClaimMalformed("aud"))?);
            }
            is_named
        }
        Some(_) => return Err(TokenFault::ClaimMalformed("aud")),
    };
    if is_named { Ok(()) } else { Err(TokenFault::Audience) }
}

struct Times {
    expires: u64,
    not_before: Option<u64>,
    issued: Option<u64>,
}

impl Times {
    /// Fractions are cut to the stricter side: a token expires earlier and begins later.
    fn of(claims: &Map<String, Value>) -> Result<Self, TokenFault> {
        Ok(Self {
            expires: seconds(claims, "exp", f64::floor)?.ok_or(TokenFault::ClaimMissing("exp"))?,
            not_before: seconds(claims, "nbf", f64::ceil)?,
            issued: seconds(claims, "iat", f64::floor)?,
        })
    }

    fn check(&self, rules: &IssuerRules, now: u64) -> Result<(), TokenFault> {
        let leeway = rules.leeway.as_secs();
        check_window(self.expires, self.not_before, leeway, now)?;
        if let Some(issued) = self.issued
            && issued > now.saturating_add(leeway)
        {
            return Err(TokenFault::IssuedLater { issued, now });
        }
        if let Some(limit) = rules.max_lifetime {
            let issued = self.issued.ok_or(TokenFault::ClaimMissing("iat"))?;
            let lifetime = self.expires.checked_sub(issued).ok_or(TokenFault::ClaimMalformed("exp"))?;
            if lifetime > limit.as_secs() {
                return Err(TokenFault::Lifetime { lifetime, limit: limit.as_secs() });
            }
        }
        Ok(())
    }
}

fn check_window(expires: u64, not_before: Option<u64>, leeway: u64, now: u64) -> Result<(), TokenFault> {
    // RFC 7519 section 4.1.4: the current time must be before `exp`.
    if now >= expires.saturating_add(leeway) {
        return Err(TokenFault::Expired { expires, now });
    }
    match not_before {
        Some(not_before) if now.saturating_add(leeway) < not_before => {
            Err(TokenFault::NotYet { not_before, now })
        }
        _ => Ok(()),
    }
}

fn seconds(
    claims: &Map<String, Value>,
    name: &'static str,
    whole: fn(f64) -> f64,
) -> Result<Option<u64>, TokenFault> {
    /// 9999-12-31: whatever lies beyond is a mistake, and far from the edge of an exact `f64`.
    const LATEST: u64 = 253_402_300_799;
    let Some(value) = claims.get(name) else { return Ok(None) };
    let number = value.as_number().ok_or(TokenFault::ClaimMalformed(name))?;
    let seconds = match (number.as_u64(), number.as_f64()) {
        (Some(seconds), _) => seconds,
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "the range was checked, and the fraction is cut on purpose"
        )]
        (None, Some(fraction)) if (0.0..=LATEST as f64).contains(&fraction) => whole(fraction) as u64,
        _ => return Err(TokenFault::ClaimMalformed(name)),
    };
    if seconds > LATEST { Err(TokenFault::ClaimMalformed(name)) } else { Ok(Some(seconds)) }
}

fn text<'c>(claims: &'c Map<String, Value>, name: &'static str) -> Result<Option<&'c str>, TokenFault> {
    match claims.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(TokenFault::ClaimMalformed(name)),
    }
}

/// Words of one string, or a list of strings (RFC 8693 section 4.2, and `scp` as others write it).
fn words(claims: &Map<String, Value>, name: &'static str) -> Result<Vec<Box<str>>, TokenFault> {
    match claims.get(name) {
        Some(Value::String(text)) => {
            Ok(text.split(' ').filter(|word| !word.is_empty()).map(Box::from).collect())
        }
        _ => list(claims, name),
    }
}

/// A list of strings, or one string. Anything else is refused: a policy that forbids by role must see every role.
fn list(claims: &Map<String, Value>, name: &'static str) -> Result<Vec<Box<str>>, TokenFault> {
    match claims.get(name) {
        None => Ok(Vec::new()),
        Some(Value::String(one)) => Ok(vec![one.as_str().into()]),
        Some(Value::Array(many)) => many
            .iter()
            .map(|one| one.as_str().map(Box::from).ok_or(TokenFault::ClaimMalformed(name)))
            .collect(),
        Some(_) => Err(TokenFault::ClaimMalformed(name)),
    }
}
