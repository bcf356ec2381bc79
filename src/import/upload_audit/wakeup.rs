//! Wakes the thread that links the log socket into chroots and stores the tracker's changes.
//!
//! Invariant: new accounts wake the thread immediately, and log lines wake it after a short time.
//! Otherwise the thread sleeps. A wake-up that arrives while the thread works is not lost.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The pending wake-ups of the thread that links chroots and stores the audit.
#[derive(Debug, Default)]
pub(super) struct Wakeup {
    flags: Mutex<Flags>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Flags {
    /// True if a link to the log socket may be missing in some chroots.
    link: bool,
    /// True if the tracker has changes to store.
    store: bool,
    shut_down: bool,
}

impl Wakeup {
    /// Wakes the thread, so that it links the chroots of new accounts.
    pub(super) fn wake_to_link(&self) {
        self.set(|flags| flags.link = true);
    }

    /// Wakes the thread, so that it stores the tracker's changes.
    pub(super) fn wake_to_store(&self) {
        self.set(|flags| flags.store = true);
    }

    /// Ends the current wait and all later waits.
    pub(super) fn shut_down(&self) {
        self.set(|flags| flags.shut_down = true);
    }

    /// Waits for a wake-up, at most for the time `pause`. After a log line, the function waits for
    /// the time `gather`, so that several lines share one transaction. Returns false if the process
    /// is about to end.
    pub(super) fn wait(&self, gather: Duration, pause: Duration) -> bool {
        let flags = self.wait_while(self.flags(), pause, |flags| !flags.store);
        let mut flags = self.wait_while(flags, gather, |flags| flags.store);
        (flags.link, flags.store) = (false, false);
        !flags.shut_down
    }

    fn wait_while<'f>(
        &self,
        flags: MutexGuard<'f, Flags>,
        pause: Duration,
        waits: impl Fn(&Flags) -> bool,
    ) -> MutexGuard<'f, Flags> {
        let idle = |flags: &mut Flags| !flags.link && !flags.shut_down && waits(flags);
        let waited = self.changed.wait_timeout_while(flags, pause, idle);
        waited.unwrap_or_else(PoisonError::into_inner).0
    }

    fn set(&self, change: impl FnOnce(&mut Flags)) {
        change(&mut self.flags());
        self.changed.notify_all();
    }

    fn flags(&self) -> MutexGuard<'_, Flags> {
        // The flags can be used after a panic, because every change sets one flag and is never
        // incomplete.
        self.flags.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    const LONG: Duration = Duration::from_secs(600);
    const SHORT: Duration = Duration::from_millis(100);

    #[test]
    fn new_accounts_wake_immediately_and_log_lines_later() {
        let wakeup = Wakeup::default();
        wakeup.wake_to_link();
        wakeup.wake_to_store();
        assert!(wakeup.wait(LONG, LONG), "accounts don't wait for more lines");
        let began = Instant::now();
        assert!(wakeup.wait(LONG, SHORT), "the wait must not end with a wake-up");
        assert!(began.elapsed() >= SHORT);
        std::thread::scope(|scope| {
            scope.spawn(|| wakeup.wake_to_store());
            assert!(wakeup.wait(SHORT, LONG));
            assert!(began.elapsed() >= 2 * SHORT);
        });
        wakeup.shut_down();
        assert!(!wakeup.wait(LONG, LONG));
    }
}
