//! Decides which steps make the Unix users and folders match the registry. The functions are pure.

use super::error::Refusal;
use super::host::{AccountFolders, FolderState, GECOS, HOME, Host, Ownership, SHELL, UnixUser};
use super::step::{RequiredFolders, Step};
use crate::account::AccountId;
use crate::account_state::AccountState;
use crate::registry::Account;

/// The steps that provisioning carries out, and the accounts for which it does nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProvisionPlan {
    /// The steps, in the order in which they must be carried out.
    pub steps: Vec<Step>,
    pub refusals: Vec<Refusal>,
}

/// Decides which steps are necessary for `accounts` on `host`. An account without a key has no Unix
/// user id yet, and needs no step. For an account that is being removed, everything is removed.
pub fn plan(accounts: &[Account], host: &Host) -> ProvisionPlan {
    let mut plan = ProvisionPlan::default();
    let root = required_root(host.service);
    if host.root != FolderState::Folder(root) {
        plan.steps.push(Step::Root(root));
    }
    let spool = Ownership { uid: host.service.0, gid: host.service.1, mode: 0o700 };
    if host.spool != FolderState::Folder(spool) {
        plan.steps.push(Step::Spool(spool));
    }
    let mut members = Vec::new();
    for account in accounts {
        match account_steps(account, host) {
            Ok(steps) => {
                plan.steps.extend(steps);
                members.extend(lacks_membership(account, host).then(|| account.id.clone()));
            }
            Err(refusal) => plan.refusals.push(refusal),
        }
    }
    plan.steps.extend(members.chunks(MEMBERS_AT_ONCE).map(|some| Step::AddMembers(some.to_vec())));
    plan
}

/// The maximum number of users that one call of groupmod(8) adds. A name has at most 32 bytes, so
/// all names fit into one argument. Linux limits an argument to 128 KiB (execve(2)).
const MEMBERS_AT_ONCE: usize = 1000;

/// Returns whether the account's Unix user is not a member of the accounts' group. The user exists
/// or is about to be created.
fn lacks_membership(row: &Account, host: &Host) -> bool {
    let has_user = row.uid.is_some() && row.state != AccountState::Removing;
    has_user && !host.members.contains(row.id.as_str())
}

/// Returns the owner and the mode of the folder of all accounts. Only root and the daemon can enter
/// the folder. sshd enters chroots as root. `service` is the user id and the group id of the
/// service user.
pub fn required_root(service: (u32, u32)) -> Ownership {
    Ownership { uid: 0, gid: service.1, mode: 0o750 }
}

fn account_steps(row: &Account, host: &Host) -> Result<Vec<Step>, Refusal> {
    let Some(uid) = row.uid else { return Ok(Vec::new()) };
    match row.state {
        AccountState::Active | AccountState::Suspended => creation_steps(&row.id, uid, host),
        AccountState::Removing => Ok(removal_steps(&row.id, uid, host)),
    }
}

/// Checks that the processes with the account's Unix user id may be ended. This is allowed if this
/// program created the user, or if no user has the id.
pub(super) fn check_processes(account: &AccountId, uid: u32, host: &Host) -> Result<(), Refusal> {
    check_range(account, uid, host)?;
    let account = account.clone();
    match host.users.get(account.as_str()) {
        _ if host.has_other_name(uid, &account) => Err(Refusal::Id { account, uid }),
        Some(user) if !is_our_user(user, Some(uid), host) => {
            Err(Refusal::User { account, uid: user.uid })
        }
        _ => Ok(()),
    }
}

fn check_range(account: &AccountId, uid: u32, host: &Host) -> Result<(), Refusal> {
    match in_range(uid, host) {
        true => Ok(()),
        false => Err(Refusal::Range { account: account.clone(), uid }),
    }
}

/// Checks that no Unix user or group has the account's name, unless this program created the user
/// or group.
pub(super) fn check_name(
    account: &AccountId,
    uid: Option<u32>,
    host: &Host,
) -> Result<(), Refusal> {
    let account = account.clone();
    match (host.users.get(account.as_str()), host.groups.get(account.as_str())) {
        (Some(user), _) if !is_our_user(user, uid, host) => {
            Err(Refusal::User { account, uid: user.uid })
        }
        (user, Some(&gid)) if !is_our_group(gid, user, uid, host) => {
            Err(Refusal::Group { account, gid })
        }
        _ => Ok(()),
    }
}

/// Returns whether this program created the user. A created user has an id in the range of
/// accounts, and this program's comment field and home folder. If the account's row has an id, the
/// user has the same id.
fn is_our_user(user: &UnixUser, uid: Option<u32>, host: &Host) -> bool {
    in_range(user.uid, host)
        && user.gecos == GECOS
        && user.home.as_os_str() == HOME
        && uid.is_none_or(|uid| user.uid == uid)
}

/// Returns whether this program created the group. The id of a created group is in the range of
/// accounts. The user of the group was created by this program, or is missing after an interrupted
/// creation or removal.
fn is_our_group(gid: u32, user: Option<&UnixUser>, uid: Option<u32>, host: &Host) -> bool {
    in_range(gid, host) && user.is_none_or(|user| is_our_user(user, uid, host))
}

fn in_range(id: u32, host: &Host) -> bool {
    (host.rules.first_uid..=host.rules.last_uid).contains(&id)
}

fn creation_steps(account: &AccountId, uid: u32, host: &Host) -> Result<Vec<Step>, Refusal> {
    check_range(account, uid, host)?;
    check_name(account, Some(uid), host)?;
    let mut steps = user_steps(account, uid, host)?;
    let want = required_folders(uid, host.service);
    let account = account.clone();
    match host.folders.get(&account) {
        Some(AccountFolders { chroot: FolderState::Other, .. }) => {
            return Err(Refusal::Folder(account));
        }
        Some(found) if found.chroot == FolderState::Missing => {
            steps.push(Step::AddFolders { account, want });
        }
        Some(found) if !is_as_wanted(found, want) => {
            steps.push(Step::FixFolders { account, want });
        }
        _ => {}
    }
    Ok(steps)
}

fn user_steps(account: &AccountId, uid: u32, host: &Host) -> Result<Vec<Step>, Refusal> {
    let mut steps = Vec::new();
    let user = host.users.get(account.as_str());
    let gid = host.groups.get(account.as_str()).copied();
    if (user.is_none() || gid != Some(uid)) && host.has_other_name(uid, account) {
        return Err(Refusal::Id { account: account.clone(), uid });
    }
    if gid.is_some_and(|gid| gid != uid) {
        steps.push(Step::RemoveGroup(account.clone()));
    }
    if gid != Some(uid) {
        steps.push(Step::AddGroup { account: account.clone(), gid: uid });
    }
    match user {
        None => steps.push(Step::AddUser { account: account.clone(), uid }),
        Some(user) if user.shell.as_os_str() != SHELL => {
            steps.push(Step::FixUser(account.clone()));
        }
        Some(_) => {}
    }
    Ok(steps)
}

fn is_as_wanted(found: &AccountFolders, want: RequiredFolders) -> bool {
    found.chroot == FolderState::Folder(want.chroot)
        && found.incoming == FolderState::Folder(want.incoming)
        && found.results == FolderState::Folder(want.results)
        && found.dev == FolderState::Folder(want.dev)
}

/// Returns the owners and the modes that the folders of an account must have. `gid` is the id of
/// the account's group.
pub fn required_folders(gid: u32, (service_uid, service_gid): (u32, u32)) -> RequiredFolders {
    RequiredFolders {
        chroot: Ownership { uid: 0, gid: 0, mode: 0o755 },
        incoming: Ownership { uid: service_uid, gid, mode: 0o770 },
        results: Ownership { uid: service_uid, gid: service_gid, mode: 0o755 },
        dev: Ownership { uid: service_uid, gid: service_gid, mode: 0o755 },
    }
}

/// Returns the steps that remove the folders, the user and the group of an account. A user or group
/// that this program did not create stays.
fn removal_steps(account: &AccountId, uid: u32, host: &Host) -> Vec<Step> {
    let mut steps = Vec::new();
    if check_processes(account, uid, host).is_ok() {
        steps.push(Step::EndSessions { uid });
    }
    steps.extend(folder_step(account, host));
    let user = host.users.get(account.as_str());
    if user.is_some_and(|user| is_our_user(user, Some(uid), host)) {
        steps.push(Step::RemoveUser(account.clone()));
    }
    let group = host.groups.get(account.as_str());
    if group.is_some_and(|&gid| is_our_group(gid, user, Some(uid), host)) {
        steps.push(Step::RemoveGroup(account.clone()));
    }
    steps
}

fn folder_step(account: &AccountId, host: &Host) -> Option<Step> {
    let folders = host.folders.get(account)?;
    let is_there = folders.chroot != FolderState::Missing || folders.old != FolderState::Missing;
    is_there.then(|| Step::RemoveFolders(account.clone()))
}

/// Returns the steps that remove the folders of an account without a row. The user and the group
/// are also removed if all their attributes prove that this program created them.
pub(super) fn leftover_steps(account: &AccountId, host: &Host) -> Vec<Step> {
    let user = host.users.get(account.as_str()).filter(|user| is_our_user(user, None, host));
    if let Some(user) = user {
        return removal_steps(account, user.uid, host);
    }
    let mut steps: Vec<Step> = folder_step(account, host).into_iter().collect();
    let has_user = host.users.contains_key(account.as_str());
    let group = host.groups.get(account.as_str()).filter(|gid| !has_user && in_range(**gid, host));
    steps.extend(group.map(|_| Step::RemoveGroup(account.clone())));
    steps
}
