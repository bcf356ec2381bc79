//! Takes the role of systemd for the daemon: a NOTIFY_SOCKET (sd_notify(3)) that is always read.

use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use crate::support::host::set_mode;

/// The socket, and a thread that reads from it until the value is dropped.
#[derive(Debug)]
pub struct NotifySocket {
    pub path: PathBuf,
    ready: Arc<AtomicUsize>,
    status: Arc<Mutex<String>>,
    /// A socket that is connected to the notify socket. It reaches the reading thread even after
    /// the path is removed.
    end: UnixDatagram,
    reader: Option<JoinHandle<()>>,
}

impl NotifySocket {
    pub fn bind(path: &Path) -> Self {
        let socket = UnixDatagram::bind(path).unwrap();
        set_mode(path, 0o666);
        let end = UnixDatagram::unbound().unwrap();
        end.connect(path).unwrap();
        let ready = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&ready);
        let status = Arc::<Mutex<String>>::default();
        let last = Arc::clone(&status);
        let reader = std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(length @ 1..) = socket.recv(&mut buffer) {
                let text = String::from_utf8_lossy(&buffer[..length]);
                if text.lines().any(|line| line == "READY=1") {
                    counter.fetch_add(1, SeqCst);
                }
                if let Some(status) = text.lines().find_map(|l| l.strip_prefix("STATUS=")) {
                    status.clone_into(&mut last.lock().unwrap());
                }
            }
        });
        Self { path: path.to_owned(), ready, status, end, reader: Some(reader) }
    }

    /// Returns the last STATUS that a daemon sent.
    pub fn status(&self) -> String {
        self.status.lock().unwrap().clone()
    }

    /// Returns the number of times that a daemon reported that it is ready.
    pub fn ready(&self) -> usize {
        self.ready.load(SeqCst)
    }
}

impl Drop for NotifySocket {
    fn drop(&mut self) {
        // An empty datagram ends the reading thread.
        if let (Ok(_), Some(reader)) = (self.end.send(&[]), self.reader.take()) {
            let _ = reader.join();
        }
    }
}
