//! The threads that listen to the SFTP server's log: one reads the socket and waits for nothing else,
//! one links the socket into chroots and writes down what was heard.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::import::Engine;
use crate::printable::chain;

/// What was heard is written down this often.
const PERIOD: Duration = Duration::from_millis(500);
/// After an error, the next try waits this long.
const PAUSE: Duration = Duration::from_secs(5);

/// Starts them; they end with the process.
///
/// # Errors
/// The host gives no thread.
pub fn start(engine: &Arc<Engine>) -> io::Result<()> {
    let listener = Arc::clone(engine);
    std::thread::Builder::new().name("log-socket".into()).spawn(move || listen(&listener))?;
    let keeper = Arc::clone(engine);
    std::thread::Builder::new().name("log-keeper".into()).spawn(move || keep(&keeper))?;
    Ok(())
}

fn listen(engine: &Engine) {
    let Some(hearing) = engine.hearing.get() else { return };
    while let Err(error) = hearing.hear() {
        tracing::error!("{}", chain(&error));
        std::thread::sleep(PAUSE);
    }
}

fn keep(engine: &Engine) {
    let Some(hearing) = engine.hearing.get() else { return };
    loop {
        hearing.wait_for_accounts(PERIOD);
        hearing.link();
        if let Err(error) = engine.write_down() {
            tracing::error!("what the SFTP server said is not written down: {}", chain(&error));
            std::thread::sleep(PAUSE);
        }
    }
}
