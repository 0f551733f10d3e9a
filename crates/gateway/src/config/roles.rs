//! Reads a roles file into a [`Book`], with every mistake found that needs no contract.

use jiff::Timestamp;
use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use portcullis_core::roles::{Book, Grant, Holder, Mark, Role, Sign};
use serde::Deserialize;

use super::diagnostic::{Diagnostics, Place, Report};
use super::read::{At, Either};
use super::roles_file::{self, RolesFile};
use super::settings::{Roles, SourceText};
use super::tree::{self, Span};
use super::{shape, source};

/// Reads a roles file. Names of operations, roles and issuers are not looked up yet.
///
/// # Errors
/// Everything that is wrong with it.
pub fn read(file: SourceText) -> Result<Roles, Diagnostics> {
    let mut report = Report::new(&file.name, &file.text);
    let written = shaped(&file.text, &mut report);
    let mut reader = Reader { report, places: Vec::new() };
    let book = written.map(|written| reader.book(written));
    match book {
        Some(book) if !reader.report.has_errors() => Ok(Roles { file, book, places: reader.places }),
        _ => Err(reader.report.finish()),
    }
}

/// Reads a roles file that no configuration names.
///
/// # Errors
/// Everything that is wrong with it, also that it cannot be read.
pub fn read_from(path: &std::path::Path, files: &dyn super::Files) -> Result<Roles, Diagnostics> {
    let name: std::sync::Arc<str> = path.display().to_string().into();
    let broken = |message: String| Diagnostics(vec![source::whole(&name).error("unreadable-file", message)]);
    let bytes = files.read(path).map_err(|error| broken(source::reason(&error).to_owned()))?;
    let text = String::from_utf8(bytes).map_err(|_| broken("the file is not UTF-8 text".to_owned()))?;
    read(SourceText { path: path.into(), name, text: text.into(), place: Place::default() })
}

fn shaped(text: &str, report: &mut Report) -> Option<RolesFile> {
    let tree = match tree::parse(text) {
        Ok(tree) => tree,
        Err(error) => {
            report.error("bad-yaml", error.at, error.message);
            return None;
        }
    };
    let tree = shape::conform_to(tree, "RolesFile", report)?;
    match RolesFile::deserialize(&tree) {
        Ok(file) => Some(file),
        Err(error) => {
            report.error("internal", tree.at, format!("the file could not be read: {error}"));
            None
        }
    }
}

struct Reader {
    report: Report,
    places: Vec<Place>,
}

impl Reader {
    fn mark(&mut self, at: Span) -> Mark {
        let mark = Mark(u32::try_from(self.places.len()).unwrap_or(u32::MAX));
        self.places.push(self.report.place(at));
        mark
    }

    fn book(&mut self, file: RolesFile) -> Book {
        if file.roles.0.is_empty() {
            let top = Span { line: 1, column: 1, length: 1 };
            self.report.warning("no-roles", top, "there is no role, so only Cedar policies allow anything");
        }
        Book { roles: file.roles.0.into_iter().map(|(name, role)| self.role(&name, role)).collect() }
    }

    fn role(&mut self, name: &At<String>, written: roles_file::Role) -> Role {
        let mark = self.mark(name.at);
        let holders = written.held_by.map(|list| list.0).unwrap_or_default();
        let holders = holders.into_iter().filter_map(|holder| self.holder(holder)).collect();
        let includes = written.includes.map(|list| list.0).unwrap_or_default();
        let includes = includes.into_iter().map(|one| (one.value.into(), self.mark(one.at))).collect();
        let grants = written.may.map(|list| list.0).unwrap_or_default();
        let grants = grants.into_iter().flat_map(|grant| self.grants(grant)).collect();
        let reason = self.said(written.reason, "the reason says nothing");
        let by = self.said(written.by, "`by` names nobody");
        Role { name: name.value.as_str().into(), mark, reason, by, holders, includes, grants }
    }

    fn said(&mut self, written: Option<At<String>>, otherwise: &str) -> Option<String> {
        let written = written?;
        if written.value.trim().is_empty() {
            self.report.error("bad-value", written.at, otherwise);
            return None;
        }
        Some(written.value)
    }

    fn holder(&mut self, written: At<Either<roles_file::HolderWord, roles_file::Holder>>) -> Option<Holder> {
        let mark = self.mark(written.at);
        let holder = match written.value {
            Either::Short(roles_file::HolderWord::Anonymous) => {
                return Some(Holder { mark, issuer: None, sign: Sign::Anonymous });
            }
            Either::Long(holder) => holder,
        };
        let at = written.at;
        let roles_file::Holder { issuer, group, scope, subject, claim, value } = holder;
        let claim = match (claim, value) {
            (Some(claim), Some(value)) => Some(Sign::Claim(claim.value.into(), value.value.into())),
            (None, None) => None,
            (Some(one), None) => {
                let problem = self.report.error("missing-key", one.at, "`value` is missing");
                problem.expected("what the claim must be, or hold when it is a list");
                return None;
            }
            (None, Some(one)) => {
                self.report.error("missing-key", one.at, "`claim` is missing");
                return None;
            }
        };
        let mut signs = [
            group.map(|one| Sign::Group(one.value.into())),
            scope.map(|one| Sign::Scope(one.value.into())),
            subject.map(|one| Sign::Subject(one.value.into())),
            claim,
        ]
        .into_iter()
        .flatten();
        match (signs.next(), signs.next()) {
            (Some(sign), None) => {
                let issuer = issuer.map(|one| one.value.into());
                Some(Holder { mark, issuer, sign })
            }
            (None, _) => {
                let problem = self.report.error("missing-key", at, "it is not said what shows the role");
                problem.expected("`group`, `scope`, `subject`, or `claim` with `value`");
                None
            }
            (Some(_), Some(_)) => {
                let problem = self.report.error("bad-value", at, "several signs are written as one");
                problem.help("write an entry for each; one of them is enough to have the role");
                None
            }
        }
    }

    fn grants(&mut self, written: At<Either<String, roles_file::Grant>>) -> Vec<Grant> {
        let written = match written.value {
            Either::Short(action) => {
                let mark = self.mark(written.at);
                return vec![Grant { mark, action: action.into(), ..Grant::default() }];
            }
            Either::Long(grant) => grant,
        };
        let from = written.from.map(|list| list.0).unwrap_or_default();
        let from = from.iter().filter_map(|one| self.network(one)).collect();
        let until = written.until.and_then(|until| self.until(&until));
        let when = written.when.map(|when| (when.value, self.mark(when.at)));
        let reason = self.said(written.reason, "the reason says nothing");
        let by = self.said(written.by, "`by` names nobody");
        let common = Grant { from, when, until, reason, by, ..Grant::default() };
        let actions = written.action.map(|list| list.0).unwrap_or_default();
        let one = |action: At<String>| Grant {
            mark: self.mark(action.at),
            action: action.value.into(),
            ..common.clone()
        };
        actions.into_iter().map(one).collect()
    }

    fn network(&mut self, written: &At<String>) -> Option<ipnet::IpNet> {
        let address = written.value.parse::<std::net::IpAddr>().map(ipnet::IpNet::from);
        match written.value.parse::<ipnet::IpNet>().or(address) {
            Ok(network) => Some(network.trunc()),
            Err(_) => {
                let message = format!("`{}` is not a network", written.value);
                let problem = self.report.error("bad-address", written.at, message);
                problem.expected("an address or a network such as `10.0.0.0/8` or `fd00::/8`");
                None
            }
        }
    }

    /// A day holds until it is over.
    fn until(&mut self, written: &At<String>) -> Option<i64> {
        let text = written.value.as_str();
        let moment = text.parse::<Timestamp>().ok();
        let day = || {
            let day = text.parse::<Date>().ok().filter(|_| text.len() == "2027-03-31".len())?;
            TimeZone::UTC.to_timestamp(day.tomorrow().ok()?.to_datetime(Time::midnight())).ok()
        };
        let until = moment.or_else(day).map(Timestamp::as_second);
        if until.is_none() {
            let problem = self.report.error("bad-value", written.at, format!("`{text}` is not a date"));
            problem.expected("a day such as `2027-03-31`, or a moment such as `2027-03-31T12:00:00Z`");
        }
        until
    }
}

#[cfg(test)]
mod tests {
    use super::super::Format;
    use super::*;

    fn source(text: &str) -> SourceText {
        SourceText {
            path: "roles.yaml".into(),
            name: "roles.yaml".into(),
            text: text.into(),
            place: Place::default(),
        }
    }

    #[test]
    fn a_book_is_read_with_its_places() {
        let text = r#"version: 1
roles:
  visitor: { held_by: anonymous, may: shop.list }
  clerk:
    reason: sells
    held_by: [{ issuer: corp, group: clerks }, { claim: a.b, value: "7" }]
    includes: visitor
    may:
      - shop.read
      - { action: [shop.drop, "shop.keep"], from: "10.1.2.3/8", when: context.tls, until: 2027-03-31, reason: asked }
      - { action: shop.late, until: "2027-03-31T12:00:00Z" }
"#;
        let roles = read(source(text)).unwrap();
        let clerk = roles.book.role("clerk").unwrap();
        assert_eq!(clerk.reason.as_deref(), Some("sells"));
        assert_eq!(clerk.holders[1].sign, Sign::Claim("a.b".into(), "7".into()));
        let actions: Vec<&str> = clerk.grants.iter().map(|grant| grant.action.as_str()).collect();
        assert_eq!(actions, ["shop.read", "shop.drop", "shop.keep", "shop.late"]);
        assert_eq!(clerk.grants[1].from, ["10.0.0.0/8".parse().unwrap()]);
        // The day itself is still in: 2027-04-01T00:00:00Z.
        assert_eq!(clerk.grants[2].until, Some(1_806_537_600));
        assert_eq!(clerk.grants[3].until, Some(1_806_494_400));
        let place = roles.place(clerk.grants[2].mark);
        assert_eq!((place.at.line, place.at.column), (10, 31));
        assert_eq!(roles.book.role("visitor").unwrap().holders[0].sign, Sign::Anonymous);
    }

    #[test]
    fn every_mistake_of_a_roles_file_is_found_in_one_run() {
        let text = r#"version: 1
rules: {}
roles:
  Clerk: { may: [a.b] }
  clerk:
    heldby: [{ group: x }]
    held_by: [{ issuer: corp }, { group: a, scope: b }, { claim: c }, { value: c }, { key_scope: k }, everybody]
    may:
      - { from: 10.0.0.0/8 }
      - { action: a.b, from: [10.0.0.0/33], until: soon, reason: " " }
      - { action: a.b, until: 2027-02-30, expires: 2027-01-01 }
      - 7
    permissions: []
  clerk: {}
"#;
        let said = read(source(text)).unwrap_err().render(Format::Text { colours: false });
        insta::assert_snapshot!(said);
    }
}
