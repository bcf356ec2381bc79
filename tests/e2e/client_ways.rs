//! Every client that partners use ends without an error, and each of its pairs is imported once,
//! over a slow link and without delay.
//!
//! WinSCP and FileZilla are not run: paramiko sends the requests that they send.
//! An account uploads in one way, its pairs one after the other, in new sessions for each pair or in
//! the same sessions for many. Of each way are uploaded, by accounts side by side,
//!
//! - over a link with a round trip of 1 s: 3 pairs, one of them in shared sessions; 30 with
//!   `SFTP_IMPORT_TEST_LONG=1`;
//! - without delay: 50 pairs, 40 of them in shared sessions; 1,000 with `SFTP_IMPORT_TEST_LONG=1`.

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
/// Accounts that upload at a time where the machine is the limit, not the link.
const FAST_WORKERS: usize = 6;
/// How long all uploads of one kind may take to be answered.
const PATIENCE: Duration = Duration::from_secs(600);

/// A client's way of uploading.
#[derive(Debug)]
struct Way {
    name: &'static str,
    /// Uploads a batch of pairs.
    upload: fn(&Client<'_>, &[Pair]),
    /// How many pairs a batch has, where there are more to upload.
    batch: usize,
    /// Whether a pair is complete before the next one begins.
    is_ordered: bool,
    /// The `settle` that its accounts need on the slow link, if it is not the default.
    slow_settle: Option<&'static str>,
}

const fn ordered(name: &'static str, upload: fn(&Client<'_>, &[Pair])) -> Way {
    Way { name, upload, batch: 20, is_ordered: true, slow_settle: None }
}

/// Transfers in an order of the client's own.
const fn unordered(name: &'static str, upload: fn(&Client<'_>, &[Pair])) -> Way {
    Way { name, upload, batch: 5, is_ordered: false, slow_settle: None }
}

/// The slowest ones begin first.
static WAYS: [Way; 12] = [
    unordered("rclone", rclone),
    // Between a file's close and the setting of its time it may open one more connection, which takes
    // eight round trips.
    Way { slow_settle: Some("20s"), ..unordered("rclone-folder", rclone_folder) },
    ordered("filezilla", paramiko),
    ordered("winscp", paramiko),
    ordered("paramiko", paramiko),
    // After the stat of put, two round trips have passed since the manifest's close.
    Way { slow_settle: Some("5s"), ..ordered("paramiko-times", paramiko) },
    ordered("manifest-first", paramiko),
    ordered("manifest-during-data", paramiko),
    ordered("scp", openssh_scp),
    ordered("sftp", openssh_sftp),
    ordered("curl", curl),
    ordered("lftp", lftp),
];

/// What uploads for one account.
struct Client<'h> {
    account: Account<'h>,
    port: u16,
    way: &'static str,
    /// The same sessions for all pairs of a batch.
    shares_sessions: bool,
}

impl Client<'_> {
    /// The pairs that are uploaded by one run of a command.
    fn runs<'p>(&self, pairs: &'p [Pair]) -> std::slice::Chunks<'p, Pair> {
        pairs.chunks(if self.shares_sessions { pairs.len() } else { 1 })
    }
}

fn files(pairs: &[Pair]) -> impl Iterator<Item = &str> {
    pairs.iter().flat_map(|pair| [text(&pair.data), text(&pair.manifest)])
}

/// One session for each pair, or for all.
fn openssh_sftp(client: &Client<'_>, pairs: &[Pair]) {
    for pairs in client.runs(pairs) {
        let mut args = client.account.options();
        args.extend(["-P".into(), client.port.to_string(), "-b".into(), "-".into()]);
        args.push(client.account.login());
        let puts: String = files(pairs).map(|file| format!("put {file}\n")).collect();
        run_with("sftp", &args, &puts).ok();
    }
}

/// One command for each file, or for all.
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

/// One command for each file, or for all.
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

/// Runs `command` with each file, or with all of them.
fn for_each_command(client: &Client<'_>, pairs: &[Pair], command: impl Fn(&[&str])) {
    let files: Vec<_> = files(pairs).collect();
    files.chunks(if client.shares_sessions { files.len() } else { 1 }).for_each(command);
}

/// One session for each pair, or for all.
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

/// Without the detection of a shell, which takes 19 round trips.
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

/// A command for the data file and one for the manifest, of each pair or of all.
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

/// One command for the folder of the batch.
fn rclone_folder(client: &Client<'_>, pairs: &[Pair]) {
    let folder = pairs[0].data.parent().unwrap();
    rclone_copy(client, &["--transfers", "4"], text(folder)).ok();
}

/// By tests/clients/paramiko_ways.py.
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
    /// How many records each pair has.
    records: usize,
}

impl Lane {
    /// Uploads and checks everything.
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

    /// Writes the pairs, each with a name and with identities of its own.
    fn write_batches(&self, folder: &Path) -> Vec<Vec<Pair>> {
        let numbers: Vec<usize> = (0..self.pairs).collect();
        let batches = numbers.chunks(self.batch).map(|batch| {
            let folder = folder.join(format!("batch-{}", batch[0]));
            std::fs::create_dir(&folder).unwrap();
            let pair = |n: &usize| {
                // Part of the recipient's address too, to which few mails are sent in an hour.
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
        until(&format!("{id}: incoming to be empty"), PATIENCE, || {
            host.check_daemon();
            names(&account.incoming(), "").is_empty().then_some(())
        });
        let unfinished = format!(
            "SELECT count(*) FROM import
             WHERE account = '{id}' AND state NOT IN ('completed', 'failed')"
        );
        until(&format!("{id}: imports to end"), PATIENCE, || {
            host.check_daemon();
            (host.query(&unfinished) == ["0"]).then_some(())
        });
    }

    /// Checks that each manifest has one import, completed, in the order of upload.
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

    /// Checks that all records were accepted and are in the store.
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

/// Checks that there is nothing in the account's folders but what `pairs` leave there.
fn check_nothing_else(account: &Account<'_>, pairs: &[Pair]) {
    let id = &account.id;
    assert_eq!(account.event_folders().len(), pairs.len(), "{id}");
    let reports: Vec<_> = pairs.iter().map(|pair| format!("{}.result.json", pair.stem)).collect();
    assert_eq!(names(&account.results(), ""), reports, "{id}");
    assert!(names(&account.incoming(), "").is_empty(), "{id}");
}

fn identity(stem: &str, record: usize) -> String {
    format!("{stem}.{record}@example.com")
}

/// Runs every lane, `workers` at a time. Each that fails is named.
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
    // Some ten thousand mails in the long form.
    host.wait_until_quiet(if long() { 6 * PATIENCE } else { PATIENCE });
    until("the spool to be empty", PATIENCE, || spooled(host).is_empty().then_some(()));
    let pairs: usize = lanes.iter().map(|lane| lane.pairs).sum();
    let imports = host.query("SELECT state || ' ' || count(*) FROM import GROUP BY state");
    assert_eq!(imports, [format!("completed {pairs}")]);
}

/// The lanes of every way: for each, `accounts` has how many pairs one account uploads, and whether
/// these share sessions.
fn lanes(kind: &str, accounts: &[(usize, bool)], records: usize) -> Vec<Lane> {
    let of_way = |way: &'static Way| {
        accounts.iter().enumerate().map(move |(n, &(pairs, shares_sessions))| {
            // An id has at most 32 characters.
            let name = way.name.strip_suffix("-data").unwrap_or(way.name);
            let account = format!("e2e-ways-{kind}-{n}-{name}");
            Lane { way, account, shares_sessions, pairs, batch: way.batch, records }
        })
    };
    WAYS.iter().flat_map(of_way).collect()
}

/// A running host on which no scan but those that the clients cause finds a pair.
fn host(config: &str) -> Host {
    let host = Host::new(&format!("[pairing]\nrescan-every = \"1h\"\n{config}"));
    host.start_daemon();
    host
}

/// Over a slow link the requests of a client are a second or more apart.
#[test]
fn slow_uploads_are_imported_once() {
    let pairs = if long() { 10 } else { 1 };
    let mut lanes = lanes("slow", &[(pairs, false), (pairs, true), (pairs, false)], 1_000);
    for lane in &mut lanes {
        // Some twenty round trips for each pair: well below what a command may take.
        lane.batch = lane.batch.min(2);
    }
    let settle = |lane: &Lane| {
        let settle = lane.way.slow_settle?;
        Some(format!("[account.{}.pairing]\nsettle = {settle:?}\n", lane.account))
    };
    let host = host(&lanes.iter().filter_map(settle).collect::<String>());
    let link = SlowLink::new(host.port, ROUND_TRIP);
    // They wait most of the time.
    run_all(&lanes, lanes.len(), &host, link.port);
}

/// Without delay requests are as close as a client can have them.
#[test]
fn fast_uploads_are_imported_once() {
    let times = if long() { 20 } else { 1 };
    let lanes = lanes("fast", &[(10 * times, false), (40 * times, true)], 20);
    let host = host("");
    run_all(&lanes, FAST_WORKERS, &host, host.port);
}
