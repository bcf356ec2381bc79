//! Checks what sshd and the daemon need of each account: Unix user, group, keys, chroot, folders,
//! log socket. Also checks that its mail is limited to allowed recipients.

pub mod facts;

use std::path::Path;

use self::facts::{AccountFacts, Gathering};
use super::finding::Finding;
use crate::account::AccountId;
use crate::account_state::AccountState;
use crate::provision::host::{Found, Owned};
use crate::recipient::RecipientRule;
use crate::spool::LogLink;

/// The accounts to check.
pub(super) struct Accounts {
    all: Vec<AccountFacts>,
    asked: Option<AccountId>,
    readable: bool,
}

impl Accounts {
    /// Gathers facts about `asked`, or about all accounts.
    pub fn gather(gathering: &Gathering<'_>, asked: Option<&AccountId>) -> Self {
        let all = gathering.accounts(asked);
        let readable = all.is_some();
        Self { all: all.unwrap_or_default(), asked: asked.cloned(), readable }
    }

    /// Returns the number of accounts with a Unix user. Each of them needs a watch.
    pub fn with_user(&self) -> usize {
        self.all.iter().filter(|account| account.row.uid.is_some()).count()
    }

    /// Returns the accounts that sshd should accept, those with a usable key first.
    pub fn in_sshd(&self) -> impl Iterator<Item = &AccountFacts> {
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
                    Finding::fail("account-user", "there is no such account").fix(fix).of(id),
                ];
            }
            (None, 0) if self.readable => {
                let fix = "sftp-import account add ID --email ADDR, then `key add`";
                return vec![Finding::warn("account-user", "there is no account yet").fix(fix)];
            }
            _ => {}
        }
        let found: Vec<_> = self.all.iter().map(|account| (account.id(), judge(account))).collect();
        let mut findings = holding(&found);
        let wrong = found
            .into_iter()
            .flat_map(|(id, found)| found.into_iter().map(move |finding| finding.of(id)));
        findings.extend(wrong);
        findings
    }
}

/// Returns one finding for each check that every account passes.
fn holding(found: &[(&AccountId, Vec<Finding>)]) -> Vec<Finding> {
    if found.is_empty() {
        return Vec::new();
    }
    let count = match found.len() {
        1 => format!("holds for {}", found[0].0),
        n => format!("holds for all {n} accounts"),
    };
    let checks = [
        "account-user",
        "account-group",
        "account-keys",
        "account-chroot",
        "account-folders",
        "account-audit",
        "account-recipients",
    ];
    let clean = checks.into_iter().filter(|check| {
        found.iter().all(|(_, found)| found.iter().all(|finding| finding.check != *check))
    });
    clean.map(|check| Finding::ok(check, count.clone())).collect()
}

/// Returns the faults of one account.
fn judge(account: &AccountFacts) -> Vec<Finding> {
    let Some(uid) = account.row.uid else {
        let message = "it has no key yet, and so no Unix user";
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
        Ok(Some(found)) => format!("the Unix user has id {found}; its account has {uid}"),
        Ok(None) => "no Unix user of that name: neither in /etc/passwd nor elsewhere (NSS)".into(),
        Err(error) => format!("the Unix user can't be read: {error}"),
    };
    let fix = match &account.uid {
        Ok(Some(_)) => format!(
            "rename that user, which is not ours, then `sftp-import provision`; `getent passwd {name}` shows it"
        ),
        _ => "sftp-import provision; if the fault stays, check passwd: in /etc/nsswitch.conf"
            .to_owned(),
    };
    Some(Finding::fail("account-user", message).log(format!("Invalid user {name}")).fix(fix))
}

fn judge_group(account: &AccountFacts) -> Option<Finding> {
    let group = &account.accounts_group;
    (!account.groups.contains(group)).then(|| {
        let message = format!("it is not in the group {group}: the drop-in does not match it");
        let log = format!("Connection closed by authenticating user {}", account.name());
        Finding::fail("account-group", message).log(log).fix("sftp-import provision")
    })
}

fn judge_keys(account: &AccountFacts) -> Option<Finding> {
    let id = account.id();
    let (message, fix) = match (account.row.state, account.keys, account.fingerprints.len()) {
        (AccountState::Suspended, ..) => (
            "it is suspended: none of its keys works".to_owned(),
            format!("sftp-import account resume {id}"),
        ),
        (AccountState::Removing, ..) => {
            ("its removal is not complete".to_owned(), "sftp-import provision".to_owned())
        }
        (_, 0, _) => ("it has no key".into(), format!("sftp-import key add {id} FILE --name N")),
        (_, n, 0) => (
            format!("its keys ({n}) have all expired"),
            format!("sftp-import key list {id}; then `key add`"),
        ),
        _ => return None,
    };
    let log = format!("Connection closed by authenticating user {id}");
    Some(Finding::warn("account-keys", message).log(log).fix(fix))
}

/// Checks the chroot from `/` down, as sshd does (session.c, `safely_chroot`).
fn judge_chroot(account: &AccountFacts) -> Vec<Finding> {
    let check = "account-chroot";
    let links = match &account.chroot {
        Ok(links) => links,
        Err(missing) => {
            let finding = Finding::fail(check, missing.clone()).log("safely_chroot: stat");
            return vec![finding.fix("sftp-import provision")];
        }
    };
    let last = links.last().map(|link| link.path.as_path());
    let wrong = links.iter().filter_map(|link| {
        let (message, fix) = link.trouble()?;
        let log = match last == Some(&link.path) {
            true => {
                format!("bad ownership or modes for chroot directory \"{}\"", link.path.display())
            }
            false => format!(
                "bad ownership or modes for chroot directory component \"{}\"",
                slashed(&link.path)
            ),
        };
        Some(Finding::fail(check, message).log(log).fix(fix))
    });
    wrong.collect()
}

/// Formats a path component as sshd logs it, with a slash at the end.
fn slashed(path: &Path) -> String {
    let text = path.display().to_string();
    if text.ends_with('/') { text } else { text + "/" }
}

fn judge_folders(account: &AccountFacts, gid: u32) -> Vec<Finding> {
    let (Some(folders), Some((service, service_group))) = (account.folders, account.service) else {
        return Vec::new();
    };
    if !matches!(folders.chroot, Found::Folder(_)) {
        return Vec::new(); // judge_chroot reports it
    }
    let root = Owned { uid: 0, gid: service_group, mode: 0o750 };
    let incoming = Owned { uid: service, gid, mode: 0o770 };
    let results = Owned { uid: service, gid: service_group, mode: 0o755 };
    let wrong = [
        ("the folder of all accounts", account.root.unwrap_or(Found::Missing), root),
        ("incoming", folders.incoming, incoming),
        ("results", folders.results, results),
        ("dev", folders.dev, results),
    ];
    let wrong = wrong.into_iter().filter(|(_, found, want)| *found != Found::Folder(*want));
    wrong
        .map(|(name, found, want)| {
            Finding::fail("account-folders", folder_trouble(name, found, want))
                .fix("sftp-import provision")
        })
        .collect()
}

/// Checks that the daemon receives what the account's sessions log. Without that no upload is
/// audited. `judge_folders` reports a missing folder.
fn judge_audit(account: &AccountFacts) -> Option<Finding> {
    (account.linked == LogLink::Stale).then(|| {
        let message =
            "dev/log in its chroot is not the daemon's socket: its uploads are not audited";
        let fix = "wait some seconds, or `systemctl restart sftp-importd`";
        Finding::warn("account-audit", message).log("uploads are not audited").fix(fix)
    })
}

/// Warns if the account may send mail to any address.
fn judge_recipients(account: &AccountFacts) -> Option<Finding> {
    (account.row.recipients == RecipientRule::Any).then(|| {
        let message = "its manifests can send mail to any address";
        let fix = format!("sftp-import account set {} --recipient-domain DOMAIN", account.id());
        Finding::warn("account-recipients", message).fix(fix)
    })
}

fn folder_trouble(name: &str, found: Found, want: Owned) -> String {
    let say = |o: Owned| format!("{}:{} {:04o}", o.uid, o.gid, o.mode);
    match found {
        Found::Missing => format!("{name} is missing"),
        Found::Other => format!("{name} is not a folder"),
        Found::Folder(is) => format!("{name} is {}, not {}", say(is), say(want)),
    }
}

#[cfg(test)]
mod tests;
