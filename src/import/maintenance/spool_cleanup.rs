//! The sweep: takes files out of the spool that have served.
//!
//! A completed import's files go when it finishes, unless they are kept for a time; here go those
//! that stayed after a crash or an error, those of imports that ended longer than
//! `retention.completed-uploads` or `failed-uploads` ago, and folders of the latter age that no
//! import knows. It takes no input and can be cut off anywhere.

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
    /// The spool can't be listed, or a folder in it not removed.
    #[error(transparent)]
    Spool(#[from] SpooledError),
    /// The state database's.
    #[error(transparent)]
    State(#[from] state::Error),
}

impl Engine {
    /// Takes away, and logs, what has served by `now`.
    ///
    /// # Errors
    /// The spool can't be listed, or the state database's.
    pub fn sweep(&self, now: Timestamp) -> Result<(), SweepError> {
        self.sweep_spool(now)?;
        self.forget_gone(now);
        self.sweep_kept(now)
    }

    /// One folder that can't be removed keeps no other from it.
    fn sweep_spool(&self, now: Timestamp) -> Result<(), SweepError> {
        for (import, changed) in spool::list(&self.layout)? {
            let spent = self.state.read(|tx| self.is_spent(tx, &import, changed, now))?;
            if spent.is_none() {
                continue;
            }
            // Asked again under the write lock: `import retry` may have wanted them meanwhile.
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

    /// The import whose files these are, if it is known, when they have served.
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
