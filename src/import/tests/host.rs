//! A test host with one account and without a daemon, in a temporary folder. Tests start scans and
//! runs.

use std::fs::{self, File};
use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;

use crate::account::AccountId;
use crate::config::{Config, Paths, Period};
use crate::import::{ImportRow, Importer, Monitor, RunError, RunOutcome, ScanOutcome};
use crate::import_id::ImportId;
use crate::recipient::RecipientRule;
use crate::state::{Error, accounts, imports};
use crate::sys::ReadLease;

/// The temporary folder of the host, which is removed on drop.
pub struct Host {
    _folder: tempfile::TempDir,
    pub importer: Importer,
    pub account: AccountId,
}

/// The content of a data file with two events. The second event has no name.
pub const EVENTS: &str = "evtName,identity,Price\nBought,a@example.com,1.5\n,b@example.com,2\n";

/// The SQL statements that undo the finishing transaction of an import, like a crash before it.
pub const NOT_FINISHED: &str =
    "UPDATE import SET state = 'running', report = NULL, finished_at = NULL;
    DELETE FROM milestone WHERE type <> 'import.picked_up';
    DELETE FROM activity WHERE action = 'import.completed'";

impl Host {
    pub fn new() -> Self {
        Self::with(|_| {})
    }

    /// Makes a host with a changed configuration. Pairs are claimed without waiting.
    pub fn with(change: impl FnOnce(&mut Config)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let mut config = Config::default();
        config.node.name = "t".into();
        config.paths = Paths {
            accounts: root.join("srv"),
            state: root.join("var"),
            admin: root.join("admin"),
            keys: root.join("keys"),
        };
        config.pairing.data_file_grace = Period::seconds(0);
        config.pairing.manifest_quiet_period = Period::seconds(0);
        config.pairing.settle = Period::seconds(0);
        config.readme.enabled = false;
        change(&mut config);
        fs::create_dir_all(&config.paths.state).unwrap();
        let importer = Importer::open(Arc::new(config)).unwrap();
        fs::create_dir_all(importer.context.layout.spool()).unwrap();
        let host = Self { _folder: folder, importer, account: "ACME-1".parse().unwrap() };
        host.add_account(None, &RecipientRule::Any);
        host
    }

    pub fn set_unclaimed_after(&mut self, after: Period) {
        let mut config = (*self.importer.context.config).clone();
        config.pairing.unclaimed_after = after;
        self.importer.context.config = Arc::new(config);
    }

    /// Closes the state database, runs `work`, and opens the host again.
    pub fn reopened(self, work: impl FnOnce()) -> Self {
        let Self { _folder, importer, account } = self;
        let config = Arc::clone(&importer.context.config);
        drop(importer);
        work();
        Self { _folder, importer: Importer::open(config).unwrap(), account }
    }

    pub fn add_account(&self, contact: Option<&str>, recipients: &RecipientRule) {
        let (importer, at) = (&self.importer, Timestamp::now());
        let added = importer
            .context
            .state
            .write(|tx| accounts::add(tx, at, &self.account, contact, recipients));
        assert!(added.unwrap());
        for folder in [
            importer.context.layout.incoming(&self.account),
            importer.context.layout.results(&self.account),
        ] {
            fs::create_dir_all(folder).unwrap();
        }
    }

    /// Removes the account like the command `account remove`.
    pub fn remove_account(&self) {
        fs::remove_dir_all(self.importer.context.layout.account(&self.account)).unwrap();
        self.sql("DELETE FROM account");
    }

    /// Uploads `<stem>.csv` and then its manifest.
    pub fn upload(&self, stem: &str, kind: &str, csv: &str) {
        self.put(&format!("{stem}.csv"), csv);
        self.put_manifest(stem, kind);
    }

    pub fn put_manifest(&self, stem: &str, kind: &str) {
        let manifest = serde_json::json!({
            "fileName": format!("{stem}.csv"), "type": kind, "clientEmail": "p@example.com",
        });
        self.put(&format!("{stem}.manifest"), &manifest.to_string());
    }

    pub fn put(&self, name: &str, content: &str) {
        let path = self.importer.context.layout.incoming(&self.account).join(name);
        fs::write(&path, content).unwrap();
        // A child process that another test forks holds a copy of this handle until its exec.
        while ReadLease::take(File::open(&path).unwrap()).is_err() {
            std::thread::yield_now();
        }
    }

    pub fn scan(&self) -> ScanOutcome {
        self.importer.scan(&self.account, false).unwrap()
    }

    /// Scans the account once. Returns the only import that the scan queued.
    pub fn claim(&self) -> ImportId {
        let queued = self.scan().queued;
        assert_eq!(queued.len(), 1, "{queued:?}");
        queued.into_iter().next().unwrap().id
    }

    pub fn try_run(&self, import: &ImportId) -> Result<RunOutcome, RunError> {
        self.importer.run(import, &Monitor::default(), &|| {})
    }

    /// Runs `import` to its end. Returns the import's report in results/.
    #[track_caller]
    pub fn run(&self, import: &ImportId) -> Value {
        assert_eq!(self.try_run(import).unwrap(), RunOutcome::Finished);
        let stem = self.row(import).stem;
        let report = fs::read(self.results(&format!("{stem}.result.json"))).unwrap();
        serde_json::from_slice(&report).unwrap()
    }

    pub fn row(&self, import: &ImportId) -> ImportRow {
        self.importer.context.state.read(|tx| imports::get(tx, import.as_str())).unwrap().unwrap()
    }

    /// Returns the activity log's actions about `import`, in order.
    pub fn log(&self, import: &ImportId) -> Vec<String> {
        let sql = "SELECT action FROM activity WHERE import = ?1 ORDER BY id";
        self.column(sql, import)
    }

    /// Returns the milestones of the mails about `import`, in order.
    pub fn mails(&self, import: &ImportId) -> Vec<String> {
        let sql = "SELECT type FROM milestone JOIN delivery ON milestone = milestone.id
                   WHERE import = ?1 ORDER BY delivery.id";
        self.column(sql, import)
    }

    /// Returns milestone and address of each mail about `import`, in order.
    pub fn mailed_to(&self, import: &ImportId) -> Vec<String> {
        let sql = "SELECT type || ' ' || destination
                   FROM milestone JOIN delivery ON milestone = milestone.id
                   WHERE import = ?1 AND channel = 'email' ORDER BY delivery.id";
        self.column(sql, import)
    }

    pub fn column(&self, sql: &str, import: &ImportId) -> Vec<String> {
        let read = self.importer.context.state.read(|tx| {
            let mut statement = tx.prepare(sql)?;
            let rows = statement.query_map([import.as_str()], |row| row.get(0))?;
            Ok::<_, Error>(rows.collect::<Result<_, _>>()?)
        });
        read.unwrap()
    }

    pub fn sql(&self, sql: &str) {
        self.importer.context.state.write(|tx| Ok::<_, Error>(tx.execute_batch(sql)?)).unwrap();
    }

    pub fn incoming(&self) -> PathBuf {
        self.importer.context.layout.incoming(&self.account)
    }

    pub fn results(&self, name: &str) -> PathBuf {
        self.importer.context.layout.results(&self.account).join(name)
    }

    pub fn spooled(&self, import: &ImportId) -> PathBuf {
        self.importer.context.layout.spooled(import)
    }

    /// Returns the account's folder in the local store.
    pub fn stored(&self) -> PathBuf {
        self.importer.context.config.paths.data().join(self.account.as_str())
    }

    /// Returns the folders of stored events, sorted.
    pub fn stored_events(&self) -> Vec<String> {
        names(self.stored().join("events"))
    }
}

/// Returns the sorted names in `folder`. The list is empty if the folder is missing.
pub fn names(folder: PathBuf) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}
