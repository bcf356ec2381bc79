//! Reads the users, groups and folders of accounts on this host. Changes nothing.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::unistd::{Gid, Group, Uid, User};

use super::error::{ProvisionError, Result};
use crate::account::AccountId;
use crate::config::{Accounts, Config};
use crate::files::IoError;

/// The comment field (GECOS) of the Unix users that this program creates.
pub const GECOS: &str = "sftp-import account";
/// The home folder of the Unix users that this program creates. The folder does not exist.
pub const HOME: &str = "/nonexistent";
/// The shell of the Unix users that this program creates.
pub const SHELL: &str = "/usr/sbin/nologin";

/// An entry of the user database (passwd(5)).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnixUser {
    pub uid: u32,
    pub gid: u32,
    /// The comment field (GECOS) of a Unix user.
    pub gecos: String,
    pub home: PathBuf,
    pub shell: PathBuf,
}

/// The kind of file at the path of a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FolderState {
    Missing,
    Folder(Ownership),
    /// The path has another kind of file, for example a symbolic link.
    Other,
}

/// The owner, the group and the permission bits of a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ownership {
    pub uid: u32,
    pub gid: u32,
    pub mode: u32,
}

/// The states of the folders of one account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccountFolders {
    pub chroot: FolderState,
    pub incoming: FolderState,
    pub results: FolderState,
    pub dev: FolderState,
    /// The state of the account's chroot under its hidden name. The folder exists if a removal was
    /// interrupted.
    pub old: FolderState,
}

/// The users, groups and folders of this host that are relevant for the given accounts.
#[derive(Clone, Debug)]
pub struct Host {
    /// The section `[accounts]` of the configuration.
    pub rules: Accounts,
    /// The user id and the group id of the service user.
    pub service: (u32, u32),
    /// The names of the members of the group that sshd_config matches.
    pub members: HashSet<String>,
    /// The Unix users by name. The map contains all local users, and the users of the given
    /// accounts from other sources (NSS).
    pub users: HashMap<String, UnixUser>,
    /// The ids of Unix groups by name. The map contains all local groups, and the groups of the
    /// given accounts from other sources (NSS).
    pub groups: HashMap<String, u32>,
    /// The ids of all local Unix users and groups.
    pub ids: HashSet<u32>,
    /// The state of the folder that contains the chroots of all accounts.
    pub root: FolderState,
    pub spool: FolderState,
    /// The states of the folders of the given accounts.
    pub folders: HashMap<AccountId, AccountFolders>,
}

impl Host {
    /// Reads the users, groups and folders of `accounts` on this host.
    ///
    /// # Errors
    /// The group or user that the package creates is missing, or a file can't be read.
    pub fn read(config: &Config, accounts: &[AccountId]) -> Result<Self> {
        let rules = &config.accounts;
        let group = group_named(&rules.group)?.ok_or_else(|| missing("group", &rules.group))?;
        let service =
            user_named(&rules.service_user)?.ok_or_else(|| missing("user", &rules.service_user))?;
        let root = &config.paths.accounts;
        let mut host = Self {
            rules: rules.clone(),
            service: (service.uid.as_raw(), service.gid.as_raw()),
            members: group.mem.into_iter().collect(),
            users: HashMap::new(),
            groups: HashMap::new(),
            ids: HashSet::new(),
            root: folder_state(root)?,
            spool: folder_state(&root.join(".spool"))?,
            folders: HashMap::new(),
        };
        // Each file is read only once. A lookup per account would read the files again for each of
        // 10,000 accounts.
        host.add_passwd(&read_file(Path::new("/etc/passwd"))?);
        host.add_group(&read_file(Path::new("/etc/group"))?);
        for account in accounts {
            host.add_from_nss(account)?;
            host.folders.insert(account.clone(), account_folders(root, account)?);
        }
        Ok(host)
    }

    /// Reads the user, the group and the folders of one account on this host.
    pub fn read_for(config: &Config, account: &AccountId) -> Result<Self> {
        Self::read(config, std::slice::from_ref(account))
    }

    /// Returns whether a user or group has `id`, in the local files or in another source (NSS).
    pub fn is_taken(&self, id: u32) -> bool {
        self.ids.contains(&id)
            // An error means that a source did not answer. In this case the id is not assigned to
            // an account.
            || !matches!(User::from_uid(Uid::from_raw(id)), Ok(None))
            || !matches!(Group::from_gid(Gid::from_raw(id)), Ok(None))
    }

    /// Returns whether a local user or group has the id `id` and a name other than `account`.
    pub fn has_other_name(&self, id: u32, account: &AccountId) -> bool {
        let other = |name: &String| name != account.as_str();
        self.ids.contains(&id)
            && (self.users.iter().any(|(name, user)| user.uid == id && other(name))
                || self.groups.iter().any(|(name, gid)| *gid == id && other(name)))
    }

    fn add_passwd(&mut self, text: &str) {
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

    fn add_group(&mut self, text: &str) {
        for line in text.lines() {
            let mut fields = line.split(':');
            let (Some(name), Some(gid)) = (fields.next(), fields.nth(1)) else { continue };
            let Ok(gid) = gid.parse() else { continue };
            self.ids.insert(gid);
            self.groups.insert(name.to_owned(), gid);
        }
    }

    /// Adds the Unix user and the group of an account from sources other than the local files.
    fn add_from_nss(&mut self, account: &AccountId) -> Result<()> {
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

fn account_folders(root: &Path, account: &AccountId) -> Result<AccountFolders> {
    let chroot = root.join(account);
    let below = |name: &str| match folder_state(&chroot)? {
        FolderState::Folder(_) => folder_state(&chroot.join(name)),
        _ => Ok(FolderState::Missing),
    };
    Ok(AccountFolders {
        chroot: folder_state(&chroot)?,
        incoming: below("incoming")?,
        results: below("results")?,
        dev: below("dev")?,
        old: folder_state(&root.join(format!(".old-{account}")))?,
    })
}

/// Returns the kind of file at `path`. Does not follow a symbolic link.
fn folder_state(path: &Path) -> Result<FolderState> {
    match fs::symlink_metadata(path) {
        Ok(meta) if meta.is_dir() => Ok(FolderState::Folder(Ownership {
            uid: meta.uid(),
            gid: meta.gid(),
            mode: meta.mode() & 0o7777,
        })),
        Ok(_) => Ok(FolderState::Other),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(FolderState::Missing),
        Err(error) => Err(IoError::new("examine", path, error).into()),
    }
}

fn read_file(path: &Path) -> Result<String> {
    let bytes = fs::read(path).map_err(IoError::of("read", path))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn user_named(name: &str) -> Result<Option<User>> {
    User::from_name(name).map_err(|error| nss_failed("user", name, error))
}

fn group_named(name: &str) -> Result<Option<Group>> {
    Group::from_name(name).map_err(|error| nss_failed("group", name, error))
}

fn nss_failed(kind: &str, name: &str, error: nix::Error) -> ProvisionError {
    IoError::new("read the", format!("{kind} {name}"), error).into()
}

fn missing(kind: &'static str, name: &str) -> ProvisionError {
    ProvisionError::NotInstalled { kind, name: name.to_owned() }
}
