//! Which accounts to look at, and when. Pure.
//!
//! Always holds: an account is looked at by one thread at a time, and a request that comes while
//! it is being looked at makes one more look afterwards, so that no change slips between.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::time::{Duration, Instant};

use crate::account::AccountId;

/// Requests, looks under way and looks to come.
#[derive(Debug, Default)]
pub struct Looks {
    order: VecDeque<AccountId>,
    requested: HashSet<AccountId>,
    under_way: HashSet<AccountId>,
    alarms: BTreeSet<(Instant, AccountId)>,
    alarm_of: HashMap<AccountId, Instant>,
}

impl Looks {
    /// Somebody says: look at this account.
    pub fn request(&mut self, account: AccountId) {
        if self.requested.insert(account.clone()) {
            self.order.push_back(account);
        }
    }

    /// The next account to look at, first requested first.
    pub fn next(&mut self) -> Option<AccountId> {
        let place = self.order.iter().position(|a| !self.under_way.contains(a))?;
        let account = self.order.remove(place)?;
        self.requested.remove(&account);
        self.under_way.insert(account.clone());
        self.forget_alarm(&account);
        Some(account)
    }

    /// The look at `account` is done, and another one is wanted after `again`, if any.
    pub fn done(&mut self, account: &AccountId, now: Instant, again: Option<Duration>) {
        self.under_way.remove(account);
        if let Some(pause) = again {
            self.forget_alarm(account);
            self.alarms.insert((now + pause, account.clone()));
            self.alarm_of.insert(account.clone(), now + pause);
        }
    }

    /// Turns the alarms that are due into requests.
    pub fn ring(&mut self, now: Instant) {
        while let Some((at, account)) = self.alarms.first().cloned() {
            if at > now {
                break;
            }
            self.forget_alarm(&account);
            self.request(account);
        }
    }

    /// When the next alarm is due.
    pub fn next_alarm(&self) -> Option<Instant> {
        self.alarms.first().map(|(at, _)| *at)
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
        let mut looks = Looks::default();
        looks.request(account("a"));
        assert_eq!(looks.next(), Some(account("a")));
        looks.request(account("a"));
        looks.request(account("a"));
        assert_eq!(looks.next(), None, "one thread at a time");
        looks.done(&account("a"), Instant::now(), None);
        assert_eq!(looks.next(), Some(account("a")));
        looks.done(&account("a"), Instant::now(), None);
        assert_eq!(looks.next(), None, "requests are coalesced");
    }

    #[test]
    fn one_account_under_way_does_not_hold_up_another() {
        let mut looks = Looks::default();
        looks.request(account("a"));
        looks.next();
        looks.request(account("a"));
        looks.request(account("b"));
        assert_eq!(looks.next(), Some(account("b")));
    }

    #[test]
    fn an_alarm_rings_once_and_a_look_replaces_it() {
        let mut looks = Looks::default();
        let now = Instant::now();
        let later = now + Duration::from_secs(2);
        looks.request(account("a"));
        looks.next();
        looks.done(&account("a"), now, Some(Duration::from_secs(2)));
        looks.ring(now);
        assert_eq!((looks.next(), looks.next_alarm()), (None, Some(later)));
        looks.ring(later);
        assert_eq!((looks.next_alarm(), looks.next()), (None, Some(account("a"))));
    }
}
