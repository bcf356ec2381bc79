//! `sftp-import ingest`: one import, now, from local files, through the same pipeline.

use std::fs::{self, File};
use std::io::IsTerminal;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nix::fcntl::{Flock, FlockArg};
use nix::unistd::{Gid, Uid, geteuid, setegid, seteuid};

use super::context::{CliError, CliResult, Context};
use super::{progress, report};
use crate::account::AccountId;
use crate::import::{self, ErrorFolder, Local, Monitor};

/// `sftp-import ingest`
#[derive(Debug, clap::Args)]
pub struct IngestArguments {
    /// The account that the records belong to; it need not be a Unix user
    #[arg(long, value_name = "ID")]
    account: AccountId,
    /// The manifest; the data file lies in the same folder
    manifest: PathBuf,
    /// Write the error files into this folder [default: the manifest's]
    #[arg(long, value_name = "FOLDER")]
    errors: Option<PathBuf>,
}

/// Imports the pair; the answer is good when the import completed.
///
/// # Errors
/// The manifest, the error files, the configuration or the state database can't be opened.
pub fn run(arguments: IngestArguments, context: &Context) -> CliResult {
    // What the report tells a partner in a word has its causes here.
    tracing_subscriber::fmt()
        .with_max_level(tracing::Level::WARN)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .init();
    let config = context.config()?;
    let local = Local::open(&arguments.manifest, config.limits_of(&arguments.account))?;
    let _alone = lock(&config.paths.state)?;
    let folder = arguments.errors.as_deref().unwrap_or_else(|| local.folder());
    let mut errors = ErrorFolder::create(folder, local.stem()).map_err(|error| {
        CliError::new(format_args!("cannot write error files in {}: {error}", folder.display()))
            .hint("name another folder with --errors")
    })?;
    drop(context.state(&config)?);
    let state_folder = config.paths.state.clone();
    let engine = context.engine(config)?;
    let monitor = Arc::new(Monitor::default());
    let imported = progress::shown(&monitor, || {
        let _owner = AsOwner::of(&state_folder)?;
        import::ingest(&engine, &arguments.account, &local, &mut errors, &monitor)
            .map_err(CliError::from)
    })?;
    errors.keep()?;
    let Some(done) = imported else { return Err(CliError::new("stopped; nothing was stored")) };
    report::print(&done, context.output())?;
    Ok(done.failure.is_none() && done.records.accepted > 0)
}

/// Waits until no other ingest runs: one that was cut off can then be told from one that runs.
pub(super) fn lock(state: &Path) -> Result<Flock<File>, CliError> {
    let path = state.join("ingest.lock");
    // The folder is the sidecar's: a link there leads root nowhere else.
    let file = File::options()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o644)
        .custom_flags(nix::libc::O_NOFOLLOW)
        .open(&path)
        .map_err(|e| CliError::new(format_args!("cannot create {}: {e}", path.display())))?;
    Flock::lock(file, FlockArg::LockExclusive)
        .map_err(|(_, e)| CliError::new(format_args!("cannot lock {}: {e}", path.display())))
}

/// While it lives, root acts as the owner of the state folder, so that what the store writes
/// belongs to the sidecar.
struct AsOwner {
    back: bool,
}

impl AsOwner {
    fn of(folder: &Path) -> Result<Self, CliError> {
        let owner = fs::metadata(folder)?;
        if !geteuid().is_root() || owner.uid() == 0 {
            return Ok(Self { back: false });
        }
        setegid(Gid::from_raw(owner.gid()))?;
        seteuid(Uid::from_raw(owner.uid()))?;
        Ok(Self { back: true })
    }
}

impl Drop for AsOwner {
    fn drop(&mut self) {
        if self.back {
            // The saved ids are root's: going back to them is always allowed (setresuid(2)).
            let _ = seteuid(Uid::from_raw(0));
            let _ = setegid(Gid::from_raw(0));
        }
    }
}
