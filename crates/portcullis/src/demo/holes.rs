//! Every hole of the sample API: open when it is asked directly, closed behind the demo's configuration, and open
//! again when the one line that declares it closed is taken out.

use std::net::SocketAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use portcullis_gateway::server::{Server, check};
use tempfile::TempDir;

use super::client::{Answer, ask};
use super::issuer::Issuer;
use super::tour::call;
use super::{AUDIENCE, Tokens, api, bind, serve, write_files};

const CONFIG: &str = "portcullis.yaml";
const CONTRACT: &str = "shop.openapi.yaml";
const POLICY: &str = "policy/demo.cedar";

/// A hole, how it is used, and what closes it.
struct Hole {
    name: &'static str,
    /// Who asks, what, and with which body, one after the other; the last one is the attack.
    asks: &'static [(Who, &'static str, &'static str, Option<&'static str>)],
    /// A header of the attack.
    header: &'static str,
    /// What the answer says when the attack went through.
    breach: &'static str,
    /// The file and the line that close it.
    line: (&'static str, &'static str),
}

#[derive(Clone, Copy)]
enum Who {
    Alice,
    Bob,
}
use Who::{Alice, Bob};

const ORDER: &str = "      - { parameter: orderId, operations: [getOrder, readOrder], owner: \"response:/customer\", unless: \"role:clerk\" }\n";
const CHANGES: &str = "      - parameter: orderId
        operations: [updateOrder, deleteOrder, getReceipt]
        owner: \"response:/customer\"
        probe: readOrder
        unless: \"role:clerk\"
";
const CUSTOMER: &str =
    "      - parameter: customerId\n        owner: \"claim:sub\"\n        also: [\"body:/id\"]\n";

const HOLES: &[Hole] = &[
    Hole {
        name: "BOLA: read another customer",
        asks: &[(Bob, "GET", "/customers/alice", None)],
        header: "",
        breach: "Alice Ampere",
        line: (CONFIG, CUSTOMER),
    },
    Hole {
        name: "BOLA: read an order of another below one's own path",
        asks: &[(Bob, "GET", "/customers/bob/orders/o-1", None)],
        header: "",
        breach: "\"customer\":\"alice\"",
        line: (CONFIG, ORDER),
    },
    Hole {
        name: "BOLA: write an order of another",
        asks: &[(Bob, "PATCH", "/orders/o-1", Some(r#"{"note":"stolen"}"#))],
        header: "",
        breach: "stolen",
        line: (CONFIG, CHANGES),
    },
    Hole {
        name: "BOLA: delete an order of another",
        asks: &[(Bob, "DELETE", "/orders/o-1", None)],
        header: "",
        breach: "cancelled o-1",
        line: (CONFIG, CHANGES),
    },
    Hole {
        name: "BOLA: list everybody's orders",
        asks: &[(Bob, "GET", "/orders", None)],
        header: "",
        breach: "\"customer\":\"alice\"",
        line: (
            CONFIG,
            "      - { list: { operations: searchOrders, items: /orders, owner: /customer, foreign: drop } }\n",
        ),
    },
    Hole {
        name: "BOLA: the body names another customer than the path",
        asks: &[(Bob, "PATCH", "/customers/bob", Some(r#"{"id":"alice","city":"Ur"}"#))],
        header: "",
        breach: "Alice Ampere",
        line: (CONFIG, "        also: [\"body:/id\"]\n"),
    },
    Hole {
        name: "BOLA: a cart that somebody else filled",
        asks: &[
            (Alice, "POST", "/carts", Some(r#"{"products":["p-77"]}"#)),
            (Bob, "GET", "/carts/c-1", None),
        ],
        header: "",
        breach: "p-77",
        line: (
            CONFIG,
            "      - { parameter: cartId, owner: created-by, created: { by: fillCart, id: /id } }\n",
        ),
    },
    Hole {
        name: "BOLA: a parcel whose owner another service knows",
        asks: &[(Bob, "GET", "/parcels/p-1", None)],
        header: "",
        breach: "Rue Merci",
        line: (
            CONFIG,
            "      - { parameter: parcelId, lookup: { upstream: \"http://127.0.0.1:8802\", path: \"/internal/parcels/{}\", owner: /owner } }\n",
        ),
    },
    Hole {
        name: "BOLA: another tenant by a header",
        asks: &[(Bob, "GET", "/invoices", None)],
        header: "X-Tenant-Id: north",
        breach: "90000",
        line: (CONFIG, "      - { parameter: x-tenant-id, tenant: \"claim:tenant\" }\n"),
    },
    Hole {
        name: "BOLA: another sender by the body",
        asks: &[(Bob, "POST", "/messages", Some(r#"{"senderId":"alice","text":"pay Bob"}"#))],
        header: "",
        breach: "sent as alice",
        line: (CONFIG, "      - { parameter: senderId, owner: \"claim:sub\" }\n"),
    },
    Hole {
        name: "BOLA: the old version of an operation",
        asks: &[(Bob, "GET", "/legacy/profile?customerNumber=alice", None)],
        header: "",
        breach: "Alice Ampere",
        line: (CONFIG, "      - { parameter: customerNumber, owner: \"claim:sub\" }\n"),
    },
    Hole {
        name: "BFLA: an administrator's operation",
        asks: &[(Bob, "GET", "/admin/customers", None)],
        header: "",
        breach: "Alice Ampere",
        line: (POLICY, "when { principal in Role::\"administrator\" }\n"),
    },
    Hole {
        name: "BFLA: a clerk's operation",
        asks: &[(Bob, "POST", "/orders/o-2/refund", None)],
        header: "",
        breach: "refunded o-2",
        line: (POLICY, "when { principal in Role::\"clerk\" }\n"),
    },
    Hole {
        name: "mass assignment: a role",
        asks: &[(Bob, "PATCH", "/customers/bob", Some(r#"{"role":"owner-of-all"}"#))],
        header: "",
        breach: "owner-of-all",
        line: (CONTRACT, "                  readOnly: true\n"),
    },
    Hole {
        name: "mass assignment: a price",
        asks: &[(Bob, "PATCH", "/orders/o-2", Some(r#"{"total":1}"#))],
        header: "",
        breach: "\"total\":1,",
        line: (CONFIG, "        requests: [/note]\n"),
    },
    Hole {
        name: "excessive data: a card in a profile",
        asks: &[(Bob, "GET", "/customers/bob", None)],
        header: "",
        breach: "5105 1051",
        line: (
            CONFIG,
            "      - { operations: [getCustomer, updateCustomer], to: anyone, properties: [/id, /name, /city, /role, /support_note] }\n",
        ),
    },
    Hole {
        name: "excessive data: fields that nobody declared",
        asks: &[(Bob, "GET", "/customers/bob/orders/o-2/receipt", None)],
        header: "",
        breach: "_margin",
        line: (CONTRACT, "      additionalProperties: false\n"),
    },
];

/// Holes that no line closes, for no line can open them: the gate knows only what the contract names.
const NEVER: &[Hole] = &[
    Hole {
        name: "BFLA: a header that overrides the method",
        asks: &[(Bob, "POST", "/orders/o-1", None)],
        header: "X-HTTP-Method-Override: DELETE",
        breach: "cancelled o-1",
        line: (CONFIG, ""),
    },
    Hole {
        name: "an operation that nobody documented",
        asks: &[(Bob, "GET", "/debug/env", None)],
        header: "",
        breach: "hunter2",
        line: (CONFIG, ""),
    },
    Hole {
        name: "what services inside ask each other",
        asks: &[(Bob, "GET", "/internal/parcels/p-1", None)],
        header: "",
        breach: "alice",
        line: (CONFIG, ""),
    },
];

/// A fresh API and a fresh gate before it.
struct World {
    api: SocketAddr,
    gate: Option<Server>,
    tokens: Tokens,
    folder: TempDir,
}

impl World {
    /// With the demo's configuration, changed; or with the API alone.
    async fn start(changes: Option<&[(&str, &str, &str)]>) -> Self {
        let folder = TempDir::new().unwrap();
        let issuer = Issuer::new("http://127.0.0.1:8804".into(), AUDIENCE).unwrap();
        let api = serve(bind(0).await.unwrap(), api::router());
        let keys = bind(0).await.unwrap();
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let ports = [(8800, nowhere), (8801, nowhere), (8802, api), (8803, nowhere)];
        write_files(folder.path(), &ports).unwrap();
        let jwks = format!("{}/jwks.json", serve_url(keys, issuer.router()));
        let mut all = vec![(CONFIG, "http://127.0.0.1:8804/jwks.json", &*jwks)];
        all.extend(changes.unwrap_or_default());
        for (file, from, to) in all {
            let path = folder.path().join(file);
            let text = std::fs::read_to_string(&path).unwrap();
            let from = from.replace("127.0.0.1:8802", &api.to_string());
            assert_eq!(text.matches(&from).count(), 1, "{file} has once: {from}");
            std::fs::write(path, text.replace(&from, to)).unwrap();
        }
        let gate = match changes {
            None => None,
            Some(_) => match Server::start(&folder.path().join(CONFIG)).await {
                Ok(gate) => Some(gate),
                Err(error) => panic!("{error}"),
            },
        };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        Self { api, gate, tokens: Tokens::new(&issuer, now).unwrap(), folder }
    }

    async fn attack(&self, hole: &Hole) -> Answer {
        let mut last = None;
        for (number, (who, method, path, body)) in hole.asks.iter().enumerate() {
            let token = match who {
                Alice => &self.tokens.alice,
                Bob => &self.tokens.bob,
            };
            let (address, path) = match &self.gate {
                Some(gate) => (gate.addresses().first().unwrap().1, format!("/shop{path}")),
                None => (self.api, (*path).to_owned()),
            };
            let mut request = call(method, &path, token, *body);
            if number + 1 == hole.asks.len() && !hole.header.is_empty() {
                let text = String::from_utf8(request).unwrap();
                request = text.replacen("\r\n", &format!("\r\n{}\r\n", hole.header), 1).into_bytes();
            }
            last = Some(ask(address, &request).await.unwrap());
        }
        last.unwrap()
    }

    /// Stops the gate, and reads its records.
    async fn stop(self) -> String {
        if let Some(gate) = self.gate {
            gate.stop().await;
        }
        std::fs::read_to_string(self.folder.path().join("records.jsonl")).unwrap_or_default()
    }
}

fn serve_url(listener: (tokio::net::TcpListener, SocketAddr), router: axum::Router) -> String {
    format!("http://{}", serve(listener, router))
}

/// Without an owner for each object the gate would not start at all: see the last test.
const UNBOUND: (&str, &str, &str) =
    (CONFIG, "    identify: [demo, anonymous]\n", "    identify: [demo, anonymous]\n    unbound: allow\n");

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_hole_is_open_without_the_gate() {
    for hole in HOLES.iter().chain(NEVER) {
        let world = World::start(None).await;
        let answer = world.attack(hole).await;
        assert!(answer.body.contains(hole.breach), "{}: {answer:?}", hole.name);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_hole_is_closed_behind_the_gate() {
    for hole in HOLES.iter().chain(NEVER) {
        let world = World::start(Some(&[UNBOUND])).await;
        let answer = world.attack(hole).await;
        assert!(!answer.body.contains(hole.breach), "{}: {answer:?}", hole.name);
        // What was refused left nothing behind: Alice's order is as it was.
        let whole = call("GET", "/customers/alice/orders/o-1", "", None);
        let order = ask(world.api, &whole).await.unwrap();
        assert!(order.body.contains("leave at the door"), "{}: {order:?}", hole.name);
        world.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_its_one_line_removed_every_hole_is_open_again() {
    assert!(HOLES.len() >= 12);
    for hole in HOLES {
        let (file, line) = hole.line;
        let world = World::start(Some(&[UNBOUND, (file, line, "")])).await;
        let answer = world.attack(hole).await;
        let records = world.stop().await;
        assert!(answer.body.contains(hole.breach), "{}: {answer:?} {records}", hole.name);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_line_that_binds_an_object_cannot_be_forgotten() {
    let bindings = HOLES.iter().filter(|hole| hole.line.1.contains("parameter:"));
    let mut count = 0;
    for hole in bindings {
        let world = World::start(None).await;
        let path = world.folder.path().join(CONFIG);
        let text = std::fs::read_to_string(&path).unwrap();
        let line = hole.line.1.replace("127.0.0.1:8802", &world.api.to_string());
        std::fs::write(&path, text.replace(&line, "")).unwrap();
        let said = check(&path).diagnostics;
        let is_said = said.0.iter().any(|one| one.code == "unbound-object" && one.place.at.line > 0);
        assert!(is_said, "{}: {said:?}", hole.name);
        count += 1;
    }
    assert_eq!(count, 9);
}
