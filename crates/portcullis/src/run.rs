//! `portcullis run`.

use std::future::Future;
use std::path::Path;

use anyhow::Context;
use portcullis_gateway::server::Server;
use tracing_subscriber::EnvFilter;

/// Runs the gate until it is told to stop, then drains it.
pub(crate) fn run(config: &Path) -> anyhow::Result<bool> {
    block_on(async {
        let server = match Server::start(config).await {
            Ok(server) => server,
            Err(error) => {
                anstream::eprint!("{error}");
                return Ok(false);
            }
        };
        for (name, address) in server.addresses() {
            anstream::eprintln!("portcullis: {name} on {address}");
        }
        crate::signal::stop().await?;
        anstream::eprintln!("portcullis: draining");
        server.stop().await;
        Ok(true)
    })
}

/// Runs `task` on the runtime that the gate needs.
pub(crate) fn block_on(task: impl Future<Output = anyhow::Result<bool>>) -> anyhow::Result<bool> {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    runtime.block_on(task)
}
