//! [`ImportRow`] is an import in the state database. This module also makes the report of a running
//! import.

use jiff::Timestamp;

use crate::import_id::ImportId;
use crate::report::{ImportState, Report};
use crate::state::{self, State, imports};

/// An import's row in the state database, with its claim.
pub type ImportRow = imports::ImportRow<crate::spool::Claim>;

/// Reads the row of `import`. Returns `None` if the import has no row.
pub(super) fn find(state: &State, import: &ImportId) -> state::Result<Option<ImportRow>> {
    state.read(|tx| imports::get(tx, import.as_str()))
}

/// Makes the report of an import that is running.
pub(super) fn running_report(row: &ImportRow, started_at: Timestamp) -> Report {
    Report {
        data_type: row.data_type,
        data_file: row.data_file.clone(),
        state: ImportState::Running,
        started_at: Some(started_at),
        warnings: row.warnings.clone(),
        ..Report::queued(&row.manifest, row.received_at).of(&row.id, &row.account)
    }
}
