//! Tests uploads by every client that partners use. Each client must end without an error, and each
//! of its pairs must be imported once. The links have either a long delay or none.
//!
//! WinSCP and FileZilla are not run. paramiko sends the same requests as these clients. Each
//! account uploads in one way, one pair after another. It uses either new sessions for each pair,
//! or the same sessions for many pairs. Accounts upload at the same time. For each way the accounts
//! upload:
//!
//! - over a link with a round trip of 1 s: 3 pairs, one of them in shared sessions; 30 pairs with
//!   `SFTP_IMPORT_TEST_LONG=1`;
//! - without delay: 50 pairs, 40 of them in shared sessions; 1,000 pairs with
//!   `SFTP_IMPORT_TEST_LONG=1`.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::kill::long;
use crate::slow_link::SlowLink;
use crate::support::account::Account;
use crate::support::catchers::PYTHON;
use crate::support::host::{Host, REPOSITORY, text};
use crate::support::outcome::{names, spooled};
use crate::support::pair::{EVENTS_HEADER, Pair};
use crate::support::process::{Ran, run, run_with, until};

const ROUND_TRIP: Duration = Duration::from_secs(1);
/// The number of accounts that upload at the same time without delay. The machine limits this
/// number, not the link.
const FAST_WORKERS: usize = 6;
/// The maximum time until all uploads of one kind are answered.
const PATIENCE: Duration = Duration::from_secs(600);

/// A way in which a client uploads pairs.
#[derive(Debug)]
struct Way {
    name: &'static str,
    /// The function that uploads a batch of pairs.
    upload: fn(&Client<'_>, &[Pair]),
    /// The number of pairs in a batch.
    batch: usize,
    /// True if each pair is complete before the next pair begins.
    is_ordered: bool,
    /// The `settle` period that accounts need on the slow link. `None` if the default is enough.
    slow_settle: Option<&'static str>,
}

const fn ordered(name: &'static str, upload: fn(&Client<'_>, &[Pair])) -> Way {
    Way { name, upload, batch: 20, is_ordered: true, slow_settle: None }
}

/// Returns a way in which the client chooses the order of files.
const fn unordered(name: &'static str, upload: fn(&Client<'_>, &[Pair])) -> Way {
    Way { name, upload, batch: 5, is_ordered: false, slow_settle: None }
}

/// All ways. The slowest ways begin first.
static WAYS: [Way; 12] = [
    unordered("rclone", rclone),
    // After the close of a file and before the change of its time, rclone may open another
    // connection. This takes eight round trips.
    Way { slow_settle: Some("20s"), ..unordered("rclone-folder", rclone_folder) },
    ordered("filezilla", paramiko),
    ordered("winscp", paramiko),
    ordered("paramiko", paramiko),
    // `put` ends with a stat. After this stat, two round trips have passed since the close of the
    // manifest.
    Way { slow_settle: Some("5s"), ..ordered("paramiko-times", paramiko) },
    ordered("manifest-first", paramiko),
    ordered("manifest-during-data", paramiko),
    ordered("scp", openssh_scp),
    ordered("sftp", openssh_sftp),
    ordered("curl", curl),
    ordered("lftp", lftp),
];

/// The uploading client of one account.
struct Client<'h> {
    account: Account<'h>,
    port: u16,
    way: &'static str,
    /// True if all pairs of a batch use the same sessions.
    shares_sessions: bool,
}

impl Client<'_> {
    /// Returns the pairs for each run of a command.
    fn runs<'p>(&self, pairs: &'p [Pair]) -> std::slice::Chunks<'p, Pair> {
        pairs.chunks(if self.shares_sessions { pairs.len() } else { 1 })
    }
}

fn files(pairs: &[Pair]) -> impl Iterator<Item = &str> {
    pairs.iter().flat_map(|pair| [text(&pair.data), text(&pair.manifest)])
}

/// Uses one session for each pair, or one session for all pairs.
fn openssh_sftp(client: &Client<'_>, pairs: &[Pair]) {
    for pairs in client.runs(pairs) {
        let mut args = client.account.options();
        args.extend(["-P".into(), client.port.to_string(), "-b".into(), "-".into()]);
        args.push(client.account.login());
        let puts: String = files(pairs).map(|file| format!("put {file}\n")).collect();
        run_with("sftp", &args, &puts).ok();
    }
}

/// Uses one command for each file, or one command for all files.
fn openssh_scp(client: &Client<'_>, pairs: &[Pair]) {
    let scp = |files: &[&str]| {
        let mut args = client.account.options();
        args.extend(["-P".into(), client.port.to_string()]);
        args.extend(files.iter().map(|file| (*file).to_owned()));
        args.push(format!("{}:", client.account.login()));
        run("scp", &args).ok();
    };
    for_each_command(client, pairs, scp);
}

/// Uses one command for each file, or one command for all files.
fn curl(client: &Client<'_>, pairs: &[Pair]) {
    let (user, key) = (format!("{}:", client.account.id), text(&client.account.key));
    let public_key = format!("{key}.pub");
    let url = format!("sftp://127.0.0.1:{}/incoming/", client.port);
    let curl = |files: &[&str]| {
        let files = format!("{{{}}}", files.join(","));
        let login = ["-u", &user, "--key", key, "--pubkey", &public_key, "--insecure"];
        run("curl", &[&["-sS"], &login[..], &["-T", &files, &url]].concat()).ok();
    };
    for_each_command(client, pairs, curl);
}

/// Runs `command` for each file, or once for all files.
fn for_each_command(client: &Client<'_>, pairs: &[Pair], command: impl Fn(&[&str])) {
    let files: Vec<_> = files(pairs).collect();
    files.chunks(if client.shares_sessions { files.len() } else { 1 }).for_each(command);
}

/// Uses one session for each pair, or one session for all pairs.
fn lftp(client: &Client<'_>, pairs: &[Pair]) {
    let ssh = format!("ssh -a -x {}", client.account.options().join(" "));
    for pairs in client.runs(pairs) {
        let puts: String = files(pairs).map(|file| format!("; put {file}")).collect();
        let commands = format!(
            "set sftp:connect-program \"{ssh}\"; set cmd:fail-exit yes; set net:max-retries 1; \
             open -u {},none sftp://127.0.0.1:{}{puts}",
            client.account.id, client.port,
        );
        run("lftp", &["--norc", "-c", &commands]).ok();
    }
}

/// Runs rclone without the detection of a shell, which takes 19 round trips.
fn rclone_copy(client: &Client<'_>, options: &[&str], source: &str) -> Ran {
    let (port, key) = (client.port.to_string(), text(&client.account.key));
    let login = [
        ["--sftp-host", "127.0.0.1", "--sftp-port", &port],
        ["--sftp-user", &client.account.id, "--sftp-key-file", key],
    ];
    let fixed = ["--config", "/dev/null", "--sftp-shell-type", "none"];
    let once = ["--retries", "1", "--low-level-retries", "1"];
    let copy = ["copy", source, ":sftp:"];
    run("rclone", &[&fixed[..], &login.concat(), &once, options, &copy].concat())
}

/// Uses one command for the data file and one for the manifest. The commands upload the files of
/// one pair, or of all pairs.
fn rclone(client: &Client<'_>, pairs: &[Pair]) {
    if client.shares_sessions {
        let folder = pairs[0].data.parent().unwrap();
        for ending in ["*.csv", "*.manifest"] {
            rclone_copy(client, &["--transfers", "1", "--include", ending], text(folder)).ok();
        }
    } else {
        for file in files(pairs) {
            rclone_copy(client, &[], file).ok();
        }
    }
}

/// Uses one command for the folder of the batch.
fn rclone_folder(client: &Client<'_>, pairs: &[Pair]) {
    let folder = pairs[0].data.parent().unwrap();
    rclone_copy(client, &["--transfers", "4"], text(folder)).ok();
}

/// Uploads with tests/clients/paramiko_ways.py.
fn paramiko(client: &Client<'_>, pairs: &[Pair]) {
    let script = format!("{REPOSITORY}/tests/clients/paramiko_ways.py");
    let (port, key) = (client.port.to_string(), text(&client.account.key));
    let sessions = if client.shares_sessions { "one" } else { "each" };
    let stems: Vec<PathBuf> = pairs.iter().map(|pair| pair.data.with_extension("")).collect();
    let mut args = vec![&script, client.way, &port, &client.account.id, key, sessions];
    args.extend(stems.iter().map(|stem| text(stem)));
    run(PYTHON, &args).ok();
}

/// The pairs that one account uploads in one way.
#[derive(Debug)]
struct Lane {
    way: &'static Way,
    account: String,
    shares_sessions: bool,
    pairs: usize,
    batch: usize,
    /// The number of records in each pair.
    records: usize,
}

impl Lane {
    /// Uploads and checks all pairs.
    fn run(&self, host: &Host, port: u16) {
        let (way, shares_sessions) = (self.way.name, self.shares_sessions);
        let client = Client { account: host.account(&self.account), port, way, shares_sessions };
        let batches = self.write_batches(&client.account.local());
        for batch in &batches {
            (self.way.upload)(&client, batch);
        }
        self.wait_until_answered(&client.account);
        self.check_order(host, &batches);
        for pair in batches.iter().flatten() {
            self.check_pair(&client.account, pair);
        }
        check_nothing_else(&client.account, &batches.concat());
    }

    /// Writes the pairs. Each pair has its own name and its own identities.
    fn write_batches(&self, folder: &Path) -> Vec<Vec<Pair>> {
        let numbers: Vec<usize> = (0..self.pairs).collect();
        let batches = numbers.chunks(self.batch).map(|batch| {
            let folder = folder.join(format!("batch-{}", batch[0]));
            std::fs::create_dir(&folder).unwrap();
            let pair = |n: &usize| {
                // The stem is also part of the recipient's address, because the number of mails to
                // one address per hour is limited.
                let stem = format!("{}-{n:04}", self.account);
                let rows = (0..self.records).map(|i| {
                    let ts = 1_600_000_000 + i;
                    format!("Purchased,{ts},{},{i}.5,a note {i}\n", identity(&stem, i))
                });
                let csv = format!("{EVENTS_HEADER}\n") + &rows.collect::<String>();
                Pair::new(&folder, &stem, "event", &csv)
            };
            batch.iter().map(pair).collect()
        });
        batches.collect()
    }

    fn wait_until_answered(&self, account: &Account<'_>) {
        let Account { host, id, .. } = account;
        until(&format!("{id}: incoming to be empty"), patience(), || {
            host.check_daemon();
            names(&account.incoming(), "").is_empty().then_some(())
        });
        let unfinished = format!(
            "SELECT count(*) FROM import
             WHERE account = '{id}' AND state NOT IN ('completed', 'failed')"
        );
        until(&format!("{id}: imports to end"), patience(), || {
            host.check_daemon();
            (host.query(&unfinished) == ["0"]).then_some(())
        });
    }

    /// Checks that each manifest has one completed import, and that the imports are in the order of
    /// upload.
    fn check_order(&self, host: &Host, batches: &[Vec<Pair>]) {
        let id = &self.account;
        let mut imports = host.query(&format!(
            "SELECT manifest || ' ' || state FROM import WHERE account = '{id}' ORDER BY n"
        ));
        if !self.way.is_ordered {
            imports.chunks_mut(self.batch).for_each(<[String]>::sort);
        }
        let stems = batches.iter().flatten().map(|pair| &pair.stem);
        let expected: Vec<_> = stems.map(|stem| format!("{stem}.manifest completed")).collect();
        assert_eq!(imports, expected, "{id}");
    }

    /// Checks that all records were accepted and stored.
    fn check_pair(&self, account: &Account<'_>, pair: &Pair) {
        account.expect_accepted(pair, self.records as u64);
        let report = account.report(&pair.stem);
        let (failure, warnings) = (&report["failure"], &report["warnings"]);
        assert!(failure.is_null() && *warnings == serde_json::json!([]), "{report:#}");
        let events = account.events(report["import"].as_str().unwrap());
        assert_eq!(events.len(), self.records, "{report:#}");
        for (i, event) in events.iter().enumerate() {
            assert!(event.contains(&identity(&pair.stem, i)), "{event}: {report:#}");
        }
    }
}

/// Checks that the account's folders contain only the results of `pairs`.
fn check_nothing_else(account: &Account<'_>, pairs: &[Pair]) {
    let id = &account.id;
    assert_eq!(account.event_folders().len(), pairs.len(), "{id}");
    let reports: Vec<_> = pairs.iter().map(|pair| format!("{}.result.json", pair.stem)).collect();
    assert_eq!(names(&account.results(), ""), reports, "{id}");
    assert!(names(&account.incoming(), "").is_empty(), "{id}");
}

fn patience() -> Duration {
    if long() { 6 * PATIENCE } else { PATIENCE }
}

fn identity(stem: &str, record: usize) -> String {
    format!("{stem}.{record}@example.com")
}

/// Runs all lanes, `workers` at a time. Failed lanes are listed at the end.
fn run_all(lanes: &[Lane], workers: usize, host: &Host, port: u16) {
    let (waiting, failed) = (Mutex::new(lanes.iter()), Mutex::new(Vec::new()));
    let work = || {
        let next = || waiting.lock().unwrap_or_else(PoisonError::into_inner).next();
        while let Some(lane) = next() {
            if catch_unwind(AssertUnwindSafe(|| lane.run(host, port))).is_err() {
                failed.lock().unwrap().push(&lane.account);
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(work);
        }
    });
    let failed = failed.into_inner().unwrap();
    assert!(failed.is_empty(), "failed: {failed:?}");
    // The long form sends more than ten thousand mails.
    host.wait_until_quiet(patience());
    until("the spool to be empty", patience(), || spooled(host).is_empty().then_some(()));
    let pairs: usize = lanes.iter().map(|lane| lane.pairs).sum();
    let imports = host.query("SELECT state || ' ' || count(*) FROM import GROUP BY state");
    assert_eq!(imports, [format!("completed {pairs}")]);
}

/// Returns the lanes of every way. For each lane, `accounts` contains the number of pairs, and
/// whether they share sessions.
fn lanes(kind: &str, accounts: &[(usize, bool)], records: usize) -> Vec<Lane> {
    let of_way = |way: &'static Way| {
        accounts.iter().enumerate().map(move |(n, &(pairs, shares_sessions))| {
            // An account id has at most 32 characters.
            let name = way.name.strip_suffix("-data").unwrap_or(way.name);
            let account = format!("e2e-ways-{kind}-{n}-{name}");
            Lane { way, account, shares_sessions, pairs, batch: way.batch, records }
        })
    };
    WAYS.iter().flat_map(of_way).collect()
}

/// Returns a running host. The interval of rescans is so long that only scans after a client's
/// upload find a pair.
fn host(config: &str) -> Host {
    let host = Host::new(&format!("[pairing]\nrescan-every = \"1h\"\n{config}"));
    host.start_daemon();
    host
}

/// On a slow link the requests of a client are at least one second apart.
#[test]
fn slow_uploads_are_imported_once() {
    let pairs = if long() { 10 } else { 1 };
    let mut lanes = lanes("slow", &[(pairs, false), (pairs, true), (pairs, false)], 1_000);
    for lane in &mut lanes {
        // Each pair needs about twenty round trips. This is far below the time limit of a command.
        lane.batch = lane.batch.min(2);
    }
    let settle = |lane: &Lane| {
        let settle = lane.way.slow_settle?;
        Some(format!("[account.{}.pairing]\nsettle = {settle:?}\n", lane.account))
    };
    let host = host(&lanes.iter().filter_map(settle).collect::<String>());
    let link = SlowLink::new(host.port, ROUND_TRIP);
    // The lanes wait most of the time, so all lanes run at the same time.
    run_all(&lanes, lanes.len(), &host, link.port);
}

/// Without delay, the requests of a client follow each other immediately.
#[test]
fn fast_uploads_are_imported_once() {
    let times = if long() { 20 } else { 1 };
    let lanes = lanes("fast", &[(10 * times, false), (40 * times, true)], 20);
    let host = host("");
    run_all(&lanes, FAST_WORKERS, &host, host.port);
}
