//! Sets up logging. If systemd runs the process, logs are sent to the journal with fields.
//! Otherwise, logs are written to standard error.

use std::io::IsTerminal;

use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, fmt};

/// The name of the environment variable that sets the filter of the log, such as
/// `SFTP_IMPORT_LOG=debug`. The default is `info`.
const FILTER: &str = "SFTP_IMPORT_LOG";

/// Sets up logging for this process.
pub fn start() {
    let filter = || EnvFilter::try_from_env(FILTER).unwrap_or_else(|_| EnvFilter::new("info"));
    // The layer for the journal gets no field prefix, so that the fields in the journal are called
    // ACCOUNT and IMPORT.
    if std::env::var_os("JOURNAL_STREAM").is_some()
        && let Ok(journal) = tracing_journald::layer()
    {
        let journal = journal.with_field_prefix(None);
        tracing_subscriber::registry().with(filter()).with(journal).init();
        return;
    }
    let ansi = std::io::stderr().is_terminal();
    let lines = fmt::layer().with_writer(std::io::stderr).with_ansi(ansi).with_target(false);
    tracing_subscriber::registry().with(filter()).with(lines).init();
}
