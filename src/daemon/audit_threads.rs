//! The threads that listen to the SFTP server's log: one reads the socket and waits for nothing else,
//! one links the socket into chroots and writes down what was heard.
//!
//! Always holds: the reader goes on whatever happens, as nobody else empties the socket, and does
//! not keep the state database open; the writer has ended when [`Keeper::stop`] returns.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use crate::import::{Engine, Hearing};
use crate::sanitize::chain;
use crate::state;

/// What is heard within this is written down together.
const TOGETHER: Duration = Duration::from_millis(500);
/// After an error, and where there will be more to write, the next try waits this long.
const PAUSE: Duration = Duration::from_secs(5);

/// The thread that writes.
pub struct Keeper {
    engine: Arc<Engine>,
    thread: JoinHandle<()>,
}

/// Starts both; the reader ends with the process.
///
/// # Errors
/// The host gives no thread.
pub fn start(engine: &Arc<Engine>) -> io::Result<Keeper> {
    if let Some(hearing) = engine.hearing.get().map(Arc::clone) {
        Builder::new().name("log-socket".into()).spawn(move || listen(&hearing))?;
    }
    let keeper = Arc::clone(engine);
    let thread = Builder::new().name("log-keeper".into()).spawn(move || keep(&keeper))?;
    Ok(Keeper { engine: Arc::clone(engine), thread })
}

impl Keeper {
    /// Ends the thread, and writes down what was heard until now.
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
        // A panic took the line with it that caused it.
        match catch_unwind(AssertUnwindSafe(|| hearing.hear())) {
            Ok(Ok(())) => return, // there is nothing to listen to
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
            Ok(false) => (TOGETHER, Duration::MAX), // until something is heard
            Ok(true) => (TOGETHER, PAUSE),
            Err(_) => (PAUSE, PAUSE),
        };
    }
}

fn log_error(error: &state::Error) {
    tracing::error!("what the SFTP server said is not written down: {}", chain(error));
}
