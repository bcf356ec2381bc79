//! Tests that an unclaimed data file is reported once, to the contact and in the activity log.

use super::host::{EVENTS, Host};
use crate::config::Period;

fn host(contact: bool) -> Host {
    let host = Host::with(|config| config.pairing.unclaimed_after = Period::seconds(3600));
    if contact {
        host.sql("UPDATE account SET email = 'ops@acme.example'");
    }
    host
}

/// Scans the account. Returns the number of lines in the activity log, and of mails to the contact.
fn scan_and_count(host: &Host) -> (i64, i64) {
    host.scan();
    let count = |sql: &str| {
        host.importer
            .context
            .state
            .read(|tx| Ok::<_, crate::state::Error>(tx.query_row(sql, [], |row| row.get(0))?))
            .unwrap()
    };
    (
        count("SELECT count(*) FROM activity WHERE action = 'file.unclaimed'"),
        count("SELECT count(*) FROM delivery WHERE destination = 'ops@acme.example'"),
    )
}

#[test]
fn an_unclaimed_file_is_reported_once() {
    let mut host = host(true);
    host.put("e.csv", EVENTS);
    host.put("notes.txt", "none of ours");
    assert_eq!(scan_and_count(&host), (0, 0), "the file is not old enough");
    host.set_unclaimed_after(Period::seconds(0));
    assert_eq!(scan_and_count(&host), (0, 0), "the report is switched off");

    host.set_unclaimed_after(SHORT);
    std::thread::sleep(SHORT.get());
    assert_eq!(scan_and_count(&host), (1, 1));
    assert_eq!(scan_and_count(&host), (1, 1), "once");
    let host = host.reopened(|| {});
    assert_eq!(
        scan_and_count(&host),
        (1, 1),
        "the file must be reported once, even after a restart"
    );
    host.put("e.csv", "another one");
    std::thread::sleep(SHORT.get());
    assert_eq!(scan_and_count(&host), (2, 2), "another file");
    host.put_manifest("e", "event");
    host.run(&host.claim());
    host.scan();
    let left =
        host.importer.context.state.read(|tx| crate::state::unclaimed::list(tx, &host.account));
    assert_eq!(left.unwrap(), [], "rows of removed files must be removed");
}

#[test]
fn unclaimed_files_without_contact_are_only_logged() {
    let mut host = host(false);
    host.set_unclaimed_after(SHORT);
    host.put("e.csv", EVENTS);
    std::thread::sleep(SHORT.get());
    assert_eq!(scan_and_count(&host), (1, 0));
}

const SHORT: Period = Period::seconds(1);
