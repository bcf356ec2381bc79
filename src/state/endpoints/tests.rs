//! Tests of adding, choosing, disabling and removing endpoints, and of changing their secrets.

use super::*;
use crate::state::{Error, State};

#[test]
fn endpoints_are_listed_without_their_secrets() {
    let folder = tempfile::tempdir().unwrap();
    let state = State::open(&folder.path().join("state.db")).unwrap();
    let (acme, at) = ("acme".parse().unwrap(), Timestamp::UNIX_EPOCH);
    state
        .write(|tx| {
            assert_eq!(add(tx, at, &acme, "crm", "https://a.example", "s")?, AddOutcome::NoAccount);
            tx.execute("INSERT INTO account (id, created_at) VALUES ('acme', 0)", [])?;
            assert_eq!(add(tx, at, &acme, "crm", "https://a.example", "s3cr")?, AddOutcome::Added);
            assert_eq!(add(tx, at, &acme, "crm", "https://b.example", "x")?, AddOutcome::NameTaken);
            tx.execute("UPDATE account SET webhook = 'crm'", [])?;
            let listed = list(tx, Some(&acme))?;
            assert!(listed[0].chosen);
            assert!(!serde_json::to_string(&listed)?.contains("s3cr"));
            assert!(disable(tx, at, "acme", "crm", "gone")?);
            assert!(!disable(tx, at, "acme", "crm", "removed again")?);
            assert_eq!(find_target(tx, "acme", "crm", at)?.unwrap().disabled.unwrap(), "gone");
            assert!(enable(tx, &acme, "crm")?);
            assert!(find_target(tx, "acme", "crm", at)?.unwrap().disabled.is_none());
            assert!(remove(tx, at, &acme, "crm")?);
            assert!(!remove(tx, at, &acme, "crm")?);
            let chosen: Option<String> =
                tx.query_row("SELECT webhook FROM account", [], |row| row.get(0))?;
            assert_eq!(chosen, None);
            Ok::<_, Error>(())
        })
        .unwrap();
}

#[test]
fn a_previous_secret_signs_until_it_expires() {
    let folder = tempfile::tempdir().unwrap();
    let state = State::open(&folder.path().join("state.db")).unwrap();
    let at = |s| Timestamp::from_second(s).unwrap();
    let acme = "acme".parse().unwrap();
    state
        .write(|tx| {
            tx.execute("INSERT INTO account (id, created_at) VALUES ('acme', 0)", [])?;
            add(tx, at(0), &acme, "crm", "https://a.example", "s1")?;
            assert!(rotate_secret(tx, &acme, "crm", "s2", at(100))?);
            assert!(!rotate_secret(tx, &acme, "none", "s2", at(100))?);
            let secrets = |now| {
                let target = find_target(tx, "acme", "crm", at(now))?.unwrap();
                Ok::<_, Error>((target.secret, target.old_secret))
            };
            assert_eq!(secrets(99)?, ("s2".into(), Some("s1".into())));
            assert_eq!(secrets(100)?, ("s2".into(), None));
            assert!(rotate_secret(tx, &acme, "crm", "s3", at(200))?);
            assert_eq!(secrets(100)?, ("s3".into(), Some("s2".into())));

            assert_eq!(record_failure(tx, at(5), "acme", "crm")?, Some(at(5)));
            assert_eq!(record_failure(tx, at(9), "acme", "crm")?, Some(at(5)));
            record_success(tx, "acme", "crm")?;
            assert_eq!(record_failure(tx, at(12), "acme", "crm")?, Some(at(12)));
            assert_eq!(record_failure(tx, at(12), "acme", "none")?, None);
            Ok::<_, Error>(())
        })
        .unwrap();
}
