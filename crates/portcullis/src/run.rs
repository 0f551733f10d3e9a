//! `portcullis run`.

use std::future::Future;
use std::path::Path;
use std::time::Duration;

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
    // PERF: on one core a second thread has nothing to run on. Work that is handed over costs a switch, and while
    // another thread exists, even an idle one, the kernel counts references to the file of each system call.
    let is_alone = std::thread::available_parallelism().is_ok_and(|cores| cores.get() == 1);
    let mut runtime = if is_alone {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        runtime.thread_keep_alive(Duration::from_millis(10));
        runtime
    } else {
        tokio::runtime::Builder::new_multi_thread()
    };
    runtime.enable_all().build().context("cannot start the runtime")?.block_on(task)
}
