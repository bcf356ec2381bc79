//! `sftp-import backup FILE` and `sftp-import restore FILE`: copy and replace the state database.

use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::json;

use super::registry::{list, shown};
use crate::admission::{TakeOver, copy_all, prepare_take_over};
use crate::cli::actor::actor;
use crate::cli::admission::refused;
use crate::cli::{CliError, CliResult, Context, account, require_root};
use crate::config::Config;
use crate::import::{self, Reconciliation};
use crate::key::publish;
use crate::provision;
use crate::registry::{self, Registry};
use crate::state::BackupError;
use crate::state::db::backup;
use crate::state::{self, InstanceLock, InstanceLockError, PreviousDatabase, RestoreOutcome};

/// `sftp-import backup`
#[derive(Debug, clap::Args)]
pub struct BackupArguments {
    /// The file to write; it must not exist
    file: PathBuf,
}

/// `sftp-import restore`
#[derive(Debug, clap::Args)]
pub struct RestoreArguments {
    /// The file that `backup` wrote, or the copy that an upgrade made
    file: PathBuf,
    /// Add the accounts and keys of the file that are not in the registry to the registry
    #[arg(long)]
    accept_keys: bool,
}

/// How long to wait for a daemon that is stopping.
const PATIENCE: Duration = Duration::from_secs(2);

/// Copies the state database and the registry.
pub fn run(arguments: &BackupArguments, context: &Context) -> CliResult {
    require_root()?;
    let config = context.config()?;
    let file = &arguments.file;
    let registry = match Registry::open(&config.paths.admin, &actor()) {
        Err(registry::Error::Missing(_)) => None,
        opened => Some(opened?),
    };
    let copied = backup::backup(&config.paths.state_db(), file, |backup| {
        Ok::<_, NotCopied>(registry::backup::write(registry.as_ref(), backup)?)
    })
    .map_err(|NotCopied(error)| error)?;
    let (output, has_registry) = (context.output(), registry.is_some());
    output.json(&json!({
        "file": file, "bytes": copied.bytes, "schema": copied.schema, "registry": has_registry,
    }))?;
    let holds =
        if has_registry { "the state database and the registry" } else { "the state database" };
    output.line(&format!(
        "{} contains {holds}: {} bytes, schema {}, checked",
        file.display(),
        copied.bytes,
        copied.schema
    ))?;
    if !has_registry {
        output.line("this host has no registry, so the backup has none: sftp-import doctor")?;
    }
    output.line("it contains the webhooks' secrets: protect it like the original")?;
    Ok(true)
}

/// Replaces the state database by a copy. The registry still decides who may log in: accounts and
/// keys that only the copy has are listed, and added to the registry only with `--accept-keys`.
///
/// # Errors
/// Nothing is changed if the daemon or another command is running, the file is not a valid state
/// database of a known schema, or there is no registry and the file's keys were not accepted.
pub fn restore(arguments: &RestoreArguments, context: &Context) -> CliResult {
    require_root()?;
    let config = context.config()?;
    let _alone =
        InstanceLock::acquire(&config.paths.state, PATIENCE).map_err(|error| match error {
            InstanceLockError::Running { .. } => {
                CliError::new("the daemon is running; nothing is changed")
                    .hint("systemctl stop sftp-importd")
            }
            error => error.into(),
        })?;
    let now = Timestamp::now();
    let (backup, _) =
        state::open_backup(&config.paths.state_db(), &arguments.file).map_err(hinted)?;
    let claims = registry::backup::read(&backup)?;
    drop(backup);
    let (found, taken) = prepare_take_over(&config, &actor(), claims)?;
    if found.is_none() && !arguments.accept_keys && !taken.is_empty() {
        context.output().json(&json!({
            "file": arguments.file, "accepted": false, "notInRegistry": shown(&taken),
        }))?;
        list(&taken, false, context)?;
        return Err(CliError::new("this host has no registry; nothing is changed").hint(
            format_args!(
                "to let these log in: sftp-import restore {} --accept-keys",
                arguments.file.display()
            ),
        ));
    }
    // A provisioning command would have the state database open.
    let lock = provision::ProvisionLock::acquire(&config).map_err(account::hinted)?;
    let replaced = state::replace(&config.paths.state_db(), &arguments.file, now, |copy| {
        registry::backup::remove(copy)
    });
    let replaced = replaced.map_err(hinted)?;
    let registry = match found {
        Some(registry) if !arguments.accept_keys => registry,
        found => taken.accept(found, &config, &actor(), now)?,
    };
    let changes = go_on(context, config, &registry, &replaced.previous, now)?;
    drop(lock);
    tell(arguments, &replaced, &changes, &taken, context)?;
    Ok(true)
}

/// Reconciles the restored database with the store, the spool, results/ and the registry.
fn go_on(
    context: &Context,
    config: Config,
    registry: &Registry,
    before: &PreviousDatabase,
    now: Timestamp,
) -> Result<Reconciliation, CliError> {
    let import_context = context.importer(config)?.context;
    let again = "what is restored stays; run `sftp-import restore` with the same file again";
    let changes = import::reconcile(&import_context, before, now)
        .map_err(|e| CliError::from(e).hint(again))?;
    publish(registry, &import_context.config, now).map_err(|e| CliError::from(e).hint(again))?;
    copy_all(registry, &import_context.state, now).map_err(|e| refused(e).hint(again))?;
    Ok(changes)
}

fn tell(
    arguments: &RestoreArguments,
    replaced: &RestoreOutcome,
    changes: &Reconciliation,
    taken: &TakeOver,
    context: &Context,
) -> Result<(), CliError> {
    let output = context.output();
    let text = |imports: &[crate::import_id::ImportId]| {
        imports.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let (ended, unknown) = (text(&changes.ended), text(&changes.unknown));
    output.json(&json!({
        "file": arguments.file, "schema": replaced.schema, "replaced": replaced.replaced,
        "ended": ended, "unknown": unknown, "accepted": arguments.accept_keys,
        "notInRegistry": shown(taken),
    }))?;
    output.line(&format!("the state database is restored from {}", arguments.file.display()))?;
    if let Some(kept) = &replaced.replaced {
        output.line(&format!("the database that it replaced is kept as {}", kept.display()))?;
    }
    if !ended.is_empty() {
        output.line(&format!("ended since, by their reports in results/: {}", ended.join(", ")))?;
    }
    if !unknown.is_empty() {
        let names = unknown.join(", ");
        output.line(&format!("in the spool, but not in the restored database: {names}"))?;
        output
            .line("  each has a partner's upload: see docs/data-care.md before they are removed")?;
    }
    if !taken.is_empty() || !taken.refused.is_empty() {
        list(taken, arguments.accept_keys, context)?;
    }
    match (taken.is_empty(), arguments.accept_keys) {
        (true, _) => output.line("who can log in has not changed")?,
        (false, true) => output.line("the keys that were added work now")?,
        (false, false) => output.line(&format!(
            "these can't log in; to let them: sftp-import restore {} --accept-keys",
            arguments.file.display()
        ))?,
    }
    output.line("next: sftp-import provision; systemctl start sftp-importd")?;
    Ok(())
}

/// The error of a backup, with its hint.
struct NotCopied(CliError);

impl From<BackupError> for NotCopied {
    fn from(error: BackupError) -> Self {
        Self(hinted(error))
    }
}

impl From<registry::Error> for NotCopied {
    fn from(error: registry::Error) -> Self {
        Self(error.into())
    }
}

/// Adds the hint to a failure to copy.
fn hinted(error: BackupError) -> CliError {
    let hint = match &error {
        BackupError::Exists(_) => Some("name a file that does not exist"),
        BackupError::Damaged { .. } => Some("`sftp-import restore` an older backup"),
        BackupError::InUse(_) => Some("wait for other sftp-import commands to end"),
        _ => None,
    };
    CliError::from(error).hint_if(hint)
}
