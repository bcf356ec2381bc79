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
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::account::Account;
use crate::catchers::PYTHON;
use crate::host::{Host, REPOSITORY, text};
use crate::kill::long;
use crate::outcome::{names, spooled};
use crate::pair::{EVENTS_HEADER, Pair};
use crate::process::{Ran, run, run_with, until};
use crate::slow_link::SlowLink;

const ROUND_TRIP: Duration = Duration::from_secs(1);
/// Accounts that upload at a time where the machine is the limit, not the link.
const FAST_WORKERS: usize = 6;
/// How long all uploads of one kind may take to be answered.
const PATIENCE: Duration = Duration::from_secs(600);

/// A client's way of uploading.
#[derive(Clone, Copy)]
struct Way {
    name: &'static str,
    /// Uploads a batch of pairs.
    upload: fn(&Client<'_>, &[Pair]),
    /// How many pairs a batch has, where there are more to upload.
    batch: usize,
    /// Whether a pair is complete before the next one begins.
    is_ordered: bool,
}

const fn ordered(name: &'static str, upload: fn(&Client<'_>, &[Pair])) -> Way {
    Way { name, upload, batch: 20, is_ordered: true }
}

const WAYS: [Way; 11] = [
    ordered("sftp", openssh_sftp),
    ordered("scp", openssh_scp),
    ordered("curl", curl),
    ordered("lftp", lftp),
    // Several transfers in parallel, in an order of rclone's own.
    Way { name: "rclone", upload: rclone, batch: 20, is_ordered: false },
    Way { name: "rclone-folder", upload: rclone_folder, batch: 5, is_ordered: false },
    ordered("paramiko", paramiko),
    ordered("winscp", paramiko),
    ordered("filezilla", paramiko),
    ordered("manifest-first", paramiko),
    ordered("manifest-during-data", paramiko),
];

/// Its put stats each file after the close, so that two round trips pass before a time is set.
const PARAMIKO_TIMES: Way = ordered("paramiko-times", paramiko);

/// What uploads for one account.
struct Client<'a> {
    account: &'a Account<'a>,
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
            rclone_copy(client, &["--include", ending], text(folder)).ok();
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
struct Lane<'a> {
    way: Way,
    client: Client<'a>,
    pairs: usize,
    /// How many records each pair has.
    records: usize,
}

impl Lane<'_> {
    fn run(&self) {
        let batches = self.write_batches();
        for batch in &batches {
            (self.way.upload)(&self.client, batch);
        }
        self.wait_until_answered();
        self.check_order(&batches);
        for pair in batches.iter().flatten() {
            self.check_pair(pair);
        }
        self.check_nothing_else(&batches.concat());
    }

    /// Writes the pairs, each with a name and with identities of its own.
    fn write_batches(&self) -> Vec<Vec<Pair>> {
        let numbers: Vec<usize> = (0..self.pairs).collect();
        let batches = numbers.chunks(self.way.batch).map(|batch| {
            let folder = self.client.account.local().join(format!("batch-{}", batch[0]));
            std::fs::create_dir(&folder).unwrap();
            let pair = |n: &usize| {
                // Part of the recipient's address too, to which few mails are sent in an hour.
                let stem = format!("{}-{n:04}", self.client.account.id);
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

    fn wait_until_answered(&self) {
        let Account { host, id, .. } = self.client.account;
        until(&format!("{id}: incoming to be empty"), PATIENCE, || {
            host.check_daemon();
            names(&self.client.account.incoming(), "").is_empty().then_some(())
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
    fn check_order(&self, batches: &[Vec<Pair>]) {
        let Account { host, id, .. } = self.client.account;
        let mut imports = host.query(&format!(
            "SELECT manifest || ' ' || state FROM import WHERE account = '{id}' ORDER BY n"
        ));
        if !self.way.is_ordered {
            imports.chunks_mut(self.way.batch).for_each(<[String]>::sort);
        }
        let stems = batches.iter().flatten().map(|pair| &pair.stem);
        let expected: Vec<_> = stems.map(|stem| format!("{stem}.manifest completed")).collect();
        assert_eq!(imports, expected, "{id}");
    }

    /// Checks that all records were accepted and are in the store.
    fn check_pair(&self, pair: &Pair) {
        let account = self.client.account;
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

    fn check_nothing_else(&self, pairs: &[Pair]) {
        let account = self.client.account;
        let id = &account.id;
        assert_eq!(account.event_folders().len(), pairs.len(), "{id}");
        let reports: Vec<_> =
            pairs.iter().map(|pair| format!("{}.result.json", pair.stem)).collect();
        assert_eq!(names(&account.results(), ""), reports, "{id}");
        assert!(names(&account.incoming(), "").is_empty(), "{id}");
    }
}

fn identity(stem: &str, record: usize) -> String {
    format!("{stem}.{record}@example.com")
}

/// Runs every lane, `workers` at a time. Each that fails is named.
fn run_all(lanes: &[Lane<'_>], workers: usize) {
    let (waiting, failed) = (Mutex::new(lanes.iter()), Mutex::new(Vec::new()));
    let work = || {
        let next = || waiting.lock().unwrap_or_else(PoisonError::into_inner).next();
        while let Some(lane) = next() {
            if catch_unwind(AssertUnwindSafe(|| lane.run())).is_err() {
                failed.lock().unwrap().push(lane.client.account.id.clone());
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
}

/// A way's name as a part of an account's id, which has at most 32 characters.
fn short(way: &str) -> &str {
    way.strip_suffix("-data").unwrap_or(way)
}

/// Uploads of one test.
struct Uploads<'a> {
    /// Begins the accounts' ids.
    kind: &'a str,
    ways: Vec<Way>,
    /// Appended to the daemon's configuration.
    config: &'a str,
    round_trip: Option<Duration>,
    /// The accounts that upload in one way: how many pairs, and whether these share sessions.
    accounts: Vec<(usize, bool)>,
    /// How many records a pair has.
    records: usize,
}

impl Uploads<'_> {
    fn run(&self) {
        let host = Host::new(self.config);
        host.start_daemon();
        let link = self.round_trip.map(|round_trip| SlowLink::new(host.port, round_trip));
        let port = link.as_ref().map_or(host.port, |link| link.port);
        let accounts = self.add_accounts(&host);
        let lanes: Vec<_> = accounts.iter().map(|lane| self.lane(lane, port)).collect();
        // On the slow link they wait most of the time.
        run_all(&lanes, if link.is_some() { lanes.len() } else { FAST_WORKERS });
        host.wait_until_quiet(PATIENCE);
        until("the spool to be empty", PATIENCE, || spooled(&host).is_empty().then_some(()));
        let pairs: usize = lanes.iter().map(|lane| lane.pairs).sum();
        let imports = host.query("SELECT state || ' ' || count(*) FROM import GROUP BY state");
        assert_eq!(imports, [format!("completed {pairs}")]);
    }

    /// Adds the accounts of each way.
    fn add_accounts<'h>(&self, host: &'h Host) -> Vec<(Way, usize, Account<'h>)> {
        let count = self.accounts.len();
        let lanes = self.ways.iter().flat_map(|way| (0..count).map(move |n| (*way, n)));
        let add = |(way, n): (Way, usize)| {
            let id = format!("e2e-ways-{}-{n}-{}", self.kind, short(way.name));
            (way, n, host.account(&id))
        };
        lanes.map(add).collect()
    }

    fn lane<'a>(&self, (way, n, account): &'a (Way, usize, Account<'_>), port: u16) -> Lane<'a> {
        let (pairs, shares_sessions) = self.accounts[*n];
        let client = Client { account, port, way: way.name, shares_sessions };
        Lane { way: *way, client, pairs, records: self.records }
    }
}

/// Accounts on the slow link: one shares sessions.
fn slow_accounts() -> Vec<(usize, bool)> {
    let pairs = if long() { 10 } else { 1 };
    vec![(pairs, false), (pairs, true), (pairs, false)]
}

/// Over a slow link the requests of a client are a second or more apart.
#[test]
fn slow_uploads_are_imported_once() {
    let (ways, round_trip, accounts) = (WAYS.into(), Some(ROUND_TRIP), slow_accounts());
    Uploads { kind: "slow", ways, config: "", round_trip, accounts, records: 1_000 }.run();
}

/// Over a slow link, two round trips without a change need a longer settling time than the default.
#[test]
fn slow_times_after_a_stat_need_a_longer_settle() {
    let (ways, round_trip, accounts) = (vec![PARAMIKO_TIMES], Some(ROUND_TRIP), slow_accounts());
    let config = "[pairing]\nsettle = \"5s\"\n";
    Uploads { kind: "stat", ways, config, round_trip, accounts, records: 1_000 }.run();
}

/// Without delay requests are as close as a client can have them.
#[test]
fn fast_uploads_are_imported_once() {
    let times = if long() { 20 } else { 1 };
    let accounts = vec![(10 * times, false), (40 * times, true)];
    let ways = [&WAYS[..], &[PARAMIKO_TIMES]].concat();
    Uploads { kind: "fast", ways, config: "", round_trip: None, accounts, records: 20 }.run();
}
