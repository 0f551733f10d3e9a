//! A first configuration for an API: it runs, and denies everything until somebody says otherwise.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use http::Uri;
use serde_json::Value as Json;

use super::contract::{Contract, Operation};
use super::diagnostic::{Diagnostics, Place, Report};
use super::identifiers::Takes;
use super::source::{Files, Loader, whole};
use super::tree::Span;

/// What `portcullis init` was told.
#[derive(Debug, Clone)]
pub struct Wanted<'w> {
    /// The OpenAPI document, relative to where the configuration will be.
    pub contract: &'w str,
    /// Where the API is.
    pub upstream: &'w str,
    /// The issuer of its callers' tokens.
    pub issuer: Option<&'w str>,
    /// The audience of those tokens; needed where there is an issuer.
    pub audience: Option<&'w str>,
}

/// Files to write. The caller must not overwrite a file that exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Starter {
    /// Path relative to the directory of the configuration, and text.
    pub files: Vec<(PathBuf, String)>,
    /// What is left to do, one sentence each.
    pub todo: Vec<String>,
}

/// Makes a first configuration, to be written in `directory`, for the API that a contract describes.
///
/// # Errors
/// Diagnostics about the contract or the command line.
pub fn starter(directory: &Path, wanted: &Wanted<'_>, files: &dyn Files) -> Result<Starter, Diagnostics> {
    let mut report = Report::new("portcullis init", "");
    let command_line: Place = whole("portcullis init");
    let upstream = wanted.upstream.parse::<Uri>().ok();
    if !upstream.is_some_and(|url| matches!(url.scheme_str(), Some("http" | "https")) && url.host().is_some())
    {
        let message = format!("`{}` is not the address of an upstream", wanted.upstream);
        report.add(command_line.error("bad-address", message)).expected("`--upstream http://127.0.0.1:9001`");
    }
    if wanted.issuer.is_some() != wanted.audience.is_some() {
        report
            .add(command_line.error("missing-key", "an issuer needs an audience, and an audience an issuer"))
            .expected("`--issuer https://login.example.com --audience https://api.example.com`");
    }
    let mut loader = Loader::new(files, &directory.join("portcullis.yaml"));
    let contract = loader.text(wanted.contract, Span::default(), &mut report).map(Contract::parse);
    match contract {
        Some(Ok(contract)) if !report.has_errors() => Ok(write(&contract, wanted)),
        Some(Err(problem)) => {
            report.add(*problem);
            Err(report.finish())
        }
        _ => Err(report.finish()),
    }
}

fn write(contract: &Contract, wanted: &Wanted<'_>) -> Starter {
    let name = name(contract);
    let operations = contract.operations();
    let policy = PathBuf::from("policy").join(format!("{name}.cedar"));
    let mut todo = vec![format!("allow what callers may do: `{}`", policy.display())];
    if wanted.issuer.is_some() {
        todo.push("check where the issuer publishes its keys: `jwks`".into());
    } else {
        todo.push("name the issuer of your callers' tokens: `identity` and `identify`".into());
    }
    let takes = contract.takes();
    let objects = object_parameters(&takes);
    if !objects.is_empty() {
        todo.push("bind what names somebody's objects to its owner: `objects`, then remove `unbound`".into());
    }
    let files = vec![
        (PathBuf::from("portcullis.yaml"), configuration(contract, &name, &objects, wanted)),
        (policy, policies(&name, &operations, wanted.issuer.is_some())),
    ];
    Starter { files, todo }
}

fn configuration(
    document: &Contract,
    name: &str,
    parameters: &Parameters<'_>,
    wanted: &Wanted<'_>,
) -> String {
    let mut out = String::from(
        "# Written by `portcullis init`. Try it with `portcullis check`, then `portcullis run`.\n\
         version: 1\n\
         listeners:\n\
         \x20 public: { address: \"127.0.0.1:8080\" }   # with TLS: tls: { certificate: api.pem, key: api.key }\n\
         \x20 admin: { address: \"127.0.0.1:9443\" }    # health and metrics\n\n",
    );
    match (wanted.issuer, wanted.audience) {
        (Some(issuer), Some(audience)) => {
            let jwks = format!("{}/.well-known/jwks.json", issuer.trim_end_matches('/'));
            let [issuer, audience, jwks] = [issuer, audience, &jwks].map(quoted);
            let _ = write!(
                out,
                "identity:\n  issuers:\n    login:\n      issuer: {issuer}\n      audience: {audience}\n      \
                 jwks: {jwks}   # check this address\n      max_lifetime: 1h\n\n"
            );
        }
        _ => out.push_str(
            "# identity:\n#   issuers:\n#     login:\n#       issuer: \"https://login.example.com\"\n\
             #       audience: \"https://api.example.com\"\n\
             #       jwks: \"https://login.example.com/.well-known/jwks.json\"\n\n",
        ),
    }
    let [contract, upstream] = [wanted.contract, wanted.upstream].map(quoted);
    let _ = write!(out, "apis:\n  {name}:\n    contract: {contract}\n    upstream: {upstream}\n");
    out.push_str(if wanted.issuer.is_some() {
        "    identify: [login]\n"
    } else {
        "    identify: anonymous   # better: [login]\n"
    });
    if document.asks_for_more_than(wanted.issuer.is_some()) {
        out.push_str(
            "    security: ignore   # the contract asks callers for credentials that nothing here takes\n",
        );
    }
    objects(&mut out, parameters);
    out.push_str(if wanted.issuer.is_some() {
        "    budgets:\n      - { per: principal, limit: 100/min }\n"
    } else {
        "    budgets:\n      - { per: address, limit: 100/min }\n"
    });
    out.push_str("\n# Nothing is allowed until a policy says so.\npolicy: { cedar: [\"policy/*.cedar\"] }\n");
    out
}

/// What may name an object, each with the operations that take it.
type Parameters<'t> = BTreeMap<&'t str, Vec<&'t str>>;

/// Everything that may name an object, to be bound by a person who knows whose it is.
fn objects(out: &mut String, parameters: &Parameters<'_>) {
    if parameters.is_empty() {
        return;
    }
    out.push_str(
        "    # Whose is what these parameters name? Where it must be the caller's own, name the claim that equals it;\n\
         \x20   # where the answer says whose it is, write `owner: \"response:/customerId\"`. Remove the `#`, and when all\n\
         \x20   # are bound, the next line.\n    unbound: allow\n    # objects:\n",
    );
    for (parameter, uses) in parameters {
        let claim = if is_person(parameter) { "claim:sub" } else { "claim:…" };
        let first = uses.first().copied().unwrap_or_default();
        let more = match uses.len() {
            0 | 1 => String::new(),
            count => format!(" and {} more", count.saturating_sub(1)),
        };
        let (parameter, first) = (quoted(parameter), one_line(first));
        let _ = writeln!(out, "    #   - {{ parameter: {parameter}, owner: \"{claim}\" }}   # {first}{more}");
    }
}

/// What may name an object, each with the operations that take it.
fn object_parameters(takes: &[Takes]) -> Parameters<'_> {
    let mut found: Parameters<'_> = BTreeMap::new();
    for operation in takes {
        for taken in operation.names.iter().filter(|taken| taken.is_identifier) {
            let uses = found.entry(&taken.name).or_default();
            if !uses.contains(&operation.operation.as_str()) {
                uses.push(&operation.operation);
            }
        }
    }
    found
}

/// Whether a parameter's name says that it names a caller.
fn is_person(parameter: &str) -> bool {
    let name = parameter.to_ascii_lowercase();
    ["user", "customer", "account", "owner", "member", "subject", "person"]
        .iter()
        .any(|word| name.contains(word))
}

fn policies(name: &str, operations: &[Operation<'_>], is_identified: bool) -> String {
    let mut out = String::from(
        "// Cedar policies. Nothing is allowed until one of these says so.\n\
         // Remove the `//` before the operations that callers may use, and narrow who may use them.\n",
    );
    let principal = if is_identified { "principal is User" } else { "principal" };
    for operation in operations {
        let method = operation.method.to_uppercase();
        let _ = write!(out, "\n// {method} {}", one_line(operation.path));
        if !operation.summary.is_empty() {
            let _ = write!(out, ": {}", one_line(operation.summary));
        }
        let action = quoted(&format!("{name}.{}", operation.name));
        let _ = write!(out, "\n// permit({principal}, action == Action::{action}, resource);\n");
    }
    out
}

/// The API's title as a name, such as `orders-api`.
fn name(contract: &Contract) -> String {
    let title = contract.document.pointer("/info/title").and_then(Json::as_str).unwrap_or_default();
    let mut name = String::new();
    for letter in title.chars().map(|letter| letter.to_ascii_lowercase()) {
        if letter.is_ascii_lowercase() || (letter.is_ascii_digit() && !name.is_empty()) {
            name.push(letter);
        } else if !name.is_empty() && !name.ends_with('-') {
            name.push('-');
        }
        if name.len() >= 32 {
            break;
        }
    }
    let name = name.trim_end_matches('-');
    if name.is_empty() { "api".to_owned() } else { name.to_owned() }
}

/// A text in double quotes, as JSON, YAML and (all but rare letters) Cedar read it.
fn quoted(text: &str) -> String {
    serde_json::to_string(text).unwrap_or_default()
}

/// A document's text fit for a comment: it cannot leave its line.
fn one_line(text: &str) -> String {
    let is_break = |c: char| c.is_control() || c == '\u{2028}' || c == '\u{2029}';
    text.chars().map(|c| if is_break(c) { ' ' } else { c }).take(160).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tests::world;
    use crate::config::{Format, load};

    fn starter_of(issuer: Option<&str>) -> Starter {
        let audience = issuer.map(|_| "https://api.example");
        let wanted = Wanted { contract: "orders.yaml", upstream: "http://127.0.0.1:9001", issuer, audience };
        starter(Path::new(""), &wanted, &world("")).unwrap()
    }

    #[test]
    fn what_is_written_is_whole_and_denies() {
        for issuer in [None, Some("https://login.example/")] {
            let mut world = world("");
            for (path, text) in starter_of(issuer).files {
                world.files.insert(path.display().to_string(), text);
            }
            world.files.retain(|name, _| !["policy/a.cedar", "policy/b.cedar"].contains(&name.as_str()));
            let loaded = load(Path::new("portcullis.yaml"), &world);
            let said = loaded.diagnostics.render(Format::Text { colours: false });
            let settings = loaded.settings.unwrap_or_else(|| panic!("{said}"));
            assert!(settings.apis[0].authorize && said.contains("nothing will be allowed"), "{said}");
            assert_eq!(loaded.diagnostics.counts(), (0, 1), "{said}");
        }
    }

    #[test]
    fn every_operation_and_every_object_is_named() {
        let starter = starter_of(Some("https://login.example/"));
        let all: Vec<&str> = starter.files.iter().map(|(_, text)| text.as_str()).collect();
        let all = all.join("\n---\n");
        insta::assert_snapshot!(all);
    }

    #[test]
    fn a_document_cannot_write_policies() {
        let mut world = world("");
        let contract = r#"{"openapi":"3.1.0","info":{"title":"2 É\n!"},"paths":{"/a":{"get":{
            "operationId":"x\"\npermit(principal, action, resource);","summary":"s\npermit(principal, action, resource);"}}}}"#;
        world.files.insert("orders.yaml".into(), contract.into());
        let wanted =
            Wanted { contract: "orders.yaml", upstream: "http://[::1]:1", issuer: None, audience: None };
        let starter = starter(Path::new(""), &wanted, &world).unwrap();
        let (path, policy) = &starter.files[1];
        assert_eq!(path, Path::new("policy/api.cedar"));
        assert!(policy.lines().all(|line| line.is_empty() || line.starts_with("//")), "{policy}");
    }

    #[test]
    fn a_wrong_command_line_is_said() {
        let wanted =
            Wanted { contract: "missing.yaml", upstream: "localhost", issuer: Some("x"), audience: None };
        let said = starter(Path::new("there"), &wanted, &world("")).unwrap_err();
        let said = said.render(Format::Text { colours: false });
        insta::assert_snapshot!(said);
    }
}
