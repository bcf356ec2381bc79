//! Tests of README.txt in incoming, which a partner can read after login.

use crate::support::host::{Host, SOON, text};
use crate::support::outcome::names;
use crate::support::pair::Pair;
use crate::support::process::until;

#[test]
fn a_removed_readme_is_created_again() {
    let host = Host::new("[readme]\ntext = \"Questions: imports@host.example\"\n");
    host.start_daemon();
    let account = host.account("e2e-readme");
    let path = account.incoming().join("README.txt");
    until("the readme", SOON, || path.exists().then_some(()));
    assert!(account.sftp("ls -l\n").ok().stdout.contains("README.txt"));
    let copy = account.local().join("copy.txt");
    account.sftp(&format!("get README.txt {}\n", copy.display())).ok();
    let found = std::fs::read_to_string(&copy).unwrap();
    assert!(found.starts_with("Questions: imports@host.example\n\nHOW TO UPLOAD"), "{found}");

    account.sftp(&format!("put {} README.txt\n", text(&copy))).refused();
    account.sftp("chmod 666 README.txt\n").refused();
    account.import_all(&Pair::events(&account.local(), "e", 2), 2);
    assert_eq!(names(&account.incoming(), ""), [""; 0]);
    assert!(path.exists(), "imports must not remove README.txt");

    account.sftp("rm README.txt\n").ok();
    assert!(!path.exists());
    host.stop_daemon();
    host.start_daemon();
    until("the readme again", SOON, || path.exists().then_some(()));
}

#[test]
fn a_readme_of_the_partner_is_kept() {
    let host = Host::new("");
    let account = host.account("e2e-own-readme");
    let own = account.local().join("README.txt");
    std::fs::write(&own, "the partner's").unwrap();
    account.sftp(&format!("put {}\n", text(&own))).ok();
    host.start_daemon();
    account.import_all(&Pair::events(&account.local(), "e", 2), 2);
    let path = account.incoming().join("README.txt");
    assert_eq!(std::fs::read_to_string(path).unwrap(), "the partner's");
}
