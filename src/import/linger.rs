//! Manifests that linger (see [`crate::spool::linger`]), and the names that are spent.
//!
//! There is no row for a lingering manifest, and nobody is told of one: that its name is spent, and
//! by the row's claim how, is all there is to know, before a restart and after it. A name that is
//! not swept now is swept by a later look.

use std::collections::HashMap;
use std::time::Duration;

use super::intake::{IntakeError, TRY_AGAIN};
use super::{Engine, ImportRow};
use crate::account::AccountId;
use crate::printable::chain;
use crate::spool::{Claim, FolderError, Incoming, Lingering, ScanError, Seen, linger, swept};
use crate::state;
use crate::state::imports::{self, Origin};

/// Spent names, with the imports that spent them.
pub(super) type Spent = HashMap<String, imports::Spent<Claim>>;

impl Engine {
    /// Which of the manifests' names are spent.
    pub(super) fn spent(&self, account: &AccountId, seen: &Seen) -> Result<Spent, IntakeError> {
        let names = || seen.sight.manifests.iter().map(|manifest| &manifest.entry.name);
        Ok(self.state.read(|tx| {
            let mut spent = HashMap::new();
            for name in names() {
                if let Some(by) = imports::spent(tx, account, name)? {
                    spent.insert(name.clone(), by);
                }
            }
            Ok::<_, state::Error>(spent)
        })?)
    }

    /// Takes out of `seen` what lingers.
    pub(super) fn set_apart(
        &self,
        account: &AccountId,
        seen: &mut Seen,
        spent: &Spent,
    ) -> Vec<Lingering> {
        let period = self.config.pairing_of(account).linger.get();
        linger::set_apart(&mut seen.sight, &mut seen.held, period, |name| match spent.get(name) {
            Some(imports::Spent { import, origin: Some(Origin::Claim(claim)) }) => {
                Some((import, claim))
            }
            _ => None,
        })
    }

    /// Takes away what has lingered, in a look that claimed so many imports. Returns after how long
    /// to look again for the rest.
    pub(super) fn sweep_lingering(
        &self,
        account: &AccountId,
        lingering: &[Lingering],
        claimed: usize,
    ) -> Option<Duration> {
        let (due, mut again) = linger::due(lingering, claimed);
        if due.is_empty() {
            return again;
        }
        let later = |again: Option<Duration>| Some(again.map_or(TRY_AGAIN, |a| a.min(TRY_AGAIN)));
        let incoming = match Incoming::open(&self.layout, account) {
            Ok(incoming) => incoming,
            Err(ScanError::Folder(FolderError::Missing { .. })) => return None,
            Err(error) => {
                tracing::error!(%account, "{}", chain(&error));
                return later(again);
            }
        };
        for one in due {
            match incoming.sweep(&self.layout, one) {
                Ok(true) => tracing::debug!(%account, import = %one.import,
                    "the name {:?} is gone from incoming", one.entry.name),
                Ok(false) => again = later(again),
                Err(error) => {
                    tracing::error!(%account, "{}", chain(&error));
                    again = later(again);
                }
            }
        }
        again
    }

    /// Gives back to incoming what a crash left of sweeping lingering manifests.
    pub(super) fn give_back_lingering(&self) -> state::Result<()> {
        let imports = swept::left_behind(&self.layout).unwrap_or_else(|error| {
            tracing::error!("{}", chain(&error));
            Vec::new()
        });
        for import in imports {
            let row: Option<ImportRow> = self.state.read(|tx| imports::get(tx, import.as_str()))?;
            let to = row.as_ref().map(|row| (&row.account, row.manifest.as_str()));
            if let Err(error) = swept::give_back(&self.layout, &import, to) {
                tracing::error!(%import, "{}", chain(&error));
            }
        }
        Ok(())
    }
}
