//! Runs one scenario a number of times, for callgrind to count: `portcullis-bench SCENARIO [ITERATIONS]`.
//!
//! Only what happens in [`measured`] counts; `check` beside this crate says so to callgrind. Stages cannot be forged,
//! so each request is walked up to the phase in question outside of it, and dropped outside of it too.

mod gate;

use std::hint::black_box;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, bail, ensure};
use bytes::BytesMut;
use gate::Gate;
use http::StatusCode;
use portcullis_core::admit::{Admitted, admit};
use portcullis_core::authorize::{Authorized, authorize};
use portcullis_core::halt::Halt;
use portcullis_core::identify::{Identified, identify};
use portcullis_core::receive::{Received, receive};
use portcullis_core::request::{Request, Wire};
use portcullis_core::validate::{Validated, validate};
use portcullis_inspect::dialect::openai::chat::{ChatStream, inspect_request};
use portcullis_inspect::dialect::{Asked, ModelRules};
use portcullis_inspect::elsewhere::Hearing;
use portcullis_inspect::inspect::{Inspected, inspect};
use serde_json::Value;

/// Fills caches, builds what is built on first use, and grows what grows.
const WARM_UP: u32 = 32;
const NOW: u64 = 1_750_000_000;
/// Chunks of text in the stream.
const CHUNKS: usize = 500;

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let scenario = arguments.next().context("which scenario?")?;
    let iterations = arguments.next().map_or(Ok(1), |count| count.parse::<u32>())?;
    let gate = Gate::new(if scenario == "authorize-1000" { 1_000 } else { 50 })?;
    match scenario.as_str() {
        "receive-get" => run(iterations, || gate.read(), |wire| received(&gate, wire)),
        "identify-hit" => run(iterations, || received(&gate, gate.read()?), |it| identified(&gate, it)),
        "authorize-50" | "authorize-1000" => {
            let admitted = || admitted(&gate, gate.read()?);
            run(iterations, admitted, |request| authorized(&gate, request))
        }
        "validate-post" => run(iterations, || allowed_post(&gate), validated),
        "owner-answer" => {
            let (rules, obligations, answer) = gate::owned()?;
            run(iterations, || Ok(()), |()| Ok(rules.judge_answer(&obligations, StatusCode::OK, &answer)?))
        }
        "inspect-post" => {
            let ready = || validated(allowed_post(&gate)?);
            run(iterations, ready, |request| inspected(&gate, request))
        }
        "screen-stream" => {
            let answer = gate::answer(CHUNKS);
            run(iterations, || Ok(()), |()| screened(&gate.model, &answer))
        }
        "screen-told" => {
            let (answer, model) = (gate::answer(CHUNKS), gate::told(&gate.model));
            run(iterations, || Ok(()), |()| screened(&model, &answer))
        }
        "inspect-prompt" => {
            let (prompt, model) = (gate::prompt(), gate::default_model());
            run(iterations, || Ok(()), |()| read(&model, &prompt))
        }
        other => bail!("no scenario `{other}`"),
    }
}

/// Prepares and measures, again and again.
fn run<T, R>(iterations: u32, prepare: impl Fn() -> Result<T>, phase: impl Fn(T) -> Result<R>) -> Result<()> {
    for _ in 0..WARM_UP {
        black_box(phase(prepare()?)?);
    }
    for _ in 0..iterations {
        let prepared = black_box(prepare()?);
        black_box(measured(prepared, &phase)?);
    }
    Ok(())
}

/// What is counted. Its name is known to `check`.
#[inline(never)]
fn measured<T, R>(prepared: T, phase: impl Fn(T) -> Result<R>) -> Result<R> {
    phase(prepared)
}

fn received(gate: &Gate, wire: Wire) -> Result<Request<Received>> {
    receive(&gate.routes, &gate.rules, wire).map_err(stopped)
}

fn identified(gate: &Gate, request: Request<Received>) -> Result<Request<Identified>> {
    identify(&gate.issuers, request, NOW).map_err(stopped)
}

fn admitted(gate: &Gate, wire: Wire) -> Result<Request<Admitted>> {
    let identified = identified(gate, received(gate, wire)?)?;
    admit(&gate.buckets, identified, 0).map_err(stopped)
}

fn authorized(gate: &Gate, request: Request<Admitted>) -> Result<Request<Authorized>> {
    authorize(&gate.policy, request, now()).map_err(stopped)
}

/// A `POST` that came as far as its body.
fn allowed_post(gate: &Gate) -> Result<Request<Authorized>> {
    let admitted = admitted(gate, gate.write()?)?;
    authorized(gate, admitted.with_body(gate.body.clone()))
}

fn validated(request: Request<Authorized>) -> Result<Request<Validated>> {
    validate(request).map_err(stopped)
}

fn inspected(gate: &Gate, request: Request<Validated>) -> Result<Request<Inspected>> {
    let mut findings = Vec::new();
    let inspected =
        inspect(&gate.screens, None, request, &mut Hearing::default(), &mut findings).map_err(stopped)?;
    ensure!(findings.is_empty(), "something was found in the request");
    Ok(inspected)
}

/// A whole stream that comes at once and in which nothing is found.
fn screened(model: &ModelRules, answer: &[u8]) -> Result<BytesMut> {
    let mut out = BytesMut::new();
    let mut stream = ChatStream::new(model, false, "record");
    stream.push(answer, &mut out)?;
    stream.finish(&mut out)?;
    ensure!(stream.take_findings().is_empty(), "something was found in the stream");
    Ok(out)
}

/// A prompt in which nothing is found.
fn read(model: &ModelRules, prompt: &Value) -> Result<Asked> {
    let mut findings = Vec::new();
    let asked = inspect_request(model, prompt, &mut Hearing::default(), &mut findings).map_err(stopped)?;
    ensure!(findings.is_empty(), "something was found in the prompt");
    Ok(asked)
}

#[expect(clippy::needless_pass_by_value, reason = "the shape that `map_err` takes")]
fn stopped(halt: Halt) -> anyhow::Error {
    anyhow::anyhow!("a request that passes did not: {halt:?}")
}

fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(NOW)
}
