//! What wakes the thread that links the log socket and writes down what was heard.
//!
//! Always holds: accounts that came are told of at once, and what was heard soon; nothing wakes it
//! while nothing happens, and nothing that happens is missed, also while it is at work.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What there may be to do.
#[derive(Debug, Default)]
pub struct News {
    flags: Mutex<Flags>,
    came: Condvar,
}

#[derive(Debug, Default)]
struct Flags {
    /// Something to link.
    accounts: bool,
    /// Something to write down.
    heard: bool,
    stopping: bool,
}

impl News {
    /// There are accounts to be linked.
    pub fn of_accounts(&self) {
        self.tell(|flags| flags.accounts = true);
    }

    /// Something was heard.
    pub fn of_lines(&self) {
        self.tell(|flags| flags.heard = true);
    }

    /// The process ends: nothing is waited for any more.
    pub fn of_the_end(&self) {
        self.tell(|flags| flags.stopping = true);
    }

    /// Waits until there may be something to do, at most for `pause`. What was heard is waited for a
    /// little longer, so that it comes `together`. False: the process ends.
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
        // Every change is one flag.
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
        assert!(news.wait(LONG, LONG), "accounts wait for nothing");
        let began = Instant::now();
        assert!(news.wait(LONG, SHORT), "nothing came");
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
