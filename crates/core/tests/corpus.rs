//! The inputs of the fuzz targets once more, and what fuzzing found: see `fuzz/` at the root.
#![expect(clippy::expect_used, clippy::panic, reason = "a target says by a panic what it found")]
#![allow(
    clippy::disallowed_methods,
    clippy::duplicate_mod,
    unreachable_pub,
    reason = "the files of `fuzz/`, which reads its corpora and is a crate of its own"
)]

#[path = "../../../fuzz/src/graph.rs"]
mod graph;
#[path = "../../../fuzz/src/json.rs"]
mod json;
#[path = "../../../fuzz/src/jwt.rs"]
mod jwt;
#[path = "../../../fuzz/src/multipart.rs"]
mod multipart;
#[path = "../../../fuzz/src/receive.rs"]
mod receive;

#[path = "../../../fuzz/src/replay.rs"]
mod replay;

#[test]
fn graph_keeps_its_promises() {
    replay::all("graph", graph::run);
}

#[test]
fn json_keeps_its_promises() {
    replay::all("json", json::run);
}

#[test]
fn jwt_keeps_its_promises() {
    replay::all("jwt", jwt::run);
}

#[test]
fn receive_keeps_its_promises() {
    replay::all("receive", receive::run);
}

#[test]
fn multipart_keeps_its_promises() {
    replay::all("multipart", multipart::run);
}
