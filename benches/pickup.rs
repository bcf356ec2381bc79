//! From the manifest's close to `picked_up` in the activity log, on the real sidecar.
//!
//! `cargo bench --bench pickup` (as root). Starts `sftp-importd` on folders of its own, drops
//! pairs into one account's incoming, one after the other, and prints the milliseconds from the
//! close of the manifest to the activity log's line, which is in the database when it counts: on an
//! idle host, and beside another account's import of 4 GB.

#![allow(clippy::print_stdout)]

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use sftp_import::account::AccountId;
use sftp_import::state::activity::Activity;
use sftp_import::state::{State, accounts, activity};

const PAIRS: usize = 200;
/// Pairs until the sidecar is up.
const WARM_UP: usize = 5;

struct Sidecar {
    child: Child,
    root: PathBuf,
}

impl Drop for Sidecar {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.root);
    }
}

fn main() {
    let account: AccountId = "bench".parse().expect("an account id");
    let root = PathBuf::from(format!("/var/tmp/sftp-import-bench-{}", std::process::id()));
    let incoming = folders(&root, &account);
    let state = State::open(&root.join("state/state.db")).expect("the state database opens");
    add(&state, &account, 70_000);
    let child = Command::new(env!("CARGO_BIN_EXE_sftp-importd"))
        .arg("--config")
        .arg(root.join("config.toml"))
        .env("SFTP_IMPORT_LOG", "error")
        .stdin(Stdio::null())
        .spawn()
        .expect("sftp-importd starts");
    let _sidecar = Sidecar { child, root: root.clone() };

    for n in 0..WARM_UP {
        one(&state, &account, &incoming, n);
    }
    measure("idle", &state, &account, &incoming, WARM_UP);
    let huge: AccountId = "huge".parse().expect("an account id");
    let import = begin_huge(&root, &state, &huge);
    measure("beside an import of 4 GB", &state, &account, &incoming, WARM_UP + PAIRS);
    let now: String = import_state(&state, &import);
    assert_eq!(now, "running", "the huge import ended too early to be in anybody's way");
}

/// Times [`PAIRS`] pairs, numbered from `first`, and prints what they took.
fn measure(what: &str, state: &State, account: &AccountId, incoming: &Path, first: usize) {
    let mut times: Vec<f64> =
        (first..first + PAIRS).map(|n| one(state, account, incoming, n)).collect();
    times.sort_by(f64::total_cmp);
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
    println!(
        "manifest closed to picked_up, {what}, {PAIRS} pairs: p50 {:.1} ms, p90 {:.1} ms, p99 {:.1} ms, max {:.1} ms",
        at(0.5),
        at(0.9),
        at(0.99),
        at(1.0)
    );
}

/// Drops a pair whose data file has 4 GB of records, and waits until it runs.
fn begin_huge(root: &Path, state: &State, account: &AccountId) -> String {
    let incoming = account_folders(root, account);
    add(state, account, 70_001);
    let block: String =
        (0..10_000).map(|n| format!("Purchased,user{n}@example.com,{n}.5\n")).collect();
    let file = fs::File::create(incoming.join("huge.csv.zst")).expect("the data file is made");
    let mut file = zstd::Encoder::new(file, 1).expect("an encoder");
    file.write_all(b"event_name,identity,Price\n").expect("the header is written");
    for _ in 0..4_000_000_000 / block.len() {
        file.write_all(block.as_bytes()).expect("records are written");
    }
    file.finish().expect("the data file is whole");
    fs::write(incoming.join("huge.manifest"), manifest("huge.csv.zst")).expect("its manifest");
    let deadline = Instant::now() + Duration::from_secs(20);
    while picked_up(state, account).is_empty() {
        assert!(Instant::now() < deadline, "the huge pair was not picked up in 20 s");
        std::thread::sleep(Duration::from_millis(10));
    }
    picked_up(state, account)[0].import.clone().expect("it is an import's line")
}

fn import_state(state: &State, import: &str) -> String {
    state
        .read(|tx| {
            let sql = "SELECT state FROM import WHERE id = ?1";
            Ok::<_, sftp_import::state::Error>(tx.query_row(sql, [import], |row| row.get(0))?)
        })
        .expect("the state database is readable")
}

fn add(state: &State, account: &AccountId, uid: u32) {
    state
        .write(|tx| {
            accounts::add(tx, Timestamp::now(), account, None, &[])?;
            accounts::set_uid(tx, account, uid)
        })
        .map_err(|error: sftp_import::state::Error| error)
        .expect("the account is added");
}

/// The account's lines about imports that began, the oldest first.
fn picked_up(state: &State, account: &AccountId) -> Vec<Activity> {
    let mut lines = state
        .read(|tx| activity::recent(tx, Some(account), 1_000_000))
        .expect("the activity log is readable");
    lines.retain(|line| line.action == "import.picked_up");
    lines
}

fn manifest(data_file: &str) -> String {
    format!(
        r#"{{"type":"event","fileName":"{data_file}","clientEmail":"a@example.com",
            "columns":{{"event_name":{{"ctName":"evtName"}}}}}}"#
    )
}

fn folders(root: &Path, account: &AccountId) -> PathBuf {
    for folder in ["state", "accounts/.spool"] {
        fs::create_dir_all(root.join(folder)).expect("a folder is made");
    }
    let incoming = account_folders(root, account);
    fs::set_permissions(root.join("accounts/.spool"), fs::Permissions::from_mode(0o700))
        .expect("the spool is private");
    let config = format!(
        "[paths]\naccounts = '{0}/accounts'\nstate = '{0}/state'\n[mail]\nurl = ''\n",
        root.display()
    );
    fs::write(root.join("config.toml"), config).expect("the configuration is written");
    incoming
}

/// Returns the account's incoming.
fn account_folders(root: &Path, account: &AccountId) -> PathBuf {
    let folder = root.join("accounts").join(account);
    for name in ["incoming", "results"] {
        fs::create_dir_all(folder.join(name)).expect("a folder is made");
    }
    folder.join("incoming")
}

/// Drops pair number `n`; the milliseconds until it is picked up.
fn one(state: &State, account: &AccountId, incoming: &Path, n: usize) -> f64 {
    let csv = "event_name,identity\nPurchased,a@example.com\n";
    fs::write(incoming.join(format!("{n}.csv")), csv).expect("the data file is written");
    fs::write(incoming.join(format!("{n}.manifest")), manifest(&format!("{n}.csv")))
        .expect("the manifest is written");
    let closed = Timestamp::now();
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        if let Some(line) = picked_up(state, account).get(n) {
            // The line's own time is from before its transaction was durable: take the later.
            return Timestamp::now().duration_since(closed.min(line.at)).as_secs_f64() * 1000.0;
        }
        assert!(Instant::now() < deadline, "pair {n} was not picked up in 20 s");
        std::thread::sleep(Duration::from_micros(200));
    }
}
