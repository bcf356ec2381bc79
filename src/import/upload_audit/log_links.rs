//! [`LogLinks`] decides which chroots need a link to the log socket, and when each link must be
//! created. This module does no I/O.
//!
//! Invariant: an account is due for a link until the account is marked as done. Every ten minutes,
//! all accounts are due again.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use crate::account::AccountId;

/// The interval at which the links in all chroots are checked. The check is necessary because a
/// link may have been removed.
const CHECK_EVERY: Duration = Duration::from_secs(10 * 60);

/// The accounts whose chroots need a link, and the accounts that have a link.
#[derive(Debug)]
pub(super) struct LogLinks {
    wanted: Vec<AccountId>,
    /// The accounts that have a link, or whose error was logged.
    done: HashSet<AccountId>,
    check_at: Instant,
}

impl LogLinks {
    pub(super) fn new(now: Instant) -> Self {
        Self { wanted: Vec::new(), done: HashSet::new(), check_at: now + CHECK_EVERY }
    }

    /// Replaces the set of accounts. Returns whether any of the accounts has no link yet.
    pub(super) fn set_accounts(&mut self, accounts: Vec<AccountId>) -> bool {
        self.wanted = accounts;
        let known: HashSet<_> = self.wanted.iter().collect();
        self.done.retain(|account| known.contains(account));
        self.wanted.len() > self.done.len()
    }

    /// Returns the accounts in whose chroots a link must be created now.
    pub(super) fn due(&mut self, now: Instant) -> Vec<AccountId> {
        let repeated = self.check_at <= now;
        if repeated {
            self.check_at = now + CHECK_EVERY;
        }
        let is_due = |account: &&AccountId| repeated || !self.done.contains(*account);
        self.wanted.iter().filter(is_due).cloned().collect()
    }

    /// Marks an account as done, because its chroot has a link or can't have a link. Returns true
    /// if the account was not marked before.
    pub(super) fn mark_done(&mut self, account: &AccountId) -> bool {
        self.done.insert(account.clone())
    }

    /// Makes an account due again for the creation of its link.
    pub(super) fn mark_due(&mut self, account: &AccountId) {
        self.done.remove(account);
    }

    /// Returns the time until all links are checked again.
    pub(super) fn next_check_in(&self, now: Instant) -> Duration {
        self.check_at.saturating_duration_since(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_sockets_are_linked_once_and_checked_regularly() {
        let now = Instant::now();
        let id = |text: &str| -> AccountId { text.parse().unwrap() };
        let mut links = LogLinks::new(now);
        assert!(links.set_accounts(vec![id("a"), id("b")]));
        assert_eq!(links.due(now), [id("a"), id("b")]);
        assert!(links.mark_done(&id("a")) && links.mark_done(&id("b")));
        links.mark_due(&id("b"));
        assert_eq!(links.due(now), [id("b")]);
        assert!(links.mark_done(&id("b")) && !links.mark_done(&id("b")));
        assert!(!links.set_accounts(vec![id("a"), id("b")]));

        let later = now + CHECK_EVERY;
        assert_eq!(links.next_check_in(later), Duration::ZERO);
        assert_eq!(links.due(later), [id("a"), id("b")]);
        assert_eq!(links.next_check_in(later), CHECK_EVERY);
        assert_eq!(links.due(later), []);
    }

    #[test]
    fn the_log_socket_of_readded_accounts_is_linked() {
        let now = Instant::now();
        let a: AccountId = "a".parse().unwrap();
        let mut links = LogLinks::new(now);
        links.set_accounts(vec![a.clone()]);
        links.mark_done(&a);
        assert!(!links.set_accounts(vec![]));
        assert!(links.set_accounts(vec![a.clone()]));
        assert_eq!(links.due(now), [a]);
    }
}
