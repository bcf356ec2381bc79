//! In which order manifests were complete under their names: by the first close or rename of each.
//!
//! inotify reports both one by one, and setting a time or permissions is neither. Without it, after
//! an overflow of its queue and after a restart, the order is that of the last changes (ctime). A
//! noted time is later than every change before the watch began, so the two kinds mix.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use crate::account::AccountId;

/// How many names are kept for one account; over that all of its are forgotten.
const MAX_NAMES: usize = 65_536;

/// The order of arrival of manifests, by account. Shared between watcher and intake.
#[derive(Debug, Default)]
pub struct Arrivals(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    last: u64,
    accounts: HashMap<AccountId, Order>,
}

/// When a manifest was first complete under its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Arrival {
    /// When the event was read.
    pub at: Timestamp,
    /// Its place among all events; those of one moment differ in it.
    pub place: u64,
}

/// One account's arrivals, by manifest name.
pub type Order = HashMap<String, Arrival>;

impl Arrivals {
    /// `name` was closed or renamed in at `now`, after everything noted before. Only the first
    /// time counts.
    pub fn note(&self, account: &AccountId, name: &str, now: Timestamp) {
        let mut known = self.lock();
        known.last += 1;
        let arrival = Arrival { at: now, place: known.last };
        let names = known.accounts.entry(account.clone()).or_default();
        if names.len() >= MAX_NAMES {
            names.clear();
        }
        names.entry(name.to_owned()).or_insert(arrival);
    }

    /// The account's order as known now.
    pub fn order(&self, account: &AccountId) -> Order {
        self.lock().accounts.get(account).cloned().unwrap_or_default()
    }

    /// `name` was claimed: a new file of that name has a place of its own.
    pub fn forget(&self, account: &AccountId, name: &str) {
        self.retain(account, |known, _| known != name);
    }

    /// Forgets names that were noted before `listed_at` and are not in the listing begun then.
    pub fn keep(&self, account: &AccountId, listed: &HashSet<&str>, listed_at: Timestamp) {
        self.retain(account, |name, arrival| arrival.at >= listed_at || listed.contains(name));
    }

    /// Events were lost: nothing noted before is certain.
    pub fn clear(&self) {
        self.lock().accounts.clear();
    }

    fn retain(&self, account: &AccountId, keep: impl Fn(&str, &Arrival) -> bool) {
        let mut known = self.lock();
        if let Some(names) = known.accounts.get_mut(account) {
            names.retain(|name, arrival| keep(name, arrival));
            if names.is_empty() {
                known.accounts.remove(account);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        // Every change is one insertion or removal; there is no half of it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn the_first_completion_counts() {
        let arrivals = Arrivals::default();
        let account: AccountId = "a".parse().unwrap();
        for (second, name) in [(1, "x.manifest"), (1, "y.manifest"), (2, "x.manifest")] {
            arrivals.note(&account, name, at(second));
        }
        let order = arrivals.order(&account);
        assert!(order["x.manifest"] < order["y.manifest"]);
        arrivals.forget(&account, "x.manifest");
        arrivals.note(&account, "x.manifest", at(3));
        let order = arrivals.order(&account);
        assert!(order["y.manifest"] < order["x.manifest"], "a new file");
        arrivals.keep(&account, &HashSet::from(["y.manifest"]), at(3));
        assert_eq!(arrivals.order(&account).len(), 2, "noted after the listing");
        arrivals.keep(&account, &HashSet::new(), at(4));
        assert!(arrivals.lock().accounts.is_empty(), "nothing is kept of a quiet account");
    }

    #[test]
    fn one_account_cannot_fill_the_memory() {
        let arrivals = Arrivals::default();
        let account: AccountId = "a".parse().unwrap();
        for n in 0..=MAX_NAMES {
            arrivals.note(&account, &n.to_string(), at(1));
        }
        assert_eq!(arrivals.order(&account).len(), 1);
    }
}
