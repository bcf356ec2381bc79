//! [`RefusalReason`] is the reason why sshd refuses a key of an account. This module does no I/O.
//!
//! sshd does not log the reason. Therefore the reason is derived from the present state of the
//! account and its keys whenever it is shown.
//!
//! Invariant: the refused key is compared only with keys of the same account. Therefore the reason
//! can't reveal whether the key belongs to another account.

use std::fmt;
use std::net::IpAddr;

use jiff::Timestamp;

use crate::account_state::AccountState;
use crate::registry::ApprovedKey;

/// The reason why sshd refuses a key. The reason does not contain the name of the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RefusalReason {
    /// The account has no such key.
    Unknown,
    Revoked {
        at: Timestamp,
    },
    Expired {
        at: Timestamp,
    },
    /// The key may be used only from the addresses and networks in `from`, and the client's address
    /// is not among them.
    Elsewhere {
        from: String,
    },
    /// The key is valid, but the account is suspended.
    Suspended,
    /// The account is being removed.
    Removing,
    /// The key is valid now. It was added at the time `at`, after the refusal.
    AddedSince {
        at: Timestamp,
    },
    /// The key is valid now. Either the key was not valid when sshd refused it, or sshd had another
    /// reason.
    Valid,
}

/// Returns the key with the given fingerprint. `keys` are all keys of one account, including
/// revoked keys. If an unrevoked and a revoked key match, returns the unrevoked key. If only
/// revoked keys match, returns the key that was revoked last.
pub fn offered_key<'k>(keys: &'k [ApprovedKey], fingerprint: &str) -> Option<&'k ApprovedKey> {
    let offered = keys.iter().filter(|key| key.fingerprint == fingerprint);
    offered.max_by_key(|key| (key.revoked_at.is_none(), key.revoked_at))
}

/// Returns the reason why sshd refuses `key` at the time `now`. `key` is the result of
/// [`offered_key`]. `address` is the client's address in sshd's spelling, and `refused_at` is the
/// time of the last refusal.
pub fn refusal_reason(
    key: Option<&ApprovedKey>,
    account: AccountState,
    address: &str,
    refused_at: Timestamp,
    now: Timestamp,
) -> RefusalReason {
    if account == AccountState::Removing {
        return RefusalReason::Removing;
    }
    let Some(key) = key else { return RefusalReason::Unknown };
    if let Some(at) = key.revoked_at {
        return RefusalReason::Revoked { at };
    }
    if let Some(at) = key.expires_at.filter(|at| *at <= now) {
        return RefusalReason::Expired { at };
    }
    if let Some(from) = key.from.as_ref().filter(|from| !is_within(from, address)) {
        return RefusalReason::Elsewhere { from: from.clone() };
    }
    match account {
        AccountState::Suspended => RefusalReason::Suspended,
        _ if key.approved_at > refused_at => RefusalReason::AddedSince { at: key.approved_at },
        _ => RefusalReason::Valid,
    }
}

/// Returns whether the list `from` contains `address`.
fn is_within(from: &str, address: &str) -> bool {
    client_address(address).is_some_and(|address| super::allows_address(from, address))
}

/// Parses the address of a client in sshd's log. A link-local address can end with `%` and the name
/// of a network interface.
pub fn client_address(text: &str) -> Option<IpAddr> {
    text.split('%').next()?.parse().ok()
}

impl RefusalReason {
    /// Returns the reason as one word, for programs.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Revoked { .. } => "revoked",
            Self::Expired { .. } => "expired",
            Self::Elsewhere { .. } => "elsewhere",
            Self::Suspended => "suspended",
            Self::Removing => "removing",
            Self::AddedSince { .. } => "added-since",
            Self::Valid => "valid",
        }
    }
}

impl fmt::Display for RefusalReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.write_str("the account has no key with this fingerprint"),
            Self::Revoked { at } => write!(f, "the key was revoked at {at:.0}"),
            Self::Expired { at } => write!(f, "the key expired at {at:.0}"),
            Self::Elsewhere { from } => write!(f, "the key may be used from {from} only"),
            Self::Suspended => f.write_str("the account is suspended"),
            Self::Removing => f.write_str("the account is being removed"),
            Self::AddedSince { at } => {
                write!(f, "the key was added later, at {at:.0}, and is valid")
            }
            Self::Valid => f.write_str("the key is valid now"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FINGERPRINT: &str = "SHA256:a";

    fn at(text: &str) -> Timestamp {
        format!("{text}T00:00:00Z").parse().unwrap()
    }

    fn key() -> ApprovedKey {
        ApprovedKey {
            account: "acme".parse().unwrap(),
            name: "nightly".into(),
            algorithm: "ssh-ed25519".into(),
            public_key: "AAAA".into(),
            fingerprint: FINGERPRINT.into(),
            from: None,
            expires_at: None,
            approved_at: at("2026-01-01"),
            revoked_at: None,
        }
    }

    /// Returns the reason and its text for a refusal on 2026-06-01 that is shown on 2026-07-01.
    fn reason(keys: &[ApprovedKey], account: AccountState, address: &str) -> (String, String) {
        let offered = offered_key(keys, FINGERPRINT);
        let shown = refusal_reason(offered, account, address, at("2026-06-01"), at("2026-07-01"));
        (shown.as_str().to_owned(), shown.to_string())
    }

    #[test]
    fn each_refusal_has_its_reason() {
        let revoked = ApprovedKey { revoked_at: Some(at("2026-05-01")), ..key() };
        let expired = ApprovedKey { expires_at: Some(at("2026-07-01")), ..key() };
        let expires = ApprovedKey { expires_at: Some(at("2026-07-02")), ..key() };
        let limited = ApprovedKey { from: Some("192.0.2.0/24,fe80::1".into()), ..key() };
        let added = ApprovedKey { approved_at: at("2026-06-02"), ..key() };
        let other = ApprovedKey { fingerprint: "SHA256:b".into(), ..key() };
        let (active, suspended, removing) =
            (AccountState::Active, AccountState::Suspended, AccountState::Removing);
        let no_key = "the account has no key with this fingerprint";
        let is_revoked = "the key was revoked at 2026-05-01T00:00:00Z";
        let is_expired = "the key expired at 2026-07-01T00:00:00Z";
        let is_limited = "the key may be used from 192.0.2.0/24,fe80::1 only";
        let is_added = "the key was added later, at 2026-06-02T00:00:00Z, and is valid";
        let is_valid = "the key is valid now";
        for (keys, account, address, word, text) in [
            (vec![], active, "192.0.2.7", "unknown", no_key),
            (vec![other.clone()], active, "192.0.2.7", "unknown", no_key),
            (vec![other], suspended, "192.0.2.7", "unknown", no_key),
            (vec![], removing, "192.0.2.7", "removing", "the account is being removed"),
            (vec![revoked.clone()], active, "192.0.2.7", "revoked", is_revoked),
            (vec![revoked.clone()], suspended, "192.0.2.7", "revoked", is_revoked),
            (vec![expired], active, "192.0.2.7", "expired", is_expired),
            (vec![expires], active, "192.0.2.7", "valid", is_valid),
            (vec![limited.clone()], active, "192.0.3.7", "elsewhere", is_limited),
            (vec![limited.clone()], suspended, "192.0.3.7", "elsewhere", is_limited),
            (vec![limited.clone()], active, "UNKNOWN", "elsewhere", is_limited),
            (vec![limited.clone()], active, "192.0.2.7", "valid", is_valid),
            (vec![limited.clone()], active, "fe80::1%eth0", "valid", is_valid),
            (vec![key()], suspended, "192.0.2.7", "suspended", "the account is suspended"),
            (vec![added.clone()], active, "192.0.2.7", "added-since", is_added),
            (vec![added], suspended, "192.0.2.7", "suspended", "the account is suspended"),
            (vec![key(), revoked.clone()], active, "192.0.2.7", "valid", is_valid),
            (vec![revoked, limited], active, "::1", "elsewhere", is_limited),
        ] {
            let expected = (word.to_owned(), text.to_owned());
            assert_eq!(reason(&keys, account, address), expected, "{keys:?} {account:?} {address}");
        }
    }

    #[test]
    fn the_last_of_several_revocations_counts() {
        let revoked = |day| ApprovedKey { revoked_at: Some(at(day)), ..key() };
        let keys = [revoked("2026-03-01"), revoked("2026-05-01"), revoked("2026-04-01")];
        let (_, text) = reason(&keys, AccountState::Active, "::1");
        assert_eq!(text, "the key was revoked at 2026-05-01T00:00:00Z");
    }
}
