use std::fs;
use std::path::Path;

use serde_json::json;
use tempfile::TempDir;

use super::*;
use crate::config::{Disk, Severity, roles};
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
        roles::read_from(&folder.join("before.yaml"), &Disk).unwrap()
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
    assert_eq!(ended.grants[7].end, Some("ended"));
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
