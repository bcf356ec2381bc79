//! Tests of one data file name for many pairs in one session. If the data file of a manifest was
//! overwritten before the claim, the manifest must be refused. Every other manifest must be
//! imported with its own records.

use std::time::Duration;

use crate::support::account::Account;
use crate::support::host::Host;
use crate::support::outcome::names;
use crate::support::pair::{EVENTS_HEADER, Pair};
use crate::support::process::until;
use crate::support::sftp_script::Script;

const PAIRS: usize = 8;
const RECORDS: usize = 3;
const PATIENCE: Duration = Duration::from_secs(240);

/// Writes the pairs `m0` to `m7`. All manifests name `e.csv`, with different records and
/// recipients.
fn write_pairs(account: &Account<'_>) {
    for n in 0..PAIRS {
        let stem = format!("m{n}");
        let rows = (0..RECORDS).map(|i| format!("Purchased,1600000000,{stem}.{i}@a.example,1,x\n"));
        let csv = format!("{EVENTS_HEADER}\n") + &rows.collect::<String>();
        let pair = Pair::new(&account.local(), &stem, "event", &csv);
        let manifest = std::fs::read_to_string(&pair.manifest)
            .unwrap()
            .replace(&format!("{stem}.csv"), "e.csv")
            .replace(&format!("{stem}@"), &format!("{}.{stem}@", account.id));
        std::fs::write(&pair.manifest, manifest).unwrap();
    }
}

/// Uploads the pairs one after another in one session, and runs `between` after each pair. After
/// the upload of a manifest its time is set. This call may fail, because the manifest may have been
/// claimed. The same happens to a client that waits longer than the settle period before the call.
fn upload(account: &Account<'_>, between: &str) {
    let folder = account.local();
    write_pairs(account);
    let code = format!(
        "for n in range({PAIRS}):\n    m = f'm{{n}}.manifest'\n    \
         sftp.put(f'{folder}/m{{n}}.csv', 'e.csv')\n    sftp.put(f'{folder}/{{m}}', m)\n    \
         try: sftp.utime(m, (1600000000, 1600000000))\n    \
         except FileNotFoundError: pass\n    {between}",
        folder = folder.display()
    );
    Script::new(account).run(&code).ok();
}

/// Waits until all manifests are answered, and checks each answer. Returns for each manifest
/// whether its import completed.
#[track_caller]
fn answers(account: &Account<'_>) -> Vec<bool> {
    let Account { host, id, .. } = account;
    until(&format!("{id}: incoming to be empty"), PATIENCE, || {
        host.check_daemon();
        names(&account.incoming(), "").is_empty().then_some(())
    });
    host.wait_until_quiet(PATIENCE);
    let sql = format!("SELECT manifest FROM import WHERE account = '{id}' ORDER BY n");
    let manifests: Vec<_> = (0..PAIRS).map(|n| format!("m{n}.manifest")).collect();
    assert_eq!(host.query(&sql), manifests, "{id}: each manifest must be answered once, in order");
    (0..PAIRS).map(|n| answer(account, n)).collect()
}

/// Checks the answer to `m<n>`. Returns whether the import completed.
#[track_caller]
fn answer(account: &Account<'_>, n: usize) -> bool {
    let report = account.report(&format!("m{n}"));
    let events = account.events(report["import"].as_str().unwrap());
    if report["state"] == "completed" {
        assert_eq!(report["records"]["accepted"], RECORDS, "{report:#}");
        assert_eq!(events.len(), RECORDS, "{report:#}");
        let own = format!("m{n}.");
        assert!(events.iter().all(|event| event.contains(&own)), "{events:?} {report:#}");
        return true;
    }
    assert_eq!(report["failure"]["message"], "No data file found", "{report:#}");
    let detail = report["failure"]["detail"].as_str().unwrap();
    let expected = "e.csv was uploaded again before this pair was claimed";
    assert!(detail.contains(expected), "{report:#}");
    assert!(events.is_empty(), "{events:?} {report:#}");
    false
}

/// Returns a running host. The interval of rescans is so long that only scans after a client's
/// upload find a pair.
fn host() -> Host {
    let host = Host::new("[pairing]\nrescan-every = \"1h\"\n");
    host.start_daemon();
    host
}

/// The pauses are shorter than, similar to and longer than the settle period. The machine's speed
/// determines which manifests are refused. Only the last manifest is always accepted.
#[test]
fn a_manifest_with_overwritten_data_is_refused() {
    let host = host();
    let pauses = [0, 300, 1_900, 1_950, 2_000, 2_050, 2_100, 2_200];
    let accounts = pauses.map(|ms| (ms, host.account(&format!("e2e-ways-reused-{ms}"))));
    std::thread::scope(|scope| {
        for (ms, account) in &accounts {
            scope.spawn(move || upload(account, &format!("time.sleep({ms} / 1000)")));
        }
    });
    for (ms, account) in &accounts {
        let completed = answers(account);
        eprintln!("{ms} ms between pairs: {completed:?}");
        assert!(completed[PAIRS - 1], "{completed:?}");
    }
}

/// Each pair waits until the previous pair is claimed, as the text of the refusal advises.
#[test]
fn a_claimed_data_file_name_can_be_reused() {
    let host = host();
    let account = host.account("e2e-ways-reused-free");
    let incoming = account.incoming();
    upload(
        &account,
        &format!(
            "time.sleep(2.5)\n    while any(n.endswith(('csv', 'manifest')) for n in os.listdir({incoming:?})): time.sleep(0.01)"
        ),
    );
    assert_eq!(answers(&account), [true; PAIRS]);
}
