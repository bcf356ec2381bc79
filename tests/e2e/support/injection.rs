//! Injects a fault with strace at the nth call of one kind on a file of the package.
//!
//! Only calls on the files and folders of a batch's imports are counted (`strace -P`). Therefore
//! each call is a step of an upload, and not a log line or a wake-up. strace counts the calls of
//! each thread, and the assignment of work to threads differs from run to run. An undisturbed run
//! determines the number of calls. The log of a run determines the step at which the fault
//! occurred.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;

use crate::support::account::Account;
use crate::support::host::{Host, text};

/// The system calls that change the disk, or that make a change durable.
pub const CALLS: &str = "openat,write,pwrite64,fsync,fdatasync,ftruncate,rename,renameat,renameat2,\
    link,linkat,unlink,unlinkat,rmdir,mkdir,mkdirat,fchmod";

/// The effect of a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// SIGKILL before the call has an effect.
    Kill,
    /// The call fails with this error and has no effect.
    Error(&'static str),
}

/// The number of further faults of a repeated fault in each thread.
const AGAIN: usize = 2;

/// The position of a fault, which may be repeated.
#[derive(Clone, Debug)]
pub struct Point {
    pub call: String,
    /// The number of the call, beginning at 1.
    pub n: usize,
    /// If set, the fault is repeated after each `every` calls.
    pub every: Option<usize>,
    pub fault: Fault,
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} at {} number {}", self.fault, self.call, self.n)?;
        self.every.map_or(Ok(()), |every| write!(f, " and the next {AGAIN} of every {every}"))
    }
}

impl Point {
    fn injection(&self) -> String {
        let what = match self.fault {
            Fault::Kill => "signal=SIGKILL".to_owned(),
            Fault::Error(error) => format!("error={error}"),
        };
        // The number of repetitions is limited. Otherwise, if the interval were as long as a retry,
        // every retry would fail.
        let every = self.every.map(|every| format!("..{}+{every}", self.n + AGAIN * every));
        let every = every.unwrap_or_default();
        format!("inject={}:{what}:when={}{every}", self.call, self.n)
    }
}

/// The command line of strace, and the path of its log.
pub struct Tracer {
    words: Vec<String>,
    log: PathBuf,
}

impl Tracer {
    /// Counts the durable calls on the files of the account's next imports. Injects the fault
    /// `point`, if any.
    pub fn new(account: &Account<'_>, point: Option<&Point>) -> Self {
        Self::over(account.host, point, &paths(account))
    }

    /// Injects the fault `point` at a call on one of the files `paths`.
    pub fn on(host: &Host, point: &Point, paths: &[PathBuf]) -> Self {
        Self::over(host, Some(point), paths)
    }

    fn over(host: &Host, point: Option<&Point>, paths: &[PathBuf]) -> Self {
        let log = host.root.join("log/strace");
        let call = point.map_or(CALLS, |point| &point.call);
        let mut words: Vec<String> =
            ["strace", "-f", "-qq", "-y", "-e", "signal=none", "-o", text(&log)]
                .map(String::from)
                .into();
        words.extend(["-e".into(), format!("trace={call}")]);
        words.extend(point.map(|point| ["-e".into(), point.injection()]).into_iter().flatten());
        for path in paths {
            words.extend(["-P".into(), text(path).into()]);
        }
        Self { words, log }
    }

    pub fn words(&self) -> Vec<&str> {
        self.words.iter().map(String::as_str).collect()
    }

    /// Returns the number of calls of each kind, counted for the thread that made the most calls of
    /// the kind.
    pub fn counts(&self) -> BTreeMap<String, usize> {
        let mut counts: BTreeMap<String, BTreeMap<String, usize>> = BTreeMap::new();
        for line in self.lines() {
            let Some((thread, call)) = thread_and_call(&line) else { continue };
            *counts.entry(call.into()).or_default().entry(thread.into()).or_default() += 1;
        }
        assert!(!counts.is_empty(), "strace recorded no call");
        counts.into_iter().map(|(c, by)| (c, by.into_values().max().unwrap_or(0))).collect()
    }

    /// Returns the number of calls that failed because of the fault.
    pub fn failed(&self) -> usize {
        self.lines().iter().filter(|line| line.ends_with("(INJECTED)")).count()
    }

    /// Returns the kinds of steps in the log. A step is a call on a file.
    pub fn steps(&self, stem: &str) -> BTreeSet<String> {
        self.lines().iter().filter_map(|line| step(line, stem)).collect()
    }

    /// Returns the step at which the fault `point` first occurred.
    pub fn struck(&self, point: &Point, stem: &str) -> Option<String> {
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        let lines = self.lines();
        let nth = lines.iter().find(|line| {
            let Some((thread, call)) = thread_and_call(line) else { return false };
            let count = counts.entry(thread.to_owned()).or_default();
            *count += usize::from(call == point.call);
            call == point.call && *count == point.n
        });
        step(nth?, stem)
    }

    fn lines(&self) -> Vec<String> {
        // strace escapes the names of foreign files, so the log is valid text.
        let log = std::fs::read_to_string(&self.log).unwrap();
        log.lines().map(str::to_owned).collect()
    }
}

/// Returns the thread and the call from a line such as `4711 renameat2(3</srv/…`. `None` for the
/// second half of an interrupted call.
fn thread_and_call(line: &str) -> Option<(&str, &str)> {
    let (thread, rest) = line.split_once(char::is_whitespace)?;
    let (call, _) = rest.trim_start().split_once('(')?;
    let is_name = !call.is_empty() && call.bytes().all(|b| b.is_ascii_alphanumeric());
    is_name.then_some((thread, call))
}

/// Returns the call and the ends of its paths, such as `renameat2 e#e-kill/incoming STEM-e.csv …`.
/// Parts that differ from run to run are replaced.
fn step(line: &str, stem: &str) -> Option<String> {
    let (_, call) = thread_and_call(line)?;
    let asked = line.split(" = ").next()?;
    // strace prints a descriptor as `3</its/path>`. Both names and written bytes are in quotes.
    let has_names = !call.contains("write");
    let shown = asked.split([' ', '(']).filter_map(|word| {
        let of_descriptor = word.split_once('<').map(|(_, path)| path.trim_end_matches([',', '>']));
        let name = || word.strip_prefix('"').filter(|_| has_names)?.split('"').next();
        of_descriptor.filter(|path| path.starts_with('/')).or_else(name)
    });
    let ends: Vec<String> = shown
        .map(|path| {
            let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
            format!(" {}/{name}", folder.rsplit('/').next().unwrap_or_default())
        })
        .collect();
    let step = format!("{call}{}", ends.concat()).replace(stem, "STEM");
    let numberless: Vec<&str> =
        step.split(|c: char| c.is_ascii_digit()).filter(|part| !part.is_empty()).collect();
    Some(numberless.join("#"))
}

/// Returns every file and folder that the account's next imports use.
fn paths(account: &Account<'_>) -> Vec<PathBuf> {
    let host = account.host;
    let (accounts, state) = (host.accounts(), host.state());
    let (spool, results) = (accounts.join(".spool"), account.results());
    let data = state.join("data").join(&account.id);
    let mut paths = vec![account.incoming(), results.clone(), spool.clone(), state.join("data")];
    paths.extend(["state.db", "state.db-wal", "state.db-shm"].map(|name| state.join(name)));
    paths.push(data.clone());
    let in_data = [
        "events",
        ".unfinished",
        ".profiles-scratch",
        ".profiles-unfinished.db",
        "profiles.db",
        "profiles.db-wal",
    ];
    paths.extend(in_data.map(|name| data.join(name)));
    for id in next_ids(host) {
        let folder = spool.join(&id);
        paths.extend([folder.join("data"), folder.join("manifest"), folder]);
        for purpose in ["errors.csv", "errors.jsonl", "answer"] {
            paths.push(results.join(format!(".{id}.{purpose}.tmp")));
        }
        for parent in ["events", ".unfinished"] {
            let folder = data.join(parent).join(format!("import={id}"));
            paths.extend([folder.join("part-00000.parquet"), folder]);
        }
    }
    paths
}

/// Returns the ids of the next imports. The list contains additional ids, because a claim may be
/// undone and repeated.
fn next_ids(host: &Host) -> Vec<String> {
    let config = std::fs::read_to_string(host.config()).unwrap();
    let node = config.split('"').nth(1).expect("the node's name comes first");
    let last =
        host.query("SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'import'");
    let last: usize = last.first().map_or(0, |last| last.parse().unwrap());
    (last + 1..=last + 4).map(|n| format!("{node}-{n}")).collect()
}

/// Returns at most `count` points, distributed evenly over `counts`.
pub fn spread(counts: &BTreeMap<String, usize>, count: usize) -> Vec<(String, usize)> {
    let all: Vec<_> =
        counts.iter().flat_map(|(call, n)| (1..=*n).map(move |i| (call.clone(), i))).collect();
    let take = all.len().min(count);
    (0..take).map(|i| all[i * all.len() / take].clone()).collect()
}
