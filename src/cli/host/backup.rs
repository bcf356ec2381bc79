//! Implements the commands `sftp-import backup FILE` and `sftp-import restore FILE`, which copy and
//! replace the state database.

use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::json;

use super::registry::{print_take_over, take_over_json};
use crate::admission::{TakeOver, copy_all, prepare_take_over};
use crate::cli::actor::actor;
use crate::cli::context::{CliContext, CliError, CliResult, require_root};
use crate::config::Config;
use crate::import::{self, Reconciliation};
use crate::import_id::ImportId;
use crate::key::publish;
use crate::provision::ProvisionLock;
use crate::registry::{self, Registry};
use crate::state::{self, InstanceLock, InstanceLockError, PreviousDatabase, RestoreOutcome};

#[derive(Debug, clap::Args)]
pub struct BackupArguments {
    /// The backup file that is written; the file must not exist
    file: PathBuf,
}

#[derive(Debug, clap::Args)]
pub struct RestoreArguments {
    /// The file that `backup` wrote, or the copy that an upgrade made
    file: PathBuf,
    /// Add the file's accounts and keys to the registry if the registry does not have them
    #[arg(long)]
    accept_keys: bool,
}

/// The maximum wait for a daemon that is stopping.
const STOP_TIMEOUT: Duration = Duration::from_secs(2);

/// Copies the state database and the registry.
pub fn backup(arguments: &BackupArguments, context: &CliContext) -> CliResult {
    require_root()?;
    let config = context.config()?;
    let file = &arguments.file;
    let registry = match Registry::open(&config.paths.admin, &actor()) {
        Err(registry::Error::Missing(_)) => None,
        opened => Some(opened?),
    };
    let copied = state::backup(&config.paths.state_db(), file, |backup| {
        Ok::<_, CliError>(registry::backup::write(registry.as_ref(), backup)?)
    })?;
    let has_registry = registry.is_some();
    let content =
        if has_registry { "the state database and the registry" } else { "the state database" };
    let (name, bytes, schema) = (file.display(), copied.bytes, copied.schema);
    let mut lines = vec![format!(
        "{name} contains {content}; the file has {bytes} bytes and schema {schema}, and is sound"
    )];
    if !has_registry {
        lines.push(
            "this host has no registry, so the backup has none; `sftp-import doctor` shows the fix"
                .to_owned(),
        );
    }
    lines
        .push("the backup contains the webhooks' secrets: protect it like the original".to_owned());
    let value = json!({
        "file": file, "bytes": bytes, "schema": schema, "registry": has_registry,
    });
    context.done(&value, lines)
}

/// Replaces the state database by a copy. The registry still determines the accounts and keys that
/// may log in. Accounts and keys that only the copy has are listed. They are added to the registry
/// only with `--accept-keys`.
///
/// # Errors
/// Returns an error without any change if the daemon or another command is running, or if the file
/// is not a valid state database of a known schema. The same applies if the host has no registry
/// and the file's keys were not accepted.
pub fn restore(arguments: &RestoreArguments, context: &CliContext) -> CliResult {
    require_root()?;
    let config = context.config()?;
    let _lock =
        InstanceLock::acquire(&config.paths.state, STOP_TIMEOUT).map_err(|error| match error {
            InstanceLockError::Running { .. } => {
                CliError::new("the daemon is running; nothing is changed")
                    .hint("systemctl stop sftp-importd")
            }
            error => error.into(),
        })?;
    let now = Timestamp::now();
    let (backup, _) = state::open_backup(&config.paths.state_db(), &arguments.file)?;
    let claims = registry::backup::read(&backup)?;
    drop(backup);
    let (found, taken) = prepare_take_over(&config, &actor(), claims)?;
    if found.is_none() && !arguments.accept_keys && !taken.is_empty() {
        context.output().json(&json!({
            "file": arguments.file, "accepted": false, "notInRegistry": take_over_json(&taken),
        }))?;
        print_take_over(&taken, false, context)?;
        return Err(CliError::new("this host has no registry; nothing is changed").hint(
            format_args!(
                "to let these accounts and keys log in, run: sftp-import restore {} --accept-keys",
                arguments.file.display()
            ),
        ));
    }
    // The lock excludes provisioning commands, which have the state database open.
    let lock = ProvisionLock::acquire(&config)?;
    let replaced = state::replace(&config.paths.state_db(), &arguments.file, now, |copy| {
        registry::backup::remove(copy)
    })?;
    let registry = match found {
        Some(registry) if !arguments.accept_keys => registry,
        found => taken.accept(found, &config, &actor(), now)?,
    };
    let changes = reconcile(context, config, &registry, &replaced.previous, now)?;
    drop(lock);
    print(arguments, &replaced, &changes, &taken, context)?;
    Ok(true)
}

/// Reconciles the restored database with the store, the spool, results/ and the registry.
fn reconcile(
    context: &CliContext,
    config: Config,
    registry: &Registry,
    before: &PreviousDatabase,
    now: Timestamp,
) -> Result<Reconciliation, CliError> {
    let import_context = context.importer(config)?.context;
    let again = "the restored parts are kept; run `sftp-import restore` with the same file again";
    let changes = import::reconcile(&import_context, before, now)
        .map_err(|e| CliError::from(e).hint(again))?;
    publish(registry, &import_context.config, now).map_err(|e| CliError::from(e).hint(again))?;
    copy_all(registry, &import_context.state, now).map_err(|e| CliError::from(e).hint(again))?;
    Ok(changes)
}

fn print(
    arguments: &RestoreArguments,
    replaced: &RestoreOutcome,
    changes: &Reconciliation,
    taken: &TakeOver,
    context: &CliContext,
) -> Result<(), CliError> {
    let ids = |imports: &[ImportId]| imports.iter().map(ToString::to_string).collect::<Vec<_>>();
    let (ended, unknown) = (ids(&changes.ended), ids(&changes.unknown));
    let file = arguments.file.display();
    let mut lines = vec![format!("the state database is restored from {file}")];
    let kept = replaced.replaced.iter().map(|kept| kept.display());
    lines.extend(kept.map(|kept| format!("the previous database is kept as {kept}")));
    if !ended.is_empty() {
        lines.push(format!(
            "imports that ended after the backup, according to their reports in results/: {}",
            ended.join(", ")
        ));
    }
    if !unknown.is_empty() {
        let names = unknown.join(", ");
        lines.push(format!("imports in the spool, but not in the restored database: {names}"));
        lines.push(
            "  each of these imports has a partner's upload: see docs/data-care.md before you remove one".into(),
        );
    }
    let value = json!({
        "file": arguments.file, "schema": replaced.schema, "replaced": replaced.replaced,
        "ended": ended, "unknown": unknown, "accepted": arguments.accept_keys,
        "notInRegistry": take_over_json(taken),
    });
    context.output().result(&value, lines)?;
    if !taken.is_empty() || !taken.refused.is_empty() {
        print_take_over(taken, arguments.accept_keys, context)?;
    }
    let output = context.output();
    match (taken.is_empty(), arguments.accept_keys) {
        (true, _) => output.line("the accounts and keys that can log in have not changed")?,
        (false, true) => output.line("the added keys work now")?,
        (false, false) => output.line(&format!(
            "these accounts and keys can't log in; to let them log in, run: sftp-import restore {file} --accept-keys"
        ))?,
    }
    Ok(output.line("next, run: sftp-import provision; systemctl start sftp-importd")?)
}
