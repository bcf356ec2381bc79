//! Limits the mails per hour, to one address and of one account.
//!
//! Pure: the time is an argument, and is of the monotonic clock. An account holder chooses the
//! recipient (`clientEmail`) and the number of mails: without a limit, a thousand pairs are two
//! thousand mails to a stranger. Mails over the limit are not lost: they wait, and are then sent as
//! one. The count is in memory. A restart resets it, and no account holder can cause one.
//!
//! Invariant: the memory used is one time per mail of the last hour.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use crate::config::Mail;

const HOUR: Duration = Duration::from_secs(3600);

/// The subject of a limit.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Whose {
    /// An address, in lower case.
    Address(String),
    Account(String),
}

/// The decision about a mail.
#[derive(Debug, PartialEq, Eq)]
pub enum Turn {
    /// The mail is sent. `together`: mails to this address have waited recently, so that it should
    /// include all it can.
    Now { together: bool },
    /// The mail waits for `pause`, and so do all others that count for the same limit.
    Wait {
        pause: Duration,
        whose: Whose,
        /// Whether this is the first mail to wait recently.
        is_news: bool,
    },
}

/// The mails of the last hour.
#[derive(Debug)]
pub struct Pace {
    to_address: usize,
    of_account: usize,
    gone: HashMap<Whose, Gone>,
    swept: Option<Instant>,
}

#[derive(Debug, Default)]
struct Gone {
    times: VecDeque<Instant>,
    /// When a mail last had to wait.
    held: Option<Instant>,
}

impl Pace {
    pub fn new(mail: &Mail) -> Self {
        let bound = |most: u32| if most == 0 { usize::MAX } else { most as usize };
        Self {
            to_address: bound(mail.max_hourly_to_address),
            of_account: bound(mail.max_hourly_of_account),
            gone: HashMap::new(),
            swept: None,
        }
    }

    /// Decides whether a mail of `account` to `address` is sent at `now`, and counts it if so.
    pub fn take(&mut self, account: &str, address: &str, now: Instant) -> Turn {
        self.sweep(now);
        let both = whose(account, address);
        let mut together = false;
        for (whose, most) in both.iter().zip([self.to_address, self.of_account]) {
            let Some(gone) = self.gone.get_mut(whose) else { continue };
            gone.forget(now);
            let is_held = gone.held.is_some();
            together |= is_held && matches!(whose, Whose::Address(_));
            if gone.times.len() >= most {
                gone.held = Some(now);
                let oldest = gone.times.front().copied().unwrap_or(now);
                let pause = HOUR.saturating_sub(now.saturating_duration_since(oldest));
                return Turn::Wait { pause, whose: whose.clone(), is_news: !is_held };
            }
        }
        for whose in both {
            self.gone.entry(whose).or_default().times.push_back(now);
        }
        Turn::Now { together }
    }

    /// Removes the mail that was counted at `at`, as it was not delivered.
    pub fn give_back(&mut self, account: &str, address: &str, at: Instant) {
        for whose in whose(account, address) {
            let Some(gone) = self.gone.get_mut(&whose) else { continue };
            if let Some(place) = gone.times.iter().position(|time| *time == at) {
                gone.times.remove(place);
            }
        }
    }

    /// Removes the subjects without mails of the last hour, once an hour.
    fn sweep(&mut self, now: Instant) {
        let since = now.saturating_duration_since(*self.swept.get_or_insert(now));
        if since < HOUR {
            return;
        }
        self.swept = Some(now);
        self.gone.retain(|_, gone| {
            gone.forget(now);
            !gone.times.is_empty() || gone.held.is_some()
        });
    }
}

impl Gone {
    fn forget(&mut self, now: Instant) {
        let is_past = |time: &Instant| now.saturating_duration_since(*time) >= HOUR;
        while self.times.front().is_some_and(is_past) {
            self.times.pop_front();
        }
        // Longer than the hour, so that mails that waited for its end are still sent as one.
        self.held = self.held.filter(|at| now.saturating_duration_since(*at) < 2 * HOUR);
    }
}

fn whose(account: &str, address: &str) -> [Whose; 2] {
    [Whose::Address(address.to_ascii_lowercase()), Whose::Account(account.to_owned())]
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Turn = Turn::Now { together: false };

    fn pace(to_address: u32, of_account: u32) -> Pace {
        Pace::new(&Mail {
            max_hourly_to_address: to_address,
            max_hourly_of_account: of_account,
            ..Mail::default()
        })
    }

    fn minutes(n: u64) -> Duration {
        Duration::from_secs(60 * n)
    }

    #[test]
    fn an_address_gets_so_many_an_hour_whoever_writes() {
        let (mut pace, start) = (pace(2, 0), Instant::now());
        assert_eq!(pace.take("a", "x@y.example", start), NOW);
        assert_eq!(pace.take("b", "X@Y.example", start + minutes(10)), NOW);
        let whose = Whose::Address("x@y.example".into());
        let wait =
            |minute, is_news| Turn::Wait { pause: minutes(minute), whose: whose.clone(), is_news };
        assert_eq!(pace.take("a", "x@y.example", start + minutes(20)), wait(40, true));
        assert_eq!(pace.take("c", "x@y.example", start + minutes(30)), wait(30, false));
        assert_eq!(pace.take("a", "other@y.example", start + minutes(30)), NOW);
        let together = Turn::Now { together: true };
        assert_eq!(pace.take("a", "x@y.example", start + minutes(60)), together);
        assert_eq!(pace.take("a", "x@y.example", start + minutes(61)), wait(9, false));
        assert_eq!(pace.take("a", "x@y.example", start + minutes(300)), NOW);
    }

    #[test]
    fn an_account_writes_so_many_an_hour_to_whomever() {
        let (mut pace, start) = (pace(0, 3), Instant::now());
        for n in 0..3 {
            assert_eq!(pace.take("a", &format!("{n}@y.example"), start), NOW);
        }
        let Turn::Wait { pause, whose, is_news: true } = pace.take("a", "9@y.example", start)
        else {
            panic!("the fourth waits");
        };
        assert_eq!((pause, whose), (HOUR, Whose::Account("a".into())));
        assert_eq!(pace.take("b", "0@y.example", start), NOW);
    }

    #[test]
    fn what_did_not_go_does_not_count() {
        let (mut pace, start) = (pace(1, 1), Instant::now());
        for n in 0..5 {
            let now = start + Duration::from_secs(n);
            assert_eq!(pace.take("a", "x@y.example", now), NOW);
            pace.give_back("a", "x@y.example", now);
        }
    }

    #[test]
    fn zero_is_no_bound_and_nothing_is_kept_for_longer_than_it_counts() {
        let (mut pace, start) = (pace(0, 0), Instant::now());
        for n in 0..1000 {
            assert_eq!(pace.take("a", &format!("{n}@y.example"), start), NOW);
        }
        assert_eq!(pace.take("b", "x@y.example", start + 2 * HOUR), NOW);
        assert_eq!(pace.gone.len(), 2);
    }
}
