//! Where sshd's log comes in: `journal.sock` in the unit's runtime folder, to which
//! sftp-import-journal.service writes what the journal has of sshd, an entry in JSON a line.
//!
//! The sidecar can't read the journal itself, and needn't: that unit can, and nothing else. Only
//! root may write here, which systemd is when it connects the unit's output.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::net::{UnixListener, UnixStream};

use crate::audit::Login;
use crate::import::Engine;

/// The socket's name.
const NAME: &str = "journal.sock";
/// A longer entry is no login.
const LONGEST: u64 = 64 * 1024;

/// Listens until the runtime ends; nowhere when systemd has given no runtime folder.
pub async fn serve(engine: Arc<Engine>) {
    let Some(folder) = std::env::var_os("RUNTIME_DIRECTORY") else { return };
    let path = PathBuf::from(folder).join(NAME);
    let listener = match bind(&path) {
        Ok(listener) => listener,
        Err(error) => {
            return tracing::error!(
                "logins are not audited: cannot listen at {}: {error}",
                path.display()
            );
        }
    };
    loop {
        match listener.accept().await {
            Ok((stream, _)) if is_roots(&stream) => {
                drop(tokio::spawn(read(stream, Arc::clone(&engine))));
            }
            Ok(_) => tracing::warn!("somebody who is not root wrote to {}", path.display()),
            Err(error) => {
                tracing::warn!("cannot accept at {}: {error}", path.display());
                tokio::time::sleep(std::time::Duration::from_secs(1)).await;
            }
        }
    }
}

fn bind(path: &std::path::Path) -> std::io::Result<UnixListener> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

fn is_roots(stream: &UnixStream) -> bool {
    stream.peer_cred().is_ok_and(|peer| peer.uid() == 0)
}

async fn read(stream: UnixStream, engine: Arc<Engine>) {
    let mut entries = BufReader::new(stream);
    loop {
        let mut entry = Vec::new();
        let read = (&mut entries).take(LONGEST).read_until(b'\n', &mut entry).await;
        if !matches!(read, Ok(length) if length > 0) {
            return; // the unit has ended
        }
        if let (Some(login), Some(hearing)) = (Login::from_journal(&entry), engine.hearing.get()) {
            hearing.logged_in(login);
        }
    }
}
