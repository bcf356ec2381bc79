//! The intake schedule: decides which accounts to scan, and when. Pure except for the log.
//!
//! Invariant: one scan per account runs at a time. A request during a scan causes another scan
//! afterwards, so that no change is missed. A few accounts are scanned in parallel. If none of
//! these scans returns for minutes, they count as hanging.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::time::{Duration, Instant};

use crate::account::AccountId;

/// The maximum number of parallel scans. A claim waits for the disk, which serves several claims as
/// fast as one claim.
const PARALLEL: usize = 8;
/// The time within which several changes in an account cause only one scan.
const GATHER: Duration = Duration::from_millis(100);
/// A scan that takes this long counts as hanging. A scan normally takes seconds at most.
const HANGS: Duration = Duration::from_secs(5 * 60);

/// The requested, running and scheduled scans of accounts.
#[derive(Debug, Default)]
pub struct IntakeSchedule {
    order: VecDeque<AccountId>,
    requested: HashSet<AccountId>,
    /// The running scans, with the time at which they began.
    running: HashMap<AccountId, Instant>,
    alarms: BTreeSet<(Instant, AccountId)>,
    alarm_of: HashMap<AccountId, Instant>,
    is_hanging: bool,
}

impl IntakeSchedule {
    /// Requests a scan of `account`.
    pub fn request(&mut self, account: AccountId) {
        if self.requested.insert(account.clone()) {
            self.order.push_back(account);
        }
    }

    /// Requests a scan after a change in the account's incoming. The scan begins after [`GATHER`],
    /// so that changes until then share it. This delays no pair: a pair is ready only when its
    /// session has ended or `settle` has passed.
    pub fn request_soon(&mut self, account: AccountId, now: Instant) {
        self.set_alarm(account, now + GATHER);
    }

    /// Begins the scan that was requested first, if another scan may run. Returns its account.
    pub fn begin_next(&mut self, now: Instant) -> Option<AccountId> {
        if self.running.len() >= PARALLEL {
            return None;
        }
        let index = self.order.iter().position(|a| !self.running.contains_key(a))?;
        let account = self.order.remove(index)?;
        self.requested.remove(&account);
        self.running.insert(account.clone(), now);
        self.forget_alarm(&account);
        Some(account)
    }

    /// Records that the scan of `account` has ended. Schedules the next scan after `rescan_after`,
    /// if any.
    pub fn finish(&mut self, account: &AccountId, now: Instant, rescan_after: Option<Duration>) {
        self.running.remove(account);
        if let Some(pause) = rescan_after {
            self.set_alarm(account.clone(), now + pause);
        }
    }

    /// Returns whether no scan can begin because all running scans hang. Logs such a hang only
    /// once.
    pub fn check_hang(&mut self, now: Instant) -> bool {
        let since = |began: &Instant| now.saturating_duration_since(*began);
        let hang = self.running.len() >= PARALLEL
            && self.running.values().all(|began| since(began) >= HANGS);
        if hang && !self.is_hanging {
            for (account, began) in &self.running {
                let seconds = since(began).as_secs();
                tracing::error!(%account, "a scan has not returned for {seconds} s; \
                    the watchdog is not fed any more");
            }
        }
        self.is_hanging = hang;
        hang
    }

    /// Requests a scan for each alarm that is due.
    pub fn enqueue_due(&mut self, now: Instant) {
        while let Some((at, account)) = self.alarms.first().cloned() {
            if at > now {
                break;
            }
            self.forget_alarm(&account);
            self.request(account);
        }
    }

    /// Returns whether a scan is running or requested.
    pub fn is_busy(&self) -> bool {
        !self.order.is_empty() || !self.running.is_empty()
    }

    /// Returns the number of running scans.
    pub fn running(&self) -> usize {
        self.running.len()
    }

    /// Returns the time at which the next alarm for a scan is due.
    pub fn next_alarm(&self) -> Option<Instant> {
        self.alarms.first().map(|(at, _)| *at)
    }

    /// Sets the alarm for the next scan of the account, unless an earlier alarm is set. The scan of
    /// the earlier alarm sets the next alarm.
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
    fn a_request_during_a_scan_causes_another_scan() {
        let (mut schedule, now) = (IntakeSchedule::default(), Instant::now());
        schedule.request(account("a"));
        assert_eq!(schedule.begin_next(now), Some(account("a")));
        schedule.request(account("a"));
        schedule.request(account("a"));
        assert_eq!(schedule.begin_next(now), None, "one scan at a time");
        schedule.finish(&account("a"), Instant::now(), None);
        assert_eq!(schedule.begin_next(now), Some(account("a")));
        schedule.finish(&account("a"), Instant::now(), None);
        assert_eq!(schedule.begin_next(now), None, "requests are coalesced");
    }

    #[test]
    fn one_running_scan_does_not_delay_another_account() {
        let (mut schedule, now) = (IntakeSchedule::default(), Instant::now());
        schedule.request(account("a"));
        schedule.begin_next(now);
        schedule.request(account("a"));
        schedule.request(account("b"));
        assert_eq!(schedule.begin_next(now), Some(account("b")));
    }

    #[test]
    fn each_scan_alarm_is_due_only_once() {
        let mut schedule = IntakeSchedule::default();
        let now = Instant::now();
        let later = now + Duration::from_secs(2);
        schedule.request(account("a"));
        schedule.begin_next(now);
        schedule.finish(&account("a"), now, Some(Duration::from_secs(2)));
        schedule.enqueue_due(now);
        assert_eq!((schedule.begin_next(now), schedule.next_alarm()), (None, Some(later)));
        schedule.enqueue_due(later);
        assert_eq!((schedule.next_alarm(), schedule.begin_next(now)), (None, Some(account("a"))));
    }

    #[test]
    fn changes_within_a_short_time_share_a_scan() {
        let (mut schedule, now) = (IntakeSchedule::default(), Instant::now());
        let later = |ms| now + Duration::from_millis(ms);
        schedule.request_soon(account("a"), now);
        schedule.request_soon(account("a"), later(99));
        schedule.enqueue_due(later(99));
        assert_eq!(
            (schedule.begin_next(later(99)), schedule.next_alarm()),
            (None, Some(later(100)))
        );
        schedule.enqueue_due(later(100));
        assert_eq!(schedule.begin_next(later(100)), Some(account("a")));
        // This request is made during the scan.
        schedule.request_soon(account("a"), later(101));
        schedule.finish(&account("a"), later(102), Some(Duration::from_secs(2)));
        assert_eq!(schedule.next_alarm(), Some(later(201)), "the earlier alarm is kept");
        // This request is made because the session has ended.
        schedule.request(account("a"));
        assert_eq!(schedule.begin_next(later(103)), Some(account("a")));
        assert_eq!(schedule.next_alarm(), None, "that scan covers the change");
    }

    #[test]
    fn scans_that_never_return_count_as_hanging() {
        let (mut schedule, now) = (IntakeSchedule::default(), Instant::now());
        let ids: Vec<_> = (0..=PARALLEL).map(|n| account(&format!("a{n}"))).collect();
        ids.iter().for_each(|id| schedule.request(id.clone()));
        assert_eq!(schedule.begin_next(now), Some(ids[0].clone()));
        assert!(!schedule.check_hang(now + HANGS), "another scan may begin");
        for id in &ids[1..PARALLEL] {
            assert_eq!(schedule.begin_next(now + HANGS).as_ref(), Some(id));
        }
        assert_eq!(schedule.begin_next(now + HANGS), None, "all slots are taken");
        assert!(!schedule.check_hang(now + HANGS));
        assert!(schedule.check_hang(now + 2 * HANGS));
        schedule.finish(&ids[0], now + 2 * HANGS, None);
        assert!(!schedule.check_hang(now + 2 * HANGS));
    }
}
