//! The sweep: removes spooled files that are no longer needed.
//!
//! A completed import removes its own files when it finishes, unless they are retained. The sweep
//! removes files left by a crash or an error, files of imports that ended longer than
//! `retention.completed-uploads` or `failed-uploads` ago, and folders older than `failed-uploads`
//! that belong to no import. It takes no input and can be interrupted at any point.

use jiff::Timestamp;

use crate::import::run::decide;
use crate::import::{Engine, ImportRow};
use crate::import_id::ImportId;
use crate::sanitize::chain;
use crate::spool::{self, SpooledError};
use crate::state::{self, Transaction, imports};

/// Why spooled files were not swept.
#[derive(Debug, thiserror::Error)]
pub enum SweepError {
    #[error(transparent)]
    Spool(#[from] SpooledError),
    #[error(transparent)]
    State(#[from] state::Error),
}

impl Engine {
    /// Removes everything whose retention is over at `now`, and logs each removal.
    pub fn sweep(&self, now: Timestamp) -> Result<(), SweepError> {
        self.sweep_spool(now)?;
        self.forget_gone(now);
        self.sweep_kept(now)
    }

    /// Removes spooled files that are no longer needed. A folder that can't be removed is skipped.
    fn sweep_spool(&self, now: Timestamp) -> Result<(), SweepError> {
        for (import, changed) in spool::list(&self.layout)? {
            let spent = self.state.read(|tx| self.is_spent(tx, &import, changed, now))?;
            if spent.is_none() {
                continue;
            }
            // Checked again under the write lock: `import retry` may have queued it since.
            let swept = self.state.write(|tx| {
                let spent = self.is_spent(tx, &import, changed, now)?;
                if spent.is_some() {
                    spool::discard(&self.layout, &import)?;
                }
                Ok::<_, SweepError>(spent)
            });
            match swept {
                Ok(Some(Some(row))) => tracing::info!(account = %row.account, %import,
                    "removed the spooled files of the {} import", row.state.as_str()),
                Ok(Some(None)) => {
                    tracing::warn!(%import, "removed spooled files that no import knows");
                }
                Ok(None) => {}
                Err(SweepError::Spool(error)) => {
                    tracing::warn!(%import, "spooled files stay: {}", chain(&error));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Returns `Some` if the files can be removed, with the import that they belong to, if any.
    fn is_spent(
        &self,
        tx: &Transaction<'_>,
        import: &ImportId,
        changed: Timestamp,
        now: Timestamp,
    ) -> state::Result<Option<Option<ImportRow>>> {
        let row: Option<ImportRow> = imports::get(tx, import.as_str())?;
        let ended = row.as_ref().map(|row| (row.state, row.finished_at));
        let retention = row.as_ref().map(|row| self.config.retention_of(&row.account));
        let retention = retention.unwrap_or(&self.config.retention);
        Ok(decide::is_spent(ended, changed, now, retention).then_some(row))
    }
}
