//! [`RefusedLogins`] counts the keys that sshd refused, until the counts are stored. This module
//! does no I/O.
//!
//! A client can offer several wrong keys before the right key in one connection. Therefore a
//! refused login is held back for the time [`HOLD`]. The refused login is dropped if a login in the
//! same connection is accepted within this time.
//!
//! Invariant: the memory is limited, and a line of sshd's log is counted only once, even if the
//! line is read again.

use std::collections::{HashMap, VecDeque};

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::sshd_login::Login;
use crate::account::AccountId;

/// The time for which a refused login is held back. If a login in the same connection is accepted
/// within this time, the refused login is not counted.
pub const HOLD: SignedDuration = SignedDuration::from_secs(10);

/// The maximum number of refused logins that are counted per minute.
pub const PER_MINUTE: usize = 1_000;

/// The maximum number of refused logins that are counted per account and minute. Because of this
/// limit, an attack on one account does not hide the refused logins of other accounts.
pub const PER_ACCOUNT_AND_MINUTE: usize = 100;

/// The maximum number of refused logins that are held back. These logins belong to at most two
/// minutes, because [`HOLD`] is shorter than a minute.
const MAX_HELD: usize = 2 * PER_MINUTE;

/// The maximum number of refused keys that are counted but not stored yet.
const MAX_UNSTORED: usize = 10 * PER_MINUTE;

/// The refused logins with one key from one address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RefusedKey {
    #[serde(skip)]
    pub account: AccountId,
    /// The fingerprint of the key, which begins with `SHA256:`.
    pub fingerprint: String,
    /// The client's address.
    pub address: String,
    /// The type of the key in sshd's spelling, such as `ED25519`.
    pub algorithm: String,
    pub times: u32,
    pub first_at: Timestamp,
    pub last_at: Timestamp,
}

/// The refused keys that are to be stored in the state database.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RefusedUpdate {
    pub keys: Vec<RefusedKey>,
    /// The number of refused logins that were not counted because of the limits, in minutes that
    /// have ended.
    pub left_out: u32,
}

/// A refused login that is held back.
#[derive(Clone, Debug)]
struct HeldLogin {
    login: Login,
    /// The time at which the log line was read. The line may be older.
    read_at: Timestamp,
}

/// The account, the fingerprint of the key, and the client's address.
type Origin = (AccountId, String, String);

/// The refused logins of all accounts that are not stored yet.
#[derive(Clone, Debug)]
pub struct RefusedLogins {
    /// The time up to which refused logins were already counted. sshd's log is in the order of
    /// time.
    counted_until: Timestamp,
    /// The refused logins that are held back, in the order in which they were read.
    held: VecDeque<HeldLogin>,
    unstored: HashMap<Origin, RefusedKey>,
    minute: i64,
    /// The number of logins in the current minute within the limits, by account.
    taken: HashMap<AccountId, usize>,
    taken_in_all: usize,
    left_out: u32,
    /// The number of logins in earlier minutes that were not counted because of the limits.
    left_out_before: u32,
}

impl RefusedLogins {
    /// Creates an empty list. Refused logins up to the time `stored_until` are already stored.
    pub fn new(stored_until: Timestamp) -> Self {
        Self {
            counted_until: stored_until,
            held: VecDeque::new(),
            unstored: HashMap::new(),
            minute: i64::MIN,
            taken: HashMap::new(),
            taken_in_all: 0,
            left_out: 0,
            left_out_before: 0,
        }
    }

    /// Records the next login in sshd's log. `now` is the time at which the line is read.
    pub fn record(&mut self, login: Login, now: Timestamp) {
        self.release(|held| login.at.duration_since(held.login.at) >= HOLD);
        if login.is_accepted {
            let is_same = |held: &HeldLogin| {
                let held = &held.login;
                (held.port, &held.from) == (login.port, &login.from) && held.at <= login.at
            };
            self.held.retain(|held| !is_same(held));
        } else {
            self.hold(login, now);
        }
    }

    /// Returns whether any refused logins must be stored or reported, now or later.
    pub fn has_pending(&self) -> bool {
        let left_out = self.left_out.max(self.left_out_before);
        !self.held.is_empty() || !self.unstored.is_empty() || left_out > 0
    }

    /// Removes and returns the refused keys that must be stored at the time `now`.
    pub fn drain(&mut self, now: Timestamp) -> RefusedUpdate {
        // If the clock was set back, the difference of the times is negative. Because of `abs`, the
        // logins are then not held back for longer.
        self.release(|held| now.duration_since(held.read_at).abs() >= HOLD);
        if minute(now) != self.minute {
            self.end_count_of_left_out();
        }
        let mut keys: Vec<_> = std::mem::take(&mut self.unstored).into_values().collect();
        keys.sort_by_key(|key| key.last_at);
        RefusedUpdate { keys, left_out: std::mem::take(&mut self.left_out_before) }
    }

    /// Requeues an update that could not be stored.
    pub fn requeue(&mut self, update: RefusedUpdate) {
        self.left_out_before = self.left_out_before.saturating_add(update.left_out);
        update.keys.into_iter().for_each(|key| self.count(key));
    }

    fn hold(&mut self, login: Login, now: Timestamp) {
        // After the clock was set back, `counted_until` may be in the future. Then all refused
        // logins until that time would count as known.
        if self.counted_until > now {
            self.counted_until = now.saturating_sub(HOLD).unwrap_or(Timestamp::MIN);
        }
        let is_known = login.at <= self.counted_until;
        if is_known || self.held.iter().any(|held| held.login == login) {
            return;
        }
        self.start_minute(login.at);
        let of_account = self.taken.get(&login.account).copied().unwrap_or_default();
        if self.taken_in_all >= PER_MINUTE
            || of_account >= PER_ACCOUNT_AND_MINUTE
            || self.held.len() >= MAX_HELD
        {
            self.left_out = self.left_out.saturating_add(1);
            return;
        }
        self.taken_in_all += 1;
        self.taken.insert(login.account.clone(), of_account + 1);
        self.held.push_back(HeldLogin { login, read_at: now });
    }

    /// Counts the logins that are held back, the oldest first. Stops at the first login for which
    /// `is_due` returns false.
    fn release(&mut self, is_due: impl Fn(&HeldLogin) -> bool) {
        while let Some(HeldLogin { login, .. }) = self.held.pop_front_if(|held| is_due(held)) {
            self.counted_until = self.counted_until.max(login.at);
            let Login { at, account, from, algorithm, fingerprint, .. } = login;
            self.count(RefusedKey {
                account,
                fingerprint,
                address: from,
                algorithm,
                times: 1,
                first_at: at,
                last_at: at,
            });
        }
    }

    fn count(&mut self, new: RefusedKey) {
        let origin = (new.account.clone(), new.fingerprint.clone(), new.address.clone());
        if let Some(key) = self.unstored.get_mut(&origin) {
            key.times = key.times.saturating_add(new.times);
            key.first_at = key.first_at.min(new.first_at);
            key.last_at = key.last_at.max(new.last_at);
        } else if self.unstored.len() < MAX_UNSTORED {
            self.unstored.insert(origin, new);
        } else {
            self.left_out = self.left_out.saturating_add(new.times);
        }
    }

    /// Starts to count the logins of the minute that contains `at`, which is a time of sshd's log.
    fn start_minute(&mut self, at: Timestamp) {
        let minute = minute(at);
        if minute != self.minute {
            self.end_count_of_left_out();
            (self.minute, self.taken_in_all) = (minute, 0);
            self.taken.clear();
        }
    }

    fn end_count_of_left_out(&mut self) {
        let left_out = std::mem::take(&mut self.left_out);
        self.left_out_before = self.left_out_before.saturating_add(left_out);
    }
}

/// Returns the number of the minute that contains `at`.
fn minute(at: Timestamp) -> i64 {
    at.as_second().div_euclid(60)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn refused(second: i64, port: u16, fingerprint: &str) -> Login {
        Login {
            at: at(second),
            account: "acme".parse().unwrap(),
            is_accepted: false,
            from: "192.0.2.7".into(),
            port,
            algorithm: "ED25519".into(),
            fingerprint: fingerprint.into(),
        }
    }

    fn accepted(second: i64, port: u16) -> Login {
        Login { is_accepted: true, ..refused(second, port, "right") }
    }

    fn start() -> RefusedLogins {
        RefusedLogins::new(Timestamp::UNIX_EPOCH)
    }

    /// Returns the fingerprint, the count, and the first and the last second of each key.
    fn keys(update: &RefusedUpdate) -> Vec<(&str, u32, i64, i64)> {
        let mut rows = Vec::new();
        for key in &update.keys {
            let (first, last) = (key.first_at.as_second(), key.last_at.as_second());
            rows.push((key.fingerprint.as_str(), key.times, first, last));
        }
        rows
    }

    #[test]
    fn a_refused_login_is_held_back() {
        let mut logins = start();
        logins.record(refused(100, 1, "a"), at(100));
        assert_eq!(logins.drain(at(109)), RefusedUpdate::default());
        assert!(logins.has_pending());
        assert_eq!(keys(&logins.drain(at(110))), [("a", 1, 100, 100)]);
        assert!(!logins.has_pending());
    }

    #[test]
    fn keys_before_the_right_one_are_dropped() {
        let mut logins = start();
        for fingerprint in ["a", "b"] {
            logins.record(refused(100, 1, fingerprint), at(100));
        }
        logins.record(refused(100, 2, "c"), at(100));
        logins.record(accepted(109, 1), at(109));
        assert_eq!(keys(&logins.drain(at(120))), [("c", 1, 100, 100)]);
    }

    #[test]
    fn a_late_or_earlier_acceptance_drops_nothing() {
        let mut logins = start();
        logins.record(refused(100, 1, "a"), at(100));
        logins.record(accepted(110, 1), at(110));
        logins.record(refused(120, 3, "b"), at(120));
        logins.record(accepted(119, 3), at(120));
        let other = Login { from: "192.0.2.8".into(), ..accepted(121, 3) };
        logins.record(other, at(121));
        assert_eq!(keys(&logins.drain(at(130))), [("a", 1, 100, 100), ("b", 1, 120, 120)]);
    }

    #[test]
    fn refusals_are_counted_by_key_and_address() {
        let mut logins = start();
        for second in [100, 130, 160] {
            logins.record(refused(second, 1, "a"), at(second));
        }
        let elsewhere = Login { from: "::1".into(), ..refused(160, 1, "a") };
        logins.record(elsewhere, at(160));
        let update = logins.drain(at(170));
        assert_eq!(update.keys.len(), 2);
        assert!(keys(&update).contains(&("a", 3, 100, 160)));
        logins.record(refused(200, 1, "a"), at(200));
        logins.drain(at(205));
        logins.requeue(update);
        let again = logins.drain(at(210));
        assert!(keys(&again).contains(&("a", 4, 100, 200)), "{again:?}");
    }

    /// After each new connection to the journal, the last day is read again.
    #[test]
    fn a_repeated_log_is_not_counted_again() {
        let mut logins = start();
        let log = [
            refused(100, 1, "a"),
            refused(100, 1, "b"),
            accepted(101, 1),
            refused(102, 2, "c"),
            refused(120, 3, "d"),
        ];
        let now = 130;
        let mut found = Vec::new();
        for round in 0..4 {
            for login in &log {
                logins.record(login.clone(), at(now));
            }
            found.extend(logins.drain(at(now + 5 * round)).keys);
        }
        let found: Vec<_> = found.iter().map(|key| (key.fingerprint.as_str(), key.times)).collect();
        assert_eq!(found, [("c", 1), ("d", 1)]);
        let mut restarted = RefusedLogins::new(at(120));
        log.into_iter().for_each(|login| restarted.record(login, at(200)));
        assert_eq!(restarted.drain(at(300)), RefusedUpdate::default());
    }

    #[test]
    fn an_old_log_needs_no_wait() {
        let mut logins = start();
        logins.record(refused(100, 1, "a"), at(1000));
        logins.record(refused(110, 2, "b"), at(1000));
        assert_eq!(keys(&logins.drain(at(1000))), [("a", 1, 100, 100)]);
        assert_eq!(keys(&logins.drain(at(1010))), [("b", 1, 110, 110)]);
    }

    #[test]
    fn a_stored_time_in_the_future_hides_nothing() {
        let mut logins = RefusedLogins::new(at(1_000_000));
        logins.record(refused(100, 1, "a"), at(101));
        assert_eq!(logins.drain(at(111)).keys.len(), 1);
    }

    #[test]
    fn one_account_cannot_hide_the_others() {
        let mut logins = start();
        for n in 0..5_000 {
            logins.record(refused(60, 1, &n.to_string()), at(60));
        }
        let other = Login { account: "other".parse().unwrap(), ..refused(60, 1, "a") };
        logins.record(other, at(60));
        let update = logins.drain(at(119));
        assert_eq!((update.keys.len(), update.left_out), (PER_ACCOUNT_AND_MINUTE + 1, 0));
        assert_eq!(logins.drain(at(120)).left_out, 4_900);
    }

    #[test]
    fn refused_logins_per_minute_are_bounded() {
        let mut logins = start();
        for minute in 1..=30_i64 {
            for n in 0..2_000 {
                let account = format!("a{}", n % 50).parse().unwrap();
                let login = refused(60 * minute, 1, &format!("{minute} {n}"));
                logins.record(Login { account, ..login }, at(60 * minute));
            }
            assert!(logins.held.len() <= PER_MINUTE && logins.taken.len() <= 50);
        }
        assert_eq!(logins.unstored.len(), MAX_UNSTORED);
        let update = logins.drain(at(60 * 31));
        assert_eq!(update.keys.len(), MAX_UNSTORED);
        assert_eq!(update.left_out as usize, 30 * 2_000 - MAX_UNSTORED);
    }
}
