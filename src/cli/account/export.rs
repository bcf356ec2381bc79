//! Implements the command `account export`, which copies all data of an account into a new folder.

use std::path::PathBuf;

use jiff::Timestamp;
use serde_json::json;

use crate::account::AccountId;
use crate::cli::context::{CliContext, CliError, CliResult};
use crate::import;

#[derive(Debug, clap::Args)]
pub struct ExportArguments {
    /// The account's id
    id: AccountId,
    /// The new folder that the command creates
    folder: PathBuf,
}

pub(super) fn export(context: &CliContext, arguments: &ExportArguments) -> CliResult {
    let ExportArguments { id, folder } = arguments;
    let importer = context.importer(context.config()?)?;
    let hint = folder.exists().then_some("choose a folder that does not exist yet");
    let listing = import::export(&importer.context, id, folder, Timestamp::now())
        .map_err(|error| CliError::from(error).hint_if(hint))?;
    let bytes: u64 = listing.files.iter().map(|file| file.bytes).sum();
    let files = listing.files.len();
    let mut lines = vec![format!(
        "{} contains {files} files of account {id}, with {bytes} bytes",
        folder.display()
    )];
    let left_out = listing.left_out.iter();
    lines
        .extend(left_out.map(|name| {
            format!("this file is left out, because it is not a regular file: {name}")
        }));
    lines.push("listing.json lists each file with its SHA-256".to_owned());
    let value = json!({
        "account": listing.account, "folder": folder, "files": files, "bytes": bytes,
        "leftOut": listing.left_out,
    });
    context.done(&value, lines)
}
