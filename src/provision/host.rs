//! What there is on this host: users, groups and folders of accounts. Looks, changes nothing.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::unistd::{Gid, Group, Uid, User};

use super::ProvisionError;
use crate::account::AccountId;
use crate::config::{Accounts, Config};

/// The comment of every Unix user that is ours.
pub const GECOS: &str = "sftp-import account";
/// The home of every Unix user that is ours, which is not there.
pub const HOME: &str = "/nonexistent";
/// The shell of every Unix user that is ours.
pub const SHELL: &str = "/usr/sbin/nologin";

/// A Unix user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnixUser {
    /// Its id.
    pub uid: u32,
    /// Its own group's id.
    pub gid: u32,
    /// The comment field.
    pub gecos: String,
    /// The home.
    pub home: PathBuf,
    /// The login shell.
    pub shell: PathBuf,
}

/// What stands at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// Nothing.
    Missing,
    /// A folder with this owner, group and mode.
    Folder(Owned),
    /// Anything else, a symbolic link included.
    Other,
}

/// Owner, group and mode of a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owned {
    /// The owner's user id.
    pub uid: u32,
    /// The group's id.
    pub gid: u32,
    /// Permission bits.
    pub mode: u32,
}

/// The folders of one account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccountFolders {
    /// The chroot.
    pub chroot: Found,
    /// incoming in it.
    pub incoming: Found,
    /// results in it.
    pub results: Found,
    /// dev in it.
    pub dev: Found,
    /// What a removal that was cut off left.
    pub old: Found,
}

/// What there is.
#[derive(Clone, Debug)]
pub struct Host {
    /// What the configuration says about users.
    pub rules: Accounts,
    /// User and group id of the service user.
    pub service: (u32, u32),
    /// Names of the members of the group that sshd_config matches.
    pub members: HashSet<String>,
    /// Users by name: the local ones, and those that NSS knows of the accounts asked for.
    pub users: HashMap<String, UnixUser>,
    /// Group ids by name, in the same way.
    pub groups: HashMap<String, u32>,
    /// Ids of local users and groups.
    pub ids: HashSet<u32>,
    /// The folder of all accounts.
    pub root: Found,
    /// The spool.
    pub spool: Found,
    /// The folders of the accounts asked for.
    pub folders: HashMap<AccountId, AccountFolders>,
}

impl Host {
    /// Whether a user or group has the id, be it a local one or one of another source (NSS).
    pub fn is_taken(&self, id: u32) -> bool {
        self.ids.contains(&id)
            // An error is a source that can't be asked: better not to hand out the id.
            || !matches!(User::from_uid(Uid::from_raw(id)), Ok(None))
            || !matches!(Group::from_gid(Gid::from_raw(id)), Ok(None))
    }

    /// Whether a user or group that is not named as `account` has the id.
    pub fn has_other_name(&self, id: u32, account: &AccountId) -> bool {
        let other = |name: &String| name != account.as_str();
        self.ids.contains(&id)
            && (self.users.iter().any(|(name, user)| user.uid == id && other(name))
                || self.groups.iter().any(|(name, gid)| *gid == id && other(name)))
    }
}

/// Looks at the host as far as `accounts` are concerned.
///
/// # Errors
/// The package's group or user is missing, or something can't be read.
pub fn look(config: &Config, accounts: &[AccountId]) -> Result<Host, ProvisionError> {
    let rules = &config.accounts;
    let group = group_named(&rules.group)?.ok_or_else(|| missing("group", &rules.group))?;
    let service =
        user_named(&rules.service_user)?.ok_or_else(|| missing("user", &rules.service_user))?;
    let root = &config.paths.accounts;
    let mut host = Host {
        rules: rules.clone(),
        service: (service.uid.as_raw(), service.gid.as_raw()),
        members: group.mem.into_iter().collect(),
        users: HashMap::new(),
        groups: HashMap::new(),
        ids: HashSet::new(),
        root: found(root)?,
        spool: found(&root.join(".spool"))?,
        folders: HashMap::new(),
    };
    // Read once, not asked once per account: 10,000 questions would read the file 10,000 times.
    host.take_passwd(&read(Path::new("/etc/passwd"))?);
    host.take_group(&read(Path::new("/etc/group"))?);
    for account in accounts {
        host.ask_nss(account)?;
        host.folders.insert(account.clone(), account_folders(root, account)?);
    }
    Ok(host)
}

impl Host {
    fn take_passwd(&mut self, text: &str) {
        for line in text.lines() {
            let fields: Vec<&str> = line.split(':').collect();
            let &[name, _, uid, gid, gecos, home, shell] = &*fields else { continue };
            let (Ok(uid), Ok(gid)) = (uid.parse(), gid.parse()) else { continue };
            self.ids.insert(uid);
            let (gecos, home, shell) = (gecos.to_owned(), home.into(), shell.into());
            let user = UnixUser { uid, gid, gecos, home, shell };
            self.users.insert(name.to_owned(), user);
        }
    }

    fn take_group(&mut self, text: &str) {
        for line in text.lines() {
            let mut fields = line.split(':');
            let (Some(name), Some(gid)) = (fields.next(), fields.nth(1)) else { continue };
            let Ok(gid) = gid.parse() else { continue };
            self.ids.insert(gid);
            self.groups.insert(name.to_owned(), gid);
        }
    }

    /// Adds what other sources than the local files know by the account's name.
    fn ask_nss(&mut self, account: &AccountId) -> Result<(), ProvisionError> {
        let name = account.as_str();
        if !self.users.contains_key(name)
            && let Some(user) = user_named(name)?
        {
            let gecos = user.gecos.to_string_lossy().into_owned();
            let (uid, gid) = (user.uid.into(), user.gid.into());
            let user = UnixUser { uid, gid, gecos, home: user.dir, shell: user.shell };
            self.users.insert(name.to_owned(), user);
        }
        if !self.groups.contains_key(name)
            && let Some(group) = group_named(name)?
        {
            self.groups.insert(name.to_owned(), group.gid.into());
        }
        Ok(())
    }
}

fn account_folders(root: &Path, account: &AccountId) -> Result<AccountFolders, ProvisionError> {
    let chroot = root.join(account);
    let below = |name: &str| match found(&chroot)? {
        Found::Folder(_) => found(&chroot.join(name)),
        _ => Ok(Found::Missing),
    };
    Ok(AccountFolders {
        chroot: found(&chroot)?,
        incoming: below("incoming")?,
        results: below("results")?,
        dev: below("dev")?,
        old: found(&root.join(format!(".old-{account}")))?,
    })
}

/// What stands at `path`, itself and not where it may link to.
fn found(path: &Path) -> Result<Found, ProvisionError> {
    match fs::symlink_metadata(path) {
        Ok(meta) if meta.is_dir() => Ok(Found::Folder(Owned {
            uid: meta.uid(),
            gid: meta.gid(),
            mode: meta.mode() & 0o7777,
        })),
        Ok(_) => Ok(Found::Other),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Found::Missing),
        Err(source) => Err(ProvisionError::File { what: "look at", path: path.into(), source }),
    }
}

fn read(path: &Path) -> Result<String, ProvisionError> {
    let bytes = fs::read(path).map_err(|source| ProvisionError::File {
        what: "read",
        path: path.into(),
        source,
    })?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn user_named(name: &str) -> Result<Option<User>, ProvisionError> {
    User::from_name(name).map_err(|error| nss_failed("user", name, error))
}

fn group_named(name: &str) -> Result<Option<Group>, ProvisionError> {
    Group::from_name(name).map_err(|error| nss_failed("group", name, error))
}

fn nss_failed(kind: &str, name: &str, error: nix::Error) -> ProvisionError {
    let path = format!("{kind} {name}").into();
    ProvisionError::File { what: "look up the", path, source: error.into() }
}

fn missing(kind: &'static str, name: &str) -> ProvisionError {
    ProvisionError::NotInstalled { kind, name: name.to_owned() }
}
