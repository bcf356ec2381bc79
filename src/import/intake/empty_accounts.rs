//! A list of all accounts that records which incoming folders are empty. Most folders are empty,
//! and a rescan of all accounts skips them.
//!
//! Invariant: if a rescan skips an account, every file in its incoming has been seen by a scan. The
//! accounts are sorted for binary search.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::account::AccountId;
use crate::spool::{self, EmptyIncoming, Layout};

/// All accounts, each with the state of its incoming when it was last empty. These states are lost
/// at a restart.
#[derive(Debug, Default)]
pub(super) struct EmptyAccounts(Mutex<Arc<SortedAccounts>>);

type SortedAccounts = Vec<(AccountId, Option<EmptyIncoming>)>;

impl EmptyAccounts {
    /// Records the result of a scan of `account`. `empty` is `None` if incoming was not empty.
    pub(super) fn record(&self, account: &AccountId, empty: Option<EmptyIncoming>) {
        let mut known = self.lock();
        if let Some(index) = index(&known, account) {
            // The list is copied if `possibly_filled` is using it.
            Arc::make_mut(&mut known)[index].1 = empty;
        }
    }

    /// Replaces the set of accounts. Accounts in both sets keep their recorded state.
    pub(super) fn set_accounts(&self, accounts: &[AccountId]) {
        let mut known = self.lock();
        let mut before: HashMap<_, _> = known.iter().map(|(id, empty)| (id, *empty)).collect();
        let mut now: SortedAccounts =
            accounts.iter().map(|id| (id.clone(), before.remove(id).flatten())).collect();
        now.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        drop(before);
        *known = Arc::new(now);
    }

    pub(super) fn contains(&self, account: &AccountId) -> bool {
        index(&self.lock(), account).is_some()
    }

    /// Returns the accounts whose incoming may contain files.
    pub(super) fn possibly_filled(&self, layout: &Layout) -> Vec<AccountId> {
        // A hanging disk must not block scans.
        let known = Arc::clone(&self.lock());
        spool::changed_accounts(layout, known.iter().map(|(id, empty)| (id, empty.as_ref())))
    }

    fn lock(&self) -> MutexGuard<'_, Arc<SortedAccounts>> {
        // A panic leaves no incomplete change, because every change sets one entry or replaces the
        // list.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn index(known: &SortedAccounts, account: &AccountId) -> Option<usize> {
    known.binary_search_by(|(id, _)| id.cmp(account)).ok()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::import::tests::host::Host;

    #[test]
    fn an_empty_account_is_skipped_until_files_arrive() {
        let host = Host::new();
        host.sql("UPDATE account SET uid = 1");
        let to_scan = || host.importer.survey(None, true).unwrap().unwrap().to_scan;
        let all = [host.account.clone()];
        assert_eq!(to_scan(), all, "no account is scanned yet");
        host.scan();
        assert_eq!(to_scan(), all, "the folder was created too recently");
        std::thread::sleep(Duration::from_millis(3100));
        assert_eq!(to_scan(), all, "the account was not scanned again");
        host.scan();
        assert_eq!(to_scan(), []);
        host.put(".hidden", "");
        assert_eq!(to_scan(), all);
        std::thread::sleep(Duration::from_millis(3100));
        host.scan();
        assert_eq!(to_scan(), all, "the existing file can be changed");
        std::fs::remove_file(host.incoming().join(".hidden")).unwrap();
        std::thread::sleep(Duration::from_millis(3100));
        host.scan();
        assert_eq!(to_scan(), []);
        host.remove_account();
        assert_eq!(to_scan(), [], "the account was removed");
    }
}
