//! Functions (BFLA): no spelling of a request makes it another operation than the one that policy judged. Either the
//! upstream gets exactly the operation that the record names, or it gets nothing.

use crate::support::{Files, Gate};

const CONTRACT: &str = r##"openapi: 3.1.0
info: { title: Two versions, version: "1" }
paths:
  /v1/reports: { get: { operationId: oldReports, responses: { default: { description: any } } } }
  /v2/reports: { get: { operationId: reports, responses: { default: { description: any } } } }
  /v2/reports/{name}:
    parameters: [{ name: name, in: path, required: true, schema: { type: string } }]
    get: { operationId: report, responses: { default: { description: any } } }
    delete: { operationId: dropReport, responses: { default: { description: any } } }
  /v2/admin/users: { get: { operationId: users, responses: { default: { description: any } } } }
  /v2/public/: { get: { operationId: public, responses: { default: { description: any } } } }
"##;

/// Everybody may read reports of the new version, and nothing else.
const POLICY: &str = r#"@id("readers") permit (principal,
    action in [Action::"api.reports", Action::"api.report", Action::"api.public"], resource);"#;

const REST: &str = "apis:
  api:
    contract: contract.yaml
    base_path: /api
    upstream: \"http://UPSTREAM\"
    identify: [corp]
    answers: none
    inspect: none
    screen: none
";

/// What was sent, the status, and what the upstream got of it: method and target, or nothing.
const TABLE: &[(&str, u16, &str)] = &[
    ("GET /api/v2/reports", 200, "GET /v2/reports"),
    ("GET /api/v2/reports/may", 200, "GET /v2/reports/may"),
    ("GET /api/v2/public/", 200, "GET /v2/public/"),
    ("GET /api/v2/admin/users", 403, ""),
    ("DELETE /api/v2/reports/may", 403, ""),
    // Another version is another operation.
    ("GET /api/v1/reports", 403, ""),
    ("GET /api/v3/reports", 404, ""),
    ("GET /api/reports", 404, ""),
    ("GET /api/V2/reports", 404, ""),
    ("GET /v2/reports", 404, ""),
    // Headers that change the method or the target behind the back of who judged them.
    ("GET /api/v2/reports/may\nX-HTTP-Method-Override: DELETE", 400, ""),
    ("GET /api/v2/reports/may\nX-HTTP-Method: DELETE", 400, ""),
    ("GET /api/v2/reports/may\nX-Method-Override: DELETE", 400, ""),
    ("GET /api/v2/reports\nX-Original-URL: /v2/admin/users", 400, ""),
    ("GET /api/v2/reports\nX-Rewrite-URL: /v2/admin/users", 400, ""),
    // Nor does a parameter that some frameworks take for the method.
    ("GET /api/v2/reports/may?_method=DELETE", 400, ""),
    // Ends: a slash more or less is another path, and a dot is none.
    ("GET /api/v2/reports/", 404, ""),
    ("GET /api/v2/public", 404, ""),
    ("GET /api/v2/admin/users/", 404, ""),
    ("GET /api/v2/admin/users/.", 400, ""),
    ("GET /api/v2/reports/.", 400, ""),
    ("GET /api/v2/reports/may/", 404, ""),
    ("GET /api/v2/admin/users;x=y", 400, ""),
    ("GET /api/v2/reports/may;.json", 400, ""),
    ("GET /api/v2/admin/users.json", 404, ""),
    ("GET /api/v2/admin/users%20", 404, ""),
    ("GET /api/v2/admin/users%00", 400, ""),
    ("GET /api/v2/admin/users%09", 400, ""),
    // Case.
    ("GET /api/v2/Admin/users", 404, ""),
    ("GET /api/v2/ADMIN/USERS", 404, ""),
    ("GET /API/v2/admin/users", 404, ""),
    ("get /api/v2/reports", 405, ""),
    ("Delete /api/v2/reports/may", 405, ""),
    // Letters that some systems fold to ASCII: of a report's name they stay what they are.
    ("GET /api/v2/adm%C4%B1n/users", 404, ""),
    ("GET /api/v2/%EF%BD%81dmin/users", 404, ""),
    // Separators, encoded and doubled.
    ("GET /api/v2//admin/users", 400, ""),
    ("GET /api//v2/admin/users", 400, ""),
    ("GET //api/v2/admin/users", 400, ""),
    ("GET /api/v2/reports/..%2Fadmin%2Fusers", 400, ""),
    ("GET /api/v2/reports/%2E%2E/admin/users", 400, ""),
    ("GET /api/v2/reports/../admin/users", 400, ""),
    ("GET /api/v2/reports/..;/admin/users", 400, ""),
    ("GET /api/v2/reports/%252E%252E%252Fadmin", 400, ""),
    ("GET /api/v2/reports/..%5Cadmin%5Cusers", 400, ""),
    ("GET /api/v2/reports/..\\admin\\users", 400, ""),
    ("GET /api/v2/reports/..%c0%af..%c0%afadmin", 400, ""),
    ("GET /api/v2%2Fadmin/users", 400, ""),
    // An escape of a plain letter is that letter: the operation is the same one, and so is the verdict.
    ("GET /api/v2/%61dmin/users", 403, ""),
    ("GET /api/v2/%72eports", 200, "GET /v2/reports"),
    // Whole URLs, fragments and queries that look like paths.
    ("GET http://api.test/api/v2/admin/users", 403, ""),
    ("GET /api/v2/reports#/../admin/users", 400, ""),
    ("GET /api/v2/reports?/../admin/users", 400, ""),
    // Methods that nobody documented.
    ("POST /api/v2/reports", 405, ""),
    ("PUT /api/v2/reports/may", 405, ""),
    ("PATCH /api/v2/reports/may", 405, ""),
    ("HEAD /api/v2/reports", 405, ""),
    ("HEAD /api/v2/admin/users", 405, ""),
    ("OPTIONS /api/v2/reports", 405, ""),
    ("OPTIONS /api/v2/admin/users", 405, ""),
    ("OPTIONS *", 400, ""),
    ("TRACE /api/v2/reports", 405, ""),
    ("CONNECT api.test:443", 405, ""),
    ("PROPFIND /api/v2/reports", 405, ""),
    ("DEBUG /api/v2/reports", 405, ""),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_spelling_is_another_operation() {
    let gate = Gate::start(Files::of(REST, CONTRACT, POLICY)).await;
    let token = gate.issuer.token("reader");
    let mut wrong = Vec::new();
    for (request, status, upstream) in TABLE {
        let before = gate.upstream.count();
        let (first, more) = request.split_once('\n').unwrap_or((request, ""));
        let more = if more.is_empty() { String::new() } else { format!("{more}\n") };
        let request = format!("{first} HTTP/1.1\nHost: api.test\nAuthorization: Bearer {token}\n{more}\n");
        let answer = gate.ask(&request).await;
        let seen = gate.upstream.seen();
        let got = seen.get(before).map_or("", |seen| seen.first_line().trim_end_matches(" HTTP/1.1"));
        if (answer.status, got) != (*status, *upstream) || seen.len() > before + 1 {
            wrong.push(format!("{first} {more}: {} `{got}`, expected {status} `{upstream}`", answer.status));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
