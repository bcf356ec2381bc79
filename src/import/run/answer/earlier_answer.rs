//! Renames the earlier answer when a new import gets the same stem. The newest answer is called
//! `<stem>.result.json`. The earlier answer is named after its import's id.
//!
//! Invariant: first the files are renamed. Then one transaction queues the new import and records
//! the new stem of the earlier import. After that, answers of the new import are written. If a
//! crash occurs between these steps, the claim is executed again and repeats the first two. The
//! caller holds the account's [`AnswerLock`](crate::import::answer_locks::AnswerLock) during all
//! steps.

use super::{ERROR_FILE, answer_names, is_missing, owner_of, to_json};
use crate::account::AccountId;
use crate::import::context::Context;
use crate::import::row::{self, ImportRow};
use crate::import_id::ImportId;
use crate::report::Report;
use crate::spool::{self, Results, ResultsError};
use crate::state::imports;
use crate::state::{self, Transaction};

/// An earlier import whose answer is now named after its id.
#[derive(Debug)]
pub struct EarlierAnswer {
    import: ImportId,
    /// The report of the earlier import, if the import has ended.
    report: Option<Report>,
}

/// The reason why an earlier answer could not be renamed.
#[derive(Debug, thiserror::Error)]
pub enum RenameError {
    #[error(transparent)]
    State(#[from] state::Error),
    #[error(transparent)]
    Results(#[from] ResultsError),
}

/// Renames the files of the answer that has the stem of `new`, if the answer belongs to another
/// import. Returns the imports for [`record`]. The function can be repeated.
pub fn rename(
    context: &Context,
    account: &AccountId,
    new: &ImportId,
) -> Result<Vec<EarlierAnswer>, RenameError> {
    let Some(row) = row::find(&context.state, new)? else { return Ok(Vec::new()) };
    let stem = row.stem.as_str();
    if stem == new.as_str() {
        // Other imports can't have this stem.
        return Ok(Vec::new());
    }
    let results = match Results::open(&context.layout, account) {
        Ok(results) => Some(results),
        // The account was removed, so it has no results folder.
        Err(error) if is_missing(&error) => None,
        Err(error) => return Err(error.into()),
    };
    let owner = results.as_ref().and_then(|results| owner_of(results, stem));
    let owner = owner.filter(|owner| owner != new);
    let known = earlier_import(context, &row, owner.is_some())?;
    let mut renamed = Vec::new();
    // A restored state database may not know the import that owns the files with this stem.
    for import in owner.iter().chain(known.iter().filter(|known| owner.as_ref() != Some(known))) {
        let report = row::find(&context.state, import)?.and_then(|row| row.report);
        let report = report.map(|report| with_own_names(report, import));
        renamed.push(EarlierAnswer { import: import.clone(), report });
    }
    if let (Some(results), Some(first)) = (&results, renamed.first()) {
        rename_files(results, stem, first)?;
    }
    Ok(renamed)
}

/// Returns the earlier import that has the stem of `new`. Most names are new. Therefore the
/// account's imports are read only if an earlier import may exist.
fn earlier_import(
    context: &Context,
    new: &ImportRow,
    has_owner: bool,
) -> state::Result<Option<ImportId>> {
    let ImportRow { account, stem, id, .. } = new;
    context.state.read(|tx| {
        let spender = match spool::spent_name(&new.manifest) {
            Some(name) => imports::find_spender(tx, account, &name)?,
            None => None,
        };
        let is_reused = spender.is_some_and(|spender| spender != *id);
        // The import of a manifest with a wrong name has spent no manifest name.
        match has_owner || is_reused || spool::right_name(stem).is_some() {
            true => imports::last_with_stem(tx, account, stem, id),
            false => Ok(None),
        }
    })
}

fn rename_files(
    results: &Results,
    stem: &str,
    EarlierAnswer { import, report }: &EarlierAnswer,
) -> Result<(), ResultsError> {
    let names = answer_names(stem).into_iter().zip(answer_names(import.as_str()));
    for (from, to) in names {
        results.rename_existing(&from, &to)?;
    }
    results.sync()?;
    let [.., name] = answer_names(import.as_str());
    match report {
        // The report of an answer names the error file. If the report's own file is missing, the
        // answer was removed.
        Some(report) if report.error_file.is_some() && results.read(&name).is_ok() => {
            results.write(import, &name, &to_json(report))
        }
        _ => Ok(()),
    }
}

fn with_own_names(report: Report, import: &ImportId) -> Report {
    let error_file = report.error_file.map(|_| format!("{import}.{ERROR_FILE}"));
    Report { error_file, ..report }
}

/// Records the new stems of earlier imports. Runs in the transaction that queues the new import.
pub fn record(tx: &Transaction<'_>, renamed: &[EarlierAnswer]) -> state::Result<()> {
    renamed.iter().try_for_each(|EarlierAnswer { import, report }| {
        imports::set_stem_to_id(tx, import, report.as_ref())
    })
}
