//! `sftp-import backup FILE` and `sftp-import restore FILE`: the state database, out and in.

use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::json;

use super::key::publish;
use super::{CliError, CliResult, Context, require_root};
use crate::config::Config;
use crate::import::Adopted;
use crate::state::copy::{self, CopyError};
use crate::state::{self, Alone, Before, NotAlone, Replaced};

/// `sftp-import backup`
#[derive(Debug, clap::Args)]
pub struct BackupArguments {
    /// The file to write; it must not be there yet
    file: PathBuf,
}

/// `sftp-import restore`
#[derive(Debug, clap::Args)]
pub struct RestoreArguments {
    /// What `backup` wrote, or the copy that an upgrade left
    file: PathBuf,
}

/// A sidecar that was just asked to stop may take so long to be gone.
const PATIENCE: Duration = Duration::from_secs(2);

/// Copies the state database.
///
/// # Errors
/// The file is there already or can't be written, or there is no sound state database.
pub fn run(arguments: &BackupArguments, context: &Context) -> CliResult {
    require_root()?;
    let database = context.config()?.paths.state_db();
    let file = &arguments.file;
    let copied = copy::backup(&database, file).map_err(hinted)?;
    let output = context.output();
    output.json(&json!({ "file": file, "bytes": copied.bytes, "schema": copied.schema }))?;
    output.line(&format!(
        "{} holds the state database: {} bytes, schema {}, checked",
        file.display(),
        copied.bytes,
        copied.schema
    ))?;
    output.line("it holds the webhooks' secrets: keep it as safe as the original")?;
    Ok(true)
}

/// Puts a copy in the place of the state database, and publishes the keys that it knows.
///
/// # Errors
/// The sidecar or another command is running, or the file is no sound state database of a schema
/// that this program knows. Then nothing is changed.
pub fn restore(arguments: &RestoreArguments, context: &Context) -> CliResult {
    require_root()?;
    let config = context.config()?;
    let _alone = Alone::take(&config.paths.state, PATIENCE).map_err(|error| match error {
        NotAlone::Running { .. } => CliError::new("the sidecar is running; nothing is changed")
            .hint("systemctl stop sftp-importd"),
        error => error.into(),
    })?;
    let (database, now) = (config.paths.state_db(), Timestamp::now());
    let replaced = state::replace(&database, &arguments.file, now).map_err(hinted)?;
    let adopted = go_on(context, config, &replaced.before, now)?;
    tell(arguments, &replaced, &adopted, context)?;
    Ok(true)
}

/// What has happened since is taken up before any key works by the restored database.
fn go_on(
    context: &Context,
    config: Config,
    before: &Before,
    now: Timestamp,
) -> Result<Adopted, CliError> {
    let engine = context.engine(config)?;
    let again = "what is restored stays; run `sftp-import restore` with the same file again";
    let adopted = engine.adopt(before, now).map_err(|e| CliError::from(e).hint(again))?;
    publish(&engine.config, &engine.state).map_err(|e| e.hint(again))?;
    Ok(adopted)
}

fn tell(
    arguments: &RestoreArguments,
    replaced: &Replaced,
    adopted: &Adopted,
    context: &Context,
) -> Result<(), CliError> {
    let output = context.output();
    let text = |imports: &[crate::import_id::ImportId]| {
        imports.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let (ended, unknown) = (text(&adopted.ended), text(&adopted.unknown));
    output.json(&json!({
        "file": arguments.file, "schema": replaced.schema, "replaced": replaced.kept,
        "ended": ended, "unknown": unknown,
    }))?;
    output.line(&format!("the state database is restored from {}", arguments.file.display()))?;
    if let Some(kept) = &replaced.kept {
        output.line(&format!("what it was before lies in {}", kept.display()))?;
    }
    if !ended.is_empty() {
        output.line(&format!("ended since, by their answers in results/: {}", ended.join(", ")))?;
    }
    if !unknown.is_empty() {
        let names = unknown.join(", ");
        output.line(&format!("in the spool, and not known to it: {names}"))?;
        output
            .line("  each holds a partner's upload: see docs/data-care.md before they are swept")?;
    }
    output
        .line("the keys are published: one that was revoked since then works again (key list)")?;
    output.line("next: sftp-import provision; systemctl start sftp-importd")?;
    Ok(())
}

/// A failure to copy with its next step.
fn hinted(error: CopyError) -> CliError {
    let hint = match &error {
        CopyError::Exists(_) => Some("name a file that is not there yet"),
        CopyError::Damaged { .. } => Some("`sftp-import restore` an older backup"),
        CopyError::InUse(_) => Some("wait for other sftp-import commands to end"),
        _ => None,
    };
    CliError::from(error).hint_if(hint)
}
