//! `sftp-importd`: the daemon. This module only starts its parts and connects them.
//!
//! The supervisor runs on tokio. All work that blocks (files, SQLite, mail) runs on threads.

mod audit_threads;
mod free_space;
mod jobs;
mod journal_socket;
mod metrics;
mod opener;
mod preflight;
mod privileges;
mod schedule;
mod state_changes;
mod supervisor;
mod systemd;
mod watcher;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};

use self::opener::{OpenerProcess, StartupError};
use self::supervisor::Supervisor;
use self::systemd::Systemd;
use crate::config::Config;
use crate::import::{self, Context, Importer, ResultsAttachments, UploadAudit};
use crate::logging;
use crate::outbox::Relay;
use crate::sanitize::chain;
use crate::spool::{self, Opener, ProbeError, Watcher};

/// The daemon of sftp-import: watches the accounts' folders and imports the files that partners
/// upload.
#[derive(Debug, Parser)]
#[command(name = "sftp-importd", version, max_term_width = 100)]
pub struct Arguments {
    /// Use this configuration file [default: /etc/sftp-import/config.toml, if it exists]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Runs the daemon until SIGTERM or SIGINT. A process that was started as the opener process runs
/// the opener instead.
pub fn main() -> ExitCode {
    if opener::is_opener_process() {
        return opener::main();
    }
    crate::sys::memory::tune();
    let arguments = Arguments::parse();
    logging::start();
    match start(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{}", chain(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

/// The time for which an idle blocking thread is kept. This time is longer than the pause between
/// two rounds of an idle daemon.
const THREADS_IDLE: Duration = Duration::from_secs(60);

fn start(arguments: Arguments) -> Result<(), StartupError> {
    let config = Arc::new(Config::load_or_default(arguments.config.as_deref())?);
    for deprecation in config.deprecations() {
        tracing::warn!("{deprecation}");
    }
    preflight::check(&config.paths)?;
    // The opener must start before any second thread, because each thread has its own capabilities.
    let (opener, opener_process) = opener::start(&config)?;
    let _instance_lock = preflight::take_instance_lock(&config.paths)?;
    if let Err(error) = config.check_secrets() {
        // Only mail needs the secrets, so the daemon starts without them.
        tracing::warn!("{}; {}", chain(&error), error.hint());
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_keep_alive(THREADS_IDLE)
        .build()?;
    let result = runtime.block_on(serve(config, opener, opener_process));
    // A hanging mail server must not delay the end of the daemon. Unfinished attempts are repeated
    // after the restart.
    runtime.shutdown_timeout(Duration::from_secs(1));
    result
}

async fn serve(
    config: Arc<Config>,
    opener: Opener,
    opener_process: OpenerProcess,
) -> Result<(), StartupError> {
    let opener_end = opener_process.ended()?;
    let context = Context::with_opener(Arc::clone(&config), opener)?;
    match spool::check_leases(&context.layout) {
        Err(error @ ProbeError::NoLeases { .. }) => return Err(error.into()),
        // The test of a lease fails, for example, if the disk is full.
        Err(error) => tracing::warn!("cannot test a lease: {}", chain(&error)),
        Ok(()) => {}
    }
    context.state.check()?;
    let arrivals = Arc::default();
    let watcher = Watcher::new(&context.layout, Arc::clone(&arrivals), &config.watch)?;
    let wake_relay = Arc::new(tokio::sync::Notify::new());
    let attachments = Arc::new(ResultsAttachments(context.layout.clone()));
    let relay = Relay::new(Arc::clone(&context.state), &config, attachments);
    let (stop_relay, stopped) = tokio::sync::oneshot::channel::<()>();
    let stopped = async move { drop(stopped.await) };
    let mut relay = tokio::spawn(relay.run(Arc::clone(&wake_relay), stopped));

    import::finish_upgrade(&context)?;
    let (ended, session_ends) = tokio::sync::mpsc::unbounded_channel();
    // Sending fails only if the supervisor has ended and the process is about to end.
    let on_session_end = Box::new(move |account| drop(ended.send(account)));
    let audit = Arc::new(UploadAudit::start(&context, on_session_end)?);
    let audit_writer = audit_threads::start(&audit, &context.state)?;
    // Both tasks end when the runtime ends.
    drop(tokio::spawn(journal_socket::serve(Arc::clone(&audit))));
    drop(tokio::spawn(metrics::serve(Arc::clone(&config))));
    tracing::info!(accounts = %config.paths.accounts.display(), "the daemon watches the accounts' folders");
    let signal = stop_signal()?;
    let mut opener_ended = None;
    let stop = async {
        tokio::select! {
            () = signal => {}
            // Without the opener process no upload can be opened. Therefore the daemon ends, and
            // systemd restarts both processes.
            status = opener_end => opener_ended = Some(status),
        }
    };
    let importer = Arc::new(Importer::new(context, arrivals, Some(audit)));
    let supervisor = Supervisor::new(importer, watcher, session_ends, wake_relay, Systemd::new());
    tokio::select! {
        () = supervisor.run(stop) => {}
        // An early end of the relay is a bug: imports would continue without mail and webhooks.
        _ = &mut relay => return Err("the relay of mail and webhooks has ended".into()),
    }
    audit_writer.stop();
    // Closing the channel stops the relay.
    drop(stop_relay);
    let _ = tokio::time::timeout(Duration::from_secs(1), relay).await;
    opener_ended.map_or(Ok(()), |status| Err(opener::end_error(status)))
}

fn stop_signal() -> Result<impl Future<Output = ()>, StartupError> {
    let mut term = signal(SignalKind::terminate())?;
    let mut int = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = term.recv() => {}
            _ = int.recv() => {}
        }
    })
}
