//! Implements the command `account erase`, which deletes all data of an account.

use jiff::Timestamp;
use serde_json::json;

use crate::account::AccountId;
use crate::cli::context::{CliContext, CliError, CliResult};
use crate::cli::import::ingest;
use crate::cli::prompt::confirm;
use crate::import::{self, EraseError, Importer};
use crate::registry::Registry;

#[derive(Debug, clap::Args)]
pub struct EraseArguments {
    /// The account's id
    id: AccountId,
    /// Don't ask for confirmation
    #[arg(long)]
    yes: bool,
}

/// Erases an account after a confirmation.
///
/// # Errors
/// After an error, the same command continues where it failed.
pub(super) fn erase(context: &CliContext, arguments: &EraseArguments) -> CliResult {
    let EraseArguments { id, yes } = arguments;
    let importer = context.importer(context.config()?)?;
    let registry = context.registry(&importer.context.config)?;
    if !import::is_known(&importer.context, &registry, id)? {
        return Err(EraseError::Nothing(id.clone()).into());
    }
    if !yes {
        let question = format!("Erase account {id} and all data stored about it?");
        let command = format!("sftp-import account erase {id} --yes");
        confirm(id, &question, &format!("account {id} is not erased"), &command)?;
    }
    let removed = erase_all(&importer, &registry, id, context)?;
    let counts: serde_json::Map<_, _> =
        removed.iter().map(|(table, rows)| (table.clone(), (*rows).into())).collect();
    context.done(
        &json!({ "account": id.as_str(), "rows": counts }),
        [
            format!("account {id} is erased; the activity log has one line about the erasure"),
            "older backups, the journal and copies named state.db.* may still have the account's data".into(),
        ],
    )
}

fn erase_all(
    importer: &Importer,
    registry: &Registry,
    id: &AccountId,
    context: &CliContext,
) -> Result<Vec<(String, usize)>, CliError> {
    let _no_ingest = ingest::lock(&importer.context.config.paths)?;
    let mut waiting = |import: &_| {
        // The error is ignored, because a closed standard output must not stop the erasure.
        let _ = context.output().line(&format!("waiting for import {import} to end"));
    };
    let erased = import::erase(&importer.context, registry, id, Timestamp::now(), &mut waiting);
    erased.map_err(|error| match error {
        EraseError::Provision(error) => error.into(),
        EraseError::Admission(error) => error.into(),
        error => CliError::from(error)
            .hint(format_args!("to continue, run: sftp-import account erase {id}")),
    })
}
