//! Tests of the first start after an upgrade from schema 7. Claims of schema 7 copied manifests.

use std::fs;

use super::host::{EVENTS, Host};
use crate::import::finish_upgrade;
use crate::import_id::ImportId;
use crate::report::ImportState;

/// Makes a claimed import in the form that schema 7 left: the claim records a copied manifest, and
/// the file is still in incoming.
fn lingering() -> (Host, ImportId) {
    let host = Host::new();
    host.upload("e", "event", EVENTS);
    let import = host.claim();
    let (spooled, incoming) = (host.spooled(&import).join("manifest"), host.incoming());
    let copy = fs::read(&spooled).unwrap();
    fs::rename(&spooled, incoming.join("e.manifest")).unwrap();
    fs::write(&spooled, copy).unwrap();
    host.sql(
        "UPDATE import SET claim = json_set(claim, '$.claim.copied', '2:RBNvo1WzZ4o');
         INSERT INTO lingering SELECT id, account FROM import",
    );
    (host, import)
}

#[test]
fn the_upgrade_removes_a_claimed_manifest_from_incoming() {
    let (host, import) = lingering();
    finish_upgrade(&host.importer.context).unwrap();
    assert!(!host.incoming().join("e.manifest").exists());
    assert!(host.scan().queued.is_empty());
    assert_eq!(host.run(&import)["state"], "completed");
    host.put_manifest("e", "event");
    host.sql("INSERT INTO lingering SELECT id, account FROM import");
    finish_upgrade(&host.importer.context).unwrap();
    assert_eq!(host.scan().queued.len(), 1, "a new file with the same name is an upload");
}

#[test]
fn a_manifest_from_the_database_is_spooled() {
    let (host, import) = lingering();
    let spooled = host.spooled(&import).join("manifest");
    let text = fs::read_to_string(&spooled).unwrap();
    // The file is an incomplete copy.
    fs::write(&spooled, "{").unwrap();
    host.sql(&format!("UPDATE import SET manifest_text = '{text}'"));
    for _ in 0..2 {
        finish_upgrade(&host.importer.context).unwrap();
        assert_eq!(fs::read_to_string(&spooled).unwrap(), text);
    }
    assert_eq!(host.run(&import)["state"], "completed");
}

#[test]
fn an_interrupted_claim_of_schema_7_is_undone() {
    let (host, import) = lingering();
    // The data file was not moved yet, and only a part of the manifest was copied.
    fs::rename(host.spooled(&import).join("data"), host.incoming().join("e.csv")).unwrap();
    fs::write(host.spooled(&import).join("manifest"), "{").unwrap();
    host.sql("UPDATE import SET state = 'claiming'");
    finish_upgrade(&host.importer.context).unwrap();
    assert!(host.scan().queued.is_empty(), "the claim is undone because the ctimes are new");
    assert_eq!(host.column("SELECT id FROM import WHERE id = ?1", &import), [""; 0]);
    let again = host.claim();
    assert_eq!(host.run(&again)["state"], "completed");
    assert_eq!(host.row(&again).state, ImportState::Completed);
}

#[test]
fn an_incompletely_removed_manifest_is_removed() {
    let (host, import) = lingering();
    let spool = host.importer.context.layout.spool();
    let left = spool.join(format!("{import}.lingered"));
    fs::rename(host.incoming().join("e.manifest"), &left).unwrap();
    finish_upgrade(&host.importer.context).unwrap();
    assert!(!left.exists() && !host.incoming().join("e.manifest").exists());
}
