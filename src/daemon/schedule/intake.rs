//! The intake schedule: decides which accounts to scan, and when. Pure.
//!
//! Invariant: one scan per account at a time; a request during a scan causes one more afterwards,
//! so that no change is missed. A few accounts are scanned in parallel. If none of these scans
//! returns for minutes, they hang.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::time::{Duration, Instant};

use crate::account::AccountId;

/// Parallel scans: a claim waits for the disk, which serves several as fast as one.
const SIDE_BY_SIDE: usize = 8;
/// Changes within this time share one scan.
const TOGETHER: Duration = Duration::from_millis(100);
/// A scan that takes this long hangs; it normally takes seconds at most.
const HANGS: Duration = Duration::from_secs(5 * 60);

/// Requested, running and scheduled scans.
#[derive(Debug, Default)]
pub struct Looks {
    order: VecDeque<AccountId>,
    requested: HashSet<AccountId>,
    /// Running scans, with their begin.
    under_way: HashMap<AccountId, Instant>,
    alarms: BTreeSet<(Instant, AccountId)>,
    alarm_of: HashMap<AccountId, Instant>,
    hang: bool,
}

impl Looks {
    /// Requests a scan of `account`.
    pub fn request(&mut self, account: AccountId) {
        if self.requested.insert(account.clone()) {
            self.order.push_back(account);
        }
    }

    /// Requests a scan after a change in the account's incoming. It begins after [`TOGETHER`], so
    /// that changes until then share it. This delays no pair: a pair is ready only when its session
    /// has ended or `settle` has passed.
    pub fn request_soon(&mut self, account: AccountId, now: Instant) {
        self.set_alarm(account, now + TOGETHER);
    }

    /// Begins the scan that was requested first, if one more may run. Returns its account.
    pub fn next(&mut self, now: Instant) -> Option<AccountId> {
        if self.under_way.len() >= SIDE_BY_SIDE {
            return None;
        }
        let place = self.order.iter().position(|a| !self.under_way.contains_key(a))?;
        let account = self.order.remove(place)?;
        self.requested.remove(&account);
        self.under_way.insert(account.clone(), now);
        self.forget_alarm(&account);
        Some(account)
    }

    /// Notes that the scan of `account` has ended. The next one is scheduled after `again`, if any.
    pub fn done(&mut self, account: &AccountId, now: Instant, again: Option<Duration>) {
        self.under_way.remove(account);
        if let Some(pause) = again {
            self.set_alarm(account.clone(), now + pause);
        }
    }

    /// Whether no scan can begin any more because all running ones hang. Logged once.
    pub fn hang(&mut self, now: Instant) -> bool {
        let since = |began: &Instant| now.saturating_duration_since(*began);
        let hang = self.under_way.len() >= SIDE_BY_SIDE
            && self.under_way.values().all(|began| since(began) >= HANGS);
        if hang && !self.hang {
            for (account, began) in &self.under_way {
                let seconds = since(began).as_secs();
                tracing::error!(%account, "a scan has not returned for {seconds} s; \
                    the watchdog is not fed any more");
            }
        }
        self.hang = hang;
        hang
    }

    /// Turns due alarms into requests.
    pub fn ring(&mut self, now: Instant) {
        while let Some((at, account)) = self.alarms.first().cloned() {
            if at > now {
                break;
            }
            self.forget_alarm(&account);
            self.request(account);
        }
    }

    /// Whether a scan is running or requested.
    pub fn is_busy(&self) -> bool {
        !self.order.is_empty() || !self.under_way.is_empty()
    }

    /// Returns the number of running scans.
    pub fn under_way(&self) -> usize {
        self.under_way.len()
    }

    /// Returns when the next alarm is due.
    pub fn next_alarm(&self) -> Option<Instant> {
        self.alarms.first().map(|(at, _)| *at)
    }

    /// Sets the account's alarm unless an earlier one is set: its scan sets the next alarm itself.
    fn set_alarm(&mut self, account: AccountId, at: Instant) {
        if self.alarm_of.get(&account).is_none_or(|earlier| *earlier > at) {
            self.forget_alarm(&account);
            self.alarms.insert((at, account.clone()));
            self.alarm_of.insert(account, at);
        }
    }

    fn forget_alarm(&mut self, account: &AccountId) {
        if let Some(at) = self.alarm_of.remove(account) {
            self.alarms.remove(&(at, account.clone()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(id: &str) -> AccountId {
        id.parse().unwrap()
    }

    #[test]
    fn a_request_during_a_look_makes_one_more() {
        let (mut looks, now) = (Looks::default(), Instant::now());
        looks.request(account("a"));
        assert_eq!(looks.next(now), Some(account("a")));
        looks.request(account("a"));
        looks.request(account("a"));
        assert_eq!(looks.next(now), None, "one thread at a time");
        looks.done(&account("a"), Instant::now(), None);
        assert_eq!(looks.next(now), Some(account("a")));
        looks.done(&account("a"), Instant::now(), None);
        assert_eq!(looks.next(now), None, "requests are coalesced");
    }

    #[test]
    fn one_account_under_way_does_not_hold_up_another() {
        let (mut looks, now) = (Looks::default(), Instant::now());
        looks.request(account("a"));
        looks.next(now);
        looks.request(account("a"));
        looks.request(account("b"));
        assert_eq!(looks.next(now), Some(account("b")));
    }

    #[test]
    fn an_alarm_rings_once_and_a_look_replaces_it() {
        let mut looks = Looks::default();
        let now = Instant::now();
        let later = now + Duration::from_secs(2);
        looks.request(account("a"));
        looks.next(now);
        looks.done(&account("a"), now, Some(Duration::from_secs(2)));
        looks.ring(now);
        assert_eq!((looks.next(now), looks.next_alarm()), (None, Some(later)));
        looks.ring(later);
        assert_eq!((looks.next_alarm(), looks.next(now)), (None, Some(account("a"))));
    }

    #[test]
    fn changes_are_looked_at_together_and_a_request_comes_before_them() {
        let (mut looks, now) = (Looks::default(), Instant::now());
        let later = |ms| now + Duration::from_millis(ms);
        looks.request_soon(account("a"), now);
        looks.request_soon(account("a"), later(99));
        looks.ring(later(99));
        assert_eq!((looks.next(later(99)), looks.next_alarm()), (None, Some(later(100))));
        looks.ring(later(100));
        assert_eq!(looks.next(later(100)), Some(account("a")));
        looks.request_soon(account("a"), later(101)); // during its scan
        looks.done(&account("a"), later(102), Some(Duration::from_secs(2)));
        assert_eq!(looks.next_alarm(), Some(later(201)), "the earlier one");
        looks.request(account("a")); // the session has ended
        assert_eq!(looks.next(later(103)), Some(account("a")));
        assert_eq!(looks.next_alarm(), None, "that scan covers the change");
    }

    #[test]
    fn looks_of_which_none_comes_back_hang() {
        let (mut looks, now) = (Looks::default(), Instant::now());
        let ids: Vec<_> = (0..=SIDE_BY_SIDE).map(|n| account(&format!("a{n}"))).collect();
        ids.iter().for_each(|id| looks.request(id.clone()));
        assert_eq!(looks.next(now), Some(ids[0].clone()));
        assert!(!looks.hang(now + HANGS), "another one may begin");
        for id in &ids[1..SIDE_BY_SIDE] {
            assert_eq!(looks.next(now + HANGS).as_ref(), Some(id));
        }
        assert_eq!(looks.next(now + HANGS), None, "all slots are taken");
        assert!(!looks.hang(now + HANGS));
        assert!(looks.hang(now + 2 * HANGS));
        looks.done(&ids[0], now + 2 * HANGS, None);
        assert!(!looks.hang(now + 2 * HANGS));
    }
}
