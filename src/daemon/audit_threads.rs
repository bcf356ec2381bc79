//! The threads of the upload audit: the reader reads the log socket and never waits for anything
//! else; the writer links the socket into chroots and stores the ledger.
//!
//! Invariant: the reader survives every error, because nothing else empties the socket, and it does
//! not keep the state database open. The writer has ended when [`Keeper::stop`] returns.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use crate::import::{Engine, Hearing};
use crate::sanitize::chain;
use crate::state;

/// Lines within this time are stored in one transaction.
const TOGETHER: Duration = Duration::from_millis(500);
/// Pause after an error, and while some changes are held back.
const PAUSE: Duration = Duration::from_secs(5);

/// The writer.
pub struct Keeper {
    engine: Arc<Engine>,
    thread: JoinHandle<()>,
}

/// Starts both threads. The reader ends with the process.
pub fn start(engine: &Arc<Engine>) -> io::Result<Keeper> {
    if let Some(hearing) = engine.hearing.get().map(Arc::clone) {
        Builder::new().name("log-socket".into()).spawn(move || listen(&hearing))?;
    }
    let keeper = Arc::clone(engine);
    let thread = Builder::new().name("log-keeper".into()).spawn(move || keep(&keeper))?;
    Ok(Keeper { engine: Arc::clone(engine), thread })
}

impl Keeper {
    /// Ends the writer, and stores every line received until now.
    pub fn stop(self) {
        if let Some(hearing) = self.engine.hearing.get() {
            hearing.stop();
        }
        if self.thread.join().is_err() {
            tracing::error!("a bug of ours ended the audit of uploads");
        }
        let _ = self.engine.write_down_all().inspect_err(log_error);
    }
}

fn listen(hearing: &Hearing) {
    loop {
        // A panic loses only the line that caused it.
        match catch_unwind(AssertUnwindSafe(|| hearing.hear())) {
            Ok(Ok(())) => return, // there is no socket
            Ok(Err(error)) => {
                tracing::error!("{}", chain(&error));
                std::thread::sleep(PAUSE);
            }
            Err(_) => tracing::error!("a bug of ours lost a line of the SFTP server's log"),
        }
    }
}

fn keep(engine: &Engine) {
    let Some(hearing) = engine.hearing.get() else { return };
    let (mut together, mut pause) = (TOGETHER, PAUSE);
    while hearing.wait_for_news(together, pause) {
        hearing.link();
        (together, pause) = match engine.write_down().inspect_err(log_error) {
            Ok(false) => (TOGETHER, Duration::MAX), // until the next line
            Ok(true) => (TOGETHER, PAUSE),
            Err(_) => (PAUSE, PAUSE),
        };
    }
}

fn log_error(error: &state::Error) {
    tracing::error!("cannot store the audit of uploads: {}", chain(error));
}
