//! Tests of provisioning plans for the states of a host that a crash, a sysadmin or an unrelated
//! user can cause.

mod range;

use std::collections::{HashMap, HashSet};

use super::host::{AccountFolders, FolderState, GECOS, HOME, Ownership, SHELL, UnixUser};
use super::step::RequiredFolders;
use super::*;
use crate::account_state::AccountState;
use crate::config::Accounts;

const UID: u32 = 70_001;
const SERVICE: (u32, u32) = (990, 991);
const WANTED: RequiredFolders = RequiredFolders {
    chroot: Ownership { uid: 0, gid: 0, mode: 0o755 },
    incoming: Ownership { uid: SERVICE.0, gid: UID, mode: 0o770 },
    results: Ownership { uid: SERVICE.0, gid: SERVICE.1, mode: 0o755 },
    dev: Ownership { uid: SERVICE.0, gid: SERVICE.1, mode: 0o755 },
};
const NOTHING: AccountFolders = AccountFolders {
    chroot: FolderState::Missing,
    incoming: FolderState::Missing,
    results: FolderState::Missing,
    dev: FolderState::Missing,
    old: FolderState::Missing,
};

fn acme() -> AccountId {
    "acme".parse().unwrap()
}

fn row(state: AccountState) -> Account {
    Account { id: acme(), uid: Some(UID), state }
}

/// Returns a host that has no user, group and folders of the account.
fn bare() -> Host {
    Host {
        rules: Accounts::default(),
        service: SERVICE,
        members: HashSet::new(),
        users: HashMap::new(),
        groups: HashMap::new(),
        ids: HashSet::new(),
        root: FolderState::Folder(Ownership { uid: 0, gid: SERVICE.1, mode: 0o750 }),
        spool: FolderState::Folder(Ownership { uid: SERVICE.0, gid: SERVICE.1, mode: 0o700 }),
        folders: HashMap::from([(acme(), NOTHING)]),
    }
}

/// Returns a host that has the user, the group and the folders of the account.
fn complete() -> Host {
    let mut host = bare();
    add_user(&mut host, UID, GECOS);
    host.groups.insert("acme".into(), UID);
    host.members.insert("acme".into());
    let folders = AccountFolders {
        chroot: FolderState::Folder(WANTED.chroot),
        incoming: FolderState::Folder(WANTED.incoming),
        results: FolderState::Folder(WANTED.results),
        dev: FolderState::Folder(WANTED.dev),
        old: FolderState::Missing,
    };
    host.folders.insert(acme(), folders);
    host
}

fn user(uid: u32, gecos: &str) -> UnixUser {
    let (gecos, home, shell) = (gecos.into(), HOME.into(), SHELL.into());
    UnixUser { uid, gid: uid, gecos, home, shell }
}

fn add_user(host: &mut Host, uid: u32, gecos: &str) {
    host.users.insert("acme".into(), user(uid, gecos));
    host.ids.insert(uid);
}

fn steps(state: AccountState, host: &Host) -> Vec<Step> {
    let plan = plan(&[row(state)], host);
    assert_eq!(plan.refusals, []);
    plan.steps
}

#[test]
fn a_new_account_gets_user_group_and_folders() {
    assert_eq!(
        steps(AccountState::Active, &bare()),
        [
            Step::AddGroup { account: acme(), gid: UID },
            Step::AddUser { account: acme(), uid: UID },
            Step::AddFolders { account: acme(), want: WANTED },
            Step::AddMembers(vec![acme()]),
        ]
    );
    assert_eq!(steps(AccountState::Active, &complete()), []);
    assert_eq!(steps(AccountState::Suspended, &complete()), []);
}

#[test]
fn an_account_without_a_key_gets_no_user() {
    let row = Account { uid: None, ..row(AccountState::Active) };
    assert_eq!(plan(&[row], &bare()), ProvisionPlan::default());
}

#[test]
fn an_interrupted_account_creation_is_completed() {
    let mut host = bare();
    host.groups.insert("acme".into(), UID);
    assert_eq!(steps(AccountState::Active, &host)[0], Step::AddUser { account: acme(), uid: UID });
    add_user(&mut host, UID, GECOS);
    host.members.insert("acme".into());
    assert_eq!(
        steps(AccountState::Active, &host),
        [Step::AddFolders { account: acme(), want: WANTED }]
    );
}

#[test]
fn changed_users_and_folders_are_fixed() {
    let mut host = complete();
    host.members.clear();
    assert_eq!(steps(AccountState::Active, &host), [Step::AddMembers(vec![acme()])]);

    let mut host = complete();
    host.users.get_mut("acme").unwrap().shell = "/bin/bash".into();
    assert_eq!(steps(AccountState::Active, &host), [Step::FixUser(acme())]);

    let mut host = complete();
    host.folders.get_mut(&acme()).unwrap().incoming =
        FolderState::Folder(Ownership { mode: 0o777, ..WANTED.incoming });
    let fix = Step::FixFolders { account: acme(), want: WANTED };
    assert_eq!(steps(AccountState::Active, &host), std::slice::from_ref(&fix));
    host.folders.get_mut(&acme()).unwrap().incoming = FolderState::Missing;
    assert_eq!(steps(AccountState::Active, &host), std::slice::from_ref(&fix));

    let mut host = complete();
    // Earlier versions created no folder for the log socket.
    host.folders.get_mut(&acme()).unwrap().dev = FolderState::Missing;
    assert_eq!(steps(AccountState::Active, &host), [fix]);

    let mut host = complete();
    // An earlier version created the folder of all accounts with another group and mode.
    host.root = FolderState::Folder(Ownership { uid: 0, gid: 0, mode: 0o711 });
    let root = Ownership { uid: 0, gid: SERVICE.1, mode: 0o750 };
    assert_eq!(steps(AccountState::Active, &host), [Step::Root(root)]);

    let mut host = complete();
    (host.root, host.spool) = (FolderState::Missing, FolderState::Missing);
    let steps = steps(AccountState::Active, &host);
    assert!(matches!(*steps, [Step::Root(_), Step::Spool(_)]), "{steps:?}");
}

/// With one call of groupmod per account, ten thousand accounts would take hours.
#[test]
fn memberships_are_added_a_thousand_at_a_time() {
    let rows: Vec<Account> = (0..2500)
        .map(|n| Account {
            id: format!("A-{n}").parse().unwrap(),
            uid: Some(UID + n),
            ..row(AccountState::Active)
        })
        .collect();
    let steps = plan(&rows, &bare()).steps;
    let members = steps.iter().filter_map(|step| match step {
        Step::AddMembers(accounts) => Some(accounts.len()),
        _ => None,
    });
    assert_eq!(members.collect::<Vec<_>>(), [1000, 1000, 500]);
    let expected = rows.iter().flat_map(|Account { id, uid, .. }| {
        let uid = uid.unwrap();
        [
            Step::AddGroup { account: id.clone(), gid: uid },
            Step::AddUser { account: id.clone(), uid },
        ]
    });
    assert_eq!(steps[..5000], expected.collect::<Vec<_>>());
    let removing = [Account { state: AccountState::Removing, ..row(AccountState::Active) }];
    let steps = plan(&removing, &bare()).steps;
    assert!(!steps.iter().any(|step| matches!(step, Step::AddMembers(_))), "{steps:?}");
}

#[test]
fn removing_an_account_removes_user_and_folders() {
    let whole = [
        Step::EndSessions { uid: UID },
        Step::RemoveFolders(acme()),
        Step::RemoveUser(acme()),
        Step::RemoveGroup(acme()),
    ];
    assert_eq!(steps(AccountState::Removing, &complete()), whole);
    assert_eq!(steps(AccountState::Removing, &bare()), [Step::EndSessions { uid: UID }]);
    let mut host = bare();
    host.folders.get_mut(&acme()).unwrap().old = FolderState::Folder(WANTED.chroot);
    assert_eq!(steps(AccountState::Removing, &host)[1..], [Step::RemoveFolders(acme())]);
}

const UNRELATED_USERS: [(u32, &str); 4] =
    [(1000, GECOS), (70_002, GECOS), (70_002, "A. Person"), (0, "root")];

#[test]
fn an_existing_user_of_the_account_is_reused() {
    let mut host = complete();
    assert_eq!(plan::check_name(&acme(), None, &host), Ok(()));
    add_user(&mut host, UID, "A. Person");
    assert!(plan::check_name(&acme(), None, &host).is_err());
    add_user(&mut host, 1000, GECOS);
    assert!(plan::check_name(&acme(), None, &host).is_err());
}

#[test]
fn accounts_named_like_unrelated_users_are_refused() {
    for state in [AccountState::Active, AccountState::Suspended] {
        for (uid, gecos) in UNRELATED_USERS {
            let mut host = complete();
            add_user(&mut host, uid, gecos);
            let plan = plan(&[row(state)], &host);
            assert_eq!(plan.steps, [], "{uid} {gecos}");
            assert_eq!(plan.refusals, [Refusal::User { account: acme(), uid }]);
        }
        let mut host = bare();
        host.groups.insert("acme".into(), 1000);
        let plan = plan(&[row(state)], &host);
        assert_eq!((plan.steps.len(), plan.refusals.len()), (0, 1));
    }
}

#[test]
fn a_removal_keeps_unrelated_users() {
    for (uid, gecos) in UNRELATED_USERS {
        let mut host = complete();
        add_user(&mut host, uid, gecos);
        host.groups.insert("acme".into(), uid);
        assert_eq!(steps(AccountState::Removing, &host), [Step::RemoveFolders(acme())]);
    }
    // Another Unix user now has the id. Therefore the processes with this id must not be ended.
    let mut host = bare();
    host.users.insert("other".into(), user(UID, GECOS));
    host.ids.insert(UID);
    assert_eq!(steps(AccountState::Removing, &host), []);
    let plan = plan(&[row(AccountState::Active)], &host);
    assert_eq!(plan.refusals, [Refusal::Id { account: acme(), uid: UID }]);
}

/// An id in the row of an account does not prove that this program created the Unix user.
#[test]
fn a_recorded_uid_does_not_change_unrelated_users() {
    let Accounts { first_uid, last_uid, .. } = Accounts::default();
    let unrelated = [
        (0, GECOS, HOME),
        (1000, GECOS, HOME),
        (first_uid - 1, GECOS, HOME),
        (last_uid + 1, GECOS, HOME),
        (UID, "A. Person", HOME),
        (UID, GECOS, "/home/acme"),
    ];
    for (uid, gecos, home) in unrelated {
        let mut host = bare();
        add_user(&mut host, uid, gecos);
        host.users.get_mut("acme").unwrap().home = home.into();
        host.groups.insert("acme".into(), uid);
        let row = |state| Account { uid: Some(uid), ..row(state) };
        for state in [AccountState::Active, AccountState::Suspended] {
            let plan = plan(&[row(state)], &host);
            assert_eq!((plan.steps.len(), plan.refusals.len()), (0, 1), "{uid} {gecos} {home}");
        }
        assert_eq!(plan(&[row(AccountState::Removing)], &host).steps, [], "{uid} {gecos} {home}");
        assert!(plan::check_processes(&acme(), uid, &host).is_err(), "{uid} {gecos} {home}");
    }
    for uid in [first_uid, last_uid] {
        let mut host = complete();
        add_user(&mut host, uid, GECOS);
        host.groups.insert("acme".into(), uid);
        assert_eq!(plan::check_processes(&acme(), uid, &host), Ok(()), "{uid}");
        assert_eq!(plan::check_name(&acme(), Some(uid), &host), Ok(()), "{uid}");
    }
}

/// An account can be unknown after the loss of the registry, for example.
#[test]
fn leftovers_of_unknown_accounts_are_removed() {
    let left = |host: &Host| plan::leftover_steps(&acme(), host);
    let whole = steps(AccountState::Removing, &complete());
    assert_eq!(left(&complete()), whole);
    assert_eq!(left(&bare()), []);
    let mut host = bare();
    host.groups.insert("acme".into(), UID);
    assert_eq!(left(&host), [Step::RemoveGroup(acme())], "an interrupted removal");
    host.groups.insert("acme".into(), 1000);
    assert_eq!(left(&host), []);
    for (uid, gecos) in [(1000, GECOS), (UID, "A. Person"), (0, "root")] {
        let mut host = complete();
        add_user(&mut host, uid, gecos);
        assert_eq!(left(&host), [Step::RemoveFolders(acme())], "{uid} {gecos}");
    }
}

#[test]
fn one_refusal_affects_no_other_account() {
    let mut host = complete();
    add_user(&mut host, 1000, "A. Person");
    let other =
        Account { id: "other".parse().unwrap(), uid: Some(UID + 1), ..row(AccountState::Active) };
    let plan = plan(&[row(AccountState::Active), other], &host);
    assert_eq!(plan.refusals.len(), 1);
    assert!(plan.steps.iter().any(|step| matches!(step, Step::AddUser { .. })));
}

#[test]
fn a_chroot_must_be_a_folder() {
    let mut host = complete();
    host.folders.get_mut(&acme()).unwrap().chroot = FolderState::Other;
    assert_eq!(plan(&[row(AccountState::Active)], &host).refusals, [Refusal::Folder(acme())]);
}

#[test]
fn unix_ids_in_use_are_not_assigned() {
    let config = Config::default();
    let first = config.accounts.first_uid;
    let mut host = bare();
    host.ids.extend([first, first + 2]);
    let rows = [Account { uid: Some(first + 1), ..row(AccountState::Active) }];
    assert_eq!(free_uid(&config, &rows, &host).unwrap(), first + 3);
    host.ids.extend(first..=config.accounts.last_uid);
    assert!(matches!(free_uid(&config, &[], &host), Err(ProvisionError::NoFreeUid { .. })));
}
