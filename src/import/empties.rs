//! Which accounts' incoming was empty: most are, and a look at all of them need not list these.
//!
//! Always holds: an account that is left out has nothing in incoming that a look has not seen.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::account::AccountId;
use crate::spool::{Empty, Layout};

/// Those that were, as they were. Forgotten at a restart.
#[derive(Debug, Default)]
pub(super) struct Empties(Mutex<HashMap<AccountId, Empty>>);

impl Empties {
    /// What a look has found.
    pub(super) fn note(&self, account: &AccountId, empty: Option<Empty>) {
        match empty {
            Some(empty) => self.lock().insert(account.clone(), empty),
            None => self.lock().remove(account),
        };
    }

    /// These are the accounts now.
    pub(super) fn keep(&self, accounts: &[AccountId]) {
        let known: HashSet<_> = accounts.iter().collect();
        self.lock().retain(|account, _| known.contains(account));
    }

    /// Those that are empty still.
    pub(super) fn still(&self, layout: &Layout) -> HashSet<AccountId> {
        let then = self.lock().clone(); // a disk that hangs holds up no look
        let still = then.into_iter().filter(|(id, empty)| empty.is_still_there(layout, id));
        still.map(|(account, _)| account).collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<AccountId, Empty>> {
        // Every change is one entry.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::tests::host::Host;

    #[test]
    fn an_account_is_left_out_until_something_comes() {
        let host = Host::new();
        host.sql("UPDATE account SET uid = 1");
        let left_out = |all| host.engine.survey(None, all).unwrap().unwrap().empty.len();
        host.look();
        assert_eq!(left_out(true), 0, "it has just been made");
        std::thread::sleep(Duration::from_millis(3100));
        assert_eq!(left_out(true), 0, "nobody has looked since");
        host.look();
        assert_eq!((left_out(true), left_out(false)), (1, 0));
        host.put(".hidden", "");
        assert_eq!(left_out(true), 0);
        std::thread::sleep(Duration::from_millis(3100));
        host.look();
        assert_eq!(left_out(true), 0, "what is there can be written to");
        std::fs::remove_file(host.incoming().join(".hidden")).unwrap();
        std::thread::sleep(Duration::from_millis(3100));
        host.look();
        assert_eq!(left_out(true), 1);
        host.remove_account();
        assert_eq!(left_out(true), 0);
    }
}
