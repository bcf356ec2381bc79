//! Opens an import's spooled files for reading, and maps errors to failures.
//!
//! Invariant: a problem that the account caused is a failure of its file. A problem of the host is
//! an infrastructure failure and is logged.

use std::fs::File;

use super::progress::Monitor;
use crate::import::context::Context;
use crate::import::row::ImportRow;
use crate::manifest::Manifest;
use crate::report::{Failure, FailureText};
use crate::sanitize::chain;
use crate::spool::{SpooledData, SpooledError, SpooledImport};
use crate::sys::LeaseError;

const CHANGED: &str = "the data file was changed while it was being read";

/// Opens the manifest and the data file of an import. Returns the data file and a reader of it.
pub(super) fn open(
    context: &Context,
    row: &ImportRow,
    monitor: &Monitor,
) -> Result<(Manifest, SpooledData, File), Failure> {
    let host = |error: SpooledError| unreadable(row, &error);
    let spooled = SpooledImport::open(&context.layout, &row.id, &context.opener).map_err(host)?;
    let limits = context.config.limits_of(&row.account);
    let bytes = spooled.manifest(limits.max_manifest).map_err(host)?;
    let manifest = Manifest::parse(&bytes, limits).map_err(|errors| errors.into_failure())?;
    let data = spooled.data().map_err(host)?;
    let max = limits.max_data_file.bytes();
    if data.size() > max {
        let detail = format!("the file has {} bytes, but only {max} are allowed", data.size());
        return Err(Failure::new(FailureText::Unreadable, detail));
    }
    let reader = data.reader().map_err(host)?;
    monitor.set_total(data.size());
    Ok((manifest, data, reader))
}

/// Checks that the data file has not changed since it was opened.
pub(super) fn check_unchanged(row: &ImportRow, data: &SpooledData) -> Result<(), Failure> {
    match data.unchanged() {
        Ok(true) => Ok(()),
        Ok(false) => Err(Failure::new(FailureText::Unreadable, CHANGED)),
        Err(error) => Err(unreadable(row, &error)),
    }
}

/// Returns the failure of an import whose spooled files can't be read. Logs the error if the host
/// caused it.
fn unreadable(row: &ImportRow, error: &SpooledError) -> Failure {
    if matches!(error, SpooledError::Lease { source: LeaseError::Writer, .. }) {
        return Failure::new(FailureText::Unreadable, CHANGED);
    }
    tracing::error!(account = %row.account, import = %row.id, "{}", chain(error));
    Failure::new(FailureText::Infra, "the uploaded files cannot be read from the spool")
}
