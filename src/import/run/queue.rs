//! The queue of imports. It decides which import runs next, without I/O.
//!
//! Invariant: one import per account runs at a time, in the order of claims. The account that was
//! served longest ago is next. Therefore a thousand imports of one account do not delay another
//! account's import, which waits only for imports that are already running.

use std::collections::{BTreeMap, HashMap};
use std::time::Instant;

use crate::account::AccountId;
use crate::import_id::ImportId;

/// The maximum size of a light data file, in bytes. Such an import waits longer for the disk than
/// it takes to read the file.
const LIGHT_BYTES: u64 = 1 << 20;

/// The amount of work of an import, estimated from its size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weight {
    /// An import that mostly waits for the disk, because its file is small.
    Light,
    /// An import that keeps a processor core busy.
    Heavy,
}

impl Weight {
    /// Returns the weight of a data file that has `bytes` bytes as uploaded.
    pub fn of(bytes: u64) -> Self {
        if bytes <= LIGHT_BYTES { Self::Light } else { Self::Heavy }
    }
}

/// An import that waits to run or is about to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Queued {
    pub account: AccountId,
    /// The running number of the import, which orders the account's imports.
    pub n: i64,
    pub id: ImportId,
    pub weight: Weight,
}

/// The waiting imports of all accounts, and the running import of each account.
#[derive(Debug, Default)]
pub struct Queue {
    accounts: HashMap<AccountId, AccountQueue>,
    served: u64,
    /// Accounts with an empty queue are kept as well. Otherwise an account that uploads one file at
    /// a time would always be next.
    last_served: HashMap<AccountId, u64>,
}

#[derive(Debug, Default)]
struct AccountQueue {
    waiting: BTreeMap<i64, Queued>,
    running: Option<ImportId>,
    not_before: Option<Instant>,
}

impl Queue {
    /// Adds an import to the queue, unless the import is already waiting or running.
    pub fn add(&mut self, import: Queued) {
        let lane = self.accounts.entry(import.account.clone()).or_default();
        if lane.running.as_ref() != Some(&import.id) {
            lane.waiting.insert(import.n, import);
        }
    }

    /// Removes and returns the next import to run. `None` if no account may run an import at `now`
    /// for whose weight `is_free` finds a slot.
    pub fn start_next(&mut self, now: Instant, is_free: impl Fn(Weight) -> bool) -> Option<Queued> {
        let ready = self.accounts.iter().filter(|(_, lane)| lane.may_run(now, &is_free));
        let (account, _) = ready.min_by_key(|(account, lane)| {
            (self.last_served.get(*account), lane.waiting.first_key_value().map(|(n, _)| *n))
        })?;
        let account = account.clone();
        let lane = self.accounts.get_mut(&account)?;
        let (_, import) = lane.waiting.pop_first()?;
        self.served += 1;
        self.last_served.insert(account, self.served);
        lane.running = Some(import.id.clone());
        lane.not_before = None;
        Some(import)
    }

    /// Records that the account's running import has ended.
    pub fn finish(&mut self, account: &AccountId) {
        if let Some(lane) = self.accounts.get_mut(account) {
            lane.running = None;
            if lane.waiting.is_empty() {
                self.accounts.remove(account);
            }
        }
    }

    /// Requeues the account's running import at its old place. No import of the account runs before
    /// `not_before`, so that the order is kept.
    pub fn requeue(&mut self, import: Queued, not_before: Instant) {
        let lane = self.accounts.entry(import.account.clone()).or_default();
        lane.waiting.insert(import.n, import);
        lane.running = None;
        lane.not_before = Some(not_before);
    }

    /// Returns the number of waiting imports.
    pub fn waiting(&self) -> usize {
        self.accounts.values().map(|lane| lane.waiting.len()).sum()
    }

    /// Returns the time at which the first requeued import may run.
    pub fn next_retry(&self) -> Option<Instant> {
        self.accounts
            .values()
            .filter(|lane| lane.running.is_none())
            .filter_map(|l| l.not_before)
            .min()
    }
}

impl AccountQueue {
    fn may_run(&self, now: Instant, is_free: impl Fn(Weight) -> bool) -> bool {
        let first = self.waiting.first_key_value();
        self.running.is_none()
            && self.not_before.is_none_or(|at| at <= now)
            && first.is_some_and(|(_, import)| is_free(import.weight))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn queue(imports: &[(&str, i64)]) -> Queue {
        let mut queue = Queue::default();
        for (account, n) in imports {
            queue.add(import(account, *n));
        }
        queue
    }

    fn import(account: &str, n: i64) -> Queued {
        Queued { account: account.parse().unwrap(), n, id: id(n), weight: Weight::Heavy }
    }

    fn id(n: i64) -> ImportId {
        ImportId::new("t", n).unwrap()
    }

    fn next(queue: &mut Queue, now: Instant) -> Option<ImportId> {
        queue.start_next(now, |_| true).map(|next| next.id)
    }

    fn account(id: &str) -> AccountId {
        id.parse().unwrap()
    }

    #[test]
    fn each_account_runs_its_imports_in_order() {
        let mut queue = queue(&[("a", 3), ("a", 1), ("a", 2)]);
        let now = Instant::now();
        for n in 1..=3 {
            assert_eq!(next(&mut queue, now), Some(id(n)));
            assert_eq!(queue.start_next(now, |_| true), None);
            queue.finish(&account("a"));
        }
        assert_eq!(queue.start_next(now, |_| true), None);
    }

    #[test]
    fn a_thousand_imports_do_not_delay_another_account() {
        let mut imports: Vec<_> = (1..=1000).map(|n| ("big", n)).collect();
        imports.push(("small", 1001));
        imports.push(("small", 1002));
        let mut queue = queue(&imports);
        let now = Instant::now();
        assert_eq!(next(&mut queue, now), Some(id(1)));
        queue.finish(&account("big"));
        assert_eq!(next(&mut queue, now), Some(id(1001)));
        queue.finish(&account("small"));
        assert_eq!(next(&mut queue, now), Some(id(2)));
        assert_eq!(
            next(&mut queue, now),
            Some(id(1002)),
            "the import must run at the same time as big"
        );
    }

    #[test]
    fn single_uploads_do_not_block_a_long_queue() {
        let mut queue = queue(&[("big", 1), ("big", 2)]);
        let now = Instant::now();
        assert_eq!(next(&mut queue, now), Some(id(1)));
        queue.finish(&account("big"));
        for n in 3..=4 {
            queue.add(import("small", n));
            let served = queue.start_next(now, |_| true).unwrap();
            queue.finish(&served.account);
            assert_eq!(served.id, [id(3), id(2)][n as usize - 3]);
        }
    }

    #[test]
    fn a_requeued_import_stays_first_and_waits() {
        let mut queue = queue(&[("a", 1), ("a", 2)]);
        let now = Instant::now();
        let later = now + Duration::from_secs(5);
        assert_eq!(next(&mut queue, now), Some(id(1)));
        queue.requeue(import("a", 1), later);
        assert_eq!((queue.start_next(now, |_| true), queue.next_retry()), (None, Some(later)));
        assert_eq!(next(&mut queue, later), Some(id(1)));
    }

    #[test]
    fn imports_without_slot_delay_only_their_account() {
        let mut queue = queue(&[("big", 1), ("big", 2)]);
        let light = |account, n| Queued { weight: Weight::Light, ..import(account, n) };
        queue.add(light("big", 3));
        queue.add(light("small", 4));
        let now = Instant::now();
        let light_only = |weight| weight == Weight::Light;
        assert_eq!(queue.start_next(now, light_only), Some(light("small", 4)));
        assert_eq!(
            queue.start_next(now, light_only),
            None,
            "the imports of big must keep their order"
        );
        assert_eq!(next(&mut queue, now), Some(id(1)));
    }

    #[test]
    fn the_file_size_determines_the_import_weight() {
        assert_eq!([0, 1 << 20].map(Weight::of), [Weight::Light; 2]);
        assert_eq!(Weight::of((1 << 20) + 1), Weight::Heavy);
    }
}
