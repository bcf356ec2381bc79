//! Checks the parts of each account that sshd and the daemon need: Unix user, group, keys, chroot,
//! folders, log socket. Also checks that the account's mail is limited to allowed recipients.

pub(super) mod facts;
#[cfg(test)]
pub(super) mod tests;

use std::path::Path;

use jiff::Timestamp;

use self::facts::{AccountFacts, FactSources};
use super::daemon::database::DatabaseFacts;
use super::finding::{Finding, check_names};
use crate::account::AccountId;
use crate::account_state::AccountState;
use crate::config::Config;
use crate::provision::host::{FolderState, Ownership};
use crate::provision::plan::{required_folders, required_root};
use crate::recipient::RecipientRule;
use crate::spool::LogLink;

/// The accounts to check, with facts about each account.
pub(super) struct AccountChecks {
    all: Vec<AccountFacts>,
    asked: Option<AccountId>,
    readable: bool,
}

impl AccountChecks {
    /// Gathers facts about the account `asked`, or about all accounts if `asked` is `None`.
    pub fn gather(
        config: &Config,
        databases: &DatabaseFacts,
        now: Timestamp,
        asked: Option<&AccountId>,
    ) -> Self {
        let all = FactSources::new(config, databases, now).accounts(asked);
        let readable = all.is_some();
        Self { all: all.unwrap_or_default(), asked: asked.cloned(), readable }
    }

    /// Returns the number of accounts with a Unix user. Each of these accounts needs an inotify
    /// watch.
    pub fn count_with_user(&self) -> usize {
        self.all.iter().filter(|account| account.row.uid.is_some()).count()
    }

    /// Returns the accounts that sshd should accept. Accounts with a usable key are first.
    pub fn with_login(&self) -> impl Iterator<Item = &AccountFacts> {
        let has_user = |a: &&AccountFacts| a.row.uid.is_some() && matches!(a.uid, Ok(Some(_)));
        let mut chosen: Vec<_> = self.all.iter().filter(has_user).collect();
        chosen.sort_by_key(|account| account.fingerprints.is_empty());
        chosen.into_iter()
    }

    pub fn judge(&self) -> Vec<Finding> {
        match (&self.asked, self.all.len()) {
            (Some(id), 0) if self.readable => {
                let fix = format!("sftp-import account add {id} --email ADDR");
                return vec![
                    Finding::fail("account-user", "no account has this id").fix(fix).of(id),
                ];
            }
            (None, 0) if self.readable => {
                let fix = "`sftp-import account add ID --email ADDR`, then `sftp-import key add`";
                return vec![Finding::warn("account-user", "no account exists yet").fix(fix)];
            }
            _ => {}
        }
        let found: Vec<_> = self.all.iter().map(|account| (account.id(), judge(account))).collect();
        let mut findings = passed_checks(&found);
        for (id, faults) in found {
            findings.extend(faults.into_iter().map(|fault| fault.of(id)));
        }
        findings
    }
}

/// Returns one finding for each check that every account passes.
fn passed_checks(found: &[(&AccountId, Vec<Finding>)]) -> Vec<Finding> {
    if found.is_empty() {
        return Vec::new();
    }
    let count = match found.len() {
        1 => format!("account {} passes this check", found[0].0),
        n => format!("all {n} accounts pass this check"),
    };
    let has_failed = |check: &str| {
        found.iter().any(|(_, faults)| faults.iter().any(|fault| fault.check == check))
    };
    let passed = check_names().filter(|check| check.starts_with("account-") && !has_failed(check));
    passed.map(|check| Finding::ok(check, count.clone())).collect()
}

/// Returns one finding for each fault of the account.
fn judge(account: &AccountFacts) -> Vec<Finding> {
    let Some(uid) = account.row.uid else {
        let message = "the account has no key yet, and therefore no Unix user";
        let fix = format!("sftp-import key add {} FILE --name N", account.id());
        return vec![Finding::warn("account-keys", message).fix(fix)];
    };
    let mut found: Vec<Finding> = judge_user(account, uid).into_iter().collect();
    if found.is_empty() {
        found.extend(judge_group(account));
    }
    found.extend(judge_keys(account));
    found.extend(judge_chroot(account));
    found.extend(judge_folders(account, uid));
    found.extend(judge_audit(account));
    found.extend(judge_recipients(account));
    found
}

fn judge_user(account: &AccountFacts, uid: u32) -> Option<Finding> {
    let name = account.name();
    let message = match &account.uid {
        Ok(Some(found)) if *found == uid => return None,
        Ok(Some(found)) => {
            format!("the Unix user has the id {found}, but its account has the id {uid}")
        }
        Ok(None) => {
            "no Unix user has the account's name, neither in /etc/passwd nor elsewhere (NSS)".into()
        }
        Err(error) => format!("the Unix user can't be read: {error}"),
    };
    let fix = match &account.uid {
        Ok(Some(_)) => format!(
            "rename that user, which does not belong to the account, then run \
             `sftp-import provision`; \
             `getent passwd {name}` shows the user"
        ),
        _ => "`sftp-import provision`; if the fault remains, check the line `passwd:` in \
              /etc/nsswitch.conf"
            .to_owned(),
    };
    Some(Finding::fail("account-user", message).log(format!("Invalid user {name}")).fix(fix))
}

fn judge_group(account: &AccountFacts) -> Option<Finding> {
    let group = &account.accounts_group;
    (!account.groups.contains(group)).then(|| {
        let message =
            format!("the Unix user is not in the group {group}: the drop-in does not match it");
        let log = format!("Connection closed by authenticating user {}", account.name());
        Finding::fail("account-group", message).log(log).fix("sftp-import provision")
    })
}

fn judge_keys(account: &AccountFacts) -> Option<Finding> {
    let id = account.id();
    let (message, fix) = match (account.row.state, account.keys, account.fingerprints.len()) {
        (AccountState::Suspended, ..) => (
            "the account is suspended: none of its keys works".to_owned(),
            format!("sftp-import account resume {id}"),
        ),
        (AccountState::Removing, ..) => {
            ("the account's removal is not complete".to_owned(), "sftp-import provision".to_owned())
        }
        (_, 0, _) => {
            let fix = format!("sftp-import key add {id} FILE --name N");
            ("the account has no key".into(), format!("{fix}; {}", offered_keys(id)))
        }
        (_, n, 0) => (
            format!("the account's keys ({n}) have all expired"),
            format!(
                "`sftp-import key list {id}` lists the keys; add a key with `sftp-import key add`; \
                 {}",
                offered_keys(id)
            ),
        ),
        _ => return None,
    };
    let log = format!("Connection closed by authenticating user {id}");
    Some(Finding::warn("account-keys", message).log(log).fix(fix))
}

/// Returns the sentence about the command that explains the keys that sshd refused.
fn offered_keys(account: &AccountId) -> String {
    format!("`sftp-import key refused {account}` explains the keys that the partner offers")
}

/// Checks the path of the chroot from `/` down, as sshd does (session.c, `safely_chroot`).
fn judge_chroot(account: &AccountFacts) -> Vec<Finding> {
    let check = "account-chroot";
    let parts = match &account.chroot {
        Ok(parts) => parts,
        Err(missing) => {
            let finding = Finding::fail(check, missing.clone()).log("safely_chroot: stat");
            return vec![finding.fix("sftp-import provision")];
        }
    };
    let last = parts.last().map(|part| part.path.as_path());
    let wrong = parts.iter().filter_map(|part| {
        let (message, fix) = part.fault()?;
        let log = match last == Some(&part.path) {
            true => {
                format!("bad ownership or modes for chroot directory \"{}\"", part.path.display())
            }
            false => format!(
                "bad ownership or modes for chroot directory component \"{}\"",
                with_slash(&part.path)
            ),
        };
        Some(Finding::fail(check, message).log(log).fix(fix))
    });
    wrong.collect()
}

/// Formats a path component as sshd logs it, with a slash at the end.
fn with_slash(path: &Path) -> String {
    let text = path.display().to_string();
    if text.ends_with('/') { text } else { text + "/" }
}

fn judge_folders(account: &AccountFacts, gid: u32) -> Vec<Finding> {
    let (Some(folders), Some(service)) = (account.folders, account.service) else {
        return Vec::new();
    };
    if !matches!(folders.chroot, FolderState::Folder(_)) {
        // The function `judge_chroot` reports this fault.
        return Vec::new();
    }
    let root = account.root.unwrap_or(FolderState::Missing);
    let want = required_folders(gid, service);
    let folders = [
        ("the folder of all accounts", root, required_root(service)),
        ("incoming", folders.incoming, want.incoming),
        ("results", folders.results, want.results),
        ("dev", folders.dev, want.dev),
    ];
    let faults = folders.into_iter().filter_map(|(name, found, want)| {
        let message = describe_fault(name, found, want)?;
        Some(Finding::fail("account-folders", message).fix("sftp-import provision"))
    });
    faults.collect()
}

/// Checks that the daemon receives the log lines of the account's sessions. Without these lines no
/// upload is audited. `judge_folders` reports a missing folder.
fn judge_audit(account: &AccountFacts) -> Option<Finding> {
    (account.linked == LogLink::Stale).then(|| {
        let message =
            "dev/log in the chroot is not the daemon's socket: the account's uploads are not audited";
        let fix = "wait some seconds, or run `systemctl restart sftp-importd`";
        Finding::warn("account-audit", message).log("uploads are not audited").fix(fix)
    })
}

/// Warns if the account may send mail to any address.
fn judge_recipients(account: &AccountFacts) -> Option<Finding> {
    (account.row.recipients == RecipientRule::Any).then(|| {
        let message = "the account's manifests can send mail to any address";
        let fix = format!("sftp-import account set {} --recipient-domain DOMAIN", account.id());
        Finding::warn("account-recipients", message).fix(fix)
    })
}

/// Describes the difference between a folder and `want`. `None` if they are equal.
fn describe_fault(name: &str, found: FolderState, want: Ownership) -> Option<String> {
    let text = |o: Ownership| format!("{}:{} {:04o}", o.uid, o.gid, o.mode);
    match found {
        FolderState::Missing => Some(format!("{name} is missing")),
        FolderState::Other => Some(format!("{name} is not a folder")),
        FolderState::Folder(is) if is == want => None,
        FolderState::Folder(is) => Some(format!("{name} is {}, not {}", text(is), text(want))),
    }
}
