//! Figures for Prometheus, where the configuration says. Imports never wait for it: it has tasks
//! and a connection to the state database of its own, and those who ask wait for one another.

pub mod page;
mod server;

use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;

use tokio::net::{TcpListener, UnixListener};

use self::page::Page;
use crate::config::{Config, Listen};

/// Answers until the process ends. What keeps it from listening is logged and keeps nothing else:
/// an alarm on `up` tells.
pub async fn serve(config: Arc<Config>) {
    let Ok(listen) = config.metrics.listener() else { return }; // checked when it was read
    let named = config.metrics.listen.clone();
    let page = Arc::new(Page::new(config));
    let failed = match &listen {
        Listen::Off => return,
        Listen::Tcp(address) => match TcpListener::bind(address).await {
            Ok(listener) => return server::serve_tcp(listener, page).await,
            Err(error) => error,
        },
        Listen::Unix(path) => match bind(path) {
            Ok(listener) => return server::serve_unix(listener, page).await,
            Err(error) => error,
        },
    };
    tracing::error!("cannot give figures at {named} ([metrics] listen): {failed}");
}

/// Binds `path` in place of a socket that an earlier process left. Anybody local may ask, as on a
/// loopback address; the folder it lies in can say otherwise.
fn bind(path: &Path) -> io::Result<UnixListener> {
    if std::fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket()) {
        std::fs::remove_file(path)?;
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o666))?;
    Ok(listener)
}
