//! Records the order in which manifests became complete under their names. A manifest is complete
//! when it is closed or renamed for the first time.
//!
//! inotify reports each close and each rename. A change of a time or of permissions is neither of
//! these. In three cases the order is the order of the last changes (ctime): without inotify, after
//! an overflow of inotify's queue, and after a restart. A recorded time is later than every change
//! before the watch began. Therefore recorded times and ctimes can be compared.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use crate::account::AccountId;

/// The maximum number of manifest names that are recorded per account. If an account has more
/// names, all its names are removed.
const MAX_NAMES: usize = 65_536;

/// The order in which the manifests of each account arrived. The watcher and the intake share this
/// record.
#[derive(Debug, Default)]
pub struct Arrivals(Mutex<ArrivalTable>);

#[derive(Debug, Default)]
struct ArrivalTable {
    last: u64,
    accounts: HashMap<AccountId, ArrivalOrder>,
}

/// The time at which a manifest was first complete under its name. Arrivals are sorted by time,
/// and then by the number of the event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Arrival {
    /// The time at which the inotify event about the manifest was read.
    pub at: Timestamp,
    /// The number of the inotify event. It orders events that have the same time.
    pub place: u64,
}

/// The arrivals of one account's manifests. The key is the name of the manifest.
pub type ArrivalOrder = HashMap<String, Arrival>;

impl Arrivals {
    /// Records that `name` was closed in incoming or renamed into incoming at `now`. Only the first
    /// record of a name counts.
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

    /// Returns the arrivals of the manifests of an account.
    pub fn order(&self, account: &AccountId) -> ArrivalOrder {
        self.lock().accounts.get(account).cloned().unwrap_or_default()
    }

    /// Removes the arrival of a claimed manifest, so that a new file with the same name is
    /// recorded as a new arrival.
    pub fn forget(&self, account: &AccountId, name: &str) {
        self.retain(account, |known, _| known != name);
    }

    /// Removes names that were recorded before `listed_at` and are missing in `listed`. `listed`
    /// contains the names of a listing that began at `listed_at`.
    pub fn keep(&self, account: &AccountId, listed: &HashSet<&str>, listed_at: Timestamp) {
        self.retain(account, |name, arrival| arrival.at >= listed_at || listed.contains(name));
    }

    /// Removes the arrivals of all accounts, because inotify events were lost.
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
        // A panic cannot leave the record in an incomplete state, because every change is one
        // insertion or one removal.
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
    fn only_the_first_arrival_counts() {
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
        assert_eq!(arrivals.order(&account).len(), 2, "recorded after the listing");
        arrivals.keep(&account, &HashSet::new(), at(4));
        assert!(arrivals.lock().accounts.is_empty(), "no empty entry must stay");
    }

    #[test]
    fn the_number_of_recorded_arrivals_is_limited() {
        let arrivals = Arrivals::default();
        let account: AccountId = "a".parse().unwrap();
        for n in 0..=MAX_NAMES {
            arrivals.note(&account, &n.to_string(), at(1));
        }
        assert_eq!(arrivals.order(&account).len(), 1);
    }
}
