//! Wake-ups of the thread that links the log socket and stores the ledger.
//!
//! Invariant: new accounts wake it immediately, log lines after a short time. Without either it
//! sleeps. A wake-up that arrives while it works is not lost.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The pending wake-ups.
#[derive(Debug, Default)]
pub struct News {
    flags: Mutex<Flags>,
    came: Condvar,
}

#[derive(Debug, Default)]
struct Flags {
    /// There may be chroots to link.
    accounts: bool,
    /// There are changes to store.
    heard: bool,
    stopping: bool,
}

impl News {
    /// Wakes it to link new accounts.
    pub fn of_accounts(&self) {
        self.tell(|flags| flags.accounts = true);
    }

    /// Wakes it to store the ledger's changes.
    pub fn of_lines(&self) {
        self.tell(|flags| flags.heard = true);
    }

    /// Ends every wait from now on.
    pub fn of_the_end(&self) {
        self.tell(|flags| flags.stopping = true);
    }

    /// Waits for a wake-up, at most for `pause`. After a log line it waits for `together`, so that
    /// more lines share one transaction. Returns false if the process ends.
    pub fn wait(&self, together: Duration, pause: Duration) -> bool {
        let flags = self.wait_while(self.flags(), pause, |flags| !flags.heard);
        let mut flags = self.wait_while(flags, together, |flags| flags.heard);
        (flags.accounts, flags.heard) = (false, false);
        !flags.stopping
    }

    fn wait_while<'f>(
        &self,
        flags: MutexGuard<'f, Flags>,
        pause: Duration,
        waits: impl Fn(&Flags) -> bool,
    ) -> MutexGuard<'f, Flags> {
        let idle = |flags: &mut Flags| !flags.accounts && !flags.stopping && waits(flags);
        let waited = self.came.wait_timeout_while(flags, pause, idle);
        waited.unwrap_or_else(PoisonError::into_inner).0
    }

    fn tell(&self, change: impl FnOnce(&mut Flags)) {
        change(&mut self.flags());
        self.came.notify_all();
    }

    fn flags(&self) -> MutexGuard<'_, Flags> {
        // Every change sets one flag.
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
    fn waits_for_news_and_for_more_of_what_is_heard() {
        let news = News::default();
        news.of_accounts();
        news.of_lines();
        assert!(news.wait(LONG, LONG), "accounts don't wait for more lines");
        let began = Instant::now();
        assert!(news.wait(LONG, SHORT), "no wake-up");
        assert!(began.elapsed() >= SHORT);
        std::thread::scope(|scope| {
            scope.spawn(|| news.of_lines());
            assert!(news.wait(SHORT, LONG));
            assert!(began.elapsed() >= 2 * SHORT);
        });
        news.of_the_end();
        assert!(!news.wait(LONG, LONG));
    }
}
