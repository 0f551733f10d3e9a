//! The places where a request can name an object.

use std::borrow::Cow;

use http::header::{CONTENT_TYPE, COOKIE};
use http::{HeaderMap, HeaderName};

use super::objects::ObjectError;
use super::scan::{Pointer, Reading, Scalar, find};
use crate::policy::query::{pair, raw_pairs};

/// Where an identifier may stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// The path parameter of that name.
    Path(Box<str>),
    /// Query parameters of that name.
    Query(Box<str>),
    /// A header.
    Header(HeaderName),
    /// A cookie.
    Cookie(Box<str>),
    /// A JSON body, or a form where the pointer is one name long.
    Body(Pointer),
}

/// What of a request can name an object.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sent<'r> {
    /// Path parameters, decoded.
    pub(crate) path: &'r [(Box<str>, Box<str>)],
    /// The raw query.
    pub(crate) query: Option<&'r str>,
    /// Headers.
    pub(crate) headers: &'r HeaderMap,
    /// The whole body.
    pub(crate) body: &'r [u8],
}

impl<'r> Sent<'r> {
    /// Every value in these places.
    pub(super) fn values(&self, rule: &str, places: &[Place]) -> Result<Vec<Cow<'r, str>>, ObjectError> {
        let mut values = Vec::new();
        for place in places {
            let found = match place {
                Place::Path(name) => {
                    let named = self.path.iter().filter(|(known, _)| known == name);
                    values.extend(named.map(|(_, value)| Cow::Borrowed(&**value)));
                    Ok(())
                }
                Place::Query(name) => self.in_query(name, &mut values).ok_or("query"),
                Place::Header(name) => self.in_headers(name, &mut values).ok_or("header"),
                Place::Cookie(name) => self.in_cookies(name, &mut values).ok_or("cookie"),
                Place::Body(pointer) => self.in_body(pointer, &mut values).ok_or("body"),
            };
            found.map_err(|place| ObjectError::Ambiguous(rule.into(), place))?;
        }
        Ok(values)
    }

    fn in_query(&self, wanted: &str, values: &mut Vec<Cow<'r, str>>) -> Option<()> {
        for raw in self.query.into_iter().flat_map(raw_pairs) {
            let (name, value) = pair(raw)?;
            // SMUGGLING: some upstreams ignore the case of names, and some read `name[]` as `name`.
            if base(&name).eq_ignore_ascii_case(wanted) {
                // SMUGGLING: `+` is a space to some upstreams and itself to others.
                if raw.contains('+') {
                    return None;
                }
                values.push(value);
            }
        }
        Some(())
    }

    fn in_headers(&self, name: &HeaderName, values: &mut Vec<Cow<'r, str>>) -> Option<()> {
        for value in self.headers.get_all(name) {
            values.push(Cow::Borrowed(value.to_str().ok()?.trim()));
        }
        Some(())
    }

    fn in_cookies(&self, wanted: &str, values: &mut Vec<Cow<'r, str>>) -> Option<()> {
        for header in self.headers.get_all(COOKIE) {
            for pair in header.to_str().ok()?.split(';') {
                let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                if name.trim() == wanted {
                    values.push(Cow::Borrowed(value.trim().trim_matches('"')));
                }
            }
        }
        Some(())
    }

    fn in_body(&self, pointer: &Pointer, values: &mut Vec<Cow<'r, str>>) -> Option<()> {
        if self.body.is_empty() {
            return Some(());
        }
        if self.is_form() {
            let [wanted] = pointer.steps() else { return None };
            for raw in raw_pairs(std::str::from_utf8(self.body).ok()?) {
                let (name, value) = pair(raw)?;
                if base(&name).eq_ignore_ascii_case(wanted) {
                    values.push(value);
                }
            }
            return Some(());
        }
        match find(self.body, pointer, Reading::Client).ok()? {
            None => Some(()),
            Some(Scalar::Text(text)) => {
                values.push(Cow::Owned(text.into()));
                Some(())
            }
            Some(Scalar::Other) => None,
        }
    }

    fn is_form(&self) -> bool {
        let media = self.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let media = media.split(';').next().unwrap_or_default().trim();
        media.eq_ignore_ascii_case("application/x-www-form-urlencoded")
    }
}

fn base(name: &str) -> &str {
    name.split('[').next().unwrap_or(name)
}
