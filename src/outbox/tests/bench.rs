//! The environment of a test: a state database, an account, servers that record their input, and a
//! running relay.

use std::fs;
use std::io::{self, BufRead as _, BufReader, Cursor, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tempfile::TempDir;
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;

use crate::account::AccountId;
use crate::config::Config;
use crate::import_id::ImportId;
use crate::outbox::{Attachments, AttemptRunner, Milestone, Recipients, Relay, Secret, enqueue};
use crate::report::{Counts, RejectionCount, Report};
use crate::state::State;
use crate::state::deliveries::{self, Delivery, DeliveryFilter};
use crate::state::endpoints;

/// A server that records its input. The server runs until it is dropped.
pub struct Catcher {
    child: Child,
    pub port: u16,
}

impl Catcher {
    fn start(script: &str, args: &[&str]) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/catchers");
        // The catcher needs Python from Debian, which has the package python3-aiosmtpd.
        let mut child = Command::new("/usr/bin/python3")
            .arg(folder.join(script))
            .args(args)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let port = line.trim().parse().expect("the catcher prints its port (python3-aiosmtpd?)");
        Self { child, port }
    }
}

impl Drop for Catcher {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An error file whose content is in memory.
struct MemoryFile(String);

impl Attachments for MemoryFile {
    fn open(
        &self,
        _account: &str,
        _import: Option<&ImportId>,
        name: &str,
    ) -> io::Result<(Box<dyn Read>, u64)> {
        match name {
            "events.errors.csv" => {
                let content = self.0.clone().into_bytes();
                let len = content.len() as u64;
                Ok((Box::new(Cursor::new(content)), len))
            }
            _ => Err(io::ErrorKind::NotFound.into()),
        }
    }
}

/// A relay that runs until the test stops it.
pub struct RunningRelay {
    pub wake: Arc<Notify>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl RunningRelay {
    pub async fn stop(self) {
        self.stop.send(()).unwrap();
        self.task.await.unwrap();
    }
}

/// The environment of one test with a relay.
pub struct Bench {
    pub folder: TempDir,
    pub state: Arc<State>,
    pub config: Config,
    pub secret: Secret,
    /// The content of every account's error file.
    pub error_file: String,
}

impl Bench {
    /// Makes a test environment with the account `acme` and without servers.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let state = Arc::new(State::open(&folder.path().join("state.db")).unwrap());
        let mut config = Config::default();
        config.mail.url = "smtp://127.0.0.1:1".into();
        config.webhooks.allow = vec!["127.0.0.0/8".parse().unwrap()];
        let secret = Secret::generate().unwrap();
        let error_file =
            "evtName,ts,\"Failure Description\"\n,17,\"Event name is mandatory\"\n".to_owned();
        let bench = Self { folder, state, config, secret, error_file };
        bench.account("acme");
        bench
    }

    pub fn account(&self, id: &str) {
        self.write(|tx| {
            tx.execute("INSERT INTO account (id, created_at) VALUES (?1, 0)", [id])?;
            Ok(())
        });
    }

    pub fn write<T>(
        &self,
        work: impl FnOnce(&crate::state::Transaction<'_>) -> crate::state::Result<T>,
    ) -> T {
        self.state.write(work).unwrap()
    }

    pub fn smtp(&mut self, options: &[&str]) -> Catcher {
        let folder = self.folder.path().join("mail");
        let args = [&["--folder", folder.to_str().unwrap()], options].concat();
        let catcher = Catcher::start("smtp.py", &args);
        self.config.mail.url = format!("smtp://127.0.0.1:{}", catcher.port);
        catcher
    }

    pub fn http(&self) -> Catcher {
        let (file, secret) = (self.requests_file(), self.secret.reveal());
        let args = ["--file", file.to_str().unwrap(), "--secret", &secret];
        Catcher::start("webhook.py", &args)
    }

    /// Adds the endpoint `crm` to `account`. The URL of the endpoint is `path` at the server
    /// `catcher`.
    pub fn endpoint(&self, account: &str, catcher: &Catcher, path: &str) {
        let account: AccountId = account.parse().unwrap();
        let url = format!("http://127.0.0.1:{}{path}", catcher.port);
        let (at, secret) = (Timestamp::now(), self.secret.reveal());
        let added = self.write(|tx| endpoints::add(tx, at, &account, "crm", &url, &secret));
        assert_eq!(added, endpoints::AddOutcome::Added);
    }

    /// Enqueues a milestone for the import with the number `n` of `account`. The import has one
    /// rejected record.
    pub fn enqueue(&self, account: &str, n: i64, milestone: Milestone, to: &Recipients) -> bool {
        let (at, report) = (Timestamp::now(), report(account, n));
        self.state.write(|tx| enqueue(tx, at, milestone, &report, to)).unwrap()
    }

    pub fn relay(&self) -> RunningRelay {
        let files = Arc::new(MemoryFile(self.error_file.clone()));
        let relay = Relay::new(Arc::clone(&self.state), &self.config, files);
        let wake = Arc::new(Notify::new());
        let (stop, stopped) = oneshot::channel();
        let shutdown = async {
            let _ = stopped.await;
        };
        let task = tokio::spawn(relay.run(Arc::clone(&wake), shutdown));
        RunningRelay { wake, stop, task }
    }

    /// Returns an attempt runner. With it, a test can make attempts without a relay.
    pub fn runner(&self) -> AttemptRunner {
        let files = Arc::new(MemoryFile(self.error_file.clone()));
        AttemptRunner::new(Arc::clone(&self.state), &self.config, files)
    }

    pub fn deliveries(&self) -> Vec<Delivery> {
        let filter = DeliveryFilter { limit: 1000, ..DeliveryFilter::default() };
        self.state.read(|tx| deliveries::list(tx, &filter)).unwrap()
    }

    /// Returns the mails that the test server received, in order.
    pub fn mails(&self) -> Vec<String> {
        let Ok(folder) = fs::read_dir(self.folder.path().join("mail")) else { return Vec::new() };
        let mut paths: Vec<PathBuf> = folder.map(|entry| entry.unwrap().path()).collect();
        paths.retain(|path| path.extension().is_some_and(|e| e == "eml"));
        paths.sort();
        paths.iter().map(|path| fs::read_to_string(path).unwrap()).collect()
    }

    fn requests_file(&self) -> PathBuf {
        self.folder.path().join("requests.jsonl")
    }

    /// Returns the webhook requests that the test server received, in order.
    pub fn requests(&self) -> Vec<serde_json::Value> {
        let text = fs::read_to_string(self.requests_file()).unwrap_or_default();
        let whole = text.rsplit_once('\n').map_or("", |(lines, _)| lines);
        whole.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// Returns the header `name` of a mail.
pub fn header<'a>(mail: &'a str, name: &str) -> &'a str {
    let prefix = format!("{name}: ");
    mail.lines().find_map(|line| line.strip_prefix(&prefix)).unwrap()
}

fn report(account: &str, n: i64) -> Report {
    let import = crate::import_id::ImportId::new("sftp1", n).unwrap();
    let mut report =
        Report::queued("events.manifest", Timestamp::now()).of(&import, &account.parse().unwrap());
    report.records = Counts { read: 4, accepted: 3, rejected: 1 };
    let message = "Event name is mandatory".to_owned();
    report.rejections = vec![RejectionCount { message, count: 1, first_line: 3 }];
    report.error_file = Some("events.errors.csv".into());
    report
}

pub fn client() -> Recipients {
    Recipients { client_email: Some("data@acme.example".into()), ..Recipients::default() }
}

pub fn webhook() -> Recipients {
    Recipients { webhook: Some("crm".into()), ..Recipients::default() }
}

/// Waits until `done` returns true. The maximum wait is six times `seconds`. On an idle machine,
/// `seconds` are enough.
pub async fn within(seconds: u64, what: &str, done: impl Fn() -> bool) {
    let limit = Duration::from_secs(seconds * 6);
    let end = Instant::now() + limit;
    while !done() {
        assert!(Instant::now() < end, "not within {limit:?}: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
