//! The sample API. It trusts whoever asks: every check that it lacks is one that the gate makes.

#![expect(clippy::indexing_slicing, reason = "a JSON value gives null for a name that it has not")]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Map, Value, json};

type Shop = Arc<Mutex<Stock>>;

#[derive(Debug)]
struct Stock {
    customers: BTreeMap<String, Map<String, Value>>,
    orders: BTreeMap<String, Value>,
}

/// The API with its data, fresh.
pub(crate) fn router() -> Router {
    let shop: Shop = Arc::new(Mutex::new(Stock::new()));
    Router::new()
        .route("/login", post(login))
        .route("/products", get(products))
        .route("/products/search", get(search))
        .route("/customers/{customer}", get(customer).patch(update))
        .route("/customers/{customer}/orders", get(orders).post(create))
        .route("/customers/{customer}/orders/{order}", get(order))
        .route("/customers/{customer}/orders/{order}/receipt", get(receipt))
        .route("/customers/{customer}/reviews", post(review))
        .route("/orders/{order}/refund", post(refund))
        .route("/admin/customers", get(all))
        // In the code, not in the contract: what the gate must not know.
        .route("/debug/env", get(debug))
        .with_state(shop)
}

impl Stock {
    fn new() -> Self {
        let person = |id: &str, name: &str, city: &str| {
            let fields = json!({ "id": id, "name": name, "city": city, "support_note": "" });
            (id.to_owned(), fields.as_object().cloned().unwrap_or_default())
        };
        let mut customers: BTreeMap<_, _> =
            [person("alice", "Alice Ampere", "Lyon"), person("bob", "Bob Boole", "Cork")].into();
        if let Some(alice) = customers.get_mut("alice") {
            // A colleague pasted a key into a note, long ago.
            alice
                .insert("support_note".into(), json!("rotate ghp_0123456789abcdefghijABCDEFGHIJ456789 soon"));
        }
        let order = |id: &str, who: &str, total: u32| {
            (id.to_owned(), json!({ "id": id, "customer": who, "total": total, "note": "leave at the door" }))
        };
        Self { customers, orders: [order("o-1", "alice", 4200), order("o-2", "bob", 1999)].into() }
    }
}

fn none() -> (StatusCode, Json<Value>) {
    (StatusCode::NOT_FOUND, Json(json!({ "message": "no such thing" })))
}

/// Hole: guesses are not counted.
async fn login(Json(body): Json<Value>) -> (StatusCode, Json<Value>) {
    if body["email"] == "alice@example.com" && body["password"] == "correct horse" {
        return (StatusCode::OK, Json(json!({ "session": "s-1" })));
    }
    (StatusCode::UNAUTHORIZED, Json(json!({ "message": "wrong e-mail or password" })))
}

async fn products() -> Json<Value> {
    Json(
        json!([{ "id": "p-1", "name": "Enamel mug", "price": 1250 }, { "id": "p-2", "name": "Kettle", "price": 3900 }]),
    )
}

/// Hole: the text goes into a query as it is.
async fn search(Query(query): Query<BTreeMap<String, String>>) -> Json<Value> {
    let text = query.get("q").cloned().unwrap_or_default();
    if text.contains('\'') {
        return Json(
            json!([{ "id": "users", "name": "alice:5f4dcc3b5aa765d61d8327deb882cf99", "price": 0 }]),
        );
    }
    Json(json!([{ "id": "p-1", "name": format!("Found for {text}"), "price": 1250 }]))
}

/// Hole: anyone may read anyone.
async fn customer(State(shop): State<Shop>, Path(id): Path<String>) -> (StatusCode, Json<Value>) {
    let Ok(stock) = shop.lock() else { return none() };
    stock.customers.get(&id).map_or_else(none, |found| (StatusCode::OK, Json(Value::Object(found.clone()))))
}

/// Hole: every field that is sent is stored, `is_admin` too.
async fn update(
    State(shop): State<Shop>,
    Path(id): Path<String>,
    Json(fields): Json<Map<String, Value>>,
) -> (StatusCode, Json<Value>) {
    let Ok(mut stock) = shop.lock() else { return none() };
    let Some(found) = stock.customers.get_mut(&id) else { return none() };
    found.extend(fields);
    (StatusCode::OK, Json(Value::Object(found.clone())))
}

async fn orders(State(shop): State<Shop>, Path(id): Path<String>) -> Json<Value> {
    let Ok(stock) = shop.lock() else { return Json(json!([])) };
    Json(stock.orders.values().filter(|order| order["customer"] == id.as_str()).cloned().collect())
}

async fn create(
    State(shop): State<Shop>,
    Path(id): Path<String>,
    Json(body): Json<Value>,
) -> (StatusCode, Json<Value>) {
    let Ok(mut stock) = shop.lock() else { return none() };
    let number = format!("o-{}", stock.orders.len() + 1);
    let count: u64 =
        body["lines"].as_array().into_iter().flatten().filter_map(|line| line["count"].as_u64()).sum();
    let order = json!({ "id": number, "customer": id, "total": count * 1250, "note": body["note"].as_str().unwrap_or("") });
    stock.orders.insert(number, order.clone());
    (StatusCode::CREATED, Json(order))
}

/// Hole: whose order it is is never asked.
async fn order(
    State(shop): State<Shop>,
    Path((_, order)): Path<(String, String)>,
) -> (StatusCode, Json<Value>) {
    let Ok(stock) = shop.lock() else { return none() };
    stock.orders.get(&order).map_or_else(none, |found| (StatusCode::OK, Json(found.clone())))
}

/// Hole: the whole row of the database is sent, with fields that no contract names.
async fn receipt(
    State(shop): State<Shop>,
    Path((_, order)): Path<(String, String)>,
) -> (StatusCode, Json<Value>) {
    let Ok(stock) = shop.lock() else { return none() };
    let Some(found) = stock.orders.get(&order) else { return none() };
    let row = json!({ "id": order, "total": found["total"], "_margin": 0.42, "_supplier_account": "X-7731" });
    (StatusCode::OK, Json(row))
}

/// Hole: text is stored as it is and shown to everyone.
async fn review(Json(_): Json<Value>) -> (StatusCode, Json<Value>) {
    (StatusCode::CREATED, Json(json!({ "message": "thank you" })))
}

/// Hole: there is no check that the caller is a clerk.
async fn refund(Path(order): Path<String>) -> Json<Value> {
    Json(json!({ "message": format!("refunded {order}") }))
}

/// Hole: an administrator's operation, open to all.
async fn all(State(shop): State<Shop>) -> Json<Value> {
    let Ok(stock) = shop.lock() else { return Json(json!([])) };
    Json(stock.customers.values().cloned().map(Value::Object).collect())
}

async fn debug() -> Json<Value> {
    Json(json!({ "DATABASE_URL": "postgres://shop:hunter2@db/shop" }))
}
