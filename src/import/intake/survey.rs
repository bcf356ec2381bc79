//! A survey: reads accounts and unfinished imports from the state database, and finds the accounts
//! with possible new uploads.
//!
//! Invariant: a rescan reads the accounts only if another process changed the state database, and
//! an account whose incoming is still empty costs it one system call.

use crate::account::AccountId;
use crate::import::run::queue::Queued;
use crate::import::{Engine, ImportRow};
use crate::report::ImportState;
use crate::state::accounts::{self, AccountRow};
use crate::state::{self, imports};

/// The result of a survey.
#[derive(Debug)]
pub struct Survey {
    /// [`State::data_version`](crate::state::State::data_version) before the rest was read.
    pub version: i64,
    /// The accounts that have folders. `None` if they are those of the survey before.
    pub accounts: Option<Vec<AccountId>>,
    /// Accounts with possible new uploads, if a scan of all accounts was requested.
    pub stirred: Vec<AccountId>,
    /// Every claimed import that has not ended, in the order of claims.
    pub queued: Vec<Queued>,
    /// Removed accounts with an interrupted claim; a scan of such an account ends the claim.
    pub leftover: Vec<AccountId>,
}

impl Engine {
    /// Makes a survey; `look_at_all` requests a scan of all accounts.
    ///
    /// `known` is the version of the survey before. If no other process has changed the state
    /// database since, the accounts are not read again; without `look_at_all` the result is then
    /// `None`.
    pub fn survey(&self, known: Option<i64>, look_at_all: bool) -> state::Result<Option<Survey>> {
        let version = self.state.data_version()?;
        let is_known = known == Some(version);
        if is_known && !look_at_all {
            return Ok(None);
        }
        let (accounts, rows) = self.state.read(|tx| {
            let accounts = if is_known { None } else { Some(accounts::list(tx)?) };
            Ok::<_, state::Error>((accounts, imports::unfinished(tx)?))
        })?;
        let accounts = accounts.map(|rows| self.accounts_now(rows));
        let (claiming, queued): (Vec<ImportRow>, Vec<_>) =
            rows.into_iter().partition(|row| row.state == ImportState::Claiming);
        let mut leftover: Vec<_> = claiming.into_iter().map(|row| row.account).collect();
        leftover.retain(|id| !self.empties.knows(id));
        leftover.dedup();
        Ok(Some(Survey {
            version,
            accounts,
            stirred: if look_at_all { self.empties.stirred(&self.layout) } else { Vec::new() },
            queued: queued.into_iter().map(|r| self.queued(r.account, r.n, r.id)).collect(),
            leftover,
        }))
    }

    /// Passes the accounts on to the upload audit and the empty accounts. Returns those that have
    /// folders.
    fn accounts_now(&self, rows: Vec<AccountRow>) -> Vec<AccountId> {
        if let Some(hearing) = self.hearing.get() {
            hearing.follow(&rows);
        }
        let with_user = rows.into_iter().filter(|row| row.uid.is_some());
        let accounts: Vec<_> = with_user.map(|row| row.id).collect();
        self.empties.keep(&accounts);
        accounts
    }
}

#[cfg(test)]
mod tests {
    use crate::import::tests::host::Host;
    use crate::state::State;

    #[test]
    fn accounts_are_read_again_only_when_somebody_else_changed_something() {
        let host = Host::new();
        host.sql("UPDATE account SET uid = 1");
        let all = [host.account.clone()];
        let first = host.engine.survey(None, true).unwrap().unwrap();
        assert_eq!((first.accounts.as_deref(), &first.stirred[..]), (Some(&all[..]), &all[..]));
        let known = Some(first.version);
        assert!(host.engine.survey(known, false).unwrap().is_none());
        host.upload("e", "event", "event_name,identity\nPurchased,a@example.com\n");
        let import = host.claim();
        let rescan = host.engine.survey(known, true).unwrap().unwrap();
        assert_eq!((&rescan.accounts, &rescan.stirred[..]), (&None, &all[..]));
        assert_eq!(rescan.queued[0].id, import, "our own changes are reported");
        assert!(rescan.leftover.is_empty());

        let other = State::open(&host.engine.config.paths.state_db()).unwrap();
        other
            .write(|tx| Ok::<_, crate::state::Error>(tx.execute_batch("DELETE FROM account")?))
            .unwrap();
        for look_at_all in [false, true] {
            let survey = host.engine.survey(known, look_at_all).unwrap().unwrap();
            assert_eq!(survey.accounts.as_deref(), Some(&[][..]));
            assert!(survey.stirred.is_empty());
        }
    }
}
