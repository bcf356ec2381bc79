//! The accounts there are, and which of their incoming were empty: most are, and a look at all of
//! them need not list these.
//!
//! Always holds: an account that is left out has nothing in incoming that a look has not seen. The
//! accounts are in order, so that one is found without a table of hashes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::account::AccountId;
use crate::spool::{self, Empty, Layout};

/// Each account, and its incoming as it was where it was empty. Forgotten at a restart.
#[derive(Debug, Default)]
pub struct Empties(Mutex<Arc<Known>>);

type Known = Vec<(AccountId, Option<Empty>)>;

impl Empties {
    /// What a look has found.
    pub fn note(&self, account: &AccountId, empty: Option<Empty>) {
        let mut known = self.lock();
        if let Some(place) = place(&known, account) {
            // A copy, where somebody is asking.
            Arc::make_mut(&mut known)[place].1 = empty;
        }
    }

    /// These are the accounts now.
    pub fn keep(&self, accounts: &[AccountId]) {
        let mut known = self.lock();
        let mut before: HashMap<_, _> = known.iter().map(|(id, empty)| (id, *empty)).collect();
        let mut now: Known =
            accounts.iter().map(|id| (id.clone(), before.remove(id).flatten())).collect();
        now.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        drop(before);
        *known = Arc::new(now);
    }

    /// Whether there is such an account.
    pub fn knows(&self, account: &AccountId) -> bool {
        place(&self.lock(), account).is_some()
    }

    /// Those that are not known to be empty still.
    pub fn stirred(&self, layout: &Layout) -> Vec<AccountId> {
        let known = Arc::clone(&self.lock()); // a disk that hangs holds up no look
        spool::stirred(layout, known.iter().map(|(id, empty)| (id, empty.as_ref())))
    }

    fn lock(&self) -> MutexGuard<'_, Arc<Known>> {
        // Every change is one entry, or all at once.
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
        assert_eq!(stirred(), all, "nobody has looked");
        host.look();
        assert_eq!(stirred(), all, "it has just been made");
        std::thread::sleep(Duration::from_millis(3100));
        assert_eq!(stirred(), all, "nobody has looked since");
        host.look();
        assert_eq!(stirred(), []);
        host.put(".hidden", "");
        assert_eq!(stirred(), all);
        std::thread::sleep(Duration::from_millis(3100));
        host.look();
        assert_eq!(stirred(), all, "what is there can be written to");
        std::fs::remove_file(host.incoming().join(".hidden")).unwrap();
        std::thread::sleep(Duration::from_millis(3100));
        host.look();
        assert_eq!(stirred(), []);
        host.remove_account();
        assert_eq!(stirred(), [], "there is none");
    }
}
