//! Tests of SIGTERM during an import. The daemon must end quickly and cleanly, and the import must
//! continue after the next start.

use std::time::{Duration, Instant};

use crate::support::host::{Host, SOON};
use crate::support::pair::Pair;
use crate::support::process::until;

const RECORDS: usize = 400_000;

#[test]
fn an_import_continues_after_sigterm() {
    let host = Host::running();
    let account = host.account("e2e-shutdown");
    let pair = Pair::events(&account.local(), "e", RECORDS);
    account.upload(&pair);
    let state = || host.query("SELECT state FROM import");
    until("the import to run", SOON, || (state() == ["running"]).then_some(()));
    let asked = Instant::now();
    host.stop_daemon();
    let took = asked.elapsed();
    assert!(took < Duration::from_secs(10), "{took:?}");
    assert_ne!(state(), ["completed"], "the import has already ended: increase RECORDS");
    host.start_daemon();
    let report = account.report_within("e", Duration::from_secs(300));
    assert_eq!(report["records"]["accepted"], RECORDS, "{report:#}");
    let imports = host.query("SELECT id FROM import");
    assert_eq!(imports.len(), 1);
    assert_eq!(account.events(&imports[0]).len(), RECORDS);
    assert_eq!(account.event_folders(), [format!("import={}", imports[0])]);
    host.wait_until_quiet(SOON);
    let picked_up = "SELECT count(*) FROM activity WHERE action = 'import.picked_up'";
    assert_eq!(host.query(picked_up), ["1"]);
}

/// A daemon without work must end soon. A second start must find the same state.
#[test]
fn an_idle_daemon_stops_and_restarts_cleanly() {
    let host = Host::running();
    let account = host.account("e2e-idle");
    account.import_all(&Pair::events(&account.local(), "one", 1), 1);
    host.wait_until_quiet(SOON);
    let asked = Instant::now();
    host.stop_daemon();
    assert!(asked.elapsed() < Duration::from_secs(10), "{:?}", asked.elapsed());
    host.start_daemon();
    account.import_all(&Pair::events(&account.local(), "two", 1), 1);
}
