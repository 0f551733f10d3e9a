use std::fs;
use std::path::Path;

use serde_json::json;
use tempfile::TempDir;

use super::*;
use crate::config::{Disk, Severity};
use crate::server::check;

const NOW: &str = "2026-11-20T12:00:00Z";

fn seconds(time: &str) -> i64 {
    time.parse::<Timestamp>().unwrap().as_second()
}

fn frame() -> Frame {
    Frame { now: seconds(NOW), window: 30 * DAY, unused_for: 90 * DAY }
}

/// The example of roles, in a folder of its own, with another roles file where one is given.
fn folder(roles: Option<&str>) -> TempDir {
    let folder = TempDir::new().unwrap();
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/roles");
    fs::create_dir(folder.path().join("policy")).unwrap();
    for name in ["portcullis.yaml", "clinic.openapi.yaml", "roles.yaml", "keys.json", "policy/clinic.cedar"] {
        fs::copy(example.join(name), folder.path().join(name)).unwrap();
    }
    if let Some(roles) = roles {
        fs::write(folder.path().join("roles.yaml"), roles).unwrap();
    }
    folder
}

fn line(time: &str, who: Option<&str>, operation: &str, roles: &[&str], policies: &[&str]) -> String {
    let principal = match who {
        Some(subject) => json!({ "kind": "token", "issuer": "corp", "subject": subject }),
        None => json!({ "kind": "anonymous" }),
    };
    let line = json!({ "id": "x", "time": time, "method": "GET", "route": "clinic", "operation": operation,
        "principal": principal, "roles": roles, "policies": policies, "status": 200 });
    format!("{line}\n")
}

fn records() -> String {
    let patient = |operation: &str| {
        let policy = format!("role:patient/clinic.{operation}");
        line("2026-11-19T08:00:00.5Z", Some("p<1>"), operation, &["patient"], &[&policy])
    };
    [
        line(
            "2026-06-01T08:00:00Z",
            Some("r1"),
            "makeAppointment",
            &["reception"],
            &["role:reception/clinic.makeAppointment"],
        ),
        line(
            "2026-11-18T08:00:00Z",
            None,
            "getOpeningHours",
            &[],
            &["role:visitor/clinic.getOpeningHours@anonymous"],
        ),
        patient("getPatient"),
        patient("getPatient"),
        line(
            "2026-11-19T09:00:00Z",
            Some("r1"),
            "getPatient",
            &["reception"],
            &["role:reception/clinic.read"],
        ),
        "no record\n".to_owned(),
        line(
            "2026-11-19T10:00:00Z",
            Some("r2"),
            "deletePatient",
            &["records"],
            &["role:records/clinic.deletePatient"],
        ),
    ]
    .concat()
}

fn made(folder: &Path, before: Option<&str>) -> Review {
    let desk = Desk::open(&folder.join("portcullis.yaml")).unwrap();
    let mut usage = Usage::default();
    usage.read(&records(), frame());
    let before = before.map(|text| {
        fs::write(folder.join("before.yaml"), text).unwrap();
        Former::read(&folder.join("before.yaml"), &Disk).unwrap()
    });
    review(&desk, desk.settings.roles.as_ref().unwrap(), &usage, before.as_ref(), frame())
}

/// Applies a unified diff; every line that it does not add must be there.
fn patched(text: &str, patch: &str) -> String {
    let old: Vec<&str> = text.lines().collect();
    let (mut out, mut next): (Vec<&str>, usize) = (Vec::new(), 0);
    for line in patch.lines().skip(2) {
        if let Some(head) = line.strip_prefix("@@ -") {
            let first: usize = head.split(',').next().unwrap().parse().unwrap();
            out.extend(&old[next..first - 1]);
            next = first - 1;
            continue;
        }
        let (sign, rest) = line.split_at(1);
        if sign != "+" {
            assert_eq!(old[next], rest, "{patch}");
            next += 1;
        }
        if sign != "-" {
            out.push(rest);
        }
    }
    out.extend(&old[next..]);
    out.join("\n") + "\n"
}

#[test]
fn what_was_used_is_counted_and_what_was_not_is_left_out() {
    let folder = folder(None);
    let review = made(folder.path(), None);
    let uses: Vec<(&str, u64)> = review.grants.iter().map(|one| (one.id.as_str(), one.used)).collect();
    assert_eq!(
        uses,
        [
            ("role:visitor/clinic.getOpeningHours", 1),
            ("role:patient/clinic.getOpeningHours", 0),
            ("role:patient/clinic.getPatient", 2),
            ("role:patient/clinic.listAppointments", 0),
            ("role:patient/clinic.makeAppointment", 0),
            ("role:reception/clinic.read", 1),
            ("role:reception/clinic.makeAppointment", 0),
            ("role:laboratory/clinic.getPatient", 0),
            ("role:records/clinic.deletePatient", 1),
        ]
    );
    assert_eq!((review.records, review.unreadable), (5, 1));
    assert_eq!(review.grants[6].last_used.as_deref(), Some("2026-06-01T08:00:00Z"));
    assert_eq!(review.grants[5].unused_operations, ["clinic.getOpeningHours", "clinic.listAppointments"]);
    let caller = review.principals.iter().find(|one| one.principal == "corp/r2").unwrap();
    assert_eq!((caller.unused_roles.len(), caller.unused.len()), (0, 2));
    // Read by reception, so the group shrinks to the one operation; comments of what stays are kept.
    let text = fs::read_to_string(folder.path().join("roles.yaml")).unwrap();
    let narrower = patched(&text, &review.patch);
    assert!(narrower.contains("    may: [clinic.getPatient]\n"), "{narrower}");
    assert!(narrower.contains("- action: [clinic.getPatient]\n        when: context.path"), "{narrower}");
    assert!(
        narrower.contains("# The path names the patient") && !narrower.contains("laboratory"),
        "{narrower}"
    );
    fs::write(folder.path().join("roles.yaml"), &narrower).unwrap();
    let checked = check(&folder.path().join("portcullis.yaml"));
    let errors: Vec<_> = checked.diagnostics.0.iter().filter(|one| one.severity == Severity::Error).collect();
    assert!(errors.is_empty(), "{errors:#?}\n{narrower}");
    assert!(narrower.contains("roles:\n  visitor:"), "{narrower}");
    // Nothing is left to take away.
    assert_eq!(made(folder.path(), None).patch, "");
}

#[test]
fn a_file_that_cannot_be_edited_is_written_anew() {
    let roles = "version: 1\nroles: { a: { held_by: { issuer: corp, claim: x, value: \"7\" }, reason: 'yes: all', may: [\n  \
        clinic.read, { action: clinic.getOpeningHours, until: 2030-01-01, when: context.tls } ] },\n  reception: { \
        held_by: { issuer: corp, group: g }, may: [clinic.read, { action: clinic.deletePatient, from: 10.0.0.0/8, reason: x } ] } }\n";
    let roles = roles.replace(
        "clinic.read, { action: clinic.getOpeningHours",
        "clinic.getPatient, { action: clinic.getOpeningHours",
    );
    let folder = folder(Some(&roles));
    let review = made(folder.path(), None);
    let narrower = patched(&roles, &review.patch);
    assert_eq!(
        narrower,
        "version: 1\n\nroles:\n  reception:\n    held_by:\n      - { issuer: corp, group: g }\n    may:\n      - clinic.getPatient\n"
    );
    fs::write(folder.path().join("roles.yaml"), &narrower).unwrap();
    assert!(!check(&folder.path().join("portcullis.yaml")).diagnostics.has_errors());
}

#[test]
fn ci_fails_for_what_is_unused_ended_or_added_without_a_reason() {
    let folder = folder(None);
    let text = fs::read_to_string(folder.path().join("roles.yaml")).unwrap();
    let review = made(folder.path(), None);
    let of = |part: &str| review.failures.iter().filter(|one| one.contains(part)).count();
    // Used in June, which is more than 90 days ago; used yesterday; never used.
    assert_eq!(
        of("`role:reception/clinic.makeAppointment` was not used for 90 days"),
        1,
        "{:#?}",
        review.failures
    );
    assert_eq!(
        (of("role:reception/clinic.read"), of("role:laboratory/clinic.getPatient` was not used")),
        (0, 1)
    );
    let place = review.failures.iter().find(|one| one.contains("laboratory")).unwrap();
    assert!(place.contains("roles.yaml:25: "), "{place}");

    let before = text
        .replace(
            "      - action: [clinic.getPatient, clinic.listAppointments, clinic.makeAppointment]\n",
            "      - action: clinic.getPatient\n",
        )
        .replace("    includes: reception\n", "")
        .replace("group: reception }", "group: desk }");
    let review = made(folder.path(), Some(&before));
    let grew: Vec<(&str, &str, bool)> =
        review.grew.iter().map(|one| (one.role.as_str(), one.what.as_str(), one.has_reason)).collect();
    assert_eq!(
        grew,
        [
            ("patient", "may call `clinic.listAppointments` under a condition", false),
            ("patient", "may call `clinic.makeAppointment` under a condition", false),
            ("reception", "is had by group `reception` of issuer `corp`", false),
            ("records", "may call `clinic.getOpeningHours`", false),
            ("records", "may call `clinic.getPatient`", false),
            ("records", "may call `clinic.listAppointments`", false),
            ("records", "may call `clinic.makeAppointment`", false),
        ]
    );
    // What is new has had no time to be used, but needs a reason.
    assert!(!review.failures.iter().any(|one| one.contains("role:patient/clinic.listAppointments")));
    assert!(review.failures.iter().any(|one| one.contains("`patient` may call `clinic.listAppointments`")));
}

#[test]
fn records_that_do_not_reach_back_prove_nothing_unused() {
    let folder = folder(None);
    let desk = Desk::open(&folder.path().join("portcullis.yaml")).unwrap();
    let mut usage = Usage::default();
    usage.read(&records().lines().skip(1).map(|line| format!("{line}\n")).collect::<String>(), frame());
    let roles = desk.settings.roles.as_ref().unwrap();
    assert_eq!(review(&desk, roles, &usage, None, frame()).failures, Vec::<String>::new());
    let late = Frame { now: seconds("2028-01-01T00:00:00Z"), ..frame() };
    let ended = review(&desk, roles, &usage, None, late);
    assert!(ended.failures.iter().any(|one| one.contains("has ended")), "{:#?}", ended.failures);
    assert_eq!(ended.grants[7].end, Some(End::Ended));
}

#[test]
fn a_review_is_text_json_and_a_page_without_the_callers_markup() {
    let folder = folder(None);
    let review = made(folder.path(), None);
    let text = review.text();
    for part in ["never used", "partly used", "corp/p<1>", "a narrower roles file\n--- ", "never clinic."] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let page = review.html();
    assert!(page.contains("corp/p&lt;1&gt;") && !page.contains("p<1>"), "{page}");
    assert_eq!(review.json()["grants"][5]["used"], 1);
}

/// The example with these waivers in place of its own.
fn waiving(waive: &str, roles: Option<&str>) -> TempDir {
    let folder = folder(roles);
    let file = folder.path().join("portcullis.yaml");
    let text = fs::read_to_string(&file).unwrap();
    let old = "      - { parameter: patientId, reason: \"roles decide: whoever may read patients may read each of them\" }\n";
    assert!(text.contains(old), "{text}");
    fs::write(&file, text.replace(old, waive)).unwrap();
    folder
}

const WAIVED: &str = "      - { parameter: patientId, operations: [getPatient, listAppointments], reason: asked, by: ann, until: 2026-12-01 }
      - { parameter: patientId, in: path, reason: <b>late</b>, until: 2026-11-19 }\n";

#[test]
fn waivers_are_listed_with_their_authors_reasons_and_ends() {
    let everything = "version: 1\nroles:\n  root:\n    held_by: { issuer: corp, group: g }\n    reason: when all else fails\n    \
        by: bob\n    may: { action: \"*\", until: 2026-11-20 }\n  above: { held_by: { issuer: corp, group: h }, includes: root }\n";
    let folder = waiving(WAIVED, Some(everything));
    let review = made(folder.path(), None);
    type Row<'r> = (&'r str, &'r str, Option<&'r str>, Option<&'r str>, Option<End>);
    let rows: Vec<Row<'_>> = review
        .waivers
        .iter()
        .map(|one| (one.of.as_str(), one.reason.as_str(), one.by.as_deref(), one.until.as_deref(), one.end))
        .collect();
    let day = |text| Some(text);
    assert_eq!(
        rows,
        [
            (
                "`patientId` of `clinic` needs no owner in getPatient, listAppointments",
                "asked",
                Some("ann"),
                day("2026-12-02T00:00:00Z"),
                Some(End::Soon)
            ),
            (
                "`patientId` of `clinic` needs no owner in the path",
                "<b>late</b>",
                None,
                day("2026-11-20T00:00:00Z"),
                Some(End::Ended)
            ),
            (
                "the role `root` allows every operation",
                "when all else fails",
                Some("bob"),
                day("2026-11-21T00:00:00Z"),
                Some(End::Soon)
            ),
            (
                "the role `above` allows every operation",
                "when all else fails",
                Some("bob"),
                day("2026-11-21T00:00:00Z"),
                Some(End::Soon)
            ),
        ]
    );
    assert!(review.waivers[0].place.contains("portcullis.yaml:2"), "{:?}", review.waivers[0]);
    let ended = review.failures.iter().filter(|one| one.contains("the waiver has ended")).count();
    assert_eq!(ended, 1, "{:#?}", review.failures);
    let text = review.text();
    for part in
        ["waivers\n  ends soon: `patientId`", "by ann; ", "by nobody is named; ", "the role `root` allows"]
    {
        assert!(text.contains(part), "{part}: {text}");
    }
    let page = review.html();
    assert!(page.contains("<h2>Waivers</h2>") && page.contains("&lt;b&gt;late") && !page.contains("<b>late"));
    assert_eq!(review.json()["waivers"][1]["end"], "ended");
    assert_eq!(review.json()["waivers"][0]["by"], "ann");
}

#[test]
fn an_older_review_is_as_good_as_an_older_file() {
    let folder = folder(None);
    let text = fs::read_to_string(folder.path().join("roles.yaml")).unwrap();
    let first = made(folder.path(), None);
    let same = made(folder.path(), Some(&first.json().to_string()));
    assert_eq!((same.grew, same.waivers.iter().filter(|one| one.is_new).count()), (vec![], 0));
    // What was narrowed grows again when the narrowing goes.
    let wider = text
        .replace("        when: context.path.patientId == principal.subject\n", "")
        .replace("\"203.0.113.0/24\", ", "\"203.0.0.0/16\", ")
        .replace("group: reception }", "group: desk }");
    fs::write(folder.path().join("roles.yaml"), wider).unwrap();
    let cedar = folder.path().join("policy/clinic.cedar");
    let policies = fs::read_to_string(&cedar).unwrap();
    assert!(policies.contains("@id(\"deleting-needs-tls\")"), "{policies}");
    let more = "\n@id(\"all\") @reason(\"asked\") permit (principal is User, action == Action::\"clinic.getPatient\", resource);\n";
    fs::write(&cedar, policies.replace("deleting-needs-tls", "renamed") + more).unwrap();
    let waived = waiving(WAIVED.lines().next().unwrap(), None);
    fs::copy(waived.path().join("portcullis.yaml"), folder.path().join("portcullis.yaml")).unwrap();
    let config = folder.path().join("portcullis.yaml");
    let added = fs::read_to_string(&config).unwrap().replace(
        "    budgets:",
        "\n      - { parameter: patientId, operations: [makeAppointment, deletePatient], reason: old }\n    budgets:",
    );
    fs::write(&config, added).unwrap();
    let review = made(folder.path(), Some(&first.json().to_string()));
    let grew: Vec<(&str, &str, bool)> =
        review.grew.iter().map(|one| (one.role.as_str(), one.what.as_str(), one.has_reason)).collect();
    assert_eq!(
        grew,
        [
            ("patient", "may call `clinic.getPatient` without a condition", false),
            ("patient", "may call `clinic.listAppointments` without a condition", false),
            ("patient", "may call `clinic.makeAppointment` without a condition", false),
            ("reception", "is had by group `desk` of issuer `corp`", false),
            ("laboratory", "may call `clinic.getPatient` under another condition", true),
            ("Cedar", "has the permit `all`", true),
            ("Cedar", "lacks the forbid `deleting-needs-tls`", false),
        ]
    );
    let is_new: Vec<bool> = review.waivers.iter().map(|one| one.is_new).collect();
    assert_eq!(is_new, [true, true, false], "{:#?}", review.waivers);
    assert!(
        review.failures.iter().any(|one| one.starts_with("Cedar lacks the forbid")),
        "{:#?}",
        review.failures
    );
}

#[test]
fn a_right_grows_when_no_older_term_says_it() {
    let term = |from: &str, when: &str, until: &str| Term {
        from: from.split_whitespace().map(|one| one.parse().unwrap()).collect(),
        when: (!when.is_empty()).then(|| when.to_owned()),
        until: (!until.is_empty()).then(|| until.parse().unwrap()),
        has_reason: false,
    };
    let (march, april) = ("2027-03-01T00:00:00Z", "2027-04-01T00:00:00Z");
    for (old, new, expected) in [
        (vec![], term("", "", ""), Some("may call `a.b`")),
        (vec![], term("", "context.tls", ""), Some("may call `a.b` under a condition")),
        (vec![term("", "", "")], term("10.0.0.0/8", "context.tls", march), None),
        (vec![term("10.0.0.0/8", "", "")], term("10.1.0.0/16 10.2.0.0/16", "", ""), None),
        (
            vec![term("10.0.0.0/8", "", "")],
            term("10.1.0.0/16 11.0.0.0/8", "", ""),
            Some("may call `a.b` under another condition"),
        ),
        (vec![term("10.0.0.0/8", "", "")], term("", "", ""), Some("may call `a.b` without a condition")),
        (vec![term("", "", april)], term("", "", march), None),
        (
            vec![term("", "", march)],
            term("", "", april),
            Some("may call `a.b` for longer, until 2027-04-01T00:00:00Z"),
        ),
        (
            vec![term("", "context.tls", march)],
            term("", "context.tls", ""),
            Some("may call `a.b` without an end"),
        ),
        (vec![term("", "a", "")], term("", "b", ""), Some("may call `a.b` under another condition")),
        // It has ended already, so that nobody has it.
        (vec![], term("", "", "2026-01-01T00:00:00Z"), None),
    ] {
        let rights = |terms: Vec<Term>| Rights {
            roles: vec![Right { role: "r".into(), action: "a.b".into(), terms }],
            holders: vec![Holders { role: "r".into(), signs: vec![], has_reason: false }],
            ..Rights::default()
        };
        let found = rights::grown(&rights(old.clone()), &rights(vec![new.clone()]), true, seconds(NOW));
        let found: Vec<&str> = found.iter().map(|one| one.what.as_str()).collect();
        assert_eq!(found, expected.into_iter().collect::<Vec<_>>(), "{old:?} {new:?}");
    }
}

#[test]
fn a_narrower_file_keeps_who_answers_for_what_and_drops_what_has_ended() {
    let roles = "version: 1\nroles:\n  patient: { held_by: { issuer: corp, group: p }, reason: asked, by: ann, may: [\n      \
        { action: clinic.getPatient, by: bob, reason: 'yes: so' }, { action: clinic.listAppointments, by: eve } ] }\n  \
        reception: { held_by: { issuer: corp, group: g }, may: { action: clinic.getPatient, until: 2026-11-20, reason: x } }\n";
    let folder = folder(Some(roles));
    let review = made(folder.path(), None);
    let late = Frame { now: seconds("2026-11-21T12:00:00Z"), ..frame() };
    let desk = Desk::open(&folder.path().join("portcullis.yaml")).unwrap();
    let mut usage = Usage::default();
    usage.read(&records().replace("clinic.read", "clinic.getPatient"), late);
    let later = super::review(&desk, desk.settings.roles.as_ref().unwrap(), &usage, None, late);
    assert_eq!((later.grants[2].used, later.grants[2].end), (1, Some(End::Ended)));
    assert!(!patched(roles, &later.patch).contains("reception"), "{}", later.patch);
    let narrower = patched(roles, &review.patch);
    assert!(narrower.contains("bob") && narrower.contains("ann") && !narrower.contains("eve"), "{narrower}");
    fs::write(folder.path().join("roles.yaml"), &narrower).unwrap();
    let checked = check(&folder.path().join("portcullis.yaml"));
    assert!(!checked.diagnostics.has_errors(), "{:#?}\n{narrower}", checked.diagnostics);
}
