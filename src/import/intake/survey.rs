//! A survey reads accounts and unfinished imports from the state database, and finds the accounts
//! that may have new uploads.
//!
//! Invariant: a rescan reads the accounts only if another process changed the state database. An
//! account whose incoming is still empty costs only one system call.

use super::claims::queue_entry;
use super::scanner::Scanner;
use crate::account::AccountId;
use crate::import::row::ImportRow;
use crate::import::run::queue::Queued;
use crate::report::ImportState;
use crate::state::{self, accounts, imports};

/// The result of a survey of the state database.
#[derive(Debug)]
pub struct Survey {
    /// The value of [`State::data_version`](crate::state::State::data_version), which is read
    /// before all other values.
    pub version: i64,
    /// The accounts that have folders. `None` if they have not changed since the previous survey.
    pub accounts: Option<Vec<AccountId>>,
    /// The accounts that may have new uploads, if a scan of all accounts was requested.
    pub to_scan: Vec<AccountId>,
    /// Every claimed import that has not ended, in the order of claims.
    pub queued: Vec<Queued>,
    /// Removed accounts with an interrupted claim. A scan of the account ends the claim.
    pub leftover: Vec<AccountId>,
}

/// Makes a survey. `scan_all` requests a scan of all accounts.
///
/// `known` is the version of the previous survey. If no other process has changed the state
/// database since then, the accounts are not read again. The result is then `None` unless
/// `scan_all` is true.
pub fn survey(
    scanner: Scanner<'_>,
    known: Option<i64>,
    scan_all: bool,
) -> state::Result<Option<Survey>> {
    let Scanner { context, memory, audit, .. } = scanner;
    let version = context.state.data_version()?;
    let is_known = known == Some(version);
    if is_known && !scan_all {
        return Ok(None);
    }
    let (accounts, rows) = context.state.read(|tx| {
        let accounts = if is_known { None } else { Some(accounts::list(tx)?) };
        Ok::<_, state::Error>((accounts, imports::unfinished(tx)?))
    })?;
    let empty_accounts = &memory.empty_accounts;
    let accounts = accounts.map(|rows| {
        if let Some(audit) = audit {
            audit.set_accounts(&rows);
        }
        let with_user = rows.into_iter().filter(|row| row.uid.is_some());
        let accounts: Vec<_> = with_user.map(|row| row.id).collect();
        empty_accounts.set_accounts(&accounts);
        accounts
    });
    let (claiming, queued): (Vec<ImportRow>, Vec<_>) =
        rows.into_iter().partition(|row| row.state == ImportState::Claiming);
    let mut leftover: Vec<_> = claiming.into_iter().map(|row| row.account).collect();
    leftover.retain(|id| !empty_accounts.contains(id));
    leftover.dedup();
    Ok(Some(Survey {
        version,
        accounts,
        to_scan: match scan_all {
            true => empty_accounts.possibly_filled(&context.layout),
            false => Vec::new(),
        },
        queued: queued.into_iter().map(|r| queue_entry(context, r.account, r.n, r.id)).collect(),
        leftover,
    }))
}

#[cfg(test)]
mod tests {
    use crate::import::tests::host::Host;
    use crate::state::State;

    #[test]
    fn accounts_are_reread_when_another_process_changes_them() {
        let host = Host::new();
        host.sql("UPDATE account SET uid = 1");
        let all = [host.account.clone()];
        let first = host.importer.survey(None, true).unwrap().unwrap();
        assert_eq!((first.accounts.as_deref(), &first.to_scan[..]), (Some(&all[..]), &all[..]));
        let known = Some(first.version);
        assert!(host.importer.survey(known, false).unwrap().is_none());
        host.upload("e", "event", "event_name,identity\nPurchased,a@example.com\n");
        let import = host.claim();
        let rescan = host.importer.survey(known, true).unwrap().unwrap();
        assert_eq!((&rescan.accounts, &rescan.to_scan[..]), (&None, &all[..]));
        assert_eq!(rescan.queued[0].id, import, "our own changes are reported");
        assert!(rescan.leftover.is_empty());

        let other = State::open(&host.importer.context.config.paths.state_db()).unwrap();
        other
            .write(|tx| Ok::<_, crate::state::Error>(tx.execute_batch("DELETE FROM account")?))
            .unwrap();
        for scan_all in [false, true] {
            let survey = host.importer.survey(known, scan_all).unwrap().unwrap();
            assert_eq!(survey.accounts.as_deref(), Some(&[][..]));
            assert!(survey.to_scan.is_empty());
        }
    }
}
