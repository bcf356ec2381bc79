//! `sftp-import account export` and `account erase`: copy or delete all data of an account.

use std::path::PathBuf;

use jiff::Timestamp;
use serde_json::json;

use super::{confirmed, hinted};
use crate::account::AccountId;
use crate::cli::admission::refused;
use crate::cli::import::ingest;
use crate::cli::{CliError, CliResult, Context, require_root};
use crate::import::{self, EraseError, Importer};
use crate::registry::Registry;

/// `sftp-import account export`
#[derive(Debug, clap::Args)]
pub struct ExportArguments {
    /// The account's id
    id: AccountId,
    /// The folder to create
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

/// Copies all data of an account into a new folder.
pub fn export(arguments: &ExportArguments, context: &Context) -> CliResult {
    require_root()?;
    let importer = open(context)?;
    let ExportArguments { id, folder } = arguments;
    let hint = folder.exists().then_some("name a folder that does not exist");
    let listing = import::export(&importer.context, id, folder, Timestamp::now())
        .map_err(|error| CliError::from(error).hint_if(hint))?;
    let bytes: u64 = listing.files.iter().map(|file| file.bytes).sum();
    let (files, left_out) = (listing.files.len(), &listing.left_out);
    let output = context.output();
    output.json(&json!({
        "account": listing.account, "folder": folder, "files": files, "bytes": bytes,
        "leftOut": left_out,
    }))?;
    output.line(&format!("{} contains {files} files, {bytes} bytes, of {id}", folder.display()))?;
    for name in left_out {
        output.line(&format!("left out, as it is not a regular file: {name}"))?;
    }
    output.line("listing.json lists each with its SHA-256")?;
    Ok(true)
}

/// Deletes all data of an account.
///
/// # Errors
/// After an error, the same command continues where it failed.
pub fn erase(arguments: &EraseArguments, context: &Context) -> CliResult {
    require_root()?;
    let importer = open(context)?;
    let EraseArguments { id, yes } = arguments;
    let registry = context.registry(&importer.context.config)?;
    if !import::is_known(&importer.context, &registry, id)? {
        return Err(EraseError::Nothing(id.clone()).into());
    }
    let question = format!("Erase account {id} and all data stored about it?");
    if !yes && !confirmed(id, &question)? {
        return Err(CliError::new(format_args!("account {id} is not erased"))
            .hint(format_args!("sftp-import account erase {id} --yes")));
    }
    let removed = erase_all(&importer, &registry, id, context)?;
    let counts: serde_json::Map<_, _> =
        removed.iter().map(|(table, rows)| (table.clone(), (*rows).into())).collect();
    let output = context.output();
    output.json(&json!({ "account": id.as_str(), "rows": counts }))?;
    output.line(&format!("account {id} is erased; the activity log has one line about it"))?;
    output
        .line("older backups, the journal and copies named state.db.* may still have its data")?;
    Ok(true)
}

fn erase_all(
    importer: &Importer,
    registry: &Registry,
    id: &AccountId,
    context: &Context,
) -> Result<Vec<(String, usize)>, CliError> {
    let _no_ingest = ingest::lock(&importer.context.config.paths)?;
    let mut waiting = |import: &_| {
        // Ignored: a closed standard output must not stop the erasure.
        let _ = context.output().line(&format!("waiting for import {import} to end"));
    };
    let erased = import::erase(&importer.context, registry, id, Timestamp::now(), &mut waiting);
    erased.map_err(|error| match error {
        EraseError::Provision(error) => hinted(error),
        EraseError::Admission(error) => refused(error),
        error => {
            CliError::from(error).hint(format_args!("to continue: sftp-import account erase {id}"))
        }
    })
}

fn open(context: &Context) -> Result<Importer, CliError> {
    let config = context.config()?;
    drop(context.state(&config)?); // for its hint if the folder is missing
    context.importer(config)
}
