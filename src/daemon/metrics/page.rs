//! Builds the metrics page. Gauges are read at most once a second, regardless of the number of
//! requests.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use nix::sys::statvfs::statvfs;
use nix::unistd::{SysconfVar, sysconf};

use crate::config::Config;
use crate::metrics::{Gauges, Process, page};
use crate::state::State;
use crate::state::gauges::{self, StateGauge, StateGauges};

/// The time for which the daemon serves the same metrics page again.
const MAX_AGE: Duration = Duration::from_secs(1);

/// The sources of the gauges, and the last metrics page.
pub(super) struct MetricsPage {
    config: Arc<Config>,
    gauges: Gauges,
    last_page: Mutex<LastPage>,
}

#[derive(Default)]
struct LastPage {
    /// The connection to the state database, which is opened at the first request. The connection
    /// is separate, so that no import waits for it.
    state: Option<State>,
    last: Option<(Instant, Arc<str>)>,
}

impl MetricsPage {
    pub fn new(config: Arc<Config>) -> Self {
        let start = Timestamp::now().as_millisecond() as f64 / 1000.0;
        Self { config, gauges: Gauges::new(start), last_page: Mutex::default() }
    }

    /// Returns the current metrics page. The call blocks, and concurrent calls wait for each other.
    pub fn read(&self) -> Arc<str> {
        // A panic leaves the last metrics page intact.
        let mut last_page = self.last_page.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, page)) = &last_page.last
            && at.elapsed() < MAX_AGE
        {
            return Arc::clone(page);
        }
        self.update_gauges(&mut last_page.state);
        let page: Arc<str> = page(&self.gauges).into();
        last_page.last = Some((Instant::now(), Arc::clone(&page)));
        page
    }

    fn update_gauges(&self, state: &mut Option<State>) {
        let now = Timestamp::now();
        let paths = &self.config.paths;
        if state.is_none() {
            *state = State::open(&paths.state_db()).ok();
        }
        let figures = state.as_ref().and_then(|state| state.read(gauges::read_all).ok());
        self.gauges.database_up(figures.is_some());
        self.set(&figures.unwrap_or_default(), now);
        self.file_system("accounts", &paths.accounts);
        self.file_system("state", &paths.state);
        // The daemon's user can't read the folder. `key::publish` sets the folder's modification
        // time.
        let published = std::fs::metadata(&paths.keys).map_or(0.0, |found| found.mtime() as f64);
        self.gauges.keys_published(published);
        self.gauges
            .process(Process::read(setting(SysconfVar::CLK_TCK), setting(SysconfVar::PAGE_SIZE)));
    }

    fn set(&self, figures: &StateGauges, now: Timestamp) {
        for state in ["claiming", "queued", "running"] {
            let (count, age) = count_and_age(&figures.imports, state, now);
            self.gauges.imports(state, count, age);
        }
        for state in ["active", "suspended", "removing"] {
            self.gauges.accounts(state, count_and_age(&figures.accounts, state, now).0);
        }
        for channel in ["email", "webhook"] {
            let (count, age) = count_and_age(&figures.deliveries, channel, now);
            self.gauges.deliveries(channel, count, age);
        }
        for state in ["enabled", "failing", "disabled"] {
            self.gauges.endpoints(state, count_and_age(&figures.endpoints, state, now).0);
        }
    }

    fn file_system(&self, word: &'static str, folder: &Path) {
        let Ok(found) = statvfs(folder) else { return };
        let bytes = |blocks: u64| (blocks * found.fragment_size()) as f64;
        self.gauges.file_system(word, bytes(found.blocks_available()), bytes(found.blocks()));
    }
}

/// Returns the number of rows of `kind`, and the age of the oldest row in seconds.
fn count_and_age(figures: &[StateGauge], kind: &str, now: Timestamp) -> (f64, f64) {
    let Some(figure) = figures.iter().find(|figure| figure.kind == kind) else { return (0.0, 0.0) };
    let age = figure.oldest.map(|oldest| now.duration_since(oldest).as_secs_f64().max(0.0));
    (figure.count as f64, age.unwrap_or_default())
}

fn setting(name: SysconfVar) -> f64 {
    // Linux has both settings. With the fallback 1, one value on the page is wrong, but the page is
    // complete.
    sysconf(name).ok().flatten().map_or(1.0, |value| value as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_shows_queued_imports_and_their_age() {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::default();
        config.paths.state = folder.path().into();
        config.paths.accounts = folder.path().into();
        config.paths.keys = folder.path().join("keys");
        std::fs::create_dir(&config.paths.keys).unwrap();
        let published = std::fs::metadata(&config.paths.keys).unwrap().mtime();
        let state = State::open(&config.paths.state_db()).unwrap();
        let insert = "INSERT INTO import (id, account, manifest, state, claim, stem, received_at)
                      VALUES ('a-1', 'a', 'm', 'queued', '{}', 's', unixepoch() * 1000 - 90000)";
        state.write(|tx| tx.execute(insert, []).map_err(crate::state::Error::from)).unwrap();
        let page = MetricsPage::new(Arc::new(config));
        let text = page.read();
        let value = |name: &str| -> f64 {
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            line.unwrap_or_else(|| panic!("no {name} in\n{text}")).trim().parse().unwrap()
        };
        assert_eq!(value("sftp_import_unfinished_imports{state=\"queued\"}"), 1.0);
        assert!(
            value("sftp_import_oldest_unfinished_import_age_seconds{state=\"queued\"}") >= 89.0
        );
        assert_eq!(value("sftp_import_pending_deliveries{channel=\"email\"}"), 0.0);
        assert_eq!(value("sftp_import_state_database_up"), 1.0);
        assert!(value("sftp_import_filesystem_size_bytes{folder=\"state\"}") > 0.0);
        assert_eq!(value("sftp_import_keys_published_timestamp_seconds"), published as f64);
        assert!(value("process_resident_memory_bytes") > 0.0);
    }

    #[test]
    fn a_missing_database_is_reported() {
        let mut config = Config::default();
        config.paths.state = "/nonexistent".into();
        let text = MetricsPage::new(Arc::new(config)).read();
        assert!(text.contains("\nsftp_import_state_database_up 0\n"), "{text}");
    }
}
