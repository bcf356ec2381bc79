//! From the manifest's close to `picked_up` in the activity log, on the real sidecar.
//!
//! `cargo bench --bench pickup` (as root). Starts `sftp-importd` on folders of its own, drops
//! pairs into one account's incoming, one after the other, and prints the milliseconds from the
//! close of the manifest to the activity log's line, which is in the database when it counts.

#![allow(clippy::print_stdout)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use sftp_import::account::AccountId;
use sftp_import::state::{State, accounts, activity};

const PAIRS: usize = 200;

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
    state
        .write(|tx| {
            accounts::add(tx, Timestamp::now(), &account, None, &[])?;
            accounts::set_uid(tx, &account, 70_000)
        })
        .map_err(|error: sftp_import::state::Error| error)
        .expect("the account is added");
    let child = Command::new(env!("CARGO_BIN_EXE_sftp-importd"))
        .arg("--config")
        .arg(root.join("config.toml"))
        .env("SFTP_IMPORT_LOG", "error")
        .stdin(Stdio::null())
        .spawn()
        .expect("sftp-importd starts");
    let _sidecar = Sidecar { child, root };

    let mut times: Vec<f64> = (0..PAIRS + 5).map(|n| one(&state, &incoming, n)).collect();
    times.drain(..5); // until the sidecar is up
    times.sort_by(f64::total_cmp);
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
    println!(
        "manifest closed to picked_up, {PAIRS} pairs: p50 {:.1} ms, p90 {:.1} ms, p99 {:.1} ms, max {:.1} ms",
        at(0.5),
        at(0.9),
        at(0.99),
        at(1.0)
    );
}

fn folders(root: &Path, account: &AccountId) -> PathBuf {
    let incoming = root.join("accounts").join(account).join("incoming");
    for folder in [
        root.join("state"),
        root.join("accounts/.spool"),
        incoming.clone(),
        root.join("accounts").join(account).join("results"),
    ] {
        fs::create_dir_all(&folder).expect("a folder is made");
    }
    fs::set_permissions(root.join("accounts/.spool"), fs::Permissions::from_mode(0o700))
        .expect("the spool is private");
    let config = format!(
        "[paths]\naccounts = '{0}/accounts'\nstate = '{0}/state'\n[mail]\nurl = ''\n",
        root.display()
    );
    fs::write(root.join("config.toml"), config).expect("the configuration is written");
    incoming
}

/// Drops pair number `n`; the milliseconds until it is picked up.
fn one(state: &State, incoming: &Path, n: usize) -> f64 {
    let csv = "event_name,identity\nPurchased,a@example.com\n";
    let manifest = format!(
        r#"{{"type":"event","fileName":"{n}.csv","clientEmail":"a@example.com",
            "columns":{{"event_name":{{"ctName":"evtName"}}}}}}"#
    );
    fs::write(incoming.join(format!("{n}.csv")), csv).expect("the data file is written");
    fs::write(incoming.join(format!("{n}.manifest")), manifest).expect("the manifest is written");
    let closed = Timestamp::now();
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let seen = state
            .read(|tx| activity::recent(tx, None, 1_000_000))
            .expect("the activity log is readable")
            .into_iter()
            .filter(|line| line.action == "import.picked_up")
            .nth(n);
        if let Some(line) = seen {
            // The line's own time is from before its transaction was durable: take the later.
            return Timestamp::now().duration_since(closed.min(line.at)).as_secs_f64() * 1000.0;
        }
        assert!(Instant::now() < deadline, "pair {n} was not picked up in 20 s");
        std::thread::sleep(Duration::from_micros(200));
    }
}
