//! A claimed manifest keeps its name for a while, as it is shipped: for clients that look at it, or
//! set its time, long after the import began.

use std::time::Duration;

use nix::sys::signal::Signal;

use crate::account::Account;
use crate::host::{Host, SOON};
use crate::outcome::{names, spooled};
use crate::pair::Pair;
use crate::process::until;
use crate::sftp_script::Script;

/// Puts both files as paramiko does, then goes on with `code`; `m` is the manifest's name.
fn put_and(account: &Account<'_>, pair: &Pair, code: &str) -> crate::process::Ran {
    let stem = &pair.stem;
    Script::new(account).run(&format!(
        "m = '{stem}.manifest'\nsftp.put({:?}, '{stem}.csv')\nsftp.put({:?}, m)\n{code}",
        pair.data, pair.manifest
    ))
}

fn imports(host: &Host) -> Vec<String> {
    host.query("SELECT manifest || ' ' || state FROM import ORDER BY n")
}

#[track_caller]
fn until_swept(account: &Account<'_>) {
    until("the name to go", SOON, || names(&account.incoming(), "").is_empty().then_some(()));
    assert!(spooled(account.host).is_empty());
}

#[test]
fn times_and_permissions_are_set_after_the_import() {
    let host = Host::running();
    let account = host.account("e2e-linger");
    let pair = Pair::events(&account.local(), "e", 3);
    let result = account.results().join("e.result.json");
    put_and(
        &account,
        &pair,
        &format!(
            "while b'\"completed\"' not in open({result:?}, 'rb').read() if os.path.exists({result:?}) \
             else True: time.sleep(0.01)\n\
             time.sleep(0.3)\nsftp.utime(m, (1600000000, 1600000000))\nsftp.chmod(m, 0o640)\n\
             assert sftp.stat(m).st_mtime == 1600000000\nsftp.open(m).read()"
        ),
    )
    .ok();
    account.expect_accepted(&pair, 3);
    // The next one's data file has the same name, which says nothing about the first manifest.
    let next = pair.manifest.with_file_name("next.manifest");
    std::fs::copy(&pair.manifest, &next).unwrap();
    account.sftp(&format!("put {}\nput {}\n", pair.data.display(), next.display())).ok();
    account.report("next");
    host.wait_until_quiet(SOON);
    let log = host.query("SELECT action FROM activity WHERE action LIKE 'import.%'");
    until_swept(&account);
    std::thread::sleep(Duration::from_millis(500)); // time to do it wrong
    assert_eq!(imports(&host), ["e.manifest completed", "next.manifest completed"]);
    assert_eq!(host.query("SELECT action FROM activity WHERE action LIKE 'import.%'"), log);
}

/// The time is set and the next data file comes under the same name, as fast as a client can.
#[test]
fn a_data_file_s_name_is_used_again_at_once() {
    let host = Host::running();
    let account = host.account("e2e-linger-next");
    let pair = Pair::events(&account.local(), "e", 3);
    let code = format!(
        "for n in range(8):\n    m = 'm%d.manifest' % n\n    sftp.put({:?}, 'e.csv')\n    \
         sftp.put({:?}, m)\n    time.sleep(0.3)\n    sftp.utime(m, (1600000000, 1600000000))\n",
        pair.data, pair.manifest
    );
    Script::new(&account).run(&code).ok();
    until("the imports", SOON, || (imports(&host).len() >= 8).then_some(()));
    host.wait_until_quiet(SOON);
    until_swept(&account);
    assert_eq!(
        imports(&host),
        [0, 1, 2, 3, 4, 5, 6, 7].map(|n| format!("m{n}.manifest completed"))
    );
}

/// As a client does that is started twice.
#[test]
fn a_pair_that_comes_again_is_refused() {
    let host = Host::running();
    let account = host.account("e2e-linger-again");
    let pair = Pair::events(&account.local(), "e", 3);
    account.import_all(&pair, 3);
    account.upload(&pair);
    until("the answer", SOON, || (imports(&host).len() == 2).then_some(()));
    host.wait_until_quiet(SOON);
    assert_eq!(imports(&host), ["e.manifest completed", "e.manifest failed"]);
    let second = host.query("SELECT stem FROM import ORDER BY n DESC LIMIT 1").remove(0);
    let report = account.report(&second);
    let detail = report["failure"]["detail"].as_str().unwrap();
    assert!(detail.contains("was used before"), "{report:#}");
    assert_eq!(names(&account.incoming(), ""), ["e.csv"]);
    account.expect_accepted(&pair, 3);
}

/// Killed as soon as the import has ended; the client sets the time before the next start.
#[test]
fn a_restart_knows_what_lingers() {
    for linger in ["2s", "1h"] {
        let host = Host::new(&format!("[pairing]\nlinger = '{linger}'\n"));
        host.start_daemon();
        let account = host.account("e2e-linger-kill");
        let pairs = ["untouched", "set"].map(|stem| Pair::events(&account.local(), stem, 3));
        for pair in &pairs {
            account.import_all(pair, 3);
        }
        host.wait_until_quiet(SOON);
        host.daemon().take().unwrap().signal(Signal::SIGKILL);
        Script::new(&account).run("sftp.utime('set.manifest', (1, 1))").ok();
        std::thread::sleep(Duration::from_secs(2));
        host.start_daemon();
        if linger == "1h" {
            account.import_all(&Pair::events(&account.local(), "later", 1), 1);
            let left = ["later.manifest", "set.manifest", "untouched.manifest"];
            assert_eq!(names(&account.incoming(), ""), left);
        } else {
            until_swept(&account);
        }
        host.wait_until_quiet(SOON); // an answer is there before its row says so
        assert_eq!(host.query("SELECT count(*) FROM import WHERE state <> 'completed'"), ["0"]);
    }
}

#[test]
fn without_a_time_to_linger_the_name_goes_with_the_claim() {
    let host = Host::new("[pairing]\nlinger = '0s'\n");
    host.start_daemon();
    let account = host.account("e2e-linger-none");
    let pair = Pair::events(&account.local(), "e", 3);
    account.import_all(&pair, 3);
    assert_eq!(names(&account.incoming(), ""), [""; 0]);
}
