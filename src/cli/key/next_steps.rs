//! [`NextStep`] is an action that root can take about a refused key. This module does no I/O.
//!
//! Invariant: a command works when it is pasted into a shell, and makes only the change that its
//! text describes. Every part of a command that a client or another user of the host could have
//! chosen is quoted for the shell.

use std::net::IpAddr;

use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use serde::Serialize;

use crate::audit::RefusedKey;
use crate::key::{RefusalReason, client_address};
use crate::registry::ApprovedKey;

/// The other commands for a key contain its options at the time of the list.
const REPLACES: &str = "this revokes the key and adds it again; then list the refused keys again \
    before another command for this key";

/// One action, and the command that performs the action.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct NextStep {
    pub text: String,
    pub command: Option<String>,
}

impl NextStep {
    fn new(text: impl Into<String>, command: impl Into<Option<String>>) -> Self {
        Self { text: text.into(), command: command.into() }
    }
}

/// Returns the next steps for the refused key `refused`. `key` is the account's key with the same
/// fingerprint, or `None` if the account has no such key. `keys` are all keys of the account.
pub fn next_steps(
    refused: &RefusedKey,
    reason: &RefusalReason,
    key: Option<&ApprovedKey>,
    keys: &[ApprovedKey],
    now: Timestamp,
) -> Vec<NextStep> {
    match (reason, key) {
        (RefusalReason::Unknown, _) => steps_for_unknown(refused),
        (RefusalReason::Revoked { .. }, Some(key)) => steps_for_revoked(key, keys, now),
        (RefusalReason::Expired { .. }, Some(key)) => vec![step_for_expired(key, now)],
        (RefusalReason::Elsewhere { from }, Some(key)) => {
            let address = client_address(&refused.address);
            address.map(|address| step_for_elsewhere(key, from, address, now)).into_iter().collect()
        }
        (RefusalReason::Suspended, _) => {
            let command = format!("sftp-import account resume {}", refused.account);
            vec![NextStep::new("to let the account log in", command)]
        }
        (RefusalReason::Valid, _) => vec![step_for_valid(refused)],
        _ => vec![],
    }
}

fn steps_for_unknown(refused: &RefusedKey) -> Vec<NextStep> {
    let fingerprint = shell_word(&refused.fingerprint);
    let find = format!(
        "for file in ~/.ssh/*.pub; do ssh-keygen -lf \"$file\" | grep -qF {fingerprint} && \
         cat \"$file\"; done"
    );
    let hash = refused.fingerprint.trim_start_matches("SHA256:");
    let name = format!("key-{}", hash.chars().take(8).collect::<String>());
    let add = format!("sftp-import key add {} - --name={}", refused.account, shell_word(&name));
    vec![
        NextStep::new("if the key is the partner's, the partner prints its line with this", find),
        NextStep::new("to add the line, paste it after this command and press Ctrl-D", add),
    ]
}

fn steps_for_revoked(key: &ApprovedKey, keys: &[ApprovedKey], now: Timestamp) -> Vec<NextStep> {
    let successor = keys.iter().find(|other| {
        let is_valid = other.revoked_at.is_none() && other.expires_at.is_none_or(|at| at > now);
        is_valid && other.name == key.name
    });
    if let Some(ApprovedKey { name, fingerprint, .. }) = successor {
        let text = format!("the key {name:?} is {fingerprint} now: the partner must use that key");
        return vec![NextStep::new(text, None)];
    }
    let new = format!("ssh-keygen -t ed25519 -f ~/.ssh/{}", key.account);
    let options = [from_option(key.from.as_deref()), expiry_option(key, now)].concat();
    vec![
        NextStep::new("for another key, the partner runs this and sends the .pub file", new),
        NextStep::new(
            "only if the key was revoked by mistake, to add it again",
            add_again_command(key, &options),
        ),
    ]
}

fn step_for_expired(key: &ApprovedKey, now: Timestamp) -> NextStep {
    let next_year = TimeZone::UTC.to_datetime(now).date().saturating_add(1.year());
    let options = format!("{} --expires={next_year}", from_option(key.from.as_deref()));
    let text = format!("to let the key log in for another year ({REPLACES})");
    NextStep::new(text, replace_command(key, &options))
}

fn step_for_elsewhere(key: &ApprovedKey, from: &str, address: IpAddr, now: Timestamp) -> NextStep {
    let address = address.to_canonical();
    let from = from_option(Some(&format!("{from},{address}")));
    let options = format!("{from}{}", expiry_option(key, now));
    let text = format!(
        "only if {address} is the partner's, to let the key log in from it too ({REPLACES})"
    );
    NextStep::new(text, replace_command(key, &options))
}

fn step_for_valid(refused: &RefusedKey) -> NextStep {
    let address = client_address(&refused.address);
    let from = address.map_or(String::new(), |address| format!(" --from={address}"));
    let command = format!("sftp-import doctor --account={}{from}", refused.account);
    NextStep::new("if sshd still refuses the key, to find the cause", command)
}

/// Returns a command that revokes a key and adds the same key again with the given options.
fn replace_command(key: &ApprovedKey, options: &str) -> String {
    let ApprovedKey { account, fingerprint, .. } = key;
    let again = add_again_command(key, options);
    format!("sftp-import key revoke {account} {} && {again}", shell_word(fingerprint))
}

fn add_again_command(key: &ApprovedKey, options: &str) -> String {
    let ApprovedKey { account, name, algorithm, public_key, .. } = key;
    let line = shell_word(&format!("{algorithm} {public_key}"));
    let name = shell_word(name);
    format!("echo {line} | sftp-import key add {account} - --name={name} --again{options}")
}

fn from_option(from: Option<&str>) -> String {
    from.map_or(String::new(), |from| format!(" --from={}", shell_word(from)))
}

/// Returns the option that keeps the expiry of the key. Returns no option if the key has expired.
fn expiry_option(key: &ApprovedKey, now: Timestamp) -> String {
    let expiry = key.expires_at.filter(|at| *at > now);
    expiry.map_or(String::new(), |at| format!(" --expires={at:.0}"))
}

/// Returns `text` as one word of a shell command.
fn shell_word(text: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"+,-./:=@_".contains(&byte);
    if !text.is_empty() && text.bytes().all(is_plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account_state::AccountState;
    use crate::key::{offered_key, refusal_reason};

    fn at(text: &str) -> Timestamp {
        format!("{text}T00:00:00Z").parse().unwrap()
    }

    fn key() -> ApprovedKey {
        ApprovedKey {
            account: "ACME-1".parse().unwrap(),
            name: "nightly".into(),
            algorithm: "ssh-ed25519".into(),
            public_key: "AAAA+/==".into(),
            fingerprint: "SHA256:a+/".into(),
            from: None,
            expires_at: None,
            approved_at: at("2026-01-01"),
            revoked_at: None,
        }
    }

    fn refused(fingerprint: &str, address: &str) -> RefusedKey {
        RefusedKey {
            account: "ACME-1".parse().unwrap(),
            fingerprint: fingerprint.into(),
            address: address.into(),
            algorithm: "ED25519".into(),
            times: 1,
            first_at: at("2026-06-01"),
            last_at: at("2026-06-01"),
        }
    }

    /// Returns the commands for a refusal on 2026-06-01 from `address` that is shown on 2026-07-01.
    fn commands(keys: &[ApprovedKey], account: AccountState, address: &str) -> Vec<String> {
        let refused = refused("SHA256:a+/", address);
        let (key, now) = (offered_key(keys, &refused.fingerprint), at("2026-07-01"));
        let reason = refusal_reason(key, account, address, refused.last_at, now);
        let steps = next_steps(&refused, &reason, key, keys, now);
        steps.into_iter().map(|step| step.command.unwrap_or(step.text)).collect()
    }

    const AGAIN: &str =
        "echo 'ssh-ed25519 AAAA+/==' | sftp-import key add ACME-1 - --name=nightly --again";
    const REVOKE: &str = "sftp-import key revoke ACME-1 SHA256:a+/ &&";

    #[test]
    fn a_refused_key_has_its_commands() {
        let active = |keys: &[ApprovedKey]| commands(keys, AccountState::Active, "192.0.2.7");
        let find = "for file in ~/.ssh/*.pub; do ssh-keygen -lf \"$file\" | \
                    grep -qF SHA256:a+/ && cat \"$file\"; done";
        assert_eq!(active(&[]), [find, "sftp-import key add ACME-1 - --name=key-a+/"]);
        let limited = ApprovedKey { from: Some("198.51.100.0/24".into()), ..key() };
        let expired = ApprovedKey { expires_at: Some(at("2026-06-30")), ..limited.clone() };
        let options = "--from=198.51.100.0/24 --expires=2027-07-01";
        assert_eq!(active(&[expired]), [format!("{REVOKE} {AGAIN} {options}")]);
        let ending = ApprovedKey { expires_at: Some(at("2026-12-31")), ..limited.clone() };
        let options = "--from=198.51.100.0/24,192.0.2.7 --expires=2026-12-31T00:00:00Z";
        assert_eq!(active(&[ending]), [format!("{REVOKE} {AGAIN} {options}")]);
        let doctor = "sftp-import doctor --account=ACME-1 --from=192.0.2.7";
        assert_eq!(active(&[key()]), [doctor]);
        let added = ApprovedKey { approved_at: at("2026-06-02"), ..key() };
        assert_eq!(active(&[added]), [""; 0]);
        let suspended = commands(&[key()], AccountState::Suspended, "::1");
        assert_eq!(suspended, ["sftp-import account resume ACME-1"]);
        assert_eq!(commands(&[key()], AccountState::Removing, "::1"), [""; 0]);
        assert_eq!(commands(&[limited], AccountState::Active, "UNKNOWN"), [""; 0]);
    }

    #[test]
    fn a_revoked_key_needs_a_successor() {
        let active = |keys: &[ApprovedKey]| commands(keys, AccountState::Active, "192.0.2.7");
        let revoked = ApprovedKey { revoked_at: Some(at("2026-05-01")), ..key() };
        let new = "ssh-keygen -t ed25519 -f ~/.ssh/ACME-1";
        assert_eq!(active(std::slice::from_ref(&revoked)), [new, AGAIN]);
        let from = Some("198.51.100.0/24".to_owned());
        let limited = ApprovedKey { from, expires_at: Some(at("2026-12-31")), ..revoked.clone() };
        let options = "--from=198.51.100.0/24 --expires=2026-12-31T00:00:00Z";
        assert_eq!(active(&[limited]), [new, &format!("{AGAIN} {options}")]);
        let expired = ApprovedKey { expires_at: Some(at("2026-06-30")), ..revoked.clone() };
        assert_eq!(active(&[expired]), [new, AGAIN]);
        let successor = ApprovedKey { fingerprint: "SHA256:new".into(), ..key() };
        let replaced = "the key \"nightly\" is SHA256:new now: the partner must use that key";
        assert_eq!(active(&[revoked, successor]), [replaced]);
    }

    #[test]
    fn hostile_text_stays_one_word() {
        let all = ["", "$(id)", "`id`; x", "a'b", "'", "a\nb", "\\", "*", "~", "#", "!!", "é"];
        for hostile in all {
            let command = format!("printf %s {}", shell_word(hostile));
            let output = std::process::Command::new("sh").args(["-c", &command]).output().unwrap();
            assert_eq!(String::from_utf8(output.stdout).unwrap(), hostile);
        }
        let steps = steps_for_unknown(&refused("';id;'", "$(id)"));
        let [find, add] = [0, 1].map(|n| steps[n].command.as_ref().unwrap());
        assert!(find.contains(r"-qF ''\'';id;'\''' &&"), "{find}");
        assert!(add.ends_with(r"--name='key-'\'';id;'\'''"), "{add}");
    }
}
