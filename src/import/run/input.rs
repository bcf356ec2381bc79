//! An import's spooled files, opened to be read; or what it means that they can't be.
//!
//! Always holds: what the account did is told as its file's fault; what the host did as the host's,
//! which is logged.

use std::fs::File;

use crate::import::{Engine, ImportRow, Monitor};
use crate::manifest::Manifest;
use crate::report::{Failure, FailureText};
use crate::sanitize::chain;
use crate::spool::{SpooledData, SpooledError, SpooledImport};
use crate::sys::LeaseError;

const CHANGED: &str = "the data file was changed while it was being read";

impl Engine {
    /// The manifest, the data file, and a reader of it.
    pub fn open_spooled(
        &self,
        row: &ImportRow,
        monitor: &Monitor,
    ) -> Result<(Manifest, SpooledData, File), Failure> {
        let host = |error: SpooledError| unreadable(row, &error);
        let spooled = SpooledImport::open(&self.layout, &row.id, &self.opener).map_err(host)?;
        let limits = self.config.limits_of(&row.account);
        let bytes = spooled.manifest(limits.max_manifest).map_err(host)?;
        let manifest = Manifest::parse(&bytes, limits).map_err(|errors| errors.into_failure())?;
        let data = spooled.data().map_err(host)?;
        let max = limits.max_data_file.bytes();
        if data.size() > max {
            let detail = format!("the file has {} bytes, {max} are allowed", data.size());
            return Err(Failure::new(FailureText::Unreadable, detail));
        }
        let reader = data.reader().map_err(host)?;
        monitor.set_total(data.size());
        Ok((manifest, data, reader))
    }
}

/// Whether the data file is as it was when it was opened.
pub fn check_unchanged(row: &ImportRow, data: &SpooledData) -> Result<(), Failure> {
    match data.unchanged() {
        Ok(true) => Ok(()),
        Ok(false) => Err(Failure::new(FailureText::Unreadable, CHANGED)),
        Err(error) => Err(unreadable(row, &error)),
    }
}

/// The failure of an import whose spooled files can't be read, which is logged.
fn unreadable(row: &ImportRow, error: &SpooledError) -> Failure {
    if matches!(error, SpooledError::Lease { source: LeaseError::Writer, .. }) {
        return Failure::new(FailureText::Unreadable, CHANGED);
    }
    out_of_reach(row, error)
}

fn out_of_reach(row: &ImportRow, error: &dyn std::error::Error) -> Failure {
    tracing::error!(account = %row.account, import = %row.id, "{}", chain(error));
    Failure::new(FailureText::Infra, "the uploaded files cannot be read from the spool")
}
