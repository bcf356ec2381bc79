//! The order in which manifests were complete under their names: by the first close or rename of
//! each.
//!
//! inotify reports closes and renames one by one. Setting a time or permissions is neither. Without
//! inotify, after an overflow of its queue and after a restart, the order is that of the last
//! changes (ctime). A noted time is later than every change before the watch began, so both kinds
//! of times can be compared.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use crate::account::AccountId;

/// The maximum number of names per account. Beyond it all of the account's names are dropped.
const MAX_NAMES: usize = 65_536;

/// The arrival order of manifests, by account. Shared between watcher and intake.
#[derive(Debug, Default)]
pub struct Arrivals(Mutex<ArrivalTable>);

#[derive(Debug, Default)]
struct ArrivalTable {
    last: u64,
    accounts: HashMap<AccountId, ArrivalOrder>,
}

/// When a manifest was first complete under its name. Sorts by time, then by place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Arrival {
    /// When the inotify event was read.
    pub at: Timestamp,
    /// The event's number, which orders events of the same moment.
    pub place: u64,
}

/// One account's arrivals, by manifest name.
pub type ArrivalOrder = HashMap<String, Arrival>;

impl Arrivals {
    /// Notes that `name` was closed or renamed into incoming at `now`. Only the first time counts.
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

    /// Returns the account's arrivals.
    pub fn order(&self, account: &AccountId) -> ArrivalOrder {
        self.lock().accounts.get(account).cloned().unwrap_or_default()
    }

    /// Removes a claimed manifest, so that a new file of that name gets a new place.
    pub fn forget(&self, account: &AccountId, name: &str) {
        self.retain(account, |known, _| known != name);
    }

    /// Removes names that were noted before `listed_at` and are not in the listing that began then.
    pub fn keep(&self, account: &AccountId, listed: &HashSet<&str>, listed_at: Timestamp) {
        self.retain(account, |name, arrival| arrival.at >= listed_at || listed.contains(name));
    }

    /// Removes everything, because events were lost.
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

    fn lock(&self) -> MutexGuard<'_, ArrivalTable> {
        // A panic cannot leave a half change: every change is one insertion or removal.
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
    fn first_completion_counts() {
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
    fn arrivals_of_an_account_are_bounded() {
        let arrivals = Arrivals::default();
        let account: AccountId = "a".parse().unwrap();
        for n in 0..=MAX_NAMES {
            arrivals.note(&account, &n.to_string(), at(1));
        }
        assert_eq!(arrivals.order(&account).len(), 1);
    }
}
