//! Gathers facts about accounts from this host and the databases, without judging them.

use std::collections::HashMap;
use std::fs;

use jiff::Timestamp;
use nix::unistd::{Group, User, getgrouplist};

use crate::account::AccountId;
use crate::config::Config;
use crate::doctor::daemon::database::DatabaseFacts;
use crate::doctor::host::path_owners::{PathPart, path_parts};
use crate::provision::host::{AccountFolders, FolderState, Host};
use crate::registry::{self, Registry, keys};
use crate::spool::{Layout, LogLink, log_link};
use crate::state::State;
use crate::state::accounts::{self, AccountRow};

/// The number of accounts up to which NSS is queried for each account, as sshd does. For more
/// accounts /etc/passwd and /etc/group are read once, because each query would read them again.
const MAX_NSS_QUERIES: usize = 500;

/// Facts about one account.
#[derive(Clone, Debug)]
pub struct AccountFacts {
    /// The row of the account in the state database.
    pub row: AccountRow,
    /// The Unix user's id as NSS reports it, or the error's text.
    pub uid: Result<Option<u32>, String>,
    /// The names of the groups that sshd finds for the Unix user.
    pub groups: Vec<String>,
    /// The name of the group that the drop-in matches.
    pub accounts_group: String,
    /// The first character of the user's password field (shadow(5)), if the field can be read.
    pub password: Option<char>,
    /// The fingerprints of the account's keys that can be used now.
    pub fingerprints: Vec<String>,
    /// The number of the account's keys that are not revoked.
    pub keys: usize,
    /// The parts of the path of the chroot, with every folder above it. The error is about the
    /// first folder that can't be read.
    pub chroot: Result<Vec<PathPart>, String>,
    /// The state of the folder that contains the folders of all accounts.
    pub root: Option<FolderState>,
    pub folders: Option<AccountFolders>,
    /// The user id and the group id of the service user, which runs the daemon.
    pub service: Option<(u32, u32)>,
    /// Whether the daemon receives the log lines of the account's sessions.
    pub linked: LogLink,
}

impl AccountFacts {
    pub fn id(&self) -> &AccountId {
        &self.row.id
    }

    pub fn name(&self) -> String {
        self.row.id.to_string()
    }

    /// Returns the fingerprint of a key of the account that sshd must accept at present, if there
    /// is one.
    pub fn first_fingerprint(&self) -> Option<&str> {
        self.fingerprints.first().map(String::as_str)
    }
}

/// The sources from which facts about accounts are gathered.
pub(super) struct FactSources<'a> {
    config: &'a Config,
    state: Option<&'a State>,
    keys: KeyFacts,
    passwords: HashMap<String, char>,
}

impl<'a> FactSources<'a> {
    pub fn new(config: &'a Config, databases: &'a DatabaseFacts, now: Timestamp) -> Self {
        let (registry, state) = (databases.registry.opened.as_ref().ok(), databases.state.as_ref());
        let keys =
            registry.map(|registry| KeyFacts::read(config, registry, now)).unwrap_or_default();
        let shadow = fs::read_to_string("/etc/shadow").unwrap_or_default();
        Self { config, state, keys, passwords: parse_shadow(&shadow) }
    }

    /// Gathers facts about `asked`, or about every account. `None` if the state database can't be
    /// read.
    pub fn accounts(&self, asked: Option<&AccountId>) -> Option<Vec<AccountFacts>> {
        let mut rows = self.state?.read(accounts::list).ok()?;
        rows.retain(|row| asked.is_none_or(|id| *id == row.id));
        let ids: Vec<AccountId> = rows.iter().map(|row| row.id.clone()).collect();
        let host = Host::read(self.config, &ids).ok();
        let by_nss = rows.len() <= MAX_NSS_QUERIES;
        Some(rows.into_iter().map(|row| self.facts(row, host.as_ref(), by_nss)).collect())
    }

    fn facts(&self, row: AccountRow, host: Option<&Host>, by_nss: bool) -> AccountFacts {
        let name = row.id.as_str();
        let accounts_group = self.config.accounts.group.clone();
        let (uid, groups) = match host {
            Some(host) if !by_nss => {
                let is_member = host.members.contains(name);
                let uid = host.users.get(name).map(|user| user.uid);
                (Ok(uid), is_member.then(|| accounts_group.clone()).into_iter().collect())
            }
            _ => query_nss(name),
        };
        let chroot = path_parts(&Layout::new(&self.config.paths).account(&row.id));
        AccountFacts {
            uid,
            groups,
            accounts_group,
            password: self.passwords.get(name).copied(),
            fingerprints: self.keys.usable.get(name).cloned().unwrap_or_default(),
            keys: self.keys.count.get(name).copied().unwrap_or_default(),
            chroot: chroot.map_err(|(path, error)| format!("{}: {error}", path.display())),
            root: host.map(|host| host.root),
            folders: host.and_then(|host| host.folders.get(&row.id)).copied(),
            service: host.map(|host| host.service),
            linked: log_link(&Layout::new(&self.config.paths), &row.id),
            row,
        }
    }
}

/// Reads the user id and the groups of the user `name` through NSS, as sshd does.
fn query_nss(name: &str) -> (Result<Option<u32>, String>, Vec<String>) {
    match User::from_name(name) {
        Ok(user) => {
            let groups = user.as_ref().map(groups).unwrap_or_default();
            (Ok(user.map(|user| user.uid.as_raw())), groups)
        }
        Err(error) => (Err(error.to_string()), Vec::new()),
    }
}

/// Returns the names of the groups that sshd finds for `user` (getgrouplist(3)).
fn groups(user: &User) -> Vec<String> {
    let Ok(name) = std::ffi::CString::new(user.name.as_str()) else { return Vec::new() };
    let ids = getgrouplist(&name, user.gid).unwrap_or_default();
    let named = ids.into_iter().filter_map(|id| Group::from_gid(id).ok().flatten());
    named.map(|group| group.name).collect()
}

/// Parses the content of /etc/shadow. Returns the first character of each password field
/// (shadow(5)), by user.
fn parse_shadow(shadow: &str) -> HashMap<String, char> {
    let fields = shadow.lines().filter_map(|line| line.split_once(':'));
    let begins = fields.filter_map(|(name, rest)| Some((name.to_owned(), rest.chars().next()?)));
    begins.collect()
}

/// Facts about the keys of every account.
#[derive(Default)]
struct KeyFacts {
    /// The fingerprints of the keys that can be used now, by account.
    usable: HashMap<String, Vec<String>>,
    /// The number of keys that are not revoked, by account.
    count: HashMap<String, usize>,
}

impl KeyFacts {
    fn read(config: &Config, registry: &Registry, now: Timestamp) -> Self {
        let mut keys = Self::default();
        let read = registry.read(|tx| {
            keys::for_each_usable(tx, now, &config.accounts.uids(), |key| {
                let of_account = keys.usable.entry(key.account.to_owned()).or_default();
                of_account.push(key.fingerprint.to_owned());
                Ok::<_, registry::Error>(())
            })?;
            keys::list(tx, None, false)
        });
        for key in read.unwrap_or_default() {
            *keys.count.entry(key.account.to_string()).or_default() += 1;
        }
        keys
    }
}

#[cfg(test)]
mod tests {
    use super::parse_shadow;

    #[test]
    fn reads_the_first_character_of_a_password() {
        let passwords = parse_shadow("root:$y$x:1\nacme:!:2\nacme2:*:3\nopen::4\n");
        assert_eq!(passwords["acme"], '!');
        assert_eq!(passwords["acme2"], '*');
        assert!(!passwords.contains_key("ac"));
    }
}
