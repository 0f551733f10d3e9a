//! A roles file on the wire: who may call what, and what a reload of it changes.

use std::path::Path;

use portcullis_gateway::config::Format;
use portcullis_gateway::server::check;

use crate::support::{Files, Gate, until};

const ROLES: &str = r#"version: 1
roles:
  visitor: { held_by: anonymous, may: things.listThings }
  reader: { held_by: { group: reader }, may: [things.read] }
"#;

fn with_roles() -> Files {
    let mut files = Files::open("", "");
    files.config =
        files.config.replace("policy: { cedar: [\"policy.cedar\"] }", "policy: { roles: roles.yaml }");
    files
}

fn put(folder: &Path, roles: &str) {
    std::fs::write(folder.join(".roles.new"), roles).unwrap();
    std::fs::rename(folder.join(".roles.new"), folder.join("roles.yaml")).unwrap();
}

async fn status(gate: &Gate, target: &str, subject: Option<&str>) -> u16 {
    gate.upstream.answers("200 OK", "", "");
    let credential = subject.map(|subject| format!("Authorization: Bearer {}\n", gate.issuer.token(subject)));
    let request = format!("GET {target} HTTP/1.1\nHost: h\n{}\n", credential.unwrap_or_default());
    gate.ask(&request).await.status
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_what_a_role_names_can_be_called() {
    let gate = Gate::start_with(with_roles(), |folder| put(folder, ROLES)).await;
    assert_eq!(status(&gate, "/api/things", None).await, 200);
    assert_eq!(status(&gate, "/api/things/1", None).await, 403);
    assert_eq!(status(&gate, "/api/things/1", Some("u1")).await, 200);
    let lines = until("the records", async || {
        let text = std::fs::read_to_string(gate.file("records.jsonl")).unwrap_or_default();
        (text.lines().count() == 3).then_some(text)
    })
    .await;
    let last = lines.lines().last().unwrap();
    assert!(last.contains(r#""roles":["reader"],"policies":["role:reader/things.read"]"#), "{last}");
    assert!(lines.contains(r#""policies":["role:visitor/things.listThings@anonymous"]"#), "{lines}");
    // The same folder, another book: nobody reads any more. What is broken is not taken.
    put(gate.folder.path(), "version: 1\nroles: { reader: { may: things.lst } }\n");
    until("the refused reload", async || {
        gate.admin("/metrics").await.text().contains("portcullis_reload_successful 0\n").then_some(())
    })
    .await;
    assert_eq!(status(&gate, "/api/things/1", Some("u1")).await, 200);
    put(gate.folder.path(), &ROLES.replace("[things.read]", "[things.makeThing]"));
    until("the new roles", async || (status(&gate, "/api/things/1", Some("u1")).await == 403).then_some(()))
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_with_roles_is_said_with_its_place() {
    let gate = Gate::start_with(with_roles(), |folder| put(folder, ROLES)).await;
    let path = gate.file("portcullis.yaml");
    let verdict = |roles: &str, expected: &[&str]| {
        put(gate.folder.path(), roles);
        let checked = check(&path);
        let said = checked.diagnostics.render(Format::Text { colours: false });
        for part in expected {
            assert!(said.contains(part), "{roles}: {said}");
        }
        assert_eq!(checked.diagnostics.has_errors(), !expected.is_empty(), "{said}");
        assert_eq!(checked.matrix.is_some(), expected.is_empty());
    };
    let role = |rest: &str| format!("version: 1\nroles:\n  a: {{ held_by: {{ group: a }}, {rest} }}\n");
    verdict(ROLES, &[]);
    verdict(
        &role("may: [things.listThing]"),
        &[
            "roles.yaml:3:37: error: there is no operation or group `things.listThing`",
            "    ^^^^",
            "`things.listThings`?",
        ],
    );
    verdict(&role("may: [listThings]"), &["did you mean `things.listThings`?"]);
    verdict(&role("includes: aa"), &["roles.yaml:3:", "there is no role `aa`", "did you mean `a`?"]);
    verdict(
        &role("may: { action: things.readThing, when: context.path.nothing == \"x\" }"),
        &["roles.yaml:3:", "error: the grant `role:a/things.readThing` cannot hold", "nothing"],
    );
    verdict(&role("may: { action: things.readThing, when: \"false\" }"), &["roles.yaml:3:", "impossible"]);
    verdict(&role("may: things"), &["roles.yaml:3:3: error: the role `a` allows every operation"]);
    verdict(&role("may: things, reason: it is its own"), &[]);
    verdict(&role("may: { action: things.read, until: 2020-02-29 }"), &[]);
    let said = check(&path).diagnostics.render(Format::Text { colours: false });
    assert!(said.contains("roles.yaml:3:46: warning: the grant of `things.read` has ended"), "{said}");
    verdict("version: 1\nroles: { a: { may: things.read } }\n", &["roles.yaml:2:10: error: nobody can have"]);
}
