//! Implements the command `sftp-import ingest`, which imports a pair of local files through the
//! same pipeline as the daemon.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use nix::unistd::geteuid;

use super::progress::show_progress;
use super::report;
use crate::account::AccountId;
use crate::cli::context::{CliContext, CliError, CliResult};
use crate::config::Paths;
use crate::files::lock::{FileLock, LockFile};
use crate::files::owner::Owner;
use crate::import::{self, ErrorFolder, LocalPair, Monitor};

const LOCK: &str = "ingest.lock";

#[derive(Debug, clap::Args)]
pub struct IngestArguments {
    /// The account that gets the records; the account need not be a Unix user
    #[arg(long, value_name = "ID")]
    account: AccountId,
    /// The path of the manifest; the data file must be in the same folder
    manifest: PathBuf,
    /// Write the error files into this folder [default: the manifest's folder]
    #[arg(long, value_name = "FOLDER")]
    errors: Option<PathBuf>,
}

/// Imports the pair of files. Succeeds if the import completed.
pub fn run(arguments: IngestArguments, context: &CliContext) -> CliResult {
    // The log shows the causes of failures. The report only names the failures.
    tracing_subscriber::fmt()
        .with_max_level(tracing::Level::WARN)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .init();
    let config = context.config()?;
    let local = LocalPair::open(&arguments.manifest, config.limits_of(&arguments.account))?;
    let _lock = lock(&config.paths)?;
    let folder = arguments.errors.as_deref().unwrap_or_else(|| local.folder());
    let mut errors = ErrorFolder::create(folder, local.stem()).map_err(|error| {
        CliError::new(format_args!("cannot write error files in {}: {error}", folder.display()))
            .hint("choose another folder with --errors")
    })?;
    let state_folder = config.paths.state.clone();
    let importer = context.importer(config)?;
    let monitor = Arc::new(Monitor::default());
    let imported = show_progress(&monitor, || {
        // Files in the store must belong to the daemon's user. New threads inherit the rights of
        // this thread.
        let _rights = Owner::of(&state_folder)?.assume()?;
        let account = &arguments.account;
        import::ingest(&importer.context, account, &local, &mut errors, &monitor)
            .map_err(CliError::from)
    })?;
    errors.keep()?;
    let Some(done) = imported else {
        return Err(CliError::new("the import was stopped; nothing was stored"));
    };
    report::print(&done, context.output())?;
    Ok(done.failure.is_none() && done.records.accepted > 0)
}

/// Locks that prevent an ingest and conflicting work from running at the same time.
#[derive(Debug)]
#[must_use]
pub struct IngestLock {
    /// The lock that all users share, in the state folder.
    _state: FileLock,
    /// The lock that only root's commands use.
    _admin: Option<FileLock>,
}

/// Waits until no other ingest runs, so that every unfinished ingest is an interrupted one.
///
/// Root waits only for other commands of root. Their lock is in a folder that only root can write
/// to, because the daemon's user could hold the lock in the state folder forever.
pub fn lock(paths: &Paths) -> Result<IngestLock, CliError> {
    let path = paths.state.join(LOCK);
    // The lock in the state folder is opened before root's lock. When a process is killed, the
    // kernel closes its files in the order in which they were opened, so the lock in the state
    // folder is released first (exit(2)).
    let file = {
        let _rights = Owner::assume_of(&paths.state)?;
        LockFile::open(&path)?
    };
    if !geteuid().is_root() {
        return Ok(IngestLock { _state: file.lock()?, _admin: None });
    }
    let admin = LockFile::open_private(&paths.admin, LOCK)?.lock()?;
    let state = file.try_lock(Duration::ZERO)?.ok_or_else(|| {
        CliError::new("another user's ingest is running").hint(format_args!(
            "wait for the end of that ingest; `lsof {}` shows its process",
            path.display()
        ))
    })?;
    Ok(IngestLock { _state: state, _admin: Some(admin) })
}
