use serde_json::json;

use super::*;

fn desk() -> Desk {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/roles/portcullis.yaml");
    Desk::open(&example).unwrap()
}

fn supposed(method: &str, target: &str, claims: Option<Value>) -> Supposed {
    Supposed {
        method: method.into(),
        target: target.into(),
        claims: claims.map(|claims| claims.as_object().unwrap().clone()),
        address: [192, 0, 2, 1].into(),
        tls: true,
        headers: Vec::new(),
        body: None,
        model: None,
        now: 1_800_000_000,
    }
}

/// The outcome, and that the text has all of `expected`.
fn check(asked: &Supposed, outcome: &str, expected: &[&str]) {
    let answer = desk().suppose(asked).unwrap();
    let text = answer.text();
    assert_eq!(answer.outcome, outcome, "{text}");
    for part in expected {
        assert!(text.contains(part), "no `{part}` in: {text}");
    }
    assert_eq!(answer.json()["outcome"], outcome);
}

#[test]
fn a_method_is_explained_by_its_fields() {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/grpc/portcullis.yaml");
    let desk = Desk::open(&example).unwrap();
    let claims = json!({ "iss": "https://login.example.com", "sub": "alice", "scope": "notes:write" });
    for (target, outcome) in [
        ("/notes.v1.Notes/Read?user_id=alice", "allowed"),
        ("/notes.v1.Notes/Read", "refused"),
        ("/notes.v1.Notes/Add?user_id=alice", "allowed"),
        ("/notes.v1.Notes/Add?pinned=false&user_id=alic%65", "allowed"),
        ("/notes.v1.Notes/Add?pinned=false&user_id=a%20b", "refused"),
        ("/notes.v1.Notes/Add?pinned=true", "denied"),
        ("/notes.v1.Notes/Talk", "denied"),
    ] {
        let answer = desk.suppose(&supposed("POST", target, Some(claims.clone()))).unwrap();
        assert_eq!(answer.outcome, outcome, "{target}: {}", answer.text());
    }
}

fn token(groups: &[&str]) -> Option<Value> {
    Some(json!({ "iss": "https://login.example.com", "sub": "p7", "groups": groups }))
}

#[test]
fn a_supposed_request_is_explained() {
    let own = supposed("GET", "/patients/p7", token(&["patients"]));
    check(
        &own,
        "allowed",
        &["GET /patients/p7 as corp/p7: allowed", "decided by  role:patient/clinic.getPatient", "= \"p7\""],
    );
    let other = supposed("GET", "/patients/p8", token(&["patients"]));
    check(
        &other,
        "denied",
        &[
            "no policy allows the call",
            "principal.subject = \"p7\", context.path.patientId = \"p8\"",
            "role:reception/clinic.read needs the role `reception`, had by group `reception` of issuer `corp`",
            "role:patient/clinic.getPatient needs `",
        ],
    );
    let plain = Supposed { tls: false, ..supposed("DELETE", "/patients/p8", token(&["reception"])) };
    check(
        &plain,
        "denied",
        &["decided by  deleting-needs-tls", "must no longer apply", "needs the role `records`"],
    );
    check(&supposed("GET", "/patients/p8", None), "denied", &["GET /patients/p8 without credentials"]);
    check(&supposed("GET", "/nothing", None), "refused", &["receive: "]);
    let laboratory =
        json!({ "iss": "https://login.laboratory.example", "sub": "l", "scope": "clinic:results" });
    let mut from = supposed("GET", "/patients/p8", Some(laboratory));
    check(
        &from,
        "denied",
        &["context.address = ip(\"192.0.2.1", "role:laboratory/clinic.getPatient needs `"],
    );
    from.address = [203, 0, 113, 9].into();
    check(&from, "allowed", &["roles       laboratory"]);
}

#[test]
fn what_no_token_could_be_is_said() {
    let fails = |claims: Value| {
        desk().suppose(&supposed("GET", "/patients/p8", Some(claims))).unwrap_err().to_string()
    };
    assert!(fails(json!({ "iss": "https://elsewhere.example", "sub": "x" })).contains("elsewhere.example"));
    assert!(fails(json!({ "iss": "corp" })).contains("no token has such claims"));
}

#[test]
fn a_recorded_request_is_explained_as_far_as_its_record_goes() {
    let record = json!({ "id": "r-1", "time": "2026-11-19T10:00:00Z", "method": "GET", "route": "clinic",
        "operation": "getPatient", "tls": true, "roles": ["patient"], "reason": "forbidden",
        "detail": "no policy allows the call", "phases": { "authorize": { "outcome": "refused", "us": 4 } },
        "principal": { "kind": "token", "issuer": "corp", "subject": "p7" } });
    let text = format!("broken\n{{\"id\":\"r-2\",\"x\":\"r-1\"}}\n{record}\n");
    let found = find_record(&text, "r-1").unwrap();
    assert_eq!(found, record);
    assert_eq!(find_record(&text, "r-3"), None);
    let answer = desk().recorded(&found, &Recalled::default()).unwrap();
    let text = answer.text();
    assert_eq!(answer.outcome, "denied", "{text}");
    for part in [
        "GET clinic.getPatient as corp/p7 at 2026-11-19T10:00:00Z: denied",
        "roles       patient",
        "permit role:patient/clinic.getPatient: not known",
        "permit role:reception/clinic.read: not about the caller",
        "not known from the record",
    ] {
        assert!(text.contains(part), "no `{part}` in: {text}");
    }
}

/// The steps as `sign phase`, and all that they say.
fn path(answer: &Answer) -> (String, String) {
    let signs: Vec<String> =
        answer.steps.iter().map(|step| format!("{}{}", step.sign(), step.phase)).collect();
    let said: Vec<&str> = answer.steps.iter().map(|step| step.detail.as_str()).collect();
    (signs.join(" "), said.join("\n"))
}

/// What the demo's gate says of a request of Alice's.
fn in_the_shop(method: &str, target: &str, body: Option<&str>) -> Answer {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/demo/portcullis.yaml");
    let claims = json!({ "iss": "demo", "sub": "alice", "roles": ["customer"], "tenant": "north" });
    let asked = Supposed {
        headers: vec![("X-Tenant-Id".into(), "north".into())],
        body: body.map(|body| body.as_bytes().to_vec()),
        ..supposed(method, target, Some(claims))
    };
    Desk::open(&example).unwrap().suppose(&asked).unwrap()
}

#[test]
fn the_whole_path_is_asked_and_what_is_not_is_said() {
    let all = "+receive +identify ?admit +authorize";
    for (method, target, body, outcome, signs, expected) in [
        (
            "GET",
            "/shop/customers/alice",
            None,
            "allowed",
            "?objects +validate",
            "600/min per principal, 600 at once",
        ),
        (
            "GET",
            "/shop/customers/bob",
            None,
            "refused",
            "-objects +validate",
            "object rule `customerId`: the parameter is not the caller's claim `sub`",
        ),
        (
            "GET",
            "/shop/orders/o-1",
            None,
            "allowed",
            "?objects +validate",
            "the answer must name `alice` at `/customer` as owner of `orderId` `o-1`",
        ),
        (
            "PATCH",
            "/shop/orders/o-1",
            None,
            "allowed",
            "?objects ?validate",
            "a probe by `readOrder` must name `alice`",
        ),
        (
            "PATCH",
            "/shop/orders/o-1",
            None,
            "allowed",
            "?objects ?validate",
            "needs a body, and none was given",
        ),
        (
            "PATCH",
            "/shop/orders/o-1",
            Some(r#"{"note":"x"}"#),
            "allowed",
            "?objects +validate",
            "parameters and body meet",
        ),
        ("PATCH", "/shop/orders/o-1", Some(r#"{"total":"x"}"#), "refused", "-objects -validate", "`/total`"),
        (
            "GET",
            "/shop/carts/c-1",
            None,
            "allowed",
            "?objects +validate",
            "must remember that `alice` created `cartId` `c-1`",
        ),
        ("GET", "/shop/parcels/p-1", None, "allowed", "?objects +validate", "a lookup must name `alice`"),
    ] {
        let answer = in_the_shop(method, target, body);
        let (found, said) = path(&answer);
        assert_eq!(answer.outcome, outcome, "{target} {body:?}: {}", answer.text());
        assert_eq!(found, format!("{all} {signs} ?inspect ?forward ?screen"), "{target} {body:?}: {said}");
        assert!(said.contains(expected), "no `{expected}` in {said}");
    }
}

#[test]
fn what_refuses_is_what_would_change_the_answer() {
    let foreign = in_the_shop("GET", "/shop/customers/bob", None);
    let text = foreign.text();
    assert!(text.contains("what would change the answer:\n  objects must pass: object rule"), "{text}");
    assert_eq!(foreign.json()["path"][4]["said"], "refuses");
    let nothing = in_the_shop("GET", "/shop/nothing", None);
    assert_eq!(
        path(&nothing).0,
        "-receive .identify .admit .authorize .objects .validate .inspect .forward .screen"
    );
    let body = in_the_shop("GET", "/shop/customers/alice", Some("{}"));
    assert!(body.text().contains("the operation takes no body"), "{}", body.text());
    let denied = in_the_shop("POST", "/shop/orders/o-1/refund", None);
    assert_eq!((denied.outcome, denied.steps[3].said), ("denied", Spoken::Refuses), "{}", denied.text());
}

#[test]
fn a_waiver_ends_while_the_gate_runs() {
    let folder = tempfile::TempDir::new().unwrap();
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/roles");
    std::fs::create_dir(folder.path().join("policy")).unwrap();
    for name in ["portcullis.yaml", "clinic.openapi.yaml", "roles.yaml", "keys.json", "policy/clinic.cedar"] {
        std::fs::copy(example.join(name), folder.path().join(name)).unwrap();
    }
    let file = folder.path().join("portcullis.yaml");
    let text = std::fs::read_to_string(&file).unwrap();
    let waiver = "{ parameter: patientId, operations: [getPatient], until: 2027-03-31, reason: x }\n      - \
        { parameter: patientId, operations: [getPatient], until: 2027-01-31, reason: x }\n      - \
        { parameter: patientId, operations: [listAppointments, makeAppointment, deletePatient], reason: ";
    let text = text.replace("{ parameter: patientId, reason: ", waiver);
    std::fs::write(&file, text).unwrap();
    let desk = Desk::open(&file).unwrap();
    // The last second of the last day of the longer waiver, and the first one after it: 2027-04-01T00:00:00Z.
    let end = 1_806_537_600;
    for (target, now, outcome) in [
        ("/patients/p7", end - 1, "allowed"),
        ("/patients/p7", end, "refused"),
        ("/patients/p7/appointments", end, "allowed"),
    ] {
        let answer =
            desk.suppose(&Supposed { now, ..supposed("GET", target, token(&["patients"])) }).unwrap();
        assert_eq!(answer.outcome, outcome, "{target} {now}: {}", answer.text());
        let is_ended = answer.text().contains("object rule `patientId`: its waiver has ended");
        assert_eq!(is_ended, outcome == "refused", "{}", answer.text());
    }
}

#[test]
fn a_grant_ends_while_the_gate_runs() {
    let laboratory =
        json!({ "iss": "https://login.laboratory.example", "sub": "l", "scope": "clinic:results" });
    let end = "2028-01-01T00:00:00Z".parse::<jiff::Timestamp>().unwrap().as_second();
    for (now, outcome) in [(end - 1, "allowed"), (end, "denied")] {
        let address = [203, 0, 113, 9].into();
        let asked = Supposed { now, address, ..supposed("GET", "/patients/p8", Some(laboratory.clone())) };
        check(&asked, outcome, &["context.time < "]);
    }
}

#[test]
fn a_record_says_how_far_it_came() {
    let record = json!({ "id": "r-1", "time": "2026-11-19T10:00:00Z", "method": "GET", "route": "clinic",
        "operation": "getPatient", "tls": true, "roles": ["patient"], "reason": "invalid_body", "detail": "`/x` y",
        "policies": ["role:patient/clinic.getPatient"],
        "phases": { "receive": { "outcome": "passed" }, "identify": { "outcome": "passed" },
            "admit": { "outcome": "none" }, "authorize": { "outcome": "passed" }, "validate": { "outcome": "refused" } },
        "principal": { "kind": "token", "issuer": "corp", "subject": "p7" } });
    let answer = desk().recorded(&record, &Recalled::default()).unwrap();
    let (signs, said) = path(&answer);
    assert_eq!(
        signs, "+receive +identify +admit +authorize ?objects -validate .inspect .forward .screen",
        "{said}"
    );
    let text = answer.text();
    assert_eq!(answer.outcome, "refused", "{text}");
    assert!(
        text.ends_with("what would change the answer:\n  validate must pass: invalid_body: `/x` y\n"),
        "{text}"
    );
}

#[test]
fn what_somebody_recalls_fills_what_the_record_does_not_keep() {
    let record = json!({ "id": "r-1", "time": "2026-11-19T10:00:00Z", "method": "GET", "route": "clinic",
        "operation": "getPatient", "tls": true, "roles": ["patient"], "reason": "forbidden",
        "phases": { "authorize": { "outcome": "refused" } },
        "principal": { "kind": "token", "issuer": "corp", "subject": "p7" } });
    let claims = || token(&["patients"]).and_then(|claims| claims.as_object().cloned());
    let recalled = Recalled { claims: claims(), target: Some("/patients/p8".into()), address: None };
    let text = desk().recorded(&record, &recalled).unwrap().text();
    for part in [
        "permit role:patient/clinic.getPatient: does not apply",
        "principal.subject = \"p7\", context.path.patientId = \"p8\"",
    ] {
        assert!(text.contains(part), "no `{part}` in {text}");
    }
    let elsewhere = |claims: Option<Value>, target: &str| {
        let claims = claims.and_then(|claims| claims.as_object().cloned());
        let recalled = Recalled { claims, target: Some(target.into()), address: None };
        desk().recorded(&record, &recalled).unwrap_err().to_string()
    };
    let bob = json!({ "iss": "https://login.example.com", "sub": "bob" });
    assert_eq!(elsewhere(Some(bob), "/patients/p8"), "the record is of another caller than what is given");
    assert_eq!(
        elsewhere(None, "/patients/p8/appointments"),
        "the record is of another operation than what is given"
    );
    assert_eq!(elsewhere(None, "/nothing"), "the record is of another path than what is given");
}

#[test]
fn operations_of_a_graph_are_explained_by_their_body() {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/graph/portcullis.yaml");
    let desk = Desk::open(&example).unwrap();
    let listed = |name: &str| {
        let file = example.with_file_name("operations").join(name);
        std::fs::read_to_string(file).unwrap()
    };
    let names: Vec<String> = std::fs::read_dir(example.with_file_name("operations"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let named = |word: &str| listed(names.iter().find(|name| listed(name).contains(word)).unwrap());
    let claims = json!({ "iss": "https://login.example.com", "sub": "alice", "groups": ["customers"] });
    let asked = |query: &str, variables: Value| {
        let body = json!({ "query": query, "variables": variables }).to_string();
        let asked = supposed("POST", "/graphql", Some(claims.clone()));
        desk.suppose(&Supposed { body: Some(body.into_bytes()), ..asked }).unwrap()
    };
    let orders = named("query Orders");
    let tail = "?inspect ?forward ?screen";
    for (query, variables, outcome, signs, expected) in [
        (
            orders.as_str(),
            json!({ "customer": "alice" }),
            "allowed",
            "+authorize +objects +validate",
            "shop.query.orders",
        ),
        (
            orders.as_str(),
            json!({ "customer": "bob" }),
            "refused",
            "+authorize -objects ?validate",
            "object rule `customerId`",
        ),
        (orders.as_str(), json!({}), "refused", "+authorize ?objects -validate", "variable"),
        (
            &named("mutation CancelOrder"),
            json!({ "id": "1", "reason": "x" }),
            "denied",
            "-authorize +objects +validate",
            "`clerk`",
        ),
    ] {
        let answer = asked(query, variables.clone());
        assert_eq!(answer.outcome, outcome, "{query} {variables}: {}", answer.text());
        assert_eq!(
            path(&answer).0,
            format!("+receive +identify ?admit {signs} {tail}"),
            "{query}: {}",
            answer.text()
        );
        assert!(answer.text().contains(expected), "no `{expected}` in {}", answer.text());
    }
    let unlisted = asked("{ products { sku } }", json!({}));
    assert_eq!(unlisted.outcome, "refused", "{}", unlisted.text());
    assert!(unlisted.text().contains("- authorize"), "{}", unlisted.text());
}
