//! Tests of the SFTP server's log of uploads. The activity log must contain the uploads, and a
//! report must warn about an interrupted upload. The tests use a real sshd and real clients. In
//! some tests the daemon is stopped during the upload.

use std::io::Write as _;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::support::account::Account;
use crate::support::host::{Host, SOON, set_mode, text};
use crate::support::pair::Pair;
use crate::support::process::{Process, run, until};
use crate::support::sftp_script::Script;

const CUT: &str = "the connection was lost before the client had closed ";
const UNKNOWN: &str = "is unknown, because the SFTP server's log";
/// The warning about an upload whose beginning was recorded, but not its end.
const BEGUN: &str = "and did not finish it";

/// Returns the warnings in the report on `stem`.
#[track_caller]
fn warnings(account: &Account<'_>, stem: &str) -> Vec<String> {
    let report = account.report(stem);
    let warnings = report["warnings"].as_array().unwrap();
    warnings.iter().map(|warning| warning.as_str().unwrap().to_owned()).collect()
}

/// Waits until the activity log of `account` has `count` lines with the action `action`. Returns
/// their details.
#[track_caller]
fn activity(account: &Account<'_>, action: &str, count: usize) -> Vec<String> {
    let sql = format!(
        "SELECT detail FROM activity WHERE account = '{}' AND action = '{action}' ORDER BY id",
        account.id
    );
    until(&format!("{count} of {action}"), SOON, || {
        let found = account.host.query(&sql);
        (found.len() >= count).then_some(found)
    })
}

/// Uploads half of the data file of `pair` under the name `name` over a connection that is then
/// killed.
fn cut_upload(account: &Account<'_>, pair: &Pair, name: &str) {
    let script = Script::new(account);
    let data = std::fs::read(&pair.data).unwrap();
    let half = account.local().join("half");
    std::fs::write(&half, &data[..data.len() / 2]).unwrap();
    let code = format!(
        "f = sftp.open({name:?}, 'w')\nf.write(open({:?}, 'rb').read())\nf.flush()\n\
         sftp.stat('.')\nos._exit(0)",
        text(&half)
    );
    script.run(&code).ok();
    gone(account);
}

/// Waits until the account has no session any more. At this time the server has closed all files of
/// the session.
fn gone(account: &Account<'_>) {
    let uid = run("id", &["-u", &account.id]).ok().stdout;
    let uid = format!("\nUid:\t{}\t", uid.trim());
    until("the session to end", SOON, || {
        let processes = std::fs::read_dir("/proc").unwrap().flatten();
        let mut statuses =
            processes.filter_map(|entry| std::fs::read_to_string(entry.path().join("status")).ok());
        let lives = |status: &String| status.contains(&uid) && !status.contains("\nState:\tZ");
        (!statuses.any(|status| lives(&status))).then_some(())
    });
}

fn put(account: &Account<'_>, files: &[&Path]) {
    let batch: String = files.iter().map(|file| format!("put {}\n", file.display())).collect();
    account.sftp(&batch).ok();
}

#[test]
fn a_session_is_in_the_activity_log() {
    let host = Host::running();
    let account = host.account("e2e-audit");
    let pair = Pair::events(&account.local(), "e", 3);
    let size = std::fs::metadata(&pair.data).unwrap().len();
    account.import_all(&pair, 3);
    account.sftp("get /results/e.result.json /dev/null\n").ok();
    assert_eq!(warnings(&account, "e"), [""; 0]);
    assert_eq!(activity(&account, "session.opened", 2)[0], "127.0.0.1");
    assert_eq!(activity(&account, "session.closed", 1)[0], "127.0.0.1");
    let opened = activity(&account, "file.opened", 3);
    assert_eq!(opened[0], "/incoming/e.csv, write access");
    assert_eq!(opened[2], "/results/e.result.json, read access");
    let closed = activity(&account, "file.closed", 3);
    assert_eq!(closed[0], format!("/incoming/e.csv: {size} bytes written, 0 bytes read"));
    until("the session's state to be removed", SOON, || {
        (host.query("SELECT count(*) FROM upload") == ["0"]).then_some(())
    });
}

/// Each request has its own session, because a failure in the log does not name its request.
#[test]
fn refused_requests_are_in_the_activity_log() {
    let host = Host::running();
    let account = host.account("e2e-audit-refused");
    std::fs::write(account.results().join("x.csv"), "1\n").unwrap();
    let file = account.local().join("a b.csv");
    std::fs::write(&file, "1\n").unwrap();
    account.sftp(&format!("put \"{}\" \"a b.csv\"\n", file.display())).ok();
    let put = format!("put \"{}\" /results/x.csv\n", file.display());
    let refused = [
        ("rm /results/x.csv\n", "file.remove_refused", "/results/x.csv: Permission denied"),
        (
            "rename \"a b.csv\" /results/new.csv\n",
            "file.rename_refused",
            "\"/incoming/a b.csv\" to /results/new.csv: Permission denied",
        ),
        (put.as_str(), "file.open_refused", "/results/x.csv, write access: Permission denied"),
    ];
    for (batch, action, detail) in refused {
        account.sftp(batch).refused();
        assert_eq!(activity(&account, action, 1), [detail]);
    }
    assert_eq!(account.host.query("SELECT 1 FROM activity WHERE action = 'file.removed'").len(), 0);
    assert_eq!(account.host.query("SELECT 1 FROM activity WHERE action = 'file.renamed'").len(), 0);
    account.sftp("rename \"a b.csv\" b.csv\nrm b.csv\n").ok();
    assert_eq!(activity(&account, "file.removed", 1), ["/incoming/b.csv"]);
    let renamed = activity(&account, "file.renamed", 1);
    assert_eq!(renamed, ["\"/incoming/a b.csv\" to /incoming/b.csv"]);
    assert!(account.results().join("x.csv").exists());
}

/// Returns a host that waits only one second for the resumption of an interrupted upload.
fn impatient() -> Host {
    let host = Host::new("[pairing]\ndata-file-grace = '1s'\n");
    host.start_daemon();
    host
}

#[test]
fn a_lost_connection_is_in_the_report() {
    let host = impatient();
    let account = host.account("e2e-audit-cut");
    let (cut, corrected) = (
        Pair::events(&account.local(), "cut", 40),
        Pair::events(&account.local(), "corrected", 40),
    );
    cut_upload(&account, &cut, "cut.csv");
    put(&account, &[&cut.manifest]);
    let found = warnings(&account, "cut");
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        found[0].starts_with(CUT) && found[0].contains("client address 127.0.0.1"),
        "{found:?}"
    );
    assert!(activity(&account, "file.cut_off", 1)[0].starts_with("cut.csv: "));

    cut_upload(&account, &corrected, "corrected.csv");
    account.sftp(&format!("reput {}\n", corrected.data.display())).ok();
    put(&account, &[&corrected.manifest]);
    account.expect_accepted(&corrected, 40);
    assert_eq!(warnings(&account, "corrected"), [""; 0]);
}

/// The manifest is uploaded before the rest of its data file. The pair must wait for the rest, and
/// must be imported only once and completely.
#[test]
fn a_manifest_waits_for_an_interrupted_upload() {
    let host = Host::running();
    let account = host.account("e2e-audit-resume");
    let pair = Pair::events(&account.local(), "e", 40);
    cut_upload(&account, &pair, "e.csv");
    put(&account, &[&pair.manifest]);
    let scans = || host.query("SELECT count(*) FROM activity WHERE action = 'session.closed'");
    until("the daemon to read the session's end", SOON, || (scans() == ["2"]).then_some(()));
    account.sftp(&format!("reput {}\n", pair.data.display())).ok();
    account.expect_accepted(&pair, 40);
    assert_eq!(warnings(&account, "e"), [""; 0]);
    assert_eq!(host.query("SELECT count(*) FROM import"), ["1"]);
}

#[test]
fn interrupted_uploads_are_detected_under_any_name() {
    let host = impatient();
    let account = host.account("e2e-audit-names");
    let names = [
        "a\"b.csv".to_owned(),
        "a b c.csv".to_owned(),
        "q\" bytes read 0 written 7.csv".to_owned(),
        format!("{}.csv", "é".repeat(123)),
        format!("{}.csv", "x".repeat(240)),
    ];
    for (n, name) in names.iter().enumerate() {
        let stem = format!("n{n}");
        let pair = Pair::events(&account.local(), &stem, 20);
        cut_upload(&account, &pair, name);
        let manifest = std::fs::read_to_string(&pair.manifest).unwrap();
        let spelled = serde_json::to_string(name).unwrap();
        let manifest = manifest.replace(&format!("\"{stem}.csv\""), &spelled);
        assert!(manifest.contains(&spelled), "{manifest}");
        std::fs::write(&pair.manifest, manifest).unwrap();
        put(&account, &[&pair.manifest]);
        let found = warnings(&account, &stem);
        assert!(found.len() == 1 && found[0].starts_with(CUT), "{name}: {found:?}");
    }
    // The upload uses a temporary name, which is then replaced by a rename.
    let pair = Pair::events(&account.local(), "r", 20);
    cut_upload(&account, &pair, "r.csv.part");
    account.sftp("-rename r.csv.part nosuch/x\nrename r.csv.part r.csv\n").ok();
    put(&account, &[&pair.manifest]);
    let found = warnings(&account, "r");
    assert!(found.len() == 1 && found[0].starts_with(CUT), "{found:?}");
    // A complete file replaces an interrupted upload by a rename. The result counts as complete.
    let pair = Pair::events(&account.local(), "o", 20);
    cut_upload(&account, &pair, "o.csv");
    account.sftp(&format!("put {} t\nrename t o.csv\n", pair.data.display())).ok();
    put(&account, &[&pair.manifest]);
    account.expect_accepted(&pair, 20);
    assert_eq!(warnings(&account, "o"), [""; 0]);
}

#[test]
fn uploads_while_stopped_cause_a_warning() {
    let host = impatient();
    let account = host.account("e2e-audit-restart");
    let pair = |stem| Pair::events(&account.local(), stem, 10);
    let (known, cut, missed, cut_again) =
        (pair("known"), pair("cut"), pair("missed"), pair("again"));
    put(&account, &[&known.data, &cut_again.data]);
    cut_upload(&account, &cut, "cut.csv");
    until("the upload outcomes to be stored", SOON, || {
        (host.query("SELECT count(*) FROM upload") == ["3"]).then_some(())
    });
    host.stop_daemon();
    put(&account, &[&missed.data]);
    std::thread::sleep(Duration::from_millis(300)); // longer than a tick of the file system's clock
    cut_upload(&account, &cut_again, "again.csv");
    host.start_daemon();
    put(&account, &[&known.manifest, &cut.manifest, &missed.manifest, &cut_again.manifest]);
    assert_eq!(warnings(&account, "known"), [""; 0]);
    assert!(warnings(&account, "cut")[0].starts_with(CUT));
    for stem in ["missed", "again"] {
        let found = warnings(&account, stem);
        assert!(found.len() == 1 && found[0].contains(UNKNOWN), "{stem}: {found:?}");
    }
    // The daemon receives the account's log lines again when the chroot has the new socket.
    let log = host.accounts().join(&account.id).join("dev/log");
    let socket = host.accounts().join(".spool/.log");
    let inode = |path: &Path| std::fs::symlink_metadata(path).map(|found| found.ino()).ok();
    until("the new socket", SOON, || (inode(&log) == inode(&socket)).then_some(()));
    let after = pair("after");
    account.import_all(&after, 10);
    assert_eq!(warnings(&account, "after"), [""; 0]);
}

/// The daemon is killed before it has stored the upload outcomes from the log. The reports must
/// warn about this.
#[test]
fn uploads_before_a_kill_cause_a_warning() {
    let host = impatient();
    let account = host.account("e2e-audit-kill");
    for n in 0..5 {
        let stem = format!("k{n}");
        let pair = Pair::events(&account.local(), &stem, 10);
        put(&account, &[&pair.data]);
        cut_upload(&account, &pair, &format!("{stem}.csv"));
        drop(host.daemon().take()); // sends SIGKILL
        host.start_daemon();
        put(&account, &[&pair.manifest]);
        let found = warnings(&account, &stem);
        let words = [CUT, UNKNOWN, BEGUN];
        let is_warned = |text: &String| words.iter().any(|word| text.contains(word));
        assert!(found.len() == 1 && is_warned(&found[0]), "{found:?}");
    }
}

#[test]
fn sessions_continue_without_the_daemon() {
    let host = Host::running();
    let account = host.account("e2e-audit-down");
    let batch = "ls\n".repeat(5) + &"put /etc/hostname h.txt\nrm h.txt\n".repeat(100);
    host.stop_daemon();
    let start = Instant::now();
    account.sftp(&batch).ok();
    let down = start.elapsed();
    host.start_daemon();
    until("the socket", SOON, || {
        account.sftp("put /etc/hostname i.txt\n").ok();
        let sql = "SELECT count(*) FROM activity WHERE action = 'file.closed'";
        (host.query(sql) != ["0"]).then_some(())
    });
    // The stopped daemon does not read the socket, so that the queue of the socket fills up and
    // sessions wait. On a real host, the watchdog ends a stopped daemon after at most one minute.
    // This test ends it by a kill.
    host.daemon().as_ref().unwrap().signal(Signal::SIGSTOP);
    let local = account.local().join("batch");
    std::fs::write(&local, &batch).unwrap();
    let mut args = account.options();
    let port = host.port.to_string();
    args.extend(["-P", &port, "-b", text(&local)].map(String::from));
    args.push(account.login());
    let mut client = Process::start("sftp", &args, &host.root.join("log/client"));
    std::thread::sleep(Duration::from_secs(2));
    drop(host.daemon().take());
    let status = client.wait(SOON);
    assert!(status.success(), "{status}");
    assert!(down < Duration::from_secs(30), "{down:?}");
}

#[test]
fn uploads_are_audited_during_a_log_flood() {
    let host = impatient();
    let account = host.account("e2e-audit-flood");
    let pair = Pair::events(&account.local(), "e", 20);
    let flood = Script::new(&account).start(
        "end = time.time() + 60\nn = 0\nwhile time.time() < end:\n    n += 1\n    \
         f = sftp.open('f%d.tmp' % (n % 50), 'w'); f.close()\n",
    );
    until("the flood", SOON, || (!activity(&account, "file.closed", 20).is_empty()).then_some(()));
    cut_upload_beside(&account, &pair);
    put(&account, &[&pair.manifest]);
    let found = warnings(&account, "e");
    assert!(found.len() == 1 && found[0].starts_with(CUT), "{found:?}");
    drop(flood);
    let left_out = activity(&account, "audit.left_out", 1);
    assert!(left_out[0].ends_with(" lines were left out"), "{left_out:?}");
    let lines =
        "SELECT count(*) FROM activity WHERE action LIKE 'file.%' OR action LIKE 'session.%'";
    let lines: u32 = host.query(lines)[0].parse().unwrap();
    assert!(lines <= 4 * 60, "{lines}");
    let facts: u32 = host.query("SELECT count(*) FROM upload")[0].parse().unwrap();
    assert!(facts <= 52, "{facts}");
}

/// Interrupts an upload like [`cut_upload`], while other sessions of the account continue.
fn cut_upload_beside(account: &Account<'_>, pair: &Pair) {
    let data = std::fs::read(&pair.data).unwrap();
    let half = account.local().join("half");
    std::fs::write(&half, &data[..data.len() / 2]).unwrap();
    let code = format!(
        "f = sftp.open('e.csv', 'w')\nf.write(open({:?}, 'rb').read())\nf.flush()\n\
         sftp.stat('.')\nos._exit(0)",
        text(&half)
    );
    Script::new(account).run(&code).ok();
}

/// An account can't read, remove or forge the log lines of another account. It can't forge its own
/// log lines either.
#[test]
fn an_account_cannot_change_the_log_socket() {
    let host = Host::running();
    let account = host.account("e2e-audit-dev");
    for command in ["rm /dev/log", "rename /dev/log /incoming/log", "put /etc/hostname /dev/x"] {
        account.sftp(&format!("{command}\n")).refused();
    }
    for command in ["chmod 0777 /dev", "chmod 0 /dev/log", "rename /dev /incoming/dev"] {
        account.sftp(&format!("{command}\n")).refused();
    }
    // Another user of the host, who could enter the accounts' folder, sends a line to the socket.
    // The line must be ignored, because the user is not an account.
    set_mode(&host.accounts(), 0o755);
    let log = host.accounts().join(&account.id).join("dev/log");
    let line =
        "<38>Nov 25 18:12:24 internal-sftp[7]: forced close \"e.csv\" bytes read 0 written 6";
    let code = format!(
        "import os, socket; os.setuid(65534); \
         socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto({line:?}.encode(), {:?})",
        text(&log)
    );
    run("python3", &["-c", &code]).ok();
    let pair = Pair::events(&account.local(), "e", 5);
    account.import_all(&pair, 5);
    assert_eq!(warnings(&account, "e"), [""; 0]);
    assert!(host.query("SELECT 1 FROM activity WHERE action = 'file.cut_off'").is_empty());
}

/// The test sends sshd's own log line in the format of the journal. The test listens at the socket
/// of systemd.
#[test]
fn a_login_updates_its_key() {
    let host = Host::new("");
    let account = host.account("e2e-audit-login");
    let socket = host.root.join("journal");
    let listener = journal_socket(&socket);
    host.start_daemon_with(&[], &[&format!("SFTP_IMPORT_JOURNAL={}", socket.display())]);
    let (mut journal, _) = listener.accept().unwrap();
    let keys = || host.cli(&["key", "list", &account.id, "--json"]).ok().json();
    assert!(keys()[0]["lastUsedAt"].is_null());
    account.sftp("pwd\n").ok();
    let accepted = until("sshd's line", SOON, || {
        let log = host.sshd_log();
        log.lines().find(|line| line.starts_with("Accepted publickey for")).map(str::to_owned)
    });
    let entry = |uid: &str, micros: u64| {
        let entry = serde_json::json!({"MESSAGE": accepted, "_UID": uid, "_EXE": "/usr/sbin/sshd",
            "__REALTIME_TIMESTAMP": micros.to_string()});
        format!("{entry}\n")
    };
    let now = u64::try_from(jiff::Timestamp::now().as_microsecond()).unwrap() / 1000 * 1000;
    write!(journal, "{}not an entry\n{}", entry("1000", now + 1_000_000), entry("0", now)).unwrap();
    let used = until("the key's last use", SOON, || {
        let key = keys()[0].clone();
        (!key["lastUsedAt"].is_null()).then_some(key)
    });
    assert_eq!(used["lastUsedFrom"], "127.0.0.1");
    let at: jiff::Timestamp = used["lastUsedAt"].as_str().unwrap().parse().unwrap();
    assert_eq!(at.as_microsecond(), i64::try_from(now).unwrap());
    let listed = host.cli(&["key", "list", &account.id]).ok().stdout;
    assert!(listed.contains("LAST USE") && listed.contains("127.0.0.1"), "{listed}");
    // Each connection begins with the entries of the last day. No entry may be recorded twice.
    drop(journal);
    let (mut journal, _) = listener.accept().unwrap();
    write!(journal, "{}{}", entry("0", now), entry("0", now + 5_000_000)).unwrap();
    drop(journal);
    let logins = activity(&account, "session.login", 2);
    assert_eq!(logins.len(), 2, "{logins:?}");
    assert!(logins[0].starts_with("ED25519 SHA256:") && logins[0].ends_with(" from 127.0.0.1"));
}

/// Listens as root at `path`. The daemon's user may connect.
fn journal_socket(path: &Path) -> UnixListener {
    let listener = UnixListener::bind(path).unwrap();
    run("chown", &["sftp-import", text(path)]).ok();
    listener
}

/// The daemon must not read entries from a listener that does not run as root.
#[test]
fn log_entries_are_accepted_only_from_root() {
    let host = Host::new("");
    let socket = host.root.join("run/journal");
    std::fs::create_dir(host.root.join("run")).unwrap();
    run("chown", &["sftp-import", text(&host.root.join("run"))]).ok();
    let listen = format!(
        "import os, pwd, socket\nos.setuid(pwd.getpwnam('sftp-import').pw_uid)\n\
         s = socket.socket(socket.AF_UNIX)\ns.bind({:?})\ns.listen()\n\
         print('listening', flush=True)\n\
         while True:\n  c, _ = s.accept()\n  print(c.recv(1), flush=True)",
        text(&socket)
    );
    let log = host.root.join("log/listener");
    let _listener = Process::start("python3", &["-c", &listen], &log);
    let printed = |text| std::fs::read_to_string(&log).unwrap().contains(text);
    until("the listener", SOON, || printed("listening").then_some(()));
    host.start_daemon_with(&[], &[&format!("SFTP_IMPORT_JOURNAL={}", socket.display())]);
    until("the refusal", SOON, || {
        let daemon = std::fs::read_to_string(host.root.join("log/daemon")).unwrap_or_default();
        daemon.contains("listens at the socket, not root").then_some(())
    });
    until("the connection to be closed", SOON, || printed("b''").then_some(()));
}

/// The socket is missing when the daemon starts. The daemon reports this once, and connects when
/// the socket appears.
#[test]
fn daemon_connects_when_the_journal_socket_appears() {
    let host = Host::new("");
    let socket = host.root.join("journal");
    host.start_daemon_with(&[], &[&format!("SFTP_IMPORT_JOURNAL={}", socket.display())]);
    let log = || std::fs::read_to_string(host.root.join("log/daemon")).unwrap_or_default();
    until("the report", SOON, || log().contains("logins are not audited").then_some(()));
    let listener = journal_socket(&socket);
    let _journal = listener.accept().unwrap();
    until("the report that logins are audited again", SOON, || {
        log().contains("logins are audited again").then_some(())
    });
    assert_eq!(log().matches("logins are not audited").count(), 1);
}
