//! Tests of a restored state database whose store, spool and results/ are newer.

use std::fs;

use jiff::Timestamp;

use super::host::{EVENTS, Host};
use crate::import::reconcile;
use crate::report::ImportState;
use crate::state::db::backup;
use crate::state::{BackupError, PreviousDatabase, replace};

/// Restores the backup `saved` like the command `sftp-import restore`.
fn restore(host: Host, saved: &std::path::Path) -> Host {
    let database = host.importer.context.config.paths.state_db();
    host.reopened(|| {
        replace(&database, saved, Timestamp::now(), |_| Ok(())).unwrap();
    })
}

#[test]
fn import_numbers_used_in_the_store_are_skipped() {
    let folder = tempfile::tempdir().unwrap();
    let saved = folder.path().join("saved");
    let host = Host::new();
    backup::backup(&host.importer.context.config.paths.state_db(), &saved, |_| {
        Ok::<_, BackupError>(())
    })
    .unwrap();
    host.upload("e", "event", EVENTS);
    let event = host.claim();
    host.run(&event);
    host.upload("p", "profile", "identity,City\na,Rome\n");
    let profile = host.claim();
    host.run(&profile);
    let host = restore(host, &saved);
    let adopted =
        reconcile(&host.importer.context, &PreviousDatabase::default(), Timestamp::now()).unwrap();
    assert_eq!(adopted, Default::default());
    host.upload("p2", "profile", "identity,City\na,Oslo\n");
    let next = host.claim();
    assert!(![&event, &profile].contains(&&next), "{next} would be taken for what is stored");
    assert_eq!(host.run(&next)["records"]["accepted"], 1);
    let profiles = rusqlite::Connection::open(host.stored().join("profiles.db")).unwrap();
    let stored: String =
        profiles.query_row("SELECT properties FROM profile", [], |row| row.get(0)).unwrap();
    assert_eq!(stored, r#"{"City":"Oslo"}"#);
}

#[test]
fn imports_that_ended_after_backup_stay_ended() {
    let folder = tempfile::tempdir().unwrap();
    let saved = folder.path().join("saved");
    let host = Host::new();
    host.upload("done", "event", EVENTS);
    let done = host.claim();
    host.upload("waits", "event", EVENTS);
    let waits = host.claim();
    backup::backup(&host.importer.context.config.paths.state_db(), &saved, |_| {
        Ok::<_, BackupError>(())
    })
    .unwrap();
    let report = host.run(&done);
    host.upload("later", "event", EVENTS);
    let later = host.claim();
    let host = restore(host, &saved);
    let adopted =
        reconcile(&host.importer.context, &PreviousDatabase::default(), Timestamp::now()).unwrap();
    assert_eq!((&*adopted.ended, &*adopted.unknown), (&[done.clone()][..], &[later.clone()][..]));
    let row = host.row(&done);
    assert_eq!(row.state, ImportState::Completed);
    assert_eq!(serde_json::to_value(row.report).unwrap(), report);
    assert!(host.mails(&done).is_empty(), "the mails were sent before the restore");
    assert_eq!(host.run(&waits)["state"], "completed");
    assert!(fs::exists(host.spooled(&later)).unwrap(), "an unknown upload is kept");
    assert_eq!(
        reconcile(&host.importer.context, &PreviousDatabase::default(), Timestamp::now())
            .unwrap()
            .ended,
        []
    );
}
