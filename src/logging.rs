//! Sets up logging. Logs go to the journal with fields if systemd runs the process, and to standard
//! error otherwise.

use std::io::IsTerminal;

use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, fmt};

/// The environment variable with the filter of the log, as in `SFTP_IMPORT_LOG=debug`. The default
/// is `info`.
const FILTER: &str = "SFTP_IMPORT_LOG";

/// Sets up logging for this process.
pub fn start() {
    let filter = || EnvFilter::try_from_env(FILTER).unwrap_or_else(|_| EnvFilter::new("info"));
    // Without a prefix, the fields in the journal are called ACCOUNT and IMPORT.
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
