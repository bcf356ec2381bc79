//! Tests of the checks of accounts, with accounts that have one fault each.

use super::*;
use crate::doctor::finding::Level;
use crate::doctor::host::path_owners::PathPart;
use crate::provision::host::AccountFolders;
use crate::state::accounts::AccountRow;

/// Returns facts about an account in `groups` that passes every check.
pub fn facts_of(id: &str, groups: &[&str]) -> AccountFacts {
    let folder = |uid, gid, mode| FolderState::Folder(Ownership { uid, gid, mode });
    let part =
        |path: &str| PathPart { path: path.into(), uid: 0, gid: 0, mode: 0o755, is_folder: true };
    AccountFacts {
        row: AccountRow {
            id: id.parse().unwrap(),
            uid: Some(70_000),
            state: AccountState::Active,
            email: None,
            recipients: RecipientRule::limited(None, Vec::new(), None),
            webhook: None,
            created_at: Timestamp::UNIX_EPOCH,
        },
        uid: Ok(Some(70_000)),
        groups: groups.iter().map(|group| (*group).to_owned()).collect(),
        accounts_group: "sftp-import-accounts".into(),
        password: Some('*'),
        fingerprints: vec!["SHA256:a".into()],
        keys: 1,
        chroot: Ok(vec![part("/"), part("/srv"), part(&format!("/srv/{id}"))]),
        root: Some(folder(0, 998, 0o750)),
        folders: Some(AccountFolders {
            chroot: folder(0, 0, 0o755),
            incoming: folder(999, 70_000, 0o770),
            results: folder(999, 998, 0o755),
            dev: folder(999, 998, 0o755),
            old: FolderState::Missing,
        }),
        service: Some((999, 998)),
        linked: LogLink::Current,
    }
}

fn good_account() -> AccountFacts {
    facts_of("acme", &["acme", "sftp-import-accounts"])
}

/// Applies `change` to the facts about an account without faults. Returns the only finding.
#[track_caller]
fn found(change: impl FnOnce(&mut AccountFacts)) -> Finding {
    let mut account = good_account();
    change(&mut account);
    let mut found = judge(&account);
    assert_eq!(found.len(), 1, "{found:#?}");
    found.remove(0)
}

#[test]
fn a_correct_account_has_no_faults() {
    assert!(judge(&good_account()).is_empty());
    let accounts = AccountChecks { all: vec![good_account()], asked: None, readable: true };
    let findings = accounts.judge();
    assert_eq!(findings.len(), 7);
    assert!(findings.iter().all(|finding| finding.level == Level::Ok));
}

#[test]
fn reports_a_missing_user_or_wrong_user_id() {
    let missing = found(|account| account.uid = Ok(None));
    assert_eq!(
        (missing.check, missing.log.as_deref()),
        ("account-user", Some("Invalid user acme"))
    );
    let other = found(|account| account.uid = Ok(Some(1)));
    assert!(
        other.message.contains("has the id 1, but its account has the id 70000"),
        "{}",
        other.message
    );
    let failed = found(|account| account.uid = Err("EIO".into()));
    assert!(failed.message.contains("EIO"));
}

#[test]
fn reports_an_account_outside_the_group() {
    let finding = found(|account| account.groups = vec!["acme".into()]);
    assert_eq!((finding.check, finding.level), ("account-group", Level::Fail));
}

#[test]
fn reports_why_an_account_has_no_working_key() {
    let of = |change: fn(&mut AccountFacts)| found(change).message;
    assert!(of(|a| a.row.state = AccountState::Suspended).contains("suspended"));
    assert!(of(|a| a.row.state = AccountState::Removing).contains("removal"));
    assert!(of(|a| (a.keys, a.fingerprints) = (0, vec![])).contains("no key"));
    assert!(of(|a| (a.keys, a.fingerprints) = (2, vec![])).contains("(2) have all expired"));
    let mut account = good_account();
    account.fingerprints.clear();
    let fix = judge_keys(&account).unwrap().fix.unwrap();
    assert!(fix.contains("`sftp-import key refused acme`"), "{fix}");
    assert!(of(|a| a.row.uid = None).contains("no Unix user"));
}

#[test]
fn faults_of_a_chroot_have_sshds_message() {
    let of = |place: usize| {
        found(|account| account.chroot.as_mut().unwrap()[place].mode = 0o775).log.unwrap()
    };
    let begins = "bad ownership or modes for chroot directory ";
    assert_eq!(of(0), format!("{begins}component \"/\""));
    assert_eq!(of(1), format!("{begins}component \"/srv/\""));
    assert_eq!(of(2), format!("{begins}\"/srv/acme\""));
    let missing = found(|account| account.chroot = Err("/srv/acme: No such file".into()));
    assert_eq!(missing.fix.as_deref(), Some("sftp-import provision"));
}

#[test]
fn reports_folders_with_wrong_owner_or_mode() {
    let folders = |account: &mut AccountFacts| account.folders.take().unwrap();
    let finding = found(|account| {
        let incoming = FolderState::Folder(Ownership { uid: 0, gid: 0, mode: 0o700 });
        account.folders = Some(AccountFolders { incoming, ..folders(account) });
    });
    assert_eq!(finding.message, "incoming is 0:0 0700, not 999:70000 0770");
    let finding = found(|account| {
        account.folders =
            Some(AccountFolders { results: FolderState::Missing, ..folders(account) });
    });
    assert_eq!(finding.message, "results is missing");
    let finding = found(|account| {
        account.root = Some(FolderState::Folder(Ownership { uid: 0, gid: 0, mode: 0o711 }));
    });
    assert_eq!(finding.message, "the folder of all accounts is 0:0 0711, not 0:998 0750");
}

#[test]
fn warns_of_a_stale_log_socket() {
    let finding = found(|account| account.linked = LogLink::Stale);
    assert_eq!((finding.check, finding.level), ("account-audit", Level::Warn));
    let finding = found(|account| {
        account.folders.as_mut().unwrap().dev = FolderState::Missing;
        account.linked = LogLink::NoFolder;
    });
    assert_eq!(finding.message, "dev is missing");
}

#[test]
fn warns_if_manifests_may_name_any_address() {
    let finding = found(|account| account.row.recipients = RecipientRule::Any);
    assert_eq!((finding.check, finding.level), ("account-recipients", Level::Warn));
    let fix = "sftp-import account set acme --recipient-domain DOMAIN";
    assert_eq!(finding.fix.as_deref(), Some(fix));
}
