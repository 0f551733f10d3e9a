//! A running gate: started from a file, reloaded when it changes, stopped without cutting anyone off.

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwap;
use portcullis_core::admit::{BUCKETS, Buckets};
pub use portcullis_core::policy::Matrix;
use portcullis_inspect::vault::TokenKey;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use crate::admin::{self, Health};
use crate::compile::{Compiled, Kept, compile};
use crate::config::settings::{self, RecordTarget, Settings};
use crate::config::{self, Diagnostics, Disk, Format, watch};
use crate::forward::{Fetcher, TlsClientRules};
use crate::gate::{Front, Gate};
use crate::keys::{Keyring, Timing};
use crate::listen::tls::{Certificate, TlsRules};
use crate::listen::{Http2Limits, Limits, ListenRules, Listener};
use crate::owners::{FileOwners, Owners, Pools};
use crate::record::{Recorder, Sink};
use crate::switched::Lifetime;
use crate::telemetry::Metrics;

/// Diagnostics as a log wants them.
const TEXT: Format = Format::Text { colours: false };
/// Time between two looks for budgets that are full again.
const SWEEP: Duration = Duration::from_secs(30);
/// How long one fetch of a key set may take.
const FETCH: Duration = Duration::from_secs(10);

/// A running gate.
#[derive(Debug)]
pub struct Server {
    addresses: Vec<(&'static str, SocketAddr)>,
    stop: CancellationToken,
    stop_admin: CancellationToken,
    is_stopping: Arc<AtomicBool>,
    lifetime: Lifetime,
    tasks: JoinSet<()>,
    admin: JoinSet<()>,
    recorder: Recorder,
    drain: Duration,
}

/// Why a gate did not start.
#[derive(Debug)]
pub enum StartError {
    /// The configuration has errors; the text shows them all.
    Configuration(String),
    /// A socket, a file or a thread could not be had.
    System {
        /// What for.
        what: String,
        /// What the system said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Configuration(text) => f.write_str(text),
            Self::System { what, source } => writeln!(f, "error: {what}: {source}"),
        }
    }
}

impl std::error::Error for StartError {}

fn system<E>(what: impl Into<String>) -> impl FnOnce(E) -> StartError
where
    E: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let what = what.into();
    move |source| StartError::System { what, source: source.into() }
}

/// What checking a configuration gives.
#[derive(Debug)]
pub struct Checked {
    /// Everything that is wrong with it, or worth a warning.
    pub diagnostics: Diagnostics,
    /// The Cedar schema of its contracts, when those compile.
    pub schema: Option<String>,
    /// Who may call what, when there is nothing wrong.
    pub matrix: Option<Matrix>,
}

/// Does everything that [`Server::start`] does before it opens a socket.
pub fn check(path: &Path) -> Checked {
    let config::Loaded { settings, mut diagnostics, .. } = config::load(path, &Disk);
    let Some(settings) = settings else { return Checked { diagnostics, schema: None, matrix: None } };
    let kept = Kept::new(Arc::new(keyring()));
    let mut matrix = None;
    match compile(&settings, &kept) {
        Ok(compiled) => {
            diagnostics.0.extend(compiled.warnings);
            matrix = Some(compiled.gate.policy.matrix());
        }
        Err(problems) => diagnostics.0.extend(problems),
    }
    diagnostics.0.extend(ended_grants(&settings, unix_seconds()));
    if let Err(error) = tls(&settings.listeners.public) {
        diagnostics.0.push(tls_problem(&settings, &error));
    }
    Checked { diagnostics, schema: crate::compile::schema(&settings, &kept).ok(), matrix }
}

/// Grants of the roles file that hold no longer: they do nothing, and look as if they did.
fn ended_grants(settings: &Settings, now: i64) -> Vec<config::Diagnostic> {
    let Some(roles) = &settings.roles else { return Vec::new() };
    let grants = roles.book.roles.iter().flat_map(|role| &role.grants);
    let ended = grants.filter(|grant| grant.until.is_some_and(|until| until <= now));
    let warn = |grant: &portcullis_core::roles::Grant| {
        let message = format!("the grant of `{}` has ended", grant.action);
        roles.place(grant.mark).warning("ended-grant", message)
    };
    ended.map(warn).collect()
}

fn unix_seconds() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    i64::try_from(now).unwrap_or(i64::MAX)
}

fn tls_problem(settings: &Settings, error: &crate::listen::tls::TlsError) -> config::Diagnostic {
    let pair = settings.listeners.public.tls.first();
    pair.map(|pair| pair.place.clone()).unwrap_or_default().error("bad-certificate", error.to_string())
}

pub(crate) fn keyring() -> Keyring {
    Keyring::new(Arc::new(Fetcher::new(TlsClientRules::default(), FETCH)), Timing::default())
}

impl Server {
    /// Loads, compiles, binds and serves.
    ///
    /// # Errors
    /// Every diagnostic of the configuration at once, or what the system refused.
    pub async fn start(path: &Path) -> Result<Self, StartError> {
        let loaded = config::load(path, &Disk);
        let mut kept = Kept::new(Arc::new(keyring()));
        kept.owners = owners(&loaded)?;
        let (settings, compiled) = compiled(&loaded, &kept)?;
        let recorder = recorder(&settings)?;
        let certificates = tls(&settings.listeners.public).map_err(|error| {
            let problem = Diagnostics(vec![tls_problem(&settings, &error)]);
            StartError::Configuration(problem.render(TEXT))
        })?;
        let public = Listener::bind(listen_rules(&settings, certificates.clone()))
            .map_err(system("the public listener"))?;
        let mut addresses = vec![("public", public.address().map_err(system("cannot listen"))?)];

        kept.keyring.keep(&compiled.key_sources);
        kept.keyring.load().await;
        recorder.metrics.reload_ok.set(1);
        recorder.metrics.loaded_at.set(unix_now());
        let front =
            Front { gate: Arc::new(ArcSwap::from_pointee(compiled.gate)), recorder: recorder.clone() };
        let mut server = Self {
            addresses: Vec::new(),
            stop: CancellationToken::new(),
            stop_admin: CancellationToken::new(),
            is_stopping: Arc::default(),
            lifetime: kept.lifetime.clone(),
            tasks: JoinSet::new(),
            admin: JoinSet::new(),
            recorder,
            drain: settings.limits.drain_time,
        };
        if let Some(listener) = &settings.listeners.admin {
            let what = format!("the admin listener: cannot listen on `{}`", listener.address);
            let socket = TcpListener::bind(listener.address).await.map_err(system(what))?;
            addresses.push(("admin", socket.local_addr().map_err(system("cannot listen"))?));
            server.admin.spawn(admin::serve(socket, server.health(&kept), server.stop_admin.clone()));
        }
        server.addresses = addresses;
        rehearse(front.gate.load_full());
        let stop = server.stop.clone();
        let handler = front.clone();
        server.tasks.spawn(async move {
            let served = public.serve(handler, stop).await;
            tracing::info!(?served, "the public listener ended");
        });
        let sweep = sweep(Arc::clone(&kept.buckets), kept.origin, server.stop.clone());
        server.tasks.spawn(sweep);
        let reload = Reload {
            path: path.to_owned(),
            front,
            kept: Kept {
                upstreams: compiled.upstreams,
                pools: compiled.pools,
                encoder: compiled.encoder,
                ..kept
            },
            certificates,
            fixed: Fixed::of(&settings),
        };
        let changes = watch::Watch::new(loaded.watched);
        server.tasks.spawn(reload.run(changes, server.stop.clone()));
        Ok(server)
    }

    /// Each listener's name and where it listens.
    pub fn addresses(&self) -> &[(&'static str, SocketAddr)] {
        &self.addresses
    }

    /// What the gate counts.
    pub fn metrics(&self) -> &Metrics {
        &self.recorder.metrics
    }

    /// Stops: not ready from now on, no new connections, requests and streams in flight get the drain time.
    pub async fn stop(mut self) {
        self.is_stopping.store(true, Ordering::Relaxed);
        self.stop.cancel();
        self.lifetime.stop.cancel();
        self.lifetime.tasks.close();
        let all = async {
            while self.tasks.join_next().await.is_some() {}
            self.lifetime.tasks.wait().await;
        };
        if tokio::time::timeout(self.drain + Duration::from_secs(2), all).await.is_err() {
            tracing::warn!("connections were cut at the end of the drain time");
        }
        self.stop_admin.cancel();
        // Whoever keeps a connection to the admin listener open does not keep the process alive.
        let _ = tokio::time::timeout(Duration::from_secs(1), async {
            while self.admin.join_next().await.is_some() {}
        })
        .await;
        if let Some(sink) = &self.recorder.sink {
            sink.close();
        }
    }

    fn health(&self, kept: &Kept) -> Health {
        Health {
            recorder: self.recorder.clone(),
            keyring: Arc::clone(&kept.keyring),
            is_stopping: Arc::clone(&self.is_stopping),
        }
    }
}

impl Kept {
    /// For a process that begins.
    pub(crate) fn new(keyring: Arc<Keyring>) -> Self {
        Self {
            buckets: Arc::new(Buckets::new(BUCKETS)),
            keyring,
            lifetime: Lifetime::default(),
            sessions: Arc::default(),
            owners: None,
            tokens: token_key(),
            origin: Instant::now(),
            upstreams: Vec::new(),
            pools: Pools::default(),
            encoder: None,
        }
    }
}

/// A key of this process alone, which no file holds.
fn token_key() -> TokenKey {
    let mut random = Zeroizing::new([0; 32]);
    // The generator of the operating system does not fail once the machine is up; a key that anybody knows would show nothing.
    #[expect(clippy::expect_used, reason = "without randomness there is no TLS either")]
    aws_lc_rs::rand::fill(&mut *random).expect("the system gives random bytes");
    TokenKey::new(&random)
}

fn compiled(loaded: &config::Loaded, kept: &Kept) -> Result<(Settings, Compiled), StartError> {
    let text = |diagnostics: &Diagnostics| StartError::Configuration(diagnostics.render(TEXT));
    let Some(settings) = &loaded.settings else { return Err(text(&loaded.diagnostics)) };
    match compile(settings, kept) {
        Ok(compiled) => {
            let warnings = loaded.diagnostics.0.iter().chain(&compiled.warnings).cloned().collect();
            let warnings = Diagnostics(warnings).render(TEXT);
            if !warnings.is_empty() {
                tracing::warn!("{warnings}");
            }
            Ok((settings.clone(), compiled))
        }
        Err(problems) => Err(text(&Diagnostics(problems))),
    }
}

/// The file that remembers who created what. It stays for as long as the gate runs.
fn owners(loaded: &config::Loaded) -> Result<Option<Owners>, StartError> {
    let ownership = loaded.settings.as_ref().and_then(|settings| settings.ownership.as_ref());
    let Some(settings::Ownership::File { path, entries }) = ownership else { return Ok(None) };
    let what = format!("cannot remember owners in {}", path.display());
    let owners = FileOwners::open(path, *entries).map_err(system(what))?;
    Ok(Some(Owners::File(owners)))
}

fn recorder(settings: &Settings) -> Result<Recorder, StartError> {
    let sink = match &settings.record {
        RecordTarget::None => None,
        RecordTarget::Stdout => Some(Sink::stdout().map_err(system("cannot write records"))?),
        RecordTarget::File(path) => {
            let what = format!("cannot write records to {}", path.display());
            Some(Sink::file(path).map_err(system(what))?)
        }
    };
    Ok(Recorder { sink: sink.map(Arc::new), metrics: Arc::new(Metrics::default()) })
}

fn unix_now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

fn certificates(listener: &settings::Listener) -> Vec<Certificate> {
    let pairs = listener.tls.iter().map(|pair| Certificate {
        label: (&*pair.certificate.name).into(),
        chain: pair.certificate.text.as_bytes().to_vec(),
        key: Zeroizing::new(pair.key.expose().as_bytes().to_vec()),
        names: pair.names.iter().map(|name| name.as_str().into()).collect(),
    });
    pairs.collect()
}

fn tls(listener: &settings::Listener) -> Result<Option<Arc<TlsRules>>, crate::listen::tls::TlsError> {
    if listener.tls.is_empty() {
        return Ok(None);
    }
    TlsRules::new(&certificates(listener), SystemTime::now()).map(|rules| Some(Arc::new(rules)))
}

fn listen_rules(settings: &Settings, tls: Option<Arc<TlsRules>>) -> ListenRules {
    let limits = &settings.limits;
    ListenRules {
        address: settings.listeners.public.address,
        tls,
        limits: Limits {
            head: portcullis_core::receive::strict::HeadLimits {
                target: limits.target,
                headers: limits.header_count,
                header_bytes: limits.header_size,
            },
            head_deadline: limits.header_time,
            idle: limits.idle_time,
            write_stall: limits.write_stall,
            connections: limits.connections,
            connections_per_address: limits.connections_per_address,
            http2: Http2Limits {
                streams: limits.streams_per_connection,
                header_list: u32::try_from(limits.header_list).unwrap_or(u32::MAX),
                pending_resets: limits.resets_per_connection,
                ..Http2Limits::default()
            },
            drain: limits.drain_time,
            ..Limits::default()
        },
    }
}

/// Lets go of budgets that are full again, so that memory comes back after many callers.
async fn sweep(buckets: Arc<Buckets>, origin: Instant, stop: CancellationToken) {
    while tokio::time::timeout(SWEEP, stop.cancelled()).await.is_err() {
        let buckets = Arc::clone(&buckets);
        let now = u64::try_from(origin.elapsed().as_nanos()).unwrap_or(u64::MAX);
        // A table of many callers takes milliseconds to walk: not on a thread that serves.
        if tokio::task::spawn_blocking(move || buckets.sweep(now)).await.is_err() {
            tracing::error!("budgets could not be swept");
        }
    }
}

/// Says before any request does where a database cannot be asked. A gate without one begins no task.
fn rehearse(gate: Arc<Gate>) {
    if gate.asks_databases() {
        tokio::spawn(async move { crate::owners::rehearse(&gate).await });
    }
}

/// Takes new configurations while the gate runs.
struct Reload {
    path: PathBuf,
    front: Front,
    kept: Kept,
    certificates: Option<Arc<TlsRules>>,
    fixed: Fixed,
}

/// What changes only at the next start.
#[derive(Debug, PartialEq, Eq)]
struct Fixed {
    address: SocketAddr,
    is_tls: bool,
    limits: settings::Limits,
    /// The file that remembers who created what, and how many.
    owners: Option<(PathBuf, usize)>,
    record: RecordTarget,
}

impl Fixed {
    fn of(settings: &Settings) -> Self {
        let public = &settings.listeners.public;
        Self {
            address: public.address,
            is_tls: !public.tls.is_empty(),
            limits: settings.limits.clone(),
            owners: match &settings.ownership {
                Some(settings::Ownership::File { path, entries }) => Some((path.clone(), *entries)),
                Some(settings::Ownership::Table(_)) | None => None,
            },
            record: settings.record.clone(),
        }
    }
}

impl Reload {
    async fn run(mut self, mut changes: watch::Watch, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                cause = changes.changed() => tracing::info!(?cause, "loading the configuration"),
            }
            let (path, kept) = (self.path.clone(), self.kept.clone());
            // Reading and compiling may take a second for large contracts: never on a thread that serves.
            let work = tokio::task::spawn_blocking(move || {
                let loaded = config::load(&path, &Disk);
                let compiled = compiled(&loaded, &kept);
                (loaded.watched, compiled)
            });
            let done = work.await;
            let metrics = &self.front.recorder.metrics;
            metrics.reloads.inc();
            let (watched, compiled) = match done {
                Ok(done) => done,
                Err(error) => {
                    metrics.reload_ok.set(0);
                    tracing::error!(%error, "the configuration was not taken, the old one stays");
                    continue;
                }
            };
            changes.update(watched);
            match compiled {
                Ok((settings, compiled)) => self.take(&settings, compiled),
                Err(error) => {
                    metrics.reload_ok.set(0);
                    tracing::error!("the configuration was not taken, the old one stays:\n{error}");
                }
            }
        }
    }

    fn take(&mut self, settings: &Settings, compiled: Compiled) {
        let metrics = Arc::clone(&self.front.recorder.metrics);
        if let Some(rules) = &self.certificates
            && let Err(error) = rules.reload(&certificates(&settings.listeners.public), SystemTime::now())
        {
            metrics.reload_ok.set(0);
            tracing::error!(%error, "the certificates were not taken, the old configuration stays");
            return;
        }
        if Fixed::of(settings) != self.fixed {
            tracing::warn!(
                "listeners, limits, the record's and the owners' file change only at the next start"
            );
        }
        self.kept.upstreams = compiled.upstreams;
        self.kept.pools = compiled.pools;
        self.kept.encoder = compiled.encoder;
        self.kept.keyring.keep(&compiled.key_sources);
        let gate: Gate = compiled.gate;
        self.front.gate.store(Arc::new(gate));
        rehearse(self.front.gate.load_full());
        metrics.reload_ok.set(1);
        metrics.loaded_at.set(unix_now());
        tracing::info!("the new configuration is in force");
    }
}
