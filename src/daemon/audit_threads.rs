//! The threads of the upload audit. The reader reads the log socket and never waits for anything
//! else. The writer links the socket into chroots and stores the tracker's changes.
//!
//! Invariant: the reader survives every error, because nothing else empties the socket, and it does
//! not keep the state database open. The writer has ended when [`AuditWriter::stop`] returns.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use crate::import::UploadAudit;
use crate::sanitize::chain;
use crate::state::{self, State};

/// The time for which log lines are collected before one transaction stores them.
const GATHER: Duration = Duration::from_millis(500);
/// The pause of the threads after an error, and while some changes can't be stored yet.
const PAUSE: Duration = Duration::from_secs(5);

/// The running thread that stores the audit of uploads.
pub struct AuditWriter {
    audit: Arc<UploadAudit>,
    state: Arc<State>,
    thread: JoinHandle<()>,
}

/// Starts the thread that reads the SFTP server's log, and the thread that stores the audit. The
/// reader ends with the process.
pub fn start(audit: &Arc<UploadAudit>, state: &Arc<State>) -> io::Result<AuditWriter> {
    let reader = Arc::clone(audit);
    Builder::new().name("log-socket".into()).spawn(move || read(&reader))?;
    let (writer, database) = (Arc::clone(audit), Arc::clone(state));
    let thread =
        Builder::new().name("log-keeper".into()).spawn(move || write(&writer, &database))?;
    Ok(AuditWriter { audit: Arc::clone(audit), state: Arc::clone(state), thread })
}

impl AuditWriter {
    /// Ends the writing thread, and stores every log line that was received so far.
    pub fn stop(self) {
        self.audit.stop();
        if self.thread.join().is_err() {
            tracing::error!("a bug in sftp-import ended the audit of uploads");
        }
        let _ = self.audit.store_all(&self.state).inspect_err(log_error);
    }
}

fn read(audit: &UploadAudit) {
    loop {
        // A panic loses only the log line that caused it.
        match catch_unwind(AssertUnwindSafe(|| audit.read_lines())) {
            // Without a socket there are no lines to read.
            Ok(Ok(())) => return,
            Ok(Err(error)) => {
                tracing::error!("{}", chain(&error));
                std::thread::sleep(PAUSE);
            }
            Err(_) => tracing::error!("a bug in sftp-import lost a line of the SFTP server's log"),
        }
    }
}

fn write(audit: &UploadAudit, state: &State) {
    let (mut gather, mut pause) = (GATHER, PAUSE);
    while audit.wait_for_work(gather, pause) {
        audit.link();
        (gather, pause) = match audit.store(state).inspect_err(log_error) {
            // The thread waits until it receives the next log line.
            Ok(false) => (GATHER, Duration::MAX),
            Ok(true) => (GATHER, PAUSE),
            Err(_) => (PAUSE, PAUSE),
        };
    }
}

fn log_error(error: &state::Error) {
    tracing::error!("cannot store the audit of uploads: {}", chain(error));
}
