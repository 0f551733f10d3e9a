//! A pass-through proxy of nothing but hyper's server and `Upstream::send`: the floor under the gate's cost.
//!
//! Usage: `bare PORT TLS_PORT UPSTREAM CERT KEY`.

use std::convert::Infallible;
use std::error::Error;
use std::sync::Arc;

use http::header::{self, HeaderName, HeaderValue};
use http::{Request, Response, StatusCode, Uri, Version};
use http_body_util::{BodyExt, Either, Empty};
use hyper::body::{Body, Bytes, Incoming};
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use portcullis_gateway::forward::{Upstream, UpstreamBody, UpstreamRules};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Answer = Response<Either<UpstreamBody, Empty<Bytes>>>;

const HOP_BY_HOP: [HeaderName; 6] = [
    header::CONNECTION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::CONTENT_LENGTH,
];

async fn pass(upstream: Arc<Upstream>, request: Request<Incoming>) -> Result<Answer, Infallible> {
    let (mut parts, body) = request.into_parts();
    let whole = if body.is_end_stream() {
        Bytes::new()
    } else {
        match body.collect().await {
            Ok(whole) => whole.to_bytes(),
            Err(_) => return Ok(fault()),
        }
    };
    if parts.version == Version::HTTP_2
        && let Some(host) = parts.uri.authority().and_then(|a| HeaderValue::from_str(a.as_str()).ok())
    {
        parts.headers.insert(header::HOST, host);
    }
    for name in &HOP_BY_HOP {
        parts.headers.remove(name);
    }
    let name = HeaderName::from_static("x-forwarded-for");
    parts.headers.insert(name, HeaderValue::from_static("127.0.0.1"));
    parts.version = Version::HTTP_11;
    parts.uri = parts.uri.path_and_query().cloned().map_or_else(Uri::default, Uri::from);
    match upstream.send(Box::new(Request::from_parts(parts, whole).into())).await {
        Ok(answer) => Ok(answer.map(Either::Left)),
        Err(error) => {
            eprintln!("{error}");
            Ok(fault())
        }
    }
}

fn fault() -> Answer {
    let mut answer = Response::new(Either::Right(Empty::new()));
    *answer.status_mut() = StatusCode::BAD_GATEWAY;
    answer
}

async fn serve(
    upstream: Arc<Upstream>,
    io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    is_h2: bool,
) {
    let service = service_fn(move |request| pass(Arc::clone(&upstream), request));
    let io = TokioIo::new(io);
    let served = if is_h2 {
        http2::Builder::new(TokioExecutor::new()).timer(TokioTimer::new()).serve_connection(io, service).await
    } else {
        http1::Builder::new().timer(TokioTimer::new()).serve_connection(io, service).await
    };
    let _ = served;
}

async fn listen_tls(
    upstream: Arc<Upstream>,
    port: String,
    cert: String,
    key: String,
) -> Result<(), Box<dyn Error>> {
    let certs = CertificateDer::pem_file_iter(&cert)?.collect::<Result<Vec<_>, _>>()?;
    let key = PrivateKeyDer::from_pem_file(&key)?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(certs, key)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind(format!("127.0.0.1:{port}")).await?;
    loop {
        let (tcp, _) = listener.accept().await?;
        tcp.set_nodelay(true)?;
        let (acceptor, upstream) = (acceptor.clone(), Arc::clone(&upstream));
        tokio::spawn(async move {
            if let Ok(tls) = acceptor.accept(tcp).await {
                let is_h2 = tls.get_ref().1.alpn_protocol() == Some(b"h2");
                serve(upstream, tls, is_h2).await;
            }
        });
    }
}

async fn run() -> Result<(), Box<dyn Error>> {
    let [port, tls_port, upstream, cert, key] =
        <[String; 5]>::try_from(std::env::args().skip(1).collect::<Vec<_>>())
            .map_err(|_| "usage: bare PORT TLS_PORT UPSTREAM CERT KEY")?;
    let rules = UpstreamRules::new("bench", format!("http://{upstream}").parse()?);
    let upstream = Arc::new(Upstream::compile(rules)?);
    let tls = Arc::clone(&upstream);
    tokio::spawn(async move {
        let ended = listen_tls(tls, tls_port, cert, key).await.map_err(|error| error.to_string());
        eprintln!("{ended:?}");
    });
    let listener = TcpListener::bind(format!("127.0.0.1:{port}")).await?;
    loop {
        let (tcp, _) = listener.accept().await?;
        tcp.set_nodelay(true)?;
        tokio::spawn(serve(Arc::clone(&upstream), tcp, false));
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut runtime = match std::env::var("WORKERS").ok().and_then(|workers| workers.parse().ok()) {
        Some(workers) => {
            let mut builder = tokio::runtime::Builder::new_multi_thread();
            builder.worker_threads(workers);
            builder
        }
        None => tokio::runtime::Builder::new_current_thread(),
    };
    runtime.enable_all().build()?.block_on(run())
}
