//! In which order manifests were closed, where the file system's clock can't tell.
//!
//! A change time steps with the kernel's tick (1 to 4 ms), in which a client can upload several
//! pairs. inotify reports them one by one. What is kept here only breaks ties: without it, or
//! after an overflow, uploads of one tick go by name, and nothing else changes.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::account::AccountId;

/// How many names are kept for one account; over that all of its are forgotten.
const MAX_NAMES: usize = 65_536;

/// The order of arrival of manifests, by account. Shared between who watches and who looks.
#[derive(Debug, Default)]
pub struct Arrivals(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    last: u64,
    accounts: HashMap<AccountId, HashMap<String, u64>>,
}

/// One account's order of arrival, by manifest name: the lower number came first.
pub type Order = HashMap<String, u64>;

impl Arrivals {
    /// `name` was closed or renamed in, after everything noted before.
    pub fn note(&self, account: &AccountId, name: &str) {
        let mut known = self.lock();
        known.last += 1;
        let last = known.last;
        let names = known.accounts.entry(account.clone()).or_default();
        if names.len() >= MAX_NAMES {
            names.clear();
        }
        names.insert(name.to_owned(), last);
    }

    /// The account's order as known now.
    pub fn order(&self, account: &AccountId) -> Order {
        self.lock().accounts.get(account).cloned().unwrap_or_default()
    }

    /// `name` is taken: its place does not matter any more.
    pub fn forget(&self, account: &AccountId, name: &str) {
        let mut known = self.lock();
        if let Some(names) = known.accounts.get_mut(account) {
            names.remove(name);
            if names.is_empty() {
                known.accounts.remove(account);
            }
        }
    }

    /// Nothing of before is certain: events were lost.
    pub fn clear(&self) {
        self.lock().accounts.clear();
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        // Every change is one insertion or removal; there is no half of it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_close_counts() {
        let arrivals = Arrivals::default();
        let account: AccountId = "a".parse().unwrap();
        for name in ["x.manifest", "y.manifest", "x.manifest"] {
            arrivals.note(&account, name);
        }
        let order = arrivals.order(&account);
        assert!(order["y.manifest"] < order["x.manifest"]);
        arrivals.forget(&account, "y.manifest");
        arrivals.forget(&account, "x.manifest");
        assert!(arrivals.order(&account).is_empty());
        assert!(arrivals.lock().accounts.is_empty(), "nothing is kept of a quiet account");
    }

    #[test]
    fn one_account_cannot_fill_the_memory() {
        let arrivals = Arrivals::default();
        let account: AccountId = "a".parse().unwrap();
        for n in 0..=MAX_NAMES {
            arrivals.note(&account, &n.to_string());
        }
        assert_eq!(arrivals.order(&account).len(), 1);
    }
}
