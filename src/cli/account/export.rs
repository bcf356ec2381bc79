//! `sftp-import account export` and `account erase`: all of an account, out or gone.

use std::path::PathBuf;

use jiff::Timestamp;
use serde_json::json;

use super::{confirmed, hinted};
use crate::account::AccountId;
use crate::cli::admission::refused;
use crate::cli::import::ingest;
use crate::cli::{CliError, CliResult, Context, require_root};
use crate::import::{Engine, EraseError};
use crate::registry::Registry;

/// `sftp-import account export`
#[derive(Debug, clap::Args)]
pub struct ExportArguments {
    /// The account's id
    id: AccountId,
    /// The folder to make
    folder: PathBuf,
}

/// `sftp-import account erase`
#[derive(Debug, clap::Args)]
pub struct EraseArguments {
    /// The account's id
    id: AccountId,
    /// Don't ask
    #[arg(long)]
    yes: bool,
}

/// Copies all that there is of an account into a folder.
///
/// # Errors
/// There is nothing of it, the folder is there already, or something can't be read or written.
pub fn export(arguments: &ExportArguments, context: &Context) -> CliResult {
    require_root()?;
    let engine = open(context)?;
    let ExportArguments { id, folder } = arguments;
    let hint = folder.exists().then_some("name a folder that is not there yet");
    let listing = engine
        .export(id, folder, Timestamp::now())
        .map_err(|error| CliError::from(error).hint_if(hint))?;
    let bytes: u64 = listing.files.iter().map(|file| file.bytes).sum();
    let (files, left_out) = (listing.files.len(), &listing.left_out);
    let output = context.output();
    output.json(&json!({
        "account": listing.account, "folder": folder, "files": files, "bytes": bytes,
        "leftOut": left_out,
    }))?;
    output.line(&format!("{} holds {files} files, {bytes} bytes, of {id}", folder.display()))?;
    for name in left_out {
        output.line(&format!("left out, as it is no regular file: {name}"))?;
    }
    output.line("listing.json names each with its SHA-256")?;
    Ok(true)
}

/// Takes away all that there is of an account.
///
/// # Errors
/// There is nothing of it, or something can't be taken away; the same command then goes on.
pub fn erase(arguments: &EraseArguments, context: &Context) -> CliResult {
    require_root()?;
    let engine = open(context)?;
    let EraseArguments { id, yes } = arguments;
    let registry = context.registry(&engine.config)?;
    if !engine.knows(&registry, id)? {
        return Err(EraseError::Nothing(id.clone()).into());
    }
    let question = format!("Erase account {id} with all that was ever stored or known of it?");
    if !yes && !confirmed(id, &question)? {
        return Err(CliError::new(format_args!("account {id} is not erased"))
            .hint(format_args!("sftp-import account erase {id} --yes")));
    }
    let removed = erase_all(&engine, &registry, id, context)?;
    let counts: serde_json::Map<_, _> =
        removed.iter().map(|(table, rows)| (table.clone(), (*rows).into())).collect();
    let output = context.output();
    output.json(&json!({ "account": id.as_str(), "rows": counts }))?;
    output.line(&format!("account {id} is erased; the activity log says so in one line"))?;
    output
        .line("older backups, the journal and state.db.* beside the state database may know it")?;
    Ok(true)
}

fn erase_all(
    engine: &Engine,
    registry: &Registry,
    id: &AccountId,
    context: &Context,
) -> Result<Vec<(String, usize)>, CliError> {
    let _no_ingest = ingest::lock(&engine.config.paths)?;
    let mut waiting = |import: &_| {
        // Somebody who closed standard output still wants the account gone.
        let _ = context.output().line(&format!("waiting for import {import} to end"));
    };
    engine.erase(registry, id, Timestamp::now(), &mut waiting).map_err(|error| match error {
        EraseError::Provision(error) => hinted(error),
        EraseError::Admission(error) => refused(error),
        error => CliError::from(error)
            .hint(format_args!("what was done stays; go on with: sftp-import account erase {id}")),
    })
}

fn open(context: &Context) -> Result<Engine, CliError> {
    let config = context.config()?;
    drop(context.state(&config)?); // says what to do when the folder is missing
    context.engine(config)
}
