//! The listening socket: takes connections in, counts them, and lets them end.

use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use portcullis_core::request::Peer;
use socket2::{Domain, Protocol, Socket, Type};
use thiserror::Error;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::connection::Shared;
use super::lifetime::{PerAddress, Stage};
use super::{Handler, ListenRules};

/// Connections that the system keeps until they are accepted.
const BACKLOG: i32 = 4096;

/// Pause after the system has no descriptor or memory for a connection.
const BACK_OFF: Duration = Duration::from_millis(50);

/// Cut connections get this long to let go.
const CUT: Duration = Duration::from_secs(1);

/// Why a listener cannot start.
#[derive(Debug, Error)]
pub enum ListenError {
    /// The address is taken, not ours, or not permitted.
    #[error("cannot listen on `{address}`: {source}")]
    Bind {
        /// The address as configured.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
}

/// What a listener did until it stopped.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Served {
    /// Connections taken in.
    pub accepted: u64,
    /// Connections closed at once because too many were open.
    pub turned_away: u64,
    /// Connections that were cut because they did not end within the drain time.
    pub cut: u64,
}

/// A bound socket that does not accept yet.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    rules: ListenRules,
}

impl Listener {
    /// Binds and listens. Needs a tokio runtime.
    ///
    /// # Errors
    /// [`ListenError::Bind`] with what the system said.
    pub fn bind(rules: ListenRules) -> Result<Self, ListenError> {
        let socket =
            bind(rules.address).map_err(|source| ListenError::Bind { address: rules.address, source })?;
        Ok(Self { socket, rules })
    }

    /// Where it listens; the port that the system chose when port 0 was asked for.
    ///
    /// # Errors
    /// What the system said.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Serves until `stop`, then lets requests in flight finish within the drain time.
    ///
    /// A stopped listener takes no connection any more. An idle connection is closed, a busy one after its answer,
    /// an HTTP/2 one told to go away; only the drain time cuts. Connections that became WebSockets are waited for,
    /// but only their own tasks can end them.
    pub async fn serve<H: Handler>(self, handler: H, stop: CancellationToken) -> Served {
        let tls = self.rules.tls.as_ref().map(|tls| TlsAcceptor::from(tls.config()));
        let connections = TaskTracker::new();
        let mut crowd = Crowd {
            shared: Arc::new(Shared::new(handler, self.rules.limits, tls)),
            connections: connections.clone(),
            per_address: Arc::default(),
            served: Served::default(),
        };
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                accepted = self.socket.accept() => match accepted {
                    Ok((stream, client)) => crowd.take(stream, client),
                    Err(error) if is_of_the_client(&error) => {}
                    Err(error) => {
                        tracing::warn!(%error, "cannot accept connections");
                        sleep(BACK_OFF).await;
                    }
                },
            }
        }
        // What the system has taken in for us already is served too.
        while let Poll::Ready(Ok((stream, client))) =
            poll_fn(|cx| Poll::Ready(self.socket.poll_accept(cx))).await
        {
            crowd.take(stream, client);
        }
        drop(self.socket);
        connections.close();
        crowd.shared.stop.tell(Stage::Drain);
        if timeout(crowd.shared.limits.drain, connections.wait()).await.is_err() {
            crowd.served.cut = connections.len() as u64;
            crowd.shared.stop.tell(Stage::Cut);
            let _ = timeout(CUT, connections.wait()).await;
        }
        crowd.served
    }
}

/// The connections of a listener.
struct Crowd<H> {
    shared: Arc<Shared<H>>,
    connections: TaskTracker,
    per_address: Arc<PerAddress>,
    served: Served,
}

impl<H: Handler> Crowd<H> {
    /// Serves a connection, or closes it when there are too many.
    fn take(&mut self, stream: TcpStream, client: SocketAddr) {
        let limits = &self.shared.limits;
        let address: IpAddr = client.ip().to_canonical();
        let is_full = self.connections.len() >= limits.connections;
        let token = self.connections.token();
        let permit = self.per_address.enter(address, limits.connections_per_address, token);
        let Some(permit) = permit.filter(|_| !is_full) else {
            self.served.turned_away += 1;
            tracing::debug!(%address, "too many connections");
            return;
        };
        self.served.accepted += 1;
        // A first token must not wait for the acknowledgement of the head before it.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "cannot set TCP_NODELAY");
        }
        let peer = Peer { address, is_tls: false };
        tokio::spawn(Arc::clone(&self.shared).serve(stream, peer, permit));
    }
}

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// Errors of one connection that ended before it was accepted.
fn is_of_the_client(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionRefused
    )
}
