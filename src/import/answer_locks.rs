//! [`AnswerLocks`] has one lock per account. A task holds the lock while it names answers in
//! results/.

use std::collections::HashSet;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crate::account::AccountId;

/// The locks of all accounts. A lock is either free or held by one thread.
#[derive(Debug, Default)]
pub struct AnswerLocks {
    held: Mutex<HashSet<AccountId>>,
    released: Condvar,
}

/// The lock of one account, which is held until this value is dropped.
#[derive(Debug)]
#[must_use]
pub struct AnswerLock<'a> {
    locks: &'a AnswerLocks,
    account: AccountId,
}

impl AnswerLocks {
    /// Waits until the lock of `account` is free, then locks it.
    pub fn lock(&self, account: &AccountId) -> AnswerLock<'_> {
        let held = self.held();
        let is_held = |held: &mut HashSet<AccountId>| held.contains(account);
        let mut held =
            self.released.wait_while(held, is_held).unwrap_or_else(PoisonError::into_inner);
        held.insert(account.clone());
        AnswerLock { locks: self, account: account.clone() }
    }

    fn held(&self) -> MutexGuard<'_, HashSet<AccountId>> {
        // A panic leaves no incomplete change, because every change inserts or removes one entry.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for AnswerLock<'_> {
    fn drop(&mut self) {
        self.locks.held().remove(&self.account);
        self.locks.released.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

    use super::*;

    #[test]
    fn one_thread_holds_the_lock_of_an_account() {
        let locks = AnswerLocks::default();
        let [a, b]: [AccountId; 2] = ["ACME-1", "ACME-2"].map(|id| id.parse().unwrap());
        // The lock of `b` does not delay users of `a`.
        let _other = locks.lock(&b);
        let (inside, rounds) = (AtomicUsize::new(0), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..200 {
                        let _lock = locks.lock(&a);
                        assert_eq!(inside.fetch_add(1, SeqCst), 0);
                        std::thread::yield_now();
                        inside.fetch_sub(1, SeqCst);
                        rounds.fetch_add(1, SeqCst);
                    }
                });
            }
        });
        assert_eq!(rounds.into_inner(), 800);
    }
}
