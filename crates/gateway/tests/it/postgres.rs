//! A database that knows whose objects are, and one that remembers who created them.

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tokio_postgres::Client;

use crate::support::{Answer, Files, Gate, Postgres, until};

const CONTRACT: &str = r##"openapi: 3.1.0
info: { title: Shop, version: "1" }
paths:
  /things:
    post:
      operationId: makeThing
      requestBody: { content: { application/json: {} } }
      responses: { default: { description: any } }
  /things/{thingId}:
    parameters: [{ name: thingId, in: path, required: true, schema: { type: string } }]
    get: { operationId: readThing, responses: { default: { description: any } } }
"##;

const TABLES: &str = "
create table things (id text not null, number bigint, mark uuid, code char(4), owner text);
insert into things values
  ('1', 7, '0f3ae1c2-7d84-4f0a-9a35-1b2c3d4e5f60', 'a', 'alice'),
  ('2', 8, null, 'b', 'bob'),
  ('two', null, null, 'c', 'alice'), ('two', null, null, 'c', 'bob'),
  ('none', null, null, 'd', null), ('blank', null, null, 'e', ''),
  ('''; drop table things; --', null, null, 'f', 'alice');
create table written (what text);
create function steal(id text) returns text language plpgsql as
  $$ begin insert into written values (id); return 'alice'; end $$;
";

/// A gate whose object `thingId` is what `object` says.
async fn gate(top: &str, object: &str) -> Gate {
    let config = format!(
        "{top}\napis:\n  shop:\n    contract: contract.yaml\n    base_path: /api\n    \
         upstream: {{ url: \"http://UPSTREAM\" }}\n    identify: [corp]\n    answers: none\n    inspect: none\n    \
         screen: none\n    objects: [{{ parameter: thingId, {object} }}]\n"
    );
    let policy = "@id(\"all\") permit (principal, action, resource);";
    let gate = Gate::start(Files::of(&config, CONTRACT, policy)).await;
    gate.upstream.answers("200 OK", "content-type: application/json", "{}");
    gate
}

fn lookup(query: &str, more: &str) -> String {
    format!("lookup: {{ postgres: db, query: \"{query}\", timeout: 10s{more} }}")
}

async fn ask(gate: &Gate, who: &str, line: &str, body: &str) -> Answer {
    let token = gate.issuer.token(who);
    let mut head = format!("{line} HTTP/1.1\nHost: api.test\nAuthorization: Bearer {token}");
    if !body.is_empty() {
        head += &format!("\nContent-Type: application/json\nContent-Length: {}", body.len());
    }
    gate.ask(&format!("{head}\n\n{body}")).await
}

/// What is forwarded is allowed, and nothing else is forwarded.
async fn check(gate: &Gate, who: &str, id: &str, expected: u16) {
    let before = gate.upstream.count();
    let answer = ask(gate, who, &format!("GET /api/things/{id}"), "").await;
    let records = if answer.status == expected { Vec::new() } else { gate.records_now() };
    assert_eq!(answer.status, expected, "{who} {id}: {records:#?}");
    assert_eq!(gate.upstream.count() - before, usize::from(expected == 200), "{who} {id}");
    assert!(!answer.text().contains("postgres"), "{}", answer.text());
}

/// Why the last request was refused.
async fn why(gate: &Gate, count: usize) -> String {
    let records = gate.records(count).await;
    records[count - 1]["detail"].as_str().unwrap_or_default().to_owned()
}

async fn count(client: &Client, query: &str) -> i64 {
    client.query_one(query, &[]).await.unwrap().get(0)
}

const GATES: &str = "select count(*) from pg_stat_activity where application_name = 'portcullis'";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_may_know() {
    let mut server = Postgres::start("", &[]).await;
    let client = server.client().await;
    client.batch_execute(TABLES).await.unwrap();
    let by_id = "select owner from things where id = $1";
    let on = gate(&server.written(""), &lookup(by_id, ", ttl: 1h")).await;
    check(&on, "alice", "1", 200).await;
    check(&on, "bob", "1", 403).await;
    check(&on, "bob", "2", 200).await;
    check(&on, "alice", "2", 403).await;
    check(&on, "alice", "3", 403).await;
    // What is in an identifier is a value, whatever it says.
    check(&on, "alice", "%27%3B%20drop%20table%20things%3B%20--", 200).await;
    for id in ["'", "%27%20or%20%271%27=%271", "1%27--", "$1", "1%20union%20select%20%27alice%27", "%22"] {
        check(&on, "alice", id, 403).await;
    }
    assert_eq!(count(&client, "select count(*) from things").await, 7);
    // It is remembered, and asked again when it is not.
    client.batch_execute("update things set owner = 'bob' where id = '1'").await.unwrap();
    check(&on, "alice", "1", 200).await;
    client.batch_execute("update things set owner = 'alice' where id = '1'").await.unwrap();
    // What does not name one owner refuses, and says why.
    let on = gate(&server.written(""), &lookup(by_id, "")).await;
    for (number, (id, reason)) in [
        ("two", "lookup: the answer names more than one owner"),
        ("none", "lookup: the answer names no owner"),
        ("blank", "lookup: the answer names no owner"),
    ]
    .into_iter()
    .enumerate()
    {
        check(&on, "alice", id, 503).await;
        assert_eq!(why(&on, number + 1).await, reason);
    }
    // Where the server is lost, nothing passes; once it is back, everything does.
    check(&on, "alice", "1", 200).await;
    server.end();
    check(&on, "bob", "2", 503).await;
    assert!(why(&on, 5).await.starts_with("lookup: postgres: "), "{}", why(&on, 5).await);
    check(&on, "alice", "1", 200).await;
    check(&on, "bob", "2", 503).await;
    server.begin().await;
    check(&on, "bob", "2", 200).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_question_is_bounded() {
    let server = Postgres::start("", &[]).await;
    let client = server.client().await;
    client.batch_execute(TABLES).await.unwrap();
    let slow = "select owner from things, pg_sleep(60) where id = $1";
    let on = gate(&server.written(""), &lookup(slow, "").replace("10s", "300ms")).await;
    for number in 1..=2 {
        check(&on, "alice", "1", 503).await;
        assert!(why(&on, number).await.ends_with("no answer in time"), "{}", why(&on, number).await);
    }
    let sleeping = format!("{GATES} and state = 'active'");
    until("nothing at work", async || (count(&client, &sleeping).await == 0).then_some(())).await;
    on.stop().await;
    // Many rows, few of which are read; the connection serves the next one.
    let many = "select 'alice'::text from generate_series(1, 100000) where $1 <> ''";
    let on = gate(&server.written(", connections: 1"), &lookup(many, "")).await;
    for id in ["1", "2", "3"] {
        check(&on, "alice", id, 503).await;
    }
    on.stop().await;
    // As many connections as are written, however many ask; those who go away take none along.
    let nap = "select owner from things, pg_sleep(0.02) where id = $1 or $1 like 'x%' and id = '1'";
    let on = gate(&server.written(", connections: 2"), &lookup(nap, "")).await;
    for id in 0..8 {
        let mut client = on.connect().await;
        let token = on.issuer.token("alice");
        client
            .send(&format!("GET /api/things/x-{id} HTTP/1.1\nHost: a\nAuthorization: Bearer {token}\n\n"))
            .await;
    }
    let asked = (0..12).map(|id| {
        let path = format!("GET /api/things/x{id}");
        let on = &on;
        async move { ask(on, "alice", &path, "").await.status }
    });
    let statuses = futures_util::future::join_all(asked).await;
    assert_eq!(statuses, [200; 12]);
    assert!(count(&client, GATES).await <= 2);
    let pids = "select count(distinct pid) from pg_stat_activity where application_name = 'portcullis' \
                and backend_start > now() - interval '1 hour'";
    assert!(count(&client, pids).await <= 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_question_is_only_a_question() {
    let server = Postgres::start("", &[]).await;
    let client = server.client().await;
    client.batch_execute(TABLES).await.unwrap();
    let refused = async |query: &str, id: &str, reason: &str| {
        let on = gate(&server.written_socket(), &lookup(query, "")).await;
        check(&on, "alice", id, 503).await;
        let said = why(&on, 1).await;
        assert!(said.contains(reason), "{query}: {said}");
    };
    refused("select steal($1)", "1", "read-only transaction").await;
    refused(
        "with t as (insert into written values ($1) returning what) select 'alice' from t",
        "1",
        "read-only",
    )
    .await;
    assert_eq!(count(&client, "select count(*) from written").await, 0);
    refused("select owner from nothing where id = $1", "1", "does not exist").await;
    refused("select owner, id from things where id = $1", "1", "gives 2 columns").await;
    refused("select code from things where id = $1", "1", "the column is of type `bpchar`").await;
    refused("select owner from things where code = $1", "a", "$1 is of type `bpchar`").await;
    refused("select 1/0 from things where id = $1", "1", "division by zero").await;
    // A number or a UUID is one where it is written as one.
    let on = gate(&server.written_socket(), &lookup("select owner from things where number = $1", "")).await;
    check(&on, "alice", "7", 200).await;
    for id in ["07", "+7", "%207", "7%20", "7.0", "0x7", "7a", "x", "99999999999999999999", "7%27"] {
        check(&on, "alice", id, 403).await;
    }
    let on = gate(&server.written_socket(), &lookup("select owner from things where mark = $1", "")).await;
    check(&on, "alice", "0f3ae1c2-7d84-4f0a-9a35-1b2c3d4e5f60", 200).await;
    check(&on, "alice", "0f3ae1c27d844f0a9a351b2c3d4e5f60", 403).await;
    check(&on, "alice", "7", 403).await;
    // An owner that is a number.
    let on = gate(&server.written_socket(), &lookup("select number from things where id = $1", "")).await;
    check(&on, "7", "1", 200).await;
    check(&on, "alice", "1", 403).await;
}

const CREATED: &str = "owner: created-by, created: { by: makeThing }";

async fn make(gate: &Gate, who: &str, id: &str) -> u16 {
    gate.upstream.answers("201 Created", "content-type: application/json", &format!("{{\"id\":\"{id}\"}}"));
    let status = ask(gate, who, "POST /api/things", "{}").await.status;
    gate.upstream.answers("200 OK", "content-type: application/json", "{}");
    status
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gates_share_what_they_saw_created() {
    let mut server = Postgres::start("", &[]).await;
    let client = server.client().await;
    client.batch_execute("create schema memory").await.unwrap();
    let top =
        format!("{}\nownership: {{ postgres: db, table: memory.owners, timeout: 10s }}", server.written(""));
    let (one, two) = tokio::join!(gate(&top, CREATED), gate(&top, CREATED));
    let made = tokio::join!(make(&one, "alice", "t-1"), make(&two, "bob", "t-2"));
    assert_eq!(made, (201, 201));
    for on in [&one, &two] {
        check(on, "alice", "t-1", 200).await;
        check(on, "bob", "t-2", 200).await;
        check(on, "bob", "t-1", 403).await;
        check(on, "alice", "t-2", 403).await;
        check(on, "alice", "t-3", 403).await;
    }
    // The first who created it owns it, on whichever gate; the same one may again.
    assert_eq!(make(&two, "bob", "t-1").await, 403);
    assert_eq!(make(&two, "alice", "t-1").await, 201);
    for on in [&one, &two] {
        on.upstream.answers("201 Created", "content-type: application/json", r#"{"id":"t-race"}"#);
    }
    let all = (0..6).map(|number| {
        let (on, who) = if number % 2 == 0 { (&one, "alice") } else { (&two, "bob") };
        async move { (who, ask(on, who, "POST /api/things", "{}").await.status) }
    });
    let made = futures_util::future::join_all(all).await;
    let owner: String =
        client.query_one("select owner from memory.owners where id = 't-race'", &[]).await.unwrap().get(0);
    for (who, status) in made {
        assert_eq!(status, if who == owner { 201 } else { 403 }, "{who} of {owner}");
    }
    one.upstream.answers("200 OK", "content-type: application/json", "{}");
    two.upstream.answers("200 OK", "content-type: application/json", "{}");
    // An identifier is a value here as well.
    let odd = "'); drop table memory.owners; --";
    assert_eq!(make(&one, "alice", odd).await, 201);
    check(&two, "alice", "%27)%3B%20drop%20table%20memory.owners%3B%20--", 200).await;
    let rows = "select count(*) from memory.owners where kind = 'shop/thingId' and created_at <= now()";
    assert_eq!(count(&client, rows).await, 4);
    // What cannot be remembered is not let through to be created.
    let refused = async |on: &Gate| {
        let before = on.upstream.count();
        assert_eq!(make(on, "alice", "t-9").await, 503);
        assert_eq!(on.upstream.count(), before);
    };
    client.batch_execute("alter table memory.owners rename to away").await.unwrap();
    refused(&one).await;
    check(&one, "alice", "t-1", 503).await;
    client.batch_execute("alter table memory.away rename to owners").await.unwrap();
    check(&one, "alice", "t-1", 200).await;
    client.batch_execute("alter system set default_transaction_read_only = on").await.unwrap();
    server.end();
    refused(&one).await;
    check(&two, "alice", "t-1", 503).await;
    server.begin().await;
    check(&two, "alice", "t-1", 200).await;
    assert_eq!(make(&one, "alice", "t-9").await, 201, "the gate says that it writes");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_that_is_there_needs_no_more_than_to_be_used() {
    let server = Postgres::start("", &[]).await;
    let client = server.client().await;
    let roles = "create role clerk login password 'secret';
        revoke create on schema public from public;";
    client.batch_execute(roles).await.unwrap();
    let top = |table: &str| {
        let written = server.written("").replace("user: gate", "user: clerk");
        format!("{written}\nownership: {{ postgres: db{table} }}")
    };
    let on = gate(&top(""), CREATED).await;
    assert_eq!(make(&on, "alice", "t-1").await, 503);
    assert!(why(&on, 1).await.contains("permission denied for schema public"), "{}", why(&on, 1).await);
    let table = "create table portcullis_owners (kind text not null, id text not null, owner text not null,
        created_at timestamptz not null default now(), primary key (kind, id));
        grant select on portcullis_owners to clerk;";
    client.batch_execute(table).await.unwrap();
    assert_eq!(make(&on, "alice", "t-1").await, 503);
    assert_eq!(on.upstream.count(), 0);
    client.batch_execute("grant insert on portcullis_owners to clerk").await.unwrap();
    assert_eq!(make(&on, "alice", "t-1").await, 201);
    check(&on, "alice", "t-1", 200).await;
    let on = gate(&top(", table: nowhere.owners"), CREATED).await;
    check(&on, "alice", "t-1", 503).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_tables_of_the_example_are_enough() {
    let server = Postgres::start("", &[]).await;
    let client = server.client().await;
    client.batch_execute(include_str!("../../../../examples/owners/schema.sql")).await.unwrap();
    let rows =
        "alter role portcullis password 'secret'; insert into orders values (1, 'alice', 7), (2, 'bob', 8)";
    client.batch_execute(rows).await.unwrap();
    let written = server.written("").replace("user: gate", "user: portcullis");
    let example = include_str!("../../../../examples/owners/portcullis.yaml");
    let query = "select customer from orders where id = $1";
    assert!(example.contains(query));
    let on = gate(&written, &lookup(query, "")).await;
    check(&on, "alice", "1", 200).await;
    check(&on, "bob", "1", 403).await;
    check(&on, "alice", "01", 403).await;
    let top = format!("{written}\nownership: {{ postgres: db, table: portcullis.owners }}");
    let on = gate(&top, CREATED).await;
    assert_eq!(make(&on, "alice", "d-1").await, 201);
    check(&on, "alice", "d-1", 200).await;
    check(&on, "bob", "d-1", 403).await;
    for change in
        ["update portcullis.owners set owner = 'bob'", "delete from portcullis.owners", "delete from orders"]
    {
        let query = format!("set role portcullis; {change}");
        assert!(client.batch_execute(&query).await.is_err(), "{change}");
        client.batch_execute("reset role").await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reload_keeps_connections_and_takes_a_new_table() {
    let server = Postgres::start("", &[]).await;
    let client = server.client().await;
    client.batch_execute("create schema other").await.unwrap();
    let top = format!("{}\nownership: {{ postgres: db, timeout: 10s }}", server.written(""));
    let on = gate(&top, CREATED).await;
    assert_eq!(make(&on, "alice", "t-1").await, 201);
    check(&on, "alice", "t-1", 200).await;
    let reload = async |from: &str, to: &str| {
        let path = on.file("portcullis.yaml");
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{text}");
        let before = on.server.metrics().reloads.get();
        std::fs::write(path, text.replace(from, to)).unwrap();
        until("a reload", async || (on.server.metrics().reloads.get() > before).then_some(())).await;
        until("its end", async || (on.server.metrics().reload_ok.get() == 1).then_some(())).await;
    };
    // One more may be opened while the new table is made; the first must live on.
    let oldest = "select pid::bigint from pg_stat_activity where application_name = 'portcullis' \
                  order by backend_start limit 1";
    let before = count(&client, oldest).await;
    reload("timeout: 10s", "timeout: 10s, table: other.owners").await;
    until("the other table", async || {
        (ask(&on, "alice", "GET /api/things/t-1", "").await.status == 403).then_some(())
    })
    .await;
    assert_eq!(make(&on, "bob", "t-1").await, 201);
    assert_eq!(count(&client, "select count(*) from other.owners where owner = 'bob'").await, 1);
    assert_eq!(count(&client, oldest).await, before, "the connection is the same");
}

/// A CA, and a certificate of its for this name with its key.
fn certificate(name: &str) -> (String, String, String) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let root = params.self_signed(&key).unwrap();
    let issuer = Issuer::new(params, key);
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
    (root.pem(), leaf.pem(), key.serialize_pem())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_is_verified_or_nothing_is_said() {
    let (root, leaf, key) = certificate("db.test");
    let (other, ..) = certificate("db.test");
    let files = [("server.crt", leaf), ("server.key", key), ("root.pem", root), ("other.pem", other)];
    let server = Postgres::start("ssl = on", &files).await;
    let client = server.client().await;
    client.batch_execute(TABLES).await.unwrap();
    // Who comes without TLS is turned away.
    let hba = "copy (select 'hostssl all all 127.0.0.1/32 scram-sha-256') to program \
               'cat - pg_hba.conf | grep -v ^host[^s] > hba && mv hba pg_hba.conf'; select pg_reload_conf()";
    client.batch_execute(hba).await.unwrap();
    let data: String = client.query_one("show data_directory", &[]).await.unwrap().get(0);
    let query = lookup("select owner from things where id = $1", "").replace("10s", "3s");
    let asked = async |more: &str| {
        let on = gate(&server.written(&more.replace("DATA", &data)), &query).await;
        let status = ask(&on, "alice", "GET /api/things/1", "").await.status;
        (status, why(&on, 1).await)
    };
    let known = ", ca: \"DATA/root.pem\", server_name: db.test";
    assert_eq!(asked(known).await, (200, String::new()));
    for (more, reason) in [
        ("", "no pg_hba.conf entry"),
        (", tls: verify-full", "TLS"),
        (", ca: \"DATA/root.pem\"", "TLS"),
        (", ca: \"DATA/root.pem\", server_name: other.test", "TLS"),
        (", ca: \"DATA/other.pem\", server_name: db.test", "TLS"),
    ] {
        let (status, said) = asked(more).await;
        assert_eq!(status, 503, "{more}");
        assert!(said.contains(reason), "{more}: {said}");
    }
    // A server that has no TLS is not spoken to in the clear.
    client.batch_execute("alter system set ssl = off; select pg_reload_conf()").await.unwrap_err();
    client.batch_execute("alter system set ssl = off").await.unwrap();
    client.batch_execute("select pg_reload_conf()").await.unwrap();
    until("no TLS", async || {
        let off: String = client.query_one("show ssl", &[]).await.unwrap().get(0);
        (off == "off").then_some(())
    })
    .await;
    let (status, said) = asked(known).await;
    assert_eq!(status, 503);
    assert!(said.contains("server does not support TLS"), "{said}");
}

/// What `check` says of a configuration.
fn said(top: &str, object: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let config = format!(
        "version: 1\nlisteners: {{ public: {{ address: \"127.0.0.1:0\" }} }}\n{top}\nrecord: none\napis:\n  shop:\n    \
         contract: contract.yaml\n    upstream: \"http://127.0.0.1:9\"\n    identify: [anonymous]\n    authorize: none\n    \
         objects: [{{ parameter: thingId, {object} }}]\n"
    );
    std::fs::write(folder.path().join("portcullis.yaml"), config).unwrap();
    std::fs::write(folder.path().join("contract.yaml"), CONTRACT).unwrap();
    let said = portcullis_gateway::server::check(&folder.path().join("portcullis.yaml"));
    said.diagnostics.render(portcullis_gateway::config::Format::Text { colours: false })
}

#[test]
fn what_can_be_known_without_a_server_is_said() {
    let server = "postgres: { db: { host: 127.0.0.1, database: shop, user: gate } }";
    let right = lookup("select owner from things where id = $1", "");
    let check = |top: &str, object: &str, expected: &str| {
        let said = said(top, object);
        assert!(
            if expected.is_empty() { said.is_empty() } else { said.contains(expected) },
            "{top} {object}: {said}"
        );
    };
    check(server, &right, "");
    check(&server.replace("127.0.0.1", "/run/postgresql"), &right, "");
    check(&server.replace("127.0.0.1", "db.example.com"), &right, "");
    check(&format!("{server}\nownership: {{ postgres: db }}"), CREATED, "");
    // Servers.
    check(server, &right.replace("db", "dp"), "there is no server `dp`");
    check(server, &right.replace("db", "dp"), "did you mean `db`?");
    check(server, "owner: \"claim:sub\"", "nothing is asked of `db`");
    check("postgres: { db: { database: shop, user: gate } }", &right, "`host` is missing");
    check(&server.replace("127.0.0.1", "\"postgres://u:hunter2@h/d\""), &right, "named by its parts");
    assert!(!said(&server.replace("127.0.0.1", "\"postgres://u:hunter2@h/d\""), &right).contains("hunter2"));
    check(&server.replace("127.0.0.1", "\"db:5432\""), &right, "is not the name of a host");
    check(
        &server.replace("user: gate", "user: gate, password: hunter2"),
        &right,
        "expected: `env:NAME` or `file:path`",
    );
    check(&server.replace("user: gate", "user: \"\""), &right, "not the name of a user");
    check(&server.replace("user: gate", "user: gate, sslmode: none"), &right, "`tls`");
    let far = server.replace("127.0.0.1", "db.example.com");
    check(&far.replace("user: gate", "user: gate, tls: none"), &right, "would travel unencrypted");
    check(
        &server.replace("127.0.0.1", "/run/x").replace("gate", "gate, tls: verify-full"),
        &right,
        "no TLS is spoken",
    );
    check(&server.replace("gate", "gate, tls: none, server_name: a.test"), &right, "no TLS to this server");
    check(&server.replace("gate", "gate, ca: none.pem"), &right, "none.pem");
    check(&server.replace("gate", "gate, connections: 0"), &right, "1");
    // Lookups.
    let query = |query: &str| lookup(query, "");
    check(server, &query("select owner from things where id = '$1'"), "no `$1` for the identifier");
    check(server, &query("select owner from things where id = $2"), "a parameter `$2`");
    check(server, &query("select 1; select $1"), "more than one statement");
    check(server, &query("update things set owner = $1 returning owner"), "a lookup reads");
    check(server, &query("select 'a where id = $1"), "has no end");
    check(server, &query(""), "the query is empty");
    check(server, "lookup: { postgres: db }", "`query` is missing");
    check(
        server,
        "lookup: { query: \"select $1\" }",
        "`upstream` with `path` and `owner`, or `postgres` with",
    );
    let both = "lookup: { postgres: db, query: \"select $1\", upstream: \"http://127.0.0.1:9\" }";
    check(server, both, "one server says whose an object is");
    check(server, &right.replace("timeout", "path: \"/{}\", timeout"), "`path` goes with `upstream`");
    let http = "lookup: { upstream: \"http://127.0.0.1:9\", path: \"/{}\", query: \"select $1\" }";
    check(server, http, "`query` goes with `postgres`");
    check(server, http, "`owner` is missing");
    // The gate's memory.
    let owners = |keys: &str| format!("{server}\nownership: {{ {keys} }}");
    check(&owners("postgres: dp"), CREATED, "there is no server `dp`");
    check(&owners("postgres: db, path: owners.jsonl"), CREATED, "one place where the gate remembers");
    check(&owners(""), CREATED, "not said where the gate remembers");
    check(&owners("postgres: db, entries: 3"), CREATED, "`entries` goes with `path`");
    check(&owners("path: o.jsonl, table: a.b"), CREATED, "`table` goes with `postgres`");
    for table in ["owners", "a.b.c", "A.b", "a.\\\"b", "1a.b", "a.", "a.b;", &format!("a.{}", "b".repeat(64))]
    {
        let top = owners(&format!("postgres: db, table: \"{table}\""));
        check(&top, CREATED, "is not the name of a table");
    }
}
