//! Whole files: what they come to, and what is said about broken ones.

use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::time::Duration;

use super::settings::{
    Check, ClientSystem, Detectors, Encoder, Fence, Jwks, Level, Limits, Per, RecordTarget,
};
use super::*;

/// Files and variables in memory.
#[derive(Default)]
pub(super) struct Memory {
    pub(super) files: HashMap<String, String>,
    variables: HashMap<String, String>,
}

impl Files for Memory {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let text = self.files.get(&path.display().to_string());
        text.map(|text| text.clone().into_bytes()).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<String>> {
        let names = self.files.keys().filter_map(|file| Path::new(file).strip_prefix(directory).ok());
        Ok(names.filter_map(|path| Some(path.iter().next()?.to_string_lossy().into_owned())).collect())
    }

    fn variable(&self, name: &str) -> Option<String> {
        self.variables.get(name).cloned()
    }
}

const CONTRACT: &str = r#"
openapi: 3.1.0
info: { title: Orders, version: "1" }
paths:
  /login:
    post: { operationId: login, responses: { 200: { description: ok } } }
  /users/{userId}/orders/{orderId}:
    parameters:
      - { name: userId, in: path, required: true, schema: { type: string } }
    get:
      operationId: readOrder
      parameters: [ { name: orderId, in: path, required: true, schema: { type: string } } ]
      responses: { 200: { description: ok } }
    delete:
      responses: { 204: { description: gone } }
"#;

pub(super) fn world(configuration: &str) -> Memory {
    let mut world = Memory::default();
    let files = [
        ("portcullis.yaml", configuration),
        ("orders.yaml", CONTRACT),
        ("swagger.json", "{\n  \"swagger\": \"2.0\"\n}"),
        ("system.md", "Be kind.\n"),
        ("keys.json", r#"{"keys":[{"kty":"EC"}]}"#),
        ("key.txt", "from-a-file\n"),
        ("policy/b.cedar", "permit(principal, action, resource);"),
        ("policy/a.cedar", "// nothing yet\n"),
        ("policy/.swap.cedar", "broken"),
    ];
    world.files.extend(files.map(|(name, text)| (name.to_owned(), text.to_owned())));
    world.variables.insert("KEY".into(), "from-the-environment".into());
    world
}

fn load_text(configuration: &str) -> Loaded {
    load(Path::new("portcullis.yaml"), &world(configuration))
}

fn said(configuration: &str) -> String {
    load_text(configuration).diagnostics.render(Format::Text { colours: false })
}

fn settings(configuration: &str) -> Settings {
    let loaded = load_text(configuration);
    let said = loaded.diagnostics.render(Format::Text { colours: false });
    assert_eq!(said, "");
    loaded.settings.unwrap()
}

/// A right file with more under `apis.orders`.
fn with_api(more: &str) -> String {
    format!(
        r#"version: 1
listeners: {{ public: {{ address: "127.0.0.1:8080" }} }}
identity:
  issuers:
    corp: {{ issuer: "https://login.example", audience: "https://api.example", jwks: "file:keys.json" }}
apis:
  orders:
    contract: orders.yaml
    upstream: "http://127.0.0.1:9001"
    identify: [corp]
    authorize: none
{more}"#
    )
}

const FULL: &str = r#"
version: 1
listeners:
  public: { address: "0.0.0.0:8443", plain: true }
  admin: { address: "127.0.0.1:9443" }
limits: { header_count: 50, header_size: 64KiB, idle_time: 2m }
trusted_proxies: ["10.1.2.3/8", "::1"]
identity:
  issuers:
    corp:
      issuer: "https://login.example"
      audience: ["https://api.example", other]
      jwks: "https://login.example/jwks"
      algorithms: [ES256, RS256]
      max_lifetime: 15m
      leeway: 5s
      type: at+jwt
    local: { issuer: local, audience: a, jwks: "file:keys.json" }
apis:
  orders:
    contract: orders.yaml
    base_path: /orders/
    upstream:
      url: "https://127.0.0.1:9001/v2"
      timeout: 5s
      http2: true
      credential: { header: x-api-key, value: "file:key.txt" }
    identify: [local, corp, anonymous]
    hide: true
    objects: [ { parameter: userId, owner: "claim:sub" } ]
    budgets:
      - { per: principal, limit: 100/min, burst: 20 }
      - { per: principal, limit: 1000/hour }
      - { per: address, limit: 5/min, operations: [login, deleteUsersUserIdOrdersOrderId], name: logins }
    unknown: { fields: allow }
    answers: observe
    body_limit: 2MB
    operations: { login: { body_limit: 4KiB } }
    inspect: none
    screen: { pii: redact, injection: enforce }
models:
  assistant:
    dialect: openai
    base_path: /v1
    upstream: { url: "https://api.example", credential: "env:KEY" }
    system: system.md
    client_system: demote
    identify: anonymous
    prompt: { pii: off }
policy: { cedar: ["policy/*.cedar"] }
record: { path: data/records.jsonl }
"#;

#[test]
fn a_full_file_becomes_settings() {
    let settings = settings(FULL);
    assert_eq!(settings.listeners.public.address.port(), 8443);
    assert!(settings.listeners.admin.is_some());
    let limits = &settings.limits;
    assert_eq!((limits.header_count, limits.header_size, limits.target), (50, 65_536, 8_192));
    assert_eq!(limits.idle_time, Duration::from_secs(120));
    let networks: Vec<String> = settings.trusted_proxies.iter().map(ToString::to_string).collect();
    assert_eq!(networks, ["10.0.0.0/8", "::1/128"]);

    assert_eq!(settings.issuers[0].algorithms.len(), 2);
    assert_eq!(settings.issuers[0].audiences, ["https://api.example", "other"]);
    assert!(matches!(&settings.issuers[0].jwks, Jwks::Url(url) if url.path() == "/jwks"));
    assert!(matches!(&settings.issuers[1].jwks, Jwks::File(text) if text.name.as_ref() == "keys.json"));
    assert_eq!(settings.issuers[1].types, ["at+jwt", "JWT"]);

    let api = &settings.apis[0];
    assert_eq!((api.name.as_str(), api.base_path.as_str()), ("orders", "/orders"));
    assert_eq!((api.identify.issuers.as_slice(), api.identify.anonymous), ([1, 0].as_slice(), true));
    assert!(api.authorize && api.hide && api.validate_requests && !api.forward_credential && !api.websocket);
    assert_eq!(api.upstream.credential.as_ref().unwrap().value.expose(), "from-a-file");
    assert_eq!(api.upstream.timeout, Duration::from_secs(5));
    assert_eq!(api.upstream.first_byte_timeout, Duration::from_secs(5));
    assert_eq!((api.objects[0].parameter.as_str(), api.objects[0].equals.as_str()), ("userId", "sub"));
    let budgets: Vec<_> = api.budgets.iter().map(|one| (one.name.as_str(), one.per, one.burst)).collect();
    let expected = [
        ("principal", Per::Principal, 20),
        ("principal-2", Per::Principal, 1000),
        ("logins", Per::Address, 5),
    ];
    assert_eq!(budgets, expected);
    assert_eq!(api.budgets[0].limit, Rate { count: 100, period: Duration::from_secs(60) });
    assert!(api.allow_unknown_fields && !api.allow_unknown_parameters);
    assert_eq!((api.answers, api.body_limit), (Check::Observe, 2_000_000));
    assert_eq!(api.body_limits, [("login".to_owned(), 4096)]);
    assert_eq!(api.inspect, Detectors::NONE);
    let screen = Detectors {
        pii: Level::Redact,
        injection: Level::Block,
        unread: Some(Vec::new()),
        ..Detectors::SCREEN
    };
    assert_eq!(api.screen, screen);

    let model = &settings.models[0];
    assert_eq!(model.upstream.credential.as_ref().unwrap().value.expose(), "Bearer from-the-environment");
    assert_eq!(model.client_system, ClientSystem::Demote);
    assert_eq!(&*model.system.as_ref().unwrap().text, "Be kind.\n");
    let prompt = Detectors { unread: Some(Vec::new()), ..Detectors::PROMPT };
    assert_eq!((&model.prompt, &model.answer), (&prompt, &Detectors::ANSWER));
    assert_eq!(model.upstream.timeout, Duration::from_secs(600));

    let policies: Vec<&str> = settings.policies.iter().map(|text| &*text.name).collect();
    assert_eq!(policies, ["policy/a.cedar", "policy/b.cedar"]);
    assert_eq!(settings.record, RecordTarget::File("data/records.jsonl".into()));
}

#[test]
fn what_belongs_to_prompts_and_answers_of_models_stands_nowhere_else() {
    for wrong in
        ["    inspect: { fence: on }\n", "    screen: { leak: redact }\n", "    inspect: { canary: true }\n"]
    {
        let said = said(&with_api(wrong));
        assert!(said.contains("expected: `") && said.contains("in a model's"), "{wrong}: {said}");
    }
    let right = FULL
        .replace("{ pii: off }", "{ fence: mark, canary: true, roles: block }\n    answer: { leak: block }");
    let model = &settings(&right).models[0];
    assert_eq!((model.prompt.fence, model.prompt.canary), (Fence::Mark, true));
    assert_eq!((model.prompt.roles, model.answer.leak), (Level::Block, Level::Block));
}

#[test]
fn a_small_file_gets_the_defaults() {
    let settings = settings(&with_api(""));
    let api = &settings.apis[0];
    assert_eq!((api.base_path.as_str(), api.body_limit, api.answers), ("", 1 << 20, Check::Enforce));
    assert_eq!((&api.inspect, &api.screen), (&Detectors::INSPECT, &Detectors::SCREEN));
    assert_eq!((settings.limits, settings.record), (Limits::default(), RecordTarget::Stdout));
    assert!(settings.listeners.admin.is_none() && !api.authorize);
}

#[test]
fn the_defaults_of_the_reference_are_the_real_ones() {
    let mut text = String::from("limits:\n");
    for (key, property) in schema::properties("Limits").unwrap() {
        text.push_str(&format!("  {key}: {}\n", property["default"]));
    }
    assert_eq!(settings(&format!("{}{text}", with_api(""))).limits, Limits::default());

    let mut text = String::new();
    for (key, property) in schema::properties("Api").unwrap() {
        let default = property.get("default").filter(|default| !default.is_array() && !default.is_object());
        // The small file already says `authorize`.
        if let Some(default) = default.filter(|_| key != "authorize") {
            text.push_str(&format!("    {key}: {default}\n"));
        }
    }
    assert!(text.contains("body_limit"));
    let shown = |text: &str| {
        let mut api = settings(&with_api(text)).apis.remove(0);
        api.place = Place::default();
        format!("{api:?}")
    };
    assert_eq!(shown(&text), shown(""));
}

#[test]
fn every_mistake_is_found_in_one_run() {
    let said = said(
        r#"version: 2
listeners:
  public: { address: "0.0.0.0:8443" }
  admin: { address: "0.0.0.0:9443", tls: [] }
  private: {}
limits: { header_count: 0, header_size: 32, idle_time: 5 parsecs, target: "8" }
trusted_proxies: [everywhere]
identity:
  issuers:
    corp: { issuer: "https://login.example", audience: [], jwks: keys.json, algorithms: [ES256, HS256] }
    Corp2: { issuer: x, audience: y, jwks: "http://login.example/jwks" }
apis:
  orders:
    contract: orders.yaml
    base_path: orders
    upstream: { url: "ftp://files", timeout: 5 }
    identfy: [corp]
    hide: yes
    objects:
      - { parameter: userid, owner: "claim:sub" }
      - { parameter: orderId, owner: "response:/customerId" }
      - owner: sub
    budgets:
      - { per: principle, limit: 100 }
      - { per: address, limit: 5/min, operations: [logon] }
  other:
    contract: missing.yaml
    upstream: "http://127.0.0.1:1?x=y"
    identify: [crop, nobody]
    operations: { signup: { body_limit: 1M } }
    body_limit:
  swagger: { contract: swagger.json, upstream: "http://127.0.0.1:1", identify: anonymous }
models:
  orders: { dialect: cohere, upstream: "http://127.0.0.1:1", identify: anonymous, answer: nope }
  claims: { dialect: openai, betas: [a b], base_path: /c, upstream: "http://127.0.0.1:1", identify: anonymous }
"#,
    );
    insta::assert_snapshot!(said);
}

#[test]
fn words_of_later_versions_are_refused_as_such() {
    let said = said(
        r#"version: 1
listeners: { public: { address: "127.0.0.1:8080" } }
identity: { api_keys: {}, issuers: {} }
models:
  assistant:
    dialect: openai
    upstream: { url: "https://api.example", credential: "vault:kv/openai#key" }
    identify: anonymous
    budgets: [ { per: principal, tokens: 50k/hour, cost: 5 USD/day, limit: 1/s } ]
    answer: { pii: redact }
tools:
  crm: { upstream: "http://127.0.0.1:9100/mcp", identify: anonymous, pin: tools.lock }
policy: { cedar: [] }
ledger: { path: data }
state: memory
"#,
    );
    insta::assert_snapshot!(said);
}

#[test]
fn detectors_are_switched_one_by_one_and_hosts_are_listed() {
    let text = |answer: &str| {
        format!(
            "version: 1\nlisteners: {{ public: {{ address: \"127.0.0.1:8080\" }} }}\nmodels:\n  a:\n    dialect: openai\n    \
             upstream: {{ url: \"http://127.0.0.1:1\" }}\n    identify: anonymous\n    answer: {{ {answer} }}\n"
        )
    };
    let said = said(&text(
        "except: [phone, phon], hosts: [Example.com, \"*.example.org\", \"http://x\"], code: block",
    ));
    assert!(said.contains("8:31: error: there is no detector `phon`"), "{said}");
    assert!(said.contains("did you mean `phone`?"), "{said}");
    assert!(said.contains("`http://x` is no host"), "{said}");
    assert!(!said.contains("Example.com` is"), "{said}");
}

#[test]
fn tool_servers_say_what_they_offer() {
    let server = |more: &str| {
        format!(
            "version: 1\nlisteners: {{ public: {{ address: \"127.0.0.1:8080\" }} }}\ntools:\n  crm: {{ upstream: \
             \"http://127.0.0.1:9100\", identify: anonymous, authorize: none, {more} }}\n"
        )
    };
    let text = server(
        "tools: { find: { reads: true }, x/y: {} }, prompts: { greet: {} }, origins: [\"https://App.example\"]",
    );
    let settings = settings(&text);
    let crm = &settings.tools[0];
    let offers: Vec<_> =
        crm.tools.iter().chain(&crm.prompts).map(|one| (one.name.as_str(), one.reads)).collect();
    assert_eq!(offers, [("find", true), ("x/y", false), ("greet", true)]);
    assert_eq!(
        (crm.path.as_str(), crm.upstream.url.path(), &*crm.origins[0]),
        ("/mcp", "/mcp", "https://app.example")
    );
    for (more, expected) in [
        ("path: /", "a tool server has one path"),
        ("tools: { \"a b\": {} }", "`a b` cannot be a name"),
        ("unlisted: refuse", "no tool of `crm` can be called"),
        ("unknown: { methods: [tasks/] }", "`tasks/` is no method"),
        ("origins: [\"https://app.example/\"]", "is no origin"),
        ("origins: [\"*\"]", "is no origin"),
        ("budgets: [ { per: address, limit: 1/s, operations: [find] } ]", "budgets are taken before"),
        (
            "arguments: { classifier: block }",
            "the classifier reads the prompts of models and results of tools only",
        ),
        ("base_path: /x", "it is called `path`"),
    ] {
        let said = said(&server(more));
        assert!(said.contains(expected), "{more}: {said}");
    }
    let said = said(&server(
        "tools: { a: {} }, results: { classifier: block }, unknown: { methods: [tasks/get], fields: allow }",
    ));
    assert_eq!(said, "", "{said}");
}

#[test]
fn words_of_other_gates_are_translated() {
    let said = said(
        r#"version: 1
listen: {}
apis:
  orders: { openapi: orders.yaml, backend: "http://127.0.0.1:1", auth: [corp], rate_limits: [] }
"#,
    );
    insta::assert_snapshot!(said);
}

#[test]
fn a_secret_is_never_printed() {
    let text = r#"version: 1
listeners: { public: { address: "127.0.0.1:8080" } }
models:
  a:
    dialect: openai
    upstream: { url: "http://10.0.0.1", credential: sk-hunter2, timeout: 5 }
    identify: anonymous
  b:
    dialect: openai
    upstream: { url: "https://me:hunter2@api.example", credential: { value: "hunter2, {and more}", heder: x } }
    identify: anonymous
  c:
    dialect: openai
    upstream: { url: "https://api.example", credentials: hunter2, api_key: { x: hunter2 } }
    identify: anonymous
  d:
    dialect: openai
    upstream: { url: "https://api.example", credential: "env:sk-hunter2" }
    identify: anonymous
  e:
    dialect: openai
    upstream: { url: "https://api.example", credential: [ hunter2 ] }
    identify: anonymous
"#;
    let text_said = said(text);
    let loaded = load_text(text);
    for format in [Format::Text { colours: true }, Format::Json, Format::Sarif] {
        assert!(!loaded.diagnostics.render(format).contains("hunter2"), "{format:?}");
    }
    assert!(!format!("{loaded:?}").contains("hunter2"));
    insta::assert_snapshot!(text_said);
    // Also where the file cannot be understood at all.
    let broken = said("version: 1\ncredential: \"hunter2\": x\n");
    assert!(broken.contains("error") && !broken.contains("hunter2"), "{broken}");
    for text in [
        "credential: !!int hunter2\n",
        "credential: &a hunter2\nb: [\n",
        "credential: [hunter2\n",
        "apis: { a: &a hunter2 }\nmodels: { m: { upstream: { credential: *a } } }\n",
    ] {
        let broken = said(text);
        assert!(broken.contains("error") && !broken.contains("hunter2"), "{broken}");
    }
}

#[test]
fn what_is_not_yaml_is_said_with_its_place() {
    let mut all = String::new();
    for text in [
        "version: 1\nlisteners:\n\tpublic: {}\n",
        "version: 1\nlisteners: { public: { address: \"127.0.0.1:8080\" }\napis: {}\n",
        "version: 1\nlisteners: \"open\napis: {}\n",
        "- a\n- b\n",
        "",
        "just text",
        "version: 1\nversion: 1\nlisteners: { public: { address: \"127.0.0.1:1\", address: \"127.0.0.1:2\" } }\n",
        "version: 1\n---\nversion: 1\n",
    ] {
        all.push_str(&format!("{text:?}\n{}\n", said(text)));
    }
    insta::assert_snapshot!(all);
}

#[test]
fn secrets_and_files_that_cannot_be_had_are_named() {
    let said = said(
        r#"version: 1
listeners:
  public: { address: "127.0.0.1:8080", tls: { certificate: system.md, key: system.md } }
identity:
  issuers:
    corp: { issuer: "https://login.example", audience: a, jwks: "file:system.md" }
apis:
  orders:
    contract: system.md
    upstream: { url: "http://127.0.0.1:1", credential: "env:NOT_SET" }
    identify: [corp]
  more:
    contract: /nowhere/api.yaml
    base_path: /more
    upstream: { url: "http://127.0.0.1:1", credential: "file:secret.txt", ca: keys.json }
    identify: [corp]
policy: { cedar: ["policy/missing.cedar", "nothing/*.cedar", "**/x.cedar"] }
"#,
    );
    insta::assert_snapshot!(said);
}

#[test]
fn what_is_likely_not_meant_is_warned_about() {
    let loaded = load_text(
        r#"version: 1
listeners: { public: { address: "127.0.0.1:8080" } }
trusted_proxies: ["0.0.0.0/0"]
identity:
  issuers:
    corp: { issuer: "https://login.example", audience: a, jwks: "file:keys.json" }
apis:
  orders:
    contract: orders.yaml
    upstream: { url: "http://10.0.0.1", credential: "env:KEY", server_name: x }
    identify: anonymous
    budgets: [ { per: principal, limit: 1/s } ]
policy: { cedar: ["policy/a.cedar"] }
"#,
    );
    assert!(loaded.settings.is_some());
    let said = loaded.diagnostics.render(Format::Text { colours: false });
    insta::assert_snapshot!(said);
}

#[test]
fn one_mistake_each() {
    let check = |more: &str, expected: &str| {
        let said = said(&with_api(more));
        assert!(said.contains(expected), "{more}\n{said}");
        assert_eq!(said.matches(": error: ").count(), 1, "{more}\n{said}");
    };
    check("    base_path: /a/../b", "is not a base path");
    check("    base_path: /a%2fb", "is not a base path");
    check("    base_path: //a", "is not a base path");
    check("    operations: { logon: {} }", "did you mean `login`?");
    check(
        "    budgets: [ { per: route, limit: 1/s, name: a }, { per: route, limit: 1/s, name: a } ]",
        "another budget",
    );
    check("    budgets: [ { per: route, limit: 1/s, name: \"A b\" } ]", "cannot be a name");
    check("    budgets: [ { per: route, limit: 1/s, burst: 0 } ]", "out of range");
    check("    budgets: [ { per: route, limit: 1/s, operations: [] } ]", "for no operation");
    check(
        "    inspect: { pii: true }",
        "`off`, `observe`, `mask`, `tokenise`, `redact`, `block` or `enforce`",
    );
    check("    inspect: { pii: tokenise }", "in a model's `prompt`");
    check("    inspect: { secrets: mask }", "only personal data is masked");
    check("    inspect: { allow: [\"10.0.0.0/99\"] }", "is not an address, a network");
    check("    inspect: { fields: [ { at: /nothing, pii: redact } ] }", "fields are of APIs with a contract");
    check("    inspect: { rules: [ { name: a, action: block } ] }", "a rule looks for one thing");
    check(
        "    inspect: { rules: [ { name: a, action: block, phrase: \"a+\" } ] }",
        "may be longer than 256 bytes",
    );
    check("    inspect: { rules: [ { name: a, action: block, phrase: \"(\" } ] }", "without look-around");
    check(
        "    inspect: { rules: [ { name: a, action: redact, languages: [en] } ] }",
        "which part to replace",
    );
    check(
        "    inspect: { rules: [ { name: a, action: block, languages: [klingon] } ] }",
        "no language `klingon`",
    );
    check("    inspect: { rules: [ { name: a, action: block, topic: [\"-\"] } ] }", "no letter or digit");
    check("    inspect: { pii: redacted }", "did you mean `redact`?");
    check("    websocket: \"no\"", "`true` or `false`");
    check("    objects: [ { parameter: userId, owner: sub } ]", "is not an owner");
    check(
        "  two:\n    contract: orders.yaml\n    upstream: \"http://[::1]:1\"\n    identify: corp",
        "has the base path `/`",
    );
    check("    operations: { login: { body_limit: 4096 } }", "the unit is missing");
}

#[test]
fn two_credentials_in_one_header_are_a_contradiction() {
    let check = |header: &str, expected: bool| {
        let credential =
            format!("{{ url: \"http://[::1]:1\", credential: {{ {header} value: \"env:KEY\" }} }}");
        let text = with_api("    forward_credential: true").replace("\"http://127.0.0.1:9001\"", &credential);
        let said = said(&text);
        assert_eq!(said.contains("both the client's and the gate's"), expected, "{said}");
    };
    check("", true);
    check("header: X-Key,", false);
}

#[test]
fn listeners_are_not_exposed_by_accident() {
    let check = |listeners: &str, expected: Option<&str>| {
        let text = with_api("").replace("{ public: { address: \"127.0.0.1:8080\" } }", listeners);
        let said = said(&text);
        match expected {
            None => assert_eq!(said, "", "{listeners}"),
            Some(expected) => assert!(said.contains(expected), "{listeners}\n{said}"),
        }
    };
    check(r#"{ public: { address: "[::1]:0" } }"#, None);
    check(r#"{ public: { address: "0.0.0.0:80" } }"#, Some("has no TLS"));
    check(r#"{ public: { address: "0.0.0.0:80", plain: true } }"#, None);
    check(r#"{ public: { address: "localhost:80" } }"#, Some("write `127.0.0.1:80`"));
    check(r#"{ public: { address: ":80" } }"#, Some("`0.0.0.0:80`"));
    check(r#"{ public: { address: "127.0.0.1" } }"#, Some("the port is missing"));
    check(
        r#"{ public: { address: "127.0.0.1:80" }, admin: { address: "0.0.0.0:81", plain: true } }"#,
        Some("write `expose: true`"),
    );
    check(
        r#"{ public: { address: "127.0.0.1:80" }, admin: { address: "0.0.0.0:81", plain: true, expose: true } }"#,
        None,
    );
    check(
        r#"{ public: { address: "0.0.0.0:80", plain: true }, admin: { address: "127.0.0.1:80" } }"#,
        Some("the same port"),
    );
}

#[test]
fn the_encoder_needs_a_program_that_has_one_and_a_prompt_to_read() {
    let model = |prompt: &str, encoder: &str| {
        format!(
            "version: 1\nlisteners: {{ public: {{ address: \"127.0.0.1:8080\" }} }}\nmodels:\n  brain: {{ dialect: openai, \
             upstream: \"http://[::1]:1\", identify: anonymous, authorize: none, prompt: {prompt} }}\n{encoder}"
        )
    };
    let has_one = cfg!(feature = "ml");
    let without = "this program was built without the encoder";
    for (prompt, encoder, is_ok) in [
        ("{ encoder: block }", "", has_one),
        ("{ encoder: off }", "", true),
        ("none", "encoder: { threads: 3, deadline: 80ms, on_timeout: pass, memory: 7 }", has_one),
    ] {
        let said = said(&model(prompt, encoder));
        assert_eq!(said.contains(without), !is_ok, "{prompt} {encoder}\n{said}");
        assert_eq!(said.contains("error"), !is_ok, "{prompt} {encoder}\n{said}");
    }
    assert!(said(&model("none", "encoder: { threads: 0 }")).contains("1 to 256"));
    if has_one {
        let settings =
            settings(&model("{ encoder: block }", "encoder: { deadline: 80ms, on_timeout: pass }"));
        assert_eq!(settings.models[0].prompt.encoder, Level::Block);
        let (deadline, refuses_unread) = (Duration::from_millis(80), Some(false));
        assert_eq!(settings.encoder, Encoder { deadline, refuses_unread, ..Encoder::default() });
    }
    // Nobody says who wrote what an API answers.
    let said = said(&with_api("    screen: { encoder: block }"));
    assert!(said.contains("the encoder reads the prompts of models only"), "{said}");
}

#[test]
fn machines_can_read_it() {
    let loaded = load_text("version: 1\nlisteners: { public: { address: x } }\nfoo: 1\n");
    let [json, sarif] = [Format::Json, Format::Sarif].map(|format| loaded.diagnostics.render(format));
    insta::assert_snapshot!("json", json);
    insta::assert_snapshot!("sarif", sarif);
}

#[test]
fn the_committed_schema_and_reference_are_the_types() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    for (name, text) in [("portcullis.schema.json", schema()), ("docs/configuration.md", reference())] {
        let path = root.join(name);
        if std::env::var_os("UPDATE").is_some() {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, &text).unwrap();
        }
        let committed = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(committed == text, "{name} is not what the types say: run the test with UPDATE=1");
    }
}
