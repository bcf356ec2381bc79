//! [`RateLimit`]: limits the mails per hour to one address and from one account.
//!
//! Pure: the time is an argument, from the monotonic clock. An account holder chooses the recipient
//! (`clientEmail`) and the number of mails: without a limit, a thousand pairs would send two
//! thousand mails to a stranger. Mails over the limit are not lost: they wait and are later sent as
//! one mail. The counts are only in memory, so that a restart resets them. No account holder can
//! cause a restart.
//!
//! Invariant: the memory in use is bounded by the number of mails in the last two hours.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use crate::config::Mail;

const HOUR: Duration = Duration::from_secs(3600);

/// The address or the account that a limit of mails per hour applies to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum LimitKey {
    /// A mail address in lower case.
    Address(String),
    Account(String),
}

/// The decision whether a mail is sent now or waits.
#[derive(Debug, PartialEq, Eq)]
pub enum Permit {
    /// The mail is sent. `batch` is true if mails to the same address had to wait in the last two
    /// hours. The mail should then include the mails that wait.
    Send { batch: bool },
    /// The mail waits for `pause`. All other mails under the same limit wait too.
    Wait {
        pause: Duration,
        limit: LimitKey,
        /// Whether no other mail had to wait for the same limit in the last two hours.
        is_first: bool,
    },
}

/// The hourly limits for mails, and the times of recent mails.
#[derive(Debug)]
pub struct RateLimit {
    to_address: usize,
    of_account: usize,
    sent: HashMap<LimitKey, SentMails>,
    cleaned_at: Option<Instant>,
}

#[derive(Debug, Default)]
struct SentMails {
    times: VecDeque<Instant>,
    /// The last time at which a mail had to wait for the limit.
    held: Option<Instant>,
}

impl RateLimit {
    pub fn new(mail: &Mail) -> Self {
        let bound = |most: u32| if most == 0 { usize::MAX } else { most as usize };
        Self {
            to_address: bound(mail.max_hourly_to_address),
            of_account: bound(mail.max_hourly_of_account),
            sent: HashMap::new(),
            cleaned_at: None,
        }
    }

    /// Decides whether a mail that belongs to `account` is sent to `address` at the time `now`.
    /// Counts the mail if it is sent.
    pub fn request(&mut self, account: &str, address: &str, now: Instant) -> Permit {
        self.remove_idle(now);
        let keys = keys(account, address);
        let mut batch = false;
        for (key, most) in keys.iter().zip([self.to_address, self.of_account]) {
            let Some(sent) = self.sent.get_mut(key) else { continue };
            sent.remove_expired(now);
            let is_held = sent.held.is_some();
            batch |= is_held && matches!(key, LimitKey::Address(_));
            if sent.times.len() >= most {
                sent.held = Some(now);
                let oldest = sent.times.front().copied().unwrap_or(now);
                let pause = HOUR.saturating_sub(now.saturating_duration_since(oldest));
                return Permit::Wait { pause, limit: key.clone(), is_first: !is_held };
            }
        }
        for key in keys {
            self.sent.entry(key).or_default().times.push_back(now);
        }
        Permit::Send { batch }
    }

    /// Removes a mail from the counts, because the mail was not delivered. The mail was counted at
    /// the time `at`.
    pub fn uncount(&mut self, account: &str, address: &str, at: Instant) {
        for key in keys(account, address) {
            let Some(sent) = self.sent.get_mut(&key) else { continue };
            if let Some(index) = sent.times.iter().position(|time| *time == at) {
                sent.times.remove(index);
            }
        }
    }

    /// Removes the limit keys without recent mails. This happens at most once an hour.
    fn remove_idle(&mut self, now: Instant) {
        let since = now.saturating_duration_since(*self.cleaned_at.get_or_insert(now));
        if since < HOUR {
            return;
        }
        self.cleaned_at = Some(now);
        self.sent.retain(|_, sent| {
            sent.remove_expired(now);
            !sent.times.is_empty() || sent.held.is_some()
        });
    }
}

impl SentMails {
    fn remove_expired(&mut self, now: Instant) {
        let is_past = |time: &Instant| now.saturating_duration_since(*time) >= HOUR;
        while self.times.front().is_some_and(is_past) {
            self.times.pop_front();
        }
        // `held` is kept for more than an hour, so that mails that have waited for an hour are
        // still sent as one mail.
        self.held = self.held.filter(|at| now.saturating_duration_since(*at) < 2 * HOUR);
    }
}

fn keys(account: &str, address: &str) -> [LimitKey; 2] {
    [LimitKey::Address(address.to_ascii_lowercase()), LimitKey::Account(account.to_owned())]
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEND: Permit = Permit::Send { batch: false };

    fn limit(to_address: u32, of_account: u32) -> RateLimit {
        RateLimit::new(&Mail {
            max_hourly_to_address: to_address,
            max_hourly_of_account: of_account,
            ..Mail::default()
        })
    }

    fn minutes(n: u64) -> Duration {
        Duration::from_secs(60 * n)
    }

    #[test]
    fn the_limit_of_an_address_covers_all_accounts() {
        let (mut limit, start) = (limit(2, 0), Instant::now());
        assert_eq!(limit.request("a", "x@y.example", start), SEND);
        assert_eq!(limit.request("b", "X@Y.example", start + minutes(10)), SEND);
        let key = LimitKey::Address("x@y.example".into());
        let wait = |minute, is_first| Permit::Wait {
            pause: minutes(minute),
            limit: key.clone(),
            is_first,
        };
        assert_eq!(limit.request("a", "x@y.example", start + minutes(20)), wait(40, true));
        assert_eq!(limit.request("c", "x@y.example", start + minutes(30)), wait(30, false));
        assert_eq!(limit.request("a", "other@y.example", start + minutes(30)), SEND);
        let batch = Permit::Send { batch: true };
        assert_eq!(limit.request("a", "x@y.example", start + minutes(60)), batch);
        assert_eq!(limit.request("a", "x@y.example", start + minutes(61)), wait(9, false));
        assert_eq!(limit.request("a", "x@y.example", start + minutes(300)), SEND);
    }

    #[test]
    fn the_limit_of_an_account_covers_all_addresses() {
        let (mut limit, start) = (limit(0, 3), Instant::now());
        for n in 0..3 {
            assert_eq!(limit.request("a", &format!("{n}@y.example"), start), SEND);
        }
        let Permit::Wait { pause, limit: key, is_first: true } =
            limit.request("a", "9@y.example", start)
        else {
            panic!("the fourth mail did not wait");
        };
        assert_eq!((pause, key), (HOUR, LimitKey::Account("a".into())));
        assert_eq!(limit.request("b", "0@y.example", start), SEND);
    }

    #[test]
    fn undelivered_mails_do_not_count() {
        let (mut limit, start) = (limit(1, 1), Instant::now());
        for n in 0..5 {
            let now = start + Duration::from_secs(n);
            assert_eq!(limit.request("a", "x@y.example", now), SEND);
            limit.uncount("a", "x@y.example", now);
        }
    }

    #[test]
    fn zero_means_unlimited_and_idle_keys_are_removed() {
        let (mut limit, start) = (limit(0, 0), Instant::now());
        for n in 0..1000 {
            assert_eq!(limit.request("a", &format!("{n}@y.example"), start), SEND);
        }
        assert_eq!(limit.request("b", "x@y.example", start + 2 * HOUR), SEND);
        assert_eq!(limit.sent.len(), 2);
    }
}
