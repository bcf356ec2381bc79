//! An account that fills its incoming: it is told, once, and others are served as ever.

use crate::host::{Host, SOON};
use crate::pair::Pair;
use crate::process::until;

const FILES: usize = 5_000;

#[test]
fn an_account_over_its_limits_is_told_and_hurts_nobody() {
    let host = Host::new(
        "[pairing]\nrescan-every = \"1s\"\n\
         [account.e2e-flood.limits]\nmax-waiting-files = 1000\n",
    );
    host.start_daemon();
    let (flooded, other) = (host.account("e2e-flood"), host.account("e2e-flood-other"));
    for n in 0..FILES {
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
    assert!(text.contains("more than 1000 files"), "{text}");

    for n in 0..FILES {
        std::fs::remove_file(flooded.incoming().join(format!("{n}.csv"))).unwrap();
    }
    until("the answer to go", SOON, || (!answer.exists()).then_some(()));
    flooded.expect_accepted(&pair, 2);
    let told = "SELECT action FROM activity
                WHERE account = 'e2e-flood' AND action LIKE 'incoming.%' ORDER BY id";
    until("the activity log", SOON, || (host.query(told).len() == 2).then_some(()));
    assert_eq!(host.query(told), ["incoming.full", "incoming.below_limit"]);
    let log = std::fs::read_to_string(host.root.join("log/daemon")).unwrap();
    assert_eq!(log.matches("too much waits in incoming").count(), 1, "{log}");
}
