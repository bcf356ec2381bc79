//! Reads sshd's log entries from the journal socket, one JSON object per line.
//!
//! The daemon cannot read the journal. It connects to sftp-import-journal.socket, and systemd runs
//! journalctl for each connection as a separate user. The socket is in a folder that belongs to
//! root. The entries are therefore from systemd, and root opens nothing in a folder of the daemon's
//! user.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::net::UnixStream;

use crate::audit::Login;
use crate::import::UploadAudit;

/// The environment variable with the socket's path, which the unit sets. If the variable is unset,
/// logins are not audited.
const SOCKET: &str = "SFTP_IMPORT_JOURNAL";
/// The maximum size of a journal entry in bytes. A larger entry is not a login.
const LONGEST: u64 = 64 * 1024;
/// The pause before the next attempt to connect to the socket.
const RETRY: Duration = Duration::from_secs(2);

/// Connects to the socket and reads journal entries until the runtime ends. Returns immediately if
/// the variable `SFTP_IMPORT_JOURNAL` is unset.
pub async fn serve(audit: Arc<UploadAudit>) {
    let Some(path) = std::env::var_os(SOCKET).map(PathBuf::from) else { return };
    let mut reported = false;
    loop {
        match connect(&path).await {
            Ok(stream) => {
                if std::mem::take(&mut reported) {
                    tracing::info!("logins are audited again");
                }
                read(stream, &audit).await;
            }
            Err(error) => {
                if !std::mem::replace(&mut reported, true) {
                    let path = path.display();
                    tracing::error!("logins are not audited: cannot connect to {path}: {error}");
                }
            }
        }
        tokio::time::sleep(RETRY).await;
    }
}

/// Connects to the socket at `path`. Fails if the listener is not root.
async fn connect(path: &Path) -> io::Result<UnixStream> {
    let stream = UnixStream::connect(path).await?;
    match stream.peer_cred()?.uid() {
        0 => Ok(stream),
        uid => {
            Err(io::Error::other(format!("the user with id {uid} listens at the socket, not root")))
        }
    }
}

/// Reads journal entries until the connection ends.
async fn read(stream: UnixStream, audit: &UploadAudit) {
    let mut entries = BufReader::new(stream);
    loop {
        let mut entry = Vec::new();
        let read = (&mut entries).take(LONGEST).read_until(b'\n', &mut entry).await;
        if !matches!(read, Ok(length) if length > 0) {
            return;
        }
        if let Some(login) = Login::from_journal(&entry) {
            audit.record_login(login);
        }
    }
}
