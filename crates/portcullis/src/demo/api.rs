//! The sample API. It trusts whoever asks: every check that it lacks is one that the gate makes.

#![expect(clippy::indexing_slicing, reason = "a JSON value gives null for a name that it has not")]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Map, Value, json};

type Shop = Arc<Mutex<Stock>>;

#[derive(Debug)]
struct Stock {
    customers: BTreeMap<String, Map<String, Value>>,
    orders: BTreeMap<String, Value>,
    carts: BTreeMap<String, Value>,
    messages: Vec<Value>,
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
        .route("/orders", get(all_orders))
        .route("/orders/{order}", get(read_order).patch(change_order).delete(drop_order).post(by_override))
        .route("/orders/{order}/refund", post(refund))
        .route("/carts", post(fill_cart))
        .route("/carts/{cart}", get(cart))
        .route("/parcels/{parcel}", get(parcel))
        .route("/invoices", get(invoices))
        .route("/messages", post(message))
        // The version before this one: nobody calls it any more, and it still answers.
        .route("/legacy/profile", get(legacy_profile))
        // For services inside alone.
        .route("/internal/parcels/{parcel}", get(parcel_owner))
        .route("/admin/customers", get(all))
        // In the code, not in the contract: what the gate must not know.
        .route("/debug/env", get(debug))
        .with_state(shop)
}

impl Stock {
    fn new() -> Self {
        let person = |id: &str, name: &str, city: &str| {
            let fields = json!({ "id": id, "name": name, "city": city, "role": "customer",
                "support_note": "", "card": "5105 1051 0510 5100" });
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
            (
                id.to_owned(),
                json!({ "id": id, "customer": who, "total": total,
                "note": "leave at the door", "margin": total / 3 }),
            )
        };
        let orders = [order("o-1", "alice", 4200), order("o-2", "bob", 1999), order("o-3", "alice", 700)];
        Self { customers, orders: orders.into(), carts: BTreeMap::new(), messages: Vec::new() }
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

/// Holes: every field that is sent is stored, `role` too; and the body says whose they are, not the path.
async fn update(
    State(shop): State<Shop>,
    Path(id): Path<String>,
    Json(fields): Json<Map<String, Value>>,
) -> (StatusCode, Json<Value>) {
    let Ok(mut stock) = shop.lock() else { return none() };
    let id = fields.get("id").and_then(Value::as_str).map_or(id, str::to_owned);
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
    let order = json!({ "id": number, "customer": id, "total": count * 1250,
        "note": body["note"].as_str().unwrap_or(""), "margin": count * 400 });
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

/// Hole: everybody's orders, whoever asks.
async fn all_orders(State(shop): State<Shop>) -> Json<Value> {
    let Ok(stock) = shop.lock() else { return Json(json!([])) };
    Json(json!({ "orders": stock.orders.values().cloned().collect::<Value>() }))
}

/// Hole: whose order it is is never asked.
async fn read_order(State(shop): State<Shop>, Path(order): Path<String>) -> (StatusCode, Json<Value>) {
    let Ok(stock) = shop.lock() else { return none() };
    stock.orders.get(&order).map_or_else(none, |found| (StatusCode::OK, Json(found.clone())))
}

/// Holes: whose order it is is never asked, and every field is stored: the price as well.
async fn change_order(
    State(shop): State<Shop>,
    Path(order): Path<String>,
    Json(fields): Json<Map<String, Value>>,
) -> (StatusCode, Json<Value>) {
    let Ok(mut stock) = shop.lock() else { return none() };
    let Some(found) = stock.orders.get_mut(&order).and_then(Value::as_object_mut) else { return none() };
    found.extend(fields);
    (StatusCode::OK, Json(Value::Object(found.clone())))
}

/// Hole: whose order it is is never asked.
async fn drop_order(State(shop): State<Shop>, Path(order): Path<String>) -> (StatusCode, Json<Value>) {
    let Ok(mut stock) = shop.lock() else { return none() };
    match stock.orders.remove(&order) {
        Some(_) => (StatusCode::OK, Json(json!({ "message": format!("cancelled {order}") }))),
        None => none(),
    }
}

/// Hole: a header changes the method, behind the back of whoever looked at the method.
async fn by_override(
    shop: State<Shop>,
    order: Path<String>,
    headers: HeaderMap,
) -> (StatusCode, Json<Value>) {
    match headers.get("x-http-method-override").and_then(|method| method.to_str().ok()) {
        Some("DELETE") => drop_order(shop, order).await,
        _ => none(),
    }
}

async fn fill_cart(State(shop): State<Shop>, Json(body): Json<Value>) -> (StatusCode, Json<Value>) {
    let Ok(mut stock) = shop.lock() else { return none() };
    let id = format!("c-{}", stock.carts.len() + 1);
    stock.carts.insert(id.clone(), body["products"].clone());
    (StatusCode::CREATED, Json(json!({ "id": id })))
}

/// Hole: carts belong to nobody, so anybody reads them.
async fn cart(State(shop): State<Shop>, Path(cart): Path<String>) -> (StatusCode, Json<Value>) {
    let Ok(stock) = shop.lock() else { return none() };
    let found = stock.carts.get(&cart);
    found.map_or_else(none, |products| (StatusCode::OK, Json(json!({ "id": cart, "products": products }))))
}

/// Hole: where a parcel is, is told to everybody.
async fn parcel(Path(parcel): Path<String>) -> Json<Value> {
    Json(json!({ "parcel": parcel, "street": "12 Rue Mercière", "code": "4711" }))
}

/// What another service knows: whose a parcel is.
async fn parcel_owner(Path(parcel): Path<String>) -> (StatusCode, Json<Value>) {
    match parcel.as_str() {
        "p-1" => (StatusCode::OK, Json(json!({ "owner": "alice" }))),
        "p-2" => (StatusCode::OK, Json(json!({ "owner": "bob" }))),
        _ => none(),
    }
}

/// Hole: the tenant is whichever the caller says.
async fn invoices(headers: HeaderMap) -> Json<Value> {
    let tenant = headers.get("x-tenant-id").and_then(|tenant| tenant.to_str().ok()).unwrap_or_default();
    Json(json!([{ "tenant": tenant, "amount": if tenant == "north" { 90_000 } else { 120 } }]))
}

/// Hole: the sender is whoever the body says.
async fn message(State(shop): State<Shop>, Json(body): Json<Value>) -> (StatusCode, Json<Value>) {
    let Ok(mut stock) = shop.lock() else { return none() };
    let sent = format!("sent as {}", body["senderId"].as_str().unwrap_or_default());
    stock.messages.push(body);
    (StatusCode::CREATED, Json(json!({ "message": sent })))
}

/// Hole: nobody moved the checks of the new version to the old one.
async fn legacy_profile(
    State(shop): State<Shop>,
    Query(query): Query<BTreeMap<String, String>>,
) -> (StatusCode, Json<Value>) {
    let Ok(stock) = shop.lock() else { return none() };
    let found = query.get("customerNumber").and_then(|id| stock.customers.get(id));
    found.map_or_else(none, |found| {
        (StatusCode::OK, Json(json!({ "id": found["id"], "name": found["name"], "city": found["city"] })))
    })
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
