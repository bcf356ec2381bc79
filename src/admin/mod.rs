//! The admin helper, the program `sftp-import-admin`, makes the changes of accounts and keys that
//! the console asks for.
//!
//! systemd starts one process as root for each connection of the broker. The process reads one
//! request, checks it, makes the change with the same functions as the commands that root runs,
//! answers with one line, and ends. Because each process ends after one request, changes are
//! counted for the hourly limits in the registry. The broker may be under the control of an
//! attacker. Therefore the admin helper checks every request completely. The broker's claim about
//! the person who asks for the change is recorded, but not trusted.

mod change;
mod check;
mod failure;
mod journal;
pub mod request;
mod signature;
#[cfg(test)]
mod tests;

use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use jiff::Timestamp;
use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};

use crate::config::Config;
use crate::logging;
use crate::sanitize::chain;
use crate::wire::admin::{AdminAnswer, AdminError, Change};

/// The maximum time from the start of the process to the end of the request.
const PATIENCE: Duration = Duration::from_secs(5);

/// The admin helper of sftp-import's console: makes one change of an account or key. systemd starts
/// it for each request of the broker.
#[derive(Debug, Parser)]
#[command(name = "sftp-import-admin", version, max_term_width = 100)]
pub struct Arguments {
    /// Configuration file [default: /etc/sftp-import/config.toml, if it exists]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Reads one request from the standard input, which is a socket, and sends the answer to the same
/// socket.
pub fn main() -> ExitCode {
    crate::sys::sqlite::open_without_waiting();
    let arguments = Arguments::parse();
    logging::start();
    match serve(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("the request was not answered: {}", chain(&error));
            ExitCode::FAILURE
        }
    }
}

/// Answers one request. Returns an error if the standard input is not a connected Unix socket, or
/// if the answer can't be sent.
fn serve(arguments: &Arguments) -> io::Result<()> {
    let mut connection = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    let peer = getsockopt(&connection, PeerCredentials)?.uid();
    let config = Config::load_or_default(arguments.config.as_deref());
    let result = match config {
        Ok(config) => respond(&config, peer, &connection, PATIENCE),
        Err(error) => {
            // Without the configuration, the helper can't check who the peer is. Therefore the peer
            // gets no details of the error.
            tracing::error!(peer, "request refused: {}", chain(&error));
            Err(failure::failed_configuration())
        }
    };
    let answer = match result {
        Ok(change) => AdminAnswer::Ok(change),
        Err(error) => AdminAnswer::Error(error),
    };
    let mut line = serde_json::to_vec(&answer)?;
    line.push(b'\n');
    connection.write_all(&line)
}

/// Reads a request that the user `peer` sent, checks the request, and makes the requested change.
/// Logs every request.
fn respond(
    config: &Config,
    peer: u32,
    connection: &UnixStream,
    patience: Duration,
) -> Result<Change, AdminError> {
    let request = check::peer(config, peer)
        .and_then(|()| request::read_line(connection, patience))
        .and_then(|line| request::parse(&line))
        .inspect_err(|error| tracing::warn!(peer, "request refused: {}", error.text))?;
    let entry = journal::JournalEntry::of(&request);
    // An attacker who locks the state database can delay the change until systemd ends this
    // process. Therefore the request is logged before the change.
    entry.log_request();
    let result = change::make(config, &request, Timestamp::now());
    entry.log_result(&result);
    result
}
