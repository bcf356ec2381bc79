//! All accounts, and which of their incoming folders are known to be empty. Most are, and a rescan
//! of all accounts doesn't list those.
//!
//! Invariant: an account that a rescan skips has nothing in incoming that no scan has seen. The
//! accounts are sorted, so that a binary search finds one.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::account::AccountId;
use crate::spool::{self, EmptyIncoming, Layout};

/// Every account, with the state of its incoming when it was last seen empty. Lost at a restart.
#[derive(Debug, Default)]
pub struct Empties(Mutex<Arc<Known>>);

type Known = Vec<(AccountId, Option<EmptyIncoming>)>;

impl Empties {
    /// Records the result of a scan: `None` if incoming was not empty.
    pub fn note(&self, account: &AccountId, empty: Option<EmptyIncoming>) {
        let mut known = self.lock();
        if let Some(place) = place(&known, account) {
            // Copies the list if `stirred` is using it.
            Arc::make_mut(&mut known)[place].1 = empty;
        }
    }

    /// Replaces the set of accounts. Those that stay keep what is known of them.
    pub fn keep(&self, accounts: &[AccountId]) {
        let mut known = self.lock();
        let mut before: HashMap<_, _> = known.iter().map(|(id, empty)| (id, *empty)).collect();
        let mut now: Known =
            accounts.iter().map(|id| (id.clone(), before.remove(id).flatten())).collect();
        now.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        drop(before);
        *known = Arc::new(now);
    }

    pub fn knows(&self, account: &AccountId) -> bool {
        place(&self.lock(), account).is_some()
    }

    /// Returns the accounts whose incoming is not known to be still empty.
    pub fn stirred(&self, layout: &Layout) -> Vec<AccountId> {
        let known = Arc::clone(&self.lock()); // a hanging disk must not block scans
        spool::changed_accounts(layout, known.iter().map(|(id, empty)| (id, empty.as_ref())))
    }

    fn lock(&self) -> MutexGuard<'_, Arc<Known>> {
        // Every change sets one entry or replaces the list.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn place(known: &Known, account: &AccountId) -> Option<usize> {
    known.binary_search_by(|(id, _)| id.cmp(account)).ok()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::import::tests::host::Host;

    #[test]
    fn an_account_is_left_out_until_something_comes() {
        let host = Host::new();
        host.sql("UPDATE account SET uid = 1");
        let stirred = || host.engine.survey(None, true).unwrap().unwrap().stirred;
        let all = [host.account.clone()];
        assert_eq!(stirred(), all, "not scanned yet");
        host.look();
        assert_eq!(stirred(), all, "created too recently");
        std::thread::sleep(Duration::from_millis(3100));
        assert_eq!(stirred(), all, "not scanned since");
        host.look();
        assert_eq!(stirred(), []);
        host.put(".hidden", "");
        assert_eq!(stirred(), all);
        std::thread::sleep(Duration::from_millis(3100));
        host.look();
        assert_eq!(stirred(), all, "the file there can be written to");
        std::fs::remove_file(host.incoming().join(".hidden")).unwrap();
        std::thread::sleep(Duration::from_millis(3100));
        host.look();
        assert_eq!(stirred(), []);
        host.remove_account();
        assert_eq!(stirred(), [], "the account was removed");
    }
}
