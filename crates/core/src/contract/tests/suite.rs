//! The JSON-Schema-Test-Suite, whole: 2020-12 as OpenAPI 3.1 takes it, draft 4 through the dialect of OpenAPI 3.0.

use std::collections::BTreeMap;

use super::real::unpacked;
use super::*;

type Suite = BTreeMap<String, BTreeMap<String, Vec<Value>>>;

fn suite() -> Suite {
    serde_json::from_str(&unpacked(include_bytes!("../../../testdata/jsonschema/suite.json.gz"))).unwrap()
}

/// References from the root of `value`, which stands for a whole document, as they are from `/components/schemas/S`.
fn moved(value: &mut Value) {
    match value {
        Value::Array(all) => all.iter_mut().for_each(moved),
        Value::Object(members) => {
            for (key, value) in members {
                match value {
                    Value::String(target) if key == "$ref" => {
                        let rest = target.strip_prefix('#').filter(|r| r.is_empty() || r.starts_with('/'));
                        if let Some(rest) = rest {
                            *target = format!("#/components/schemas/S{rest}");
                        }
                    }
                    value if key != "enum" && key != "const" => moved(value),
                    _ => {}
                }
            }
        }
        _ => {}
    }
}

fn contract_of(draft: &str, schema: &Value) -> Result<Contract, Vec<Problem>> {
    let mut schema = schema.clone();
    let version = if draft == "draft4" {
        moved(&mut schema);
        "3.0.3"
    } else {
        // A resource of its own: its references begin at its own root.
        if let Some(object) = schema.as_object_mut() {
            object.entry("$id").or_insert_with(|| json!("https://suite.example/root.json"));
        }
        "3.1.0"
    };
    let body = json!({ "$ref": "#/components/schemas/S" });
    Contract::compile(document(version, &body, &json!({ "S": schema })), &ContractOptions::default())
}

/// Why a case does not agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Why {
    /// The schema stands in another document. Those are never fetched.
    Remote,
    /// The suite's default is that formats only describe; here they are asserted (and `optional/format` runs).
    Annotation,
    /// OpenAPI 3.0 has no `id`, and so none of what it changes.
    Id,
    /// A vocabulary without validation is a metaschema of its own, which OpenAPI does not choose per schema.
    Metaschema,
    /// Internationalised names need tables of Unicode that are not linked in; these two formats are not asserted.
    Idn,
    /// Draft 4 takes names that RFC 5891 forbids; the newer rule holds for all dialects.
    Hostname,
}

use Why::*;

impl Why {
    /// Whether the case asks for what is outside by decision, and not for what is wrong.
    fn is_outside(self) -> bool {
        self != Hostname
    }
}

/// What does not agree, and why: draft, file, how group and case begin.
const EXPECTED: &[(&str, &str, &str, Why)] = &[
    ("draft2020-12", "defs.json", "validate definition against metaschema", Remote),
    ("draft2020-12", "format.json", "", Annotation),
    ("draft2020-12", "optional/format/idn-email.json", "", Idn),
    ("draft2020-12", "optional/format/idn-hostname.json", "", Idn),
    ("draft2020-12", "ref.json", "remote ref, containing refs itself", Remote),
    ("draft2020-12", "refRemote.json", "", Remote),
    (
        "draft2020-12",
        "vocabulary.json",
        "schema that uses custom metaschema with with no validation vocabulary",
        Metaschema,
    ),
    ("draft4", "definitions.json", "validate definition against metaschema", Remote),
    (
        "draft4",
        "optional/format/hostname.json",
        "validation of host names: hostname with consecutive hyphens (RFC1123)",
        Hostname,
    ),
    ("draft4", "ref.json", "$ref prevents a sibling id from changing the base uri", Id),
    ("draft4", "ref.json", "remote ref, containing refs itself", Remote),
    ("draft4", "ref.json", "Recursive references between schemas", Id),
    ("draft4", "ref.json", "Location-independent identifier", Id),
    ("draft4", "ref.json", "id must be resolved against nearest parent, not just immediate parent", Id),
    ("draft4", "refRemote.json", "", Remote),
    ("draft2020-12", "dynamicRef.json", "strict-tree schema", Remote),
    ("draft2020-12", "dynamicRef.json", "tests for implementation dynamic anchor", Remote),
    ("draft2020-12", "dynamicRef.json", "$ref and $dynamicAnchor are independent of order", Remote),
    ("draft2020-12", "dynamicRef.json", "$ref to $dynamicRef finds detached", Remote),
];

#[test]
fn the_json_schema_test_suite_agrees() {
    let mut unexpected = Vec::new();
    let mut used = vec![false; EXPECTED.len()];
    for (draft, files) in suite() {
        let (mut total, mut passed, mut outside) = (0, 0, 0);
        for (file, group) in
            files.iter().flat_map(|(file, groups)| groups.iter().map(move |group| (file, group)))
        {
            let contract = contract_of(&draft, &group["schema"]);
            for test in group["tests"].as_array().unwrap() {
                total += 1;
                let name = format!(
                    "{}: {}",
                    group["description"].as_str().unwrap(),
                    test["description"].as_str().unwrap()
                );
                let agrees = contract.as_ref().is_ok_and(|contract| {
                    let unit = contract.shelf.unit(Mode::Plain, "/components/schemas/S");
                    contract.shelf.accepts(&unit, &test["data"]) == test["valid"].as_bool().unwrap()
                });
                let known = EXPECTED.iter().position(|(of, in_file, begin, _)| {
                    *of == draft && in_file == file && name.starts_with(begin)
                });
                match (agrees, known) {
                    (true, _) => passed += 1,
                    (false, Some(known)) => {
                        used[known] = true;
                        outside += i32::from(EXPECTED[known].3.is_outside());
                    }
                    (false, None) => {
                        let why = contract.as_ref().err().map(|problems| problems[0].message.clone());
                        unexpected.push(format!("{draft} {file} {name} {}", why.unwrap_or_default()));
                    }
                }
            }
        }
        let share = |of: i32| f64::from(passed) * 100.0 / f64::from(of);
        let (all, within) = (share(total), share(total - outside));
        println!(
            "JSON-Schema-Test-Suite {draft}: {passed} of {total} cases pass, {all:.2} %; {outside} ask for what is \
             outside by decision, {within:.2} % of the others"
        );
        assert!(within > 99.0, "{draft}");
    }
    let unused: Vec<_> = EXPECTED.iter().zip(&used).filter(|(_, used)| !**used).collect();
    assert!(unexpected.is_empty(), "{unexpected:#?}");
    assert!(unused.is_empty(), "these agree now: {unused:#?}");
}
