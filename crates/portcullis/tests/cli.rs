//! The binary as a person meets it: what it says, and with which status it ends.

#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::fmt::Write as _;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const CONTRACT: &str = include_str!("../../../examples/demo/shop.openapi.yaml");

const COMMANDS: [&str; 9] =
    ["run", "check", "coverage", "explain", "access-review", "prove", "routes", "init", "demo"];

/// Runs the binary in `folder`, without colours and at a fixed width.
fn portcullis(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_portcullis"))
        .args(arguments)
        .current_dir(folder)
        .env_remove("PORTCULLIS_CONFIG")
        .env_remove("CVC5")
        .env("NO_COLOR", "1")
        .env("COLUMNS", "100")
        .output()
        .unwrap()
}

/// Fails unless the command ends with `status` and says every one of `expected`, on either stream.
fn check(folder: &Path, arguments: &[&str], status: i32, expected: &[&str]) {
    let output = portcullis(folder, arguments);
    let said = [String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr)].concat();
    assert_eq!(output.status.code(), Some(status), "{arguments:?}: {said}");
    for text in expected {
        assert!(said.contains(text), "{arguments:?} does not say `{text}`: {said}");
    }
}

/// A folder with a contract and a first configuration.
fn started() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("shop.yaml"), CONTRACT).unwrap();
    let init = ["init", "--contract", "shop.yaml", "--upstream", "http://127.0.0.1:9"];
    check(folder.path(), &init, 0, &["wrote ./portcullis.yaml", "to do: "]);
    folder
}

/// Writes the configuration of `folder` again with `from` replaced.
fn change(folder: &Path, from: &str, to: &str) {
    let file = folder.join("portcullis.yaml");
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(text.contains(from), "{text}");
    std::fs::write(file, text.replace(from, to)).unwrap();
}

#[test]
fn every_command_has_help_with_an_example() {
    let here = Path::new(".");
    for command in COMMANDS {
        check(here, &[command, "--help"], 0, &["Usage: portcullis ", "Example:\n  portcullis "]);
    }
    check(here, &["--version"], 0, &[env!("CARGO_PKG_VERSION")]);
    check(here, &[], 2, &["Usage: portcullis <COMMAND>"]);
    check(here, &["rum"], 2, &["unrecognized subcommand 'rum'", "'run'"]);
}

#[test]
fn the_command_reference_is_what_help_says() {
    let mut text = String::from(
        "# Commands\n\n\
         <!-- Generated from `--help`; `UPDATE=1 cargo test -p portcullis --test cli` writes it again. -->\n\n\
         Every command ends with 0 when all is well, with 1 when something is wrong with what it was given or found,\n\
         and with 2 when its arguments make no sense.\n",
    );
    for command in [""].into_iter().chain(COMMANDS) {
        let arguments = [command, "--help"];
        let output =
            portcullis(Path::new("."), if command.is_empty() { &arguments[1..] } else { &arguments });
        let said = String::from_utf8(output.stdout).unwrap();
        let said: Vec<&str> = said.lines().map(str::trim_end).collect();
        let title = format!("## portcullis {command}");
        write!(text, "\n{}\n\n```text\n{}\n```\n", title.trim_end(), said.join("\n")).unwrap();
    }
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/commands.md");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&file, &text).unwrap();
    }
    let committed = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(committed == text, "docs/commands.md is not what `--help` says: run the test with UPDATE=1");
}

#[test]
fn a_first_configuration_passes_its_check_and_is_not_overwritten() {
    let folder = started();
    check(
        folder.path(),
        &["check"],
        0,
        &["nothing will be allowed", "bound to its owner: `", "1 file checked: 0 errors, 2 warnings\n"],
    );
    let before = std::fs::read(folder.path().join("portcullis.yaml")).unwrap();
    let again = ["init", "--contract", "shop.yaml", "--upstream", "http://127.0.0.1:10"];
    check(folder.path(), &again, 1, &["portcullis.yaml exists and is not overwritten"]);
    assert_eq!(std::fs::read(folder.path().join("portcullis.yaml")).unwrap(), before);
}

#[test]
fn mistakes_are_shown_where_they_are() {
    let folder = started();
    for command in ["check", "run"] {
        let expected = ["none.yaml: error: ", "there is no such file"];
        check(folder.path(), &[command, "-c", "none.yaml"], 1, &expected);
    }
    let none = ["init", "--contract", "none.yaml", "--upstream", "http://127.0.0.1:9", "--directory", "new"];
    check(folder.path(), &none, 1, &["none.yaml"]);
    assert!(!folder.path().join("new").exists());
    change(folder.path(), "budgets:", "budgts:");
    for command in ["check", "run"] {
        check(folder.path(), &[command], 1, &["portcullis.yaml:", "error: ", "budgts", "`budgets`", "    ^"]);
    }
    let json = portcullis(folder.path(), &["check", "--format", "json"]);
    assert_eq!(json.status.code(), Some(1));
    serde_json::from_slice::<serde_json::Value>(&json.stdout).unwrap();
}

#[test]
fn a_port_in_use_is_said() {
    let folder = started();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    change(folder.path(), "127.0.0.1:8080", &taken.local_addr().unwrap().to_string());
    change(folder.path(), "127.0.0.1:9443", "127.0.0.1:0");
    check(folder.path(), &["run"], 1, &["cannot listen on", "in use"]);
}

#[test]
fn the_tour_comes_out_as_expected() {
    check(Path::new("."), &["demo", "--tour"], 0, &[" 0 came out otherwise than expected"]);
}

/// The example of roles in a folder of its own, with records and claims.
fn clinic() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/roles");
    std::fs::create_dir(folder.path().join("policy")).unwrap();
    for name in ["portcullis.yaml", "clinic.openapi.yaml", "roles.yaml", "keys.json", "policy/clinic.cedar"] {
        std::fs::copy(example.join(name), folder.path().join(name)).unwrap();
    }
    let record = r#"{"id":"r-1","time":"2026-01-01T10:00:00Z","method":"GET","route":"clinic","operation":"getPatient",
        "tls":true,"principal":{"kind":"token","issuer":"corp","subject":"p7"},"roles":["patient"],
        "policies":["role:patient/clinic.getPatient"],"status":200}"#;
    std::fs::write(folder.path().join("records.jsonl"), record.replace('\n', "")).unwrap();
    let claims = r#"{"iss":"https://login.example.com","sub":"p7","groups":["patients"]}"#;
    std::fs::write(folder.path().join("claims.json"), claims).unwrap();
    folder
}

#[test]
fn check_prints_who_may_call_what() {
    let folder = clinic();
    let row = "clinic.getPatient        -          -          -        if       yes        if          yes";
    check(folder.path(), &["check"], 0, &["operation", row, "1 file checked: 0 errors"]);
    let json = portcullis(folder.path(), &["check", "--matrix", "--format", "json"]);
    let matrices: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(matrices[0]["actions"][0], "clinic.getOpeningHours");
    assert_eq!(matrices[0]["rows"][0]["cells"][0]["answer"], "yes");
}

#[test]
fn a_call_is_explained() {
    let folder = clinic();
    let asked = ["explain", "--as", "claims.json", "--path", "/patients/p8", "--address", "192.0.2.7"];
    check(
        folder.path(),
        &asked,
        0,
        &["corp/p7: denied", "what would change the answer:", "needs the role `reception`"],
    );
    std::fs::write(folder.path().join("body.json"), r#"{"at":7}"#).unwrap();
    let body = [
        "explain",
        "--as",
        "claims.json",
        "--method",
        "post",
        "--path",
        "/patients/p7/appointments",
        "--body",
    ];
    let wrong = [&body[..], &["body.json", "--header", "x-one: 1"]].concat();
    check(
        folder.path(),
        &wrong,
        0,
        &[": refused\n", "  - validate   `/at` ", "  ? admit      it takes from `"],
    );
    check(folder.path(), &[&body[..], &["none.json"]].concat(), 1, &["cannot read none.json"]);
    check(folder.path(), &[&wrong[..], &["--header", "x"]].concat(), 2, &["a name, a colon and a value"]);
    let recorded = ["explain", "r-1", "--records", "records.jsonl"];
    check(folder.path(), &recorded, 0, &["allowed", "decided by  role:patient/clinic.getPatient"]);
    let json = portcullis(folder.path(), &[&asked[..], &["--format", "json"]].concat());
    let answer: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(answer["outcome"], "denied");
    check(
        folder.path(),
        &["explain", "r-2", "--records", "records.jsonl"],
        1,
        &["no record has the id `r-2`"],
    );
    check(folder.path(), &["explain", "r-1"], 1, &["name one with `--records`"]);
    check(folder.path(), &["explain"], 2, &["required"]);
    check(folder.path(), &["explain", "--path", "/", "-c", "none.yaml"], 1, &["there is no such file"]);
}

#[test]
fn access_is_reviewed() {
    let folder = clinic();
    let asked = ["access-review", "--records", "records.jsonl"];
    check(folder.path(), &asked, 0, &["role:visitor/clinic.getOpeningHours", "never used", "to be done"]);
    let ci = [&asked[..], &["--ci", "--format", "json"]].concat();
    check(folder.path(), &ci, 1, &["was not used for 90 days", "\"failures\": ["]);
    check(folder.path(), &[&asked[..], &["--format", "html"]].concat(), 0, &["<h1>Access review</h1>"]);
    check(folder.path(), &[&asked[..], &["--window", "30"]].concat(), 2, &["as `30d` or `12h`"]);
    check(folder.path(), &[&asked[..], &["--since", "none.yaml"]].concat(), 1, &["there is no such file"]);
    // Within a window that has the one record, what it used is all that stays.
    let patch =
        portcullis(folder.path(), &[&asked[..], &["--window", "36500d", "--format", "patch"]].concat());
    let patch = String::from_utf8(patch.stdout).unwrap();
    assert!(
        patch.starts_with("--- ./roles.yaml\n+++ ./roles.yaml\n@@ ") || patch.starts_with("--- roles.yaml"),
        "{patch}"
    );
    // What it writes is taken by `check`, once it is applied.
    let file = folder.path().join("roles.yaml");
    let before = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, patched(&before, &patch)).unwrap();
    check(folder.path(), &["check"], 0, &["1 file checked: 0 errors"]);
    std::fs::write(&file, before).unwrap();
    let json = portcullis(folder.path(), &[&asked[..], &["--format", "json"]].concat());
    std::fs::write(folder.path().join("before.json"), &json.stdout).unwrap();
    let wider = std::fs::read_to_string(&file)
        .unwrap()
        .replace("may: [clinic.getOpeningHours]", "may: [clinic.read]");
    std::fs::write(&file, wider).unwrap();
    let since = [&asked[..], &["--since", "before.json", "--ci", "--unused-for", "36500d"]].concat();
    let grew = "the role `visitor` may call `clinic.getPatient`, and nobody wrote why";
    check(folder.path(), &since, 1, &["rights that grew", grew, "waivers\n  holds: `patientId` of `clinic`"]);
    assert!(
        patch.contains("\n-  laboratory:\n") && patch.contains("\n+      - action: [clinic.getPatient]\n"),
        "{patch}"
    );
}

#[test]
fn proofs_need_two_roles_a_solver_and_the_feature() {
    let folder = clinic();
    check(folder.path(), &["prove", "--implies", "patient"], 2, &["as `reader:editor`"]);
    check(folder.path(), &["prove", "--limit", "0"], 2, &["1..=3600"]);
    let without = if cfg!(feature = "prove") {
        "the solver `/nowhere/cvc5` cannot be run: "
    } else {
        "built without proofs; build one that has them"
    };
    check(folder.path(), &["prove", "--solver", "/nowhere/cvc5"], 1, &[without]);
}

#[cfg(feature = "prove")]
#[test]
fn the_policies_of_the_example_are_proven() {
    let folder = clinic();
    // The feature asks for a solver: `CVC5` names it, as `./test` does.
    let solver = std::env::var_os("CVC5").unwrap();
    let solver = solver.to_str().unwrap();
    let asked = ["prove", "--solver", solver];
    check(folder.path(), &asked, 0, &["proven: no policy can err", ": 0 not proven"]);
    let claim = [&asked[..], &["--implies", "laboratory:reception", "--implies", "records:patient"]].concat();
    let shown = [
        "the role `records` may do what `patient` may not",
        "  for example User::",
        " calls Action::\"clinic.",
    ];
    check(folder.path(), &claim, 1, &shown);
    let json = portcullis(folder.path(), &[&claim[..], &["--format", "json"]].concat());
    let report: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(report["held"][0], serde_json::json!(["laboratory", "reception"]), "{report}");
}

/// Applies a unified diff; every line that it does not add must be there.
fn patched(text: &str, patch: &str) -> String {
    let mut old = text.lines();
    let (mut out, mut next): (Vec<&str>, usize) = (Vec::new(), 1);
    for line in patch.lines().skip(2) {
        if let Some(head) = line.strip_prefix("@@ -") {
            let first: usize = head.split(',').next().unwrap().parse().unwrap();
            out.extend(old.by_ref().take(first - next));
            next = first;
            continue;
        }
        let (sign, rest) = line.split_at(1);
        if sign != "+" {
            assert_eq!(old.next(), Some(rest), "{patch}");
            next += 1;
        }
        if sign != "-" {
            out.push(rest);
        }
    }
    out.extend(old);
    out.join("\n") + "\n"
}

#[test]
fn routes_are_reviewed() {
    let folder = clinic();
    let asked = ["routes", "--records", "records.jsonl"];
    check(
        folder.path(),
        &asked,
        0,
        &["never called: ", "clinic.getPatient  GET /patients/{", "records counted: 0"],
    );
    let all = [&asked[..], &["--window", "36500d"]].concat();
    check(folder.path(), &all, 0, &["records counted: 1", "clinic.getOpeningHours"]);
    let json = portcullis(folder.path(), &[&all[..], &["--format", "json"]].concat());
    let review: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    let idle = review["never_called"].as_array().unwrap();
    assert!(idle.iter().all(|one| one["operation"] != "getPatient"), "{review}");
    check(folder.path(), &[&all[..], &["--format", "html"]].concat(), 0, &["<h1>Review of routes</h1>"]);
    check(folder.path(), &[&all[..], &["--ci"]].concat(), 0, &[]);
    let unknown = r#"{"time":"2026-01-01T10:00:00Z","method":"GET","path":"/admin","reason":"not_found"}"#;
    std::fs::write(folder.path().join("more.jsonl"), unknown).unwrap();
    let more = ["routes", "--records", "more.jsonl", "--window", "36500d", "--ci"];
    check(folder.path(), &more, 1, &["GET /admin  no such path"]);
    check(folder.path(), &["routes", "-c", "none.yaml"], 1, &["there is no such file"]);
}
