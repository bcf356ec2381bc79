//! Metrics for Prometheus, if configured. Imports never wait for a request: this module has
//! separate tasks and a separate connection to the state database. Requests wait for each other.

mod page;
mod server;

use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;

use tokio::net::{TcpListener, UnixListener};

use self::page::MetricsPage;
use crate::config::{Config, MetricsListener};

/// Serves metrics until the process ends. If listening fails, the error is logged, and the daemon
/// works without metrics. An alert on `up` detects the failure.
pub async fn serve(config: Arc<Config>) {
    // `Config::check` has already checked the address.
    let Ok(listen) = config.metrics.listener() else { return };
    let named = config.metrics.listen.clone();
    let page = Arc::new(MetricsPage::new(config));
    let failed = match &listen {
        MetricsListener::Off => return,
        MetricsListener::Tcp(address) => match TcpListener::bind(address).await {
            Ok(listener) => return server::serve_tcp(listener, page).await,
            Err(error) => error,
        },
        MetricsListener::Unix(path) => match bind(path) {
            Ok(listener) => return server::serve_unix(listener, page).await,
            Err(error) => error,
        },
    };
    tracing::error!("cannot serve metrics at {named} ([metrics] listen): {failed}");
}

/// Binds `path`, and replaces a socket that an earlier process left. Every local user may connect,
/// as on a loopback address, unless the folder's mode prevents it.
fn bind(path: &Path) -> io::Result<UnixListener> {
    if std::fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket()) {
        std::fs::remove_file(path)?;
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o666))?;
    Ok(listener)
}
