//! Sends notifications to systemd (sd_notify(3)): readiness, status, watchdog, stopping.

use std::time::{Duration, Instant};

use sd_notify::NotifyState;

use super::jobs::ActiveRun;

/// Sends notifications to systemd. Does nothing if systemd did not start the process.
#[derive(Debug)]
pub struct Systemd {
    watchdog: Option<Duration>,
    last_feed: Instant,
    last_status: String,
}

impl Systemd {
    /// Reads the interval of systemd's watchdog from the environment.
    pub fn new() -> Self {
        let watchdog = sd_notify::watchdog_enabled().map(|limit| limit / 4);
        Self { watchdog, last_feed: Instant::now(), last_status: String::new() }
    }

    /// Reports that the daemon is ready: every account is watched.
    pub fn ready(&self) {
        send(&[NotifyState::Ready]);
    }

    /// Reports that the daemon is stopping.
    pub fn stopping(&self) {
        send(&[NotifyState::Stopping, NotifyState::Status("Stopping")]);
    }

    /// Returns the interval at which to feed the watchdog, if the unit has one. It is a quarter of
    /// the watchdog's limit, so that a late notification does no harm.
    pub fn watchdog(&self) -> Option<Duration> {
        self.watchdog
    }

    /// Feeds the watchdog if the interval has passed at `now`.
    pub fn feed_watchdog(&mut self, now: Instant) {
        if let Some(every) = self.watchdog
            && now.saturating_duration_since(self.last_feed) >= every
        {
            send(&[NotifyState::Watchdog]);
            self.last_feed = now;
        }
    }

    /// Sets the text that `systemctl status` shows. The text is sent only if it changed.
    pub fn status(&mut self, text: String) {
        if text != self.last_status {
            send(&[NotifyState::Status(&text)]);
            self.last_status = text;
        }
    }
}

fn send(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "cannot notify systemd");
    }
}

/// Describes the current work: the oldest running import, and the numbers of running and waiting
/// imports.
pub fn describe(runs: &[&ActiveRun], waiting: usize, watched: usize) -> String {
    let Some(first) = runs.iter().min_by_key(|run| run.import.n) else {
        return format!("{waiting} imports are waiting, and {watched} accounts are watched");
    };
    let progress = first.monitor.progress();
    let more = match runs.len() {
        1 => String::new(),
        n => format!("; other running imports: {}", n - 1),
    };
    let share = (progress.bytes * 100).checked_div(progress.total_bytes).unwrap_or(0);
    format!(
        "Importing {} of account {} ({share} %, {} records){more}; {waiting} imports are waiting",
        first.import.id, first.import.account, progress.records
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::{Queued, Weight};

    fn run(n: i64) -> ActiveRun {
        let (account, id) = ("acme".parse().unwrap(), format!("t-{n}").parse().unwrap());
        let import = Queued { account, n, id, weight: Weight::Light };
        ActiveRun { import, since: Instant::now(), monitor: Default::default() }
    }

    #[test]
    fn the_status_names_the_oldest_import() {
        assert_eq!(describe(&[], 0, 3), "0 imports are waiting, and 3 accounts are watched");
        let (old, new) = (run(4), run(5));
        old.monitor.set_total(200);
        old.monitor.set(7, 50);
        let text = "Importing t-4 of account acme (25 %, 7 records); other running imports: 1; \
                    2 imports are waiting";
        assert_eq!(describe(&[&new, &old], 2, 3), text);
        assert_eq!(
            describe(&[&new], 0, 1),
            "Importing t-5 of account acme (0 %, 0 records); 0 imports are waiting"
        );
    }
}
