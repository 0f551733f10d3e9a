//! The admin listener: health for whoever starts and stops us, metrics for whoever watches.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::keys::Keyring;
use crate::record::Recorder;

/// What readiness hangs on.
#[derive(Debug, Clone)]
pub(crate) struct Health {
    pub(crate) recorder: Recorder,
    pub(crate) keyring: Arc<Keyring>,
    /// Goes to true when a stop was asked for; from then on no new traffic should be sent here.
    pub(crate) is_stopping: Arc<AtomicBool>,
}

impl Health {
    /// What is missing; empty when ready.
    fn missing(&self) -> Vec<&'static str> {
        let checks = [
            (!self.is_stopping.load(Ordering::Relaxed), "stopping"),
            (self.recorder.is_ready(), "records cannot be written"),
            (self.keyring.is_ready(), "an issuer's keys are missing"),
        ];
        checks.into_iter().filter(|(is_fine, _)| !is_fine).map(|(_, what)| what).collect()
    }
}

/// Serves until `stop`.
pub(crate) async fn serve(listener: TcpListener, health: Health, stop: CancellationToken) {
    let router = Router::new()
        .route("/livez", get(|| std::future::ready("ok\n")))
        .route("/readyz", get(ready))
        .route("/healthz", get(ready))
        .route("/metrics", get(metrics))
        .with_state(health);
    let served = axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned()).await;
    if let Err(error) = served {
        tracing::error!(%error, "the admin listener ended");
    }
}

async fn ready(State(health): State<Health>) -> (StatusCode, String) {
    let missing = health.missing();
    if missing.is_empty() {
        return (StatusCode::OK, "ok\n".to_owned());
    }
    (StatusCode::SERVICE_UNAVAILABLE, format!("{}\n", missing.join(", ")))
}

async fn metrics(State(health): State<Health>) -> impl IntoResponse {
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], health.recorder.metrics.text())
}
