//! Measures the run time of the helper for sshd, with a thousand and with a million published keys,
//! and the run time of `/bin/true` for comparison. Also measures the time for publishing the keys.
//!
//! `cargo bench --bench helper [KEYS]`. Each round runs `/bin/true` and then the helper with both
//! databases. Each round uses a different key. The results are medians of the time from the start
//! to the end of a process.

#![allow(clippy::print_stdout, reason = "a bench reports")]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use jiff::Timestamp;
use sftp_import::account::AccountId;
use sftp_import::account_state::AccountState;
use sftp_import::config::Config;
use sftp_import::key::publish;
use sftp_import::registry::{self, Account, Registry, accounts};

const ROUNDS: u64 = 400;
/// The number of keys of one account.
const OF_ONE: u64 = 100;
const FEW: u64 = 1000;

fn main() {
    let many = std::env::args().filter_map(|arg| arg.parse().ok()).next().unwrap_or(1_000_000);
    let folder = tempfile::tempdir_in("/var/tmp").expect("a folder");
    let published = [FEW, many].map(|n| (prepare(&folder.path().join(n.to_string()), n), n));
    let mut times = [const { Vec::new() }; 3];
    for round in 0..ROUNDS {
        times[0].push(milliseconds(&mut Command::new("/bin/true"), false));
        for (n, (database, keys)) in published.iter().enumerate() {
            // Successive rounds use keys from all parts of the table.
            let key = round * 7919 * 31 % keys;
            times[n + 1].push(milliseconds(&mut ask(database, key), true));
        }
    }
    let [nothing, few, million] = times.map(|mut times| {
        times.sort_by(f64::total_cmp);
        times[times.len() / 2]
    });
    println!(
        "a process: /bin/true {nothing:.2} ms, the helper with {FEW} keys {few:.2} ms ({:.2} times), \
         with {many} keys {million:.2} ms ({:.2} times)",
        few / nothing,
        million / nothing
    );
}

/// Makes a registry with `keys` keys, publishes them, and prints the time that this took. Returns
/// the path of the published keys.
fn prepare(folder: &Path, keys: u64) -> PathBuf {
    std::fs::create_dir(folder).expect("a folder is made");
    let mut config = Config::default();
    config.paths.state = folder.to_owned();
    config.paths.admin = folder.join("admin");
    config.paths.keys = folder.join("keys");
    config.accounts.last_uid = u32::MAX;
    let registry = Registry::create(&config.paths.admin, "bench", |tx| {
        let now = Timestamp::now();
        for (account, uid) in (0..keys.div_ceil(OF_ONE)).zip(config.accounts.first_uid..) {
            let id: AccountId = format!("bench-{account}").parse().expect("an account id");
            let account = Account { id, uid: Some(uid), state: AccountState::Active };
            accounts::add(tx, now, &account)?;
        }
        let mut insert = tx.prepare(
            "INSERT INTO approved
                 (account, name, algorithm, public_key, fingerprint, approved_at, approved_by)
             VALUES (?1, ?2, 'ssh-ed25519', ?3, ?4, 0, 'bench')",
        )?;
        for key in 0..keys {
            let account = format!("bench-{}", key / OF_ONE);
            let public = format!("AAAAC3NzaC1lZDI1NTE5AAAAI{key:043}");
            insert.execute((account, key.to_string(), public, fingerprint(key)))?;
        }
        Ok::<_, registry::Error>(())
    })
    .expect("keys are added");
    let begin = Instant::now();
    let count = publish(&registry, &config, Timestamp::now()).expect("the keys are published");
    assert_eq!(count, keys);
    println!("publishing {keys} keys: {:.2} s", begin.elapsed().as_secs_f64());
    config.paths.keys_db()
}

/// Returns a fingerprint. The fingerprints are distributed over the table like digests.
fn fingerprint(key: u64) -> String {
    let mixed = key.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    format!("SHA256:{mixed:020}{key:023}")
}

fn ask(database: &Path, key: u64) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sftp-import-authorized-keys"));
    command.arg("--database").arg(database);
    command.arg(format!("bench-{}", key / OF_ONE)).arg(fingerprint(key));
    command
}

/// Returns the time from the start to the end of the process, in milliseconds. The process must
/// succeed. It must print a line if `speaks` is true, and otherwise print nothing.
fn milliseconds(command: &mut Command, speaks: bool) -> f64 {
    let begin = Instant::now();
    let output = command.stdin(Stdio::null()).output().expect("the program starts");
    let elapsed = begin.elapsed();
    assert!(output.status.success() && output.stdout.is_empty() != speaks, "{output:?}");
    elapsed.as_secs_f64() * 1000.0
}
