//! Tests an account that fills its incoming. The account must be warned once, and other accounts
//! must not be affected.

use crate::support::host::{Host, SOON};
use crate::support::pair::Pair;
use crate::support::process::until;

/// Returns the number of files. With SFTP_IMPORT_TEST_LONG it is a million.
fn files() -> usize {
    if crate::kill::long() { 1_000_000 } else { 5_000 }
}

/// The maximum memory of the daemon in MiB. A scan keeps at most as many names as the limit of the
/// account allows. The limit is a fifth of the files in this test.
const MOST_MEMORY: u64 = 300;

#[test]
fn an_account_over_its_limits_is_warned_once() {
    let (files, most) = (files(), files() / 5);
    let host = Host::new(&format!(
        "[pairing]\nrescan-every = \"1s\"\n\
         [account.e2e-flood.limits]\nmax-waiting-files = {most}\n",
    ));
    host.start_daemon();
    let (flooded, other) = (host.account("e2e-flood"), host.account("e2e-flood-other"));
    for n in 0..files {
        std::fs::write(flooded.incoming().join(format!("{n}.csv")), "").unwrap();
    }
    let pair = Pair::events(&flooded.local(), "late", 2);
    flooded.upload(&pair);
    other.import_all(&Pair::events(&other.local(), "e", 2), 2);
    let answer = flooded.results().join("INCOMING-FULL.txt");
    until("the answer", SOON, || answer.exists().then_some(()));
    let got = flooded.local().join("answer");
    flooded.sftp(&format!("get /results/INCOMING-FULL.txt {}\n", got.display())).ok();
    let text = std::fs::read_to_string(got).unwrap();
    let memory = most_memory(&host);
    eprintln!("{files} files: the daemon used at most {memory} MiB");
    assert!(memory < MOST_MEMORY, "{memory} MiB");
    assert!(text.contains(&format!("more than {most} files")), "{text}");

    for n in 0..files {
        std::fs::remove_file(flooded.incoming().join(format!("{n}.csv"))).unwrap();
    }
    until("the answer to be removed", SOON, || (!answer.exists()).then_some(()));
    flooded.expect_accepted(&pair, 2);
    let query = "SELECT action FROM activity
                WHERE account = 'e2e-flood' AND action LIKE 'incoming.%' ORDER BY id";
    until("the activity log", SOON, || (host.query(query).len() == 2).then_some(()));
    assert_eq!(host.query(query), ["incoming.full", "incoming.below_limit"]);
    let log = std::fs::read_to_string(host.root.join("log/daemon")).unwrap();
    assert_eq!(log.matches("incoming exceeds a limit").count(), 1, "{log}");
}

/// Returns the maximum memory of the daemon in MiB.
fn most_memory(host: &Host) -> u64 {
    let process = format!("/proc/{}/status", host.daemon().as_ref().unwrap().id());
    let status = std::fs::read_to_string(process).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.split_whitespace().next().unwrap().parse::<u64>().unwrap() / 1024
}
