//! Accounts with one fault each.

use super::*;
use crate::doctor::accounts::facts::facts_of;
use crate::doctor::finding::Level;
use crate::provision::host::AccountFolders;

fn whole() -> AccountFacts {
    facts_of("acme", &["acme", "sftp-import-accounts"])
}

/// Returns the only finding after `change`.
#[track_caller]
fn found(change: impl FnOnce(&mut AccountFacts)) -> Finding {
    let mut account = whole();
    change(&mut account);
    let mut found = judge(&account);
    assert_eq!(found.len(), 1, "{found:#?}");
    found.remove(0)
}

#[test]
fn a_whole_account_has_nothing_to_say() {
    assert!(judge(&whole()).is_empty());
    let accounts = Accounts { all: vec![whole()], asked: None, readable: true };
    let findings = accounts.judge();
    assert_eq!(findings.len(), 7);
    assert!(findings.iter().all(|finding| finding.level == Level::Ok));
}

#[test]
fn a_user_that_is_gone_or_another_s() {
    let gone = found(|account| account.uid = Ok(None));
    assert_eq!((gone.check, gone.log.as_deref()), ("account-user", Some("Invalid user acme")));
    let other = found(|account| account.uid = Ok(Some(1)));
    assert!(other.message.contains("has id 1; its account has 70000"), "{}", other.message);
    let failed = found(|account| account.uid = Err("EIO".into()));
    assert!(failed.message.contains("EIO"));
}

#[test]
fn a_membership_that_is_gone() {
    let finding = found(|account| account.groups = vec!["acme".into()]);
    assert_eq!((finding.check, finding.level), ("account-group", Level::Fail));
}

#[test]
fn keys_that_do_not_work() {
    let of = |change: fn(&mut AccountFacts)| found(change).message;
    assert!(of(|a| a.row.state = AccountState::Suspended).contains("suspended"));
    assert!(of(|a| a.row.state = AccountState::Removing).contains("removal"));
    assert!(of(|a| (a.keys, a.fingerprints) = (0, vec![])).contains("no key"));
    assert!(of(|a| (a.keys, a.fingerprints) = (2, vec![])).contains("(2) have all expired"));
    assert!(of(|a| a.row.uid = None).contains("no Unix user"));
}

#[test]
fn a_chroot_as_sshd_complains_of_it() {
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
fn folders_that_are_not_as_they_were_made() {
    let folders = |account: &mut AccountFacts| account.folders.take().unwrap();
    let finding = found(|account| {
        let incoming = Found::Folder(Owned { uid: 0, gid: 0, mode: 0o700 });
        account.folders = Some(AccountFolders { incoming, ..folders(account) });
    });
    assert_eq!(finding.message, "incoming is 0:0 0700, not 999:70000 0770");
    let finding = found(|account| {
        account.folders = Some(AccountFolders { results: Found::Missing, ..folders(account) });
    });
    assert_eq!(finding.message, "results is missing");
    let finding = found(|account| {
        account.root = Some(Found::Folder(Owned { uid: 0, gid: 0, mode: 0o711 }));
    });
    assert_eq!(finding.message, "the folder of all accounts is 0:0 0711, not 0:998 0750");
}

#[test]
fn a_socket_that_nobody_listens_to() {
    let finding = found(|account| account.linked = LogLink::Stale);
    assert_eq!((finding.check, finding.level), ("account-audit", Level::Warn));
    let finding = found(|account| {
        account.folders.as_mut().unwrap().dev = Found::Missing;
        account.linked = LogLink::NoFolder;
    });
    assert_eq!(finding.message, "dev is missing");
}

#[test]
fn an_account_whose_mail_can_go_to_anybody() {
    let finding = found(|account| account.row.recipients = RecipientRule::Any);
    assert_eq!((finding.check, finding.level), ("account-recipients", Level::Warn));
    let fix = "sftp-import account set acme --recipient-domain DOMAIN";
    assert_eq!(finding.fix.as_deref(), Some(fix));
}
