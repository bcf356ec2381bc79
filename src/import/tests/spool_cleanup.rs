//! Tests of the sweep, which removes spooled files.

use std::fs;
use std::time::Duration;

use jiff::Timestamp;

use super::host::{EVENTS, Host, names};
use crate::import::RetryError;

#[test]
fn the_sweep_removes_only_expired_files() {
    let host = Host::new();
    let week = host.importer.context.config.retention.failed_uploads.get();
    host.put_manifest("failed", "event");
    let failed = host.claim();
    host.run(&failed);
    host.upload("done", "event", EVENTS);
    let done = host.claim();
    host.run(&done);
    // The removal of these spooled files was interrupted.
    fs::create_dir(host.spooled(&done)).unwrap();
    host.upload("waiting", "event", EVENTS);
    let waiting = host.claim();
    let (unknown, foreign) = ("t-99", "lost+found");
    fs::create_dir(host.importer.context.layout.spool().join(unknown)).unwrap();
    fs::create_dir(host.importer.context.layout.spool().join(foreign)).unwrap();

    let sweep = |now| {
        host.importer.sweep(now).unwrap();
        names(host.importer.context.layout.spool())
    };
    let now = Timestamp::now();
    assert_eq!(sweep(now), [foreign, failed.as_str(), waiting.as_str(), unknown]);
    let almost = now + (week - Duration::from_secs(60));
    assert_eq!(sweep(almost), [foreign, failed.as_str(), waiting.as_str(), unknown]);
    let later = now + week + Duration::from_secs(60);
    assert_eq!(sweep(later), [foreign, waiting.as_str()]);
    assert_eq!(host.run(&waiting)["state"], "completed");
}

#[test]
fn an_import_without_files_cannot_be_retried() {
    let host = Host::new();
    // Every record of this file is rejected.
    host.upload("e", "event", "evtName,identity\n,a\n");
    let import = host.claim();
    host.run(&import);
    let (row, now) = (host.row(&import), Timestamp::now());
    host.importer.sweep(now + host.importer.context.config.retention.failed_uploads.get()).unwrap();
    let error = crate::import::retry(
        &host.importer.context.state,
        &host.importer.context.layout,
        &row,
        now,
    );
    assert!(matches!(error, Err(RetryError::NotSpooled(_))), "{error:?}");
}
