//! Tests of the first start after an upgrade from schema 7, whose claims copied manifests.

use std::fs;

use super::host::{EVENTS, Host};
use crate::import_id::ImportId;
use crate::report::ImportState;

/// Makes a claimed import as schema 7 left it: the claim records a copied manifest, and the file is
/// still in incoming.
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
fn a_claimed_manifest_loses_its_name() {
    let (host, import) = lingering();
    host.engine.finish_upgrade().unwrap();
    assert!(!host.incoming().join("e.manifest").exists());
    assert!(host.look().queued.is_empty());
    assert_eq!(host.run(&import)["state"], "completed");
    host.put_manifest("e", "event");
    host.sql("INSERT INTO lingering SELECT id, account FROM import");
    host.engine.finish_upgrade().unwrap();
    assert_eq!(host.look().queued.len(), 1, "a new file under the name is an upload");
}

#[test]
fn a_manifest_in_the_row_comes_into_the_spool() {
    let (host, import) = lingering();
    let spooled = host.spooled(&import).join("manifest");
    let text = fs::read_to_string(&spooled).unwrap();
    fs::write(&spooled, "{").unwrap(); // half of a copy
    host.sql(&format!("UPDATE import SET manifest_text = '{text}'"));
    for _ in 0..2 {
        host.engine.finish_upgrade().unwrap();
        assert_eq!(fs::read_to_string(&spooled).unwrap(), text);
    }
    assert_eq!(host.run(&import)["state"], "completed");
}

#[test]
fn a_claim_that_was_cut_off_is_carried_out_anew() {
    let (host, import) = lingering();
    // The data file was not moved yet, and the manifest was copied halfway.
    fs::rename(host.spooled(&import).join("data"), host.incoming().join("e.csv")).unwrap();
    fs::write(host.spooled(&import).join("manifest"), "{").unwrap();
    host.sql("UPDATE import SET state = 'claiming'");
    host.engine.finish_upgrade().unwrap();
    assert!(host.look().queued.is_empty(), "the files' ctimes are new: it is undone");
    assert_eq!(host.column("SELECT id FROM import WHERE id = ?1", &import), [""; 0]);
    let again = host.claim();
    assert_eq!(host.run(&again)["state"], "completed");
    assert_eq!(host.row(&again).state, ImportState::Completed);
}

#[test]
fn a_manifest_on_its_way_out_of_incoming_goes() {
    let (host, import) = lingering();
    let spool = host.engine.layout.spool();
    let left = spool.join(format!("{import}.lingered"));
    fs::rename(host.incoming().join("e.manifest"), &left).unwrap();
    host.engine.finish_upgrade().unwrap();
    assert!(!left.exists() && !host.incoming().join("e.manifest").exists());
}
