//! Notifications to systemd (sd_notify(3)): readiness, status, watchdog, stopping.

use std::time::{Duration, Instant};

use sd_notify::NotifyState;

/// Sends notifications. Does nothing if systemd did not start the process.
#[derive(Debug)]
pub struct Notify {
    watchdog: Option<Duration>,
    last_beat: Instant,
    last_status: String,
}

impl Notify {
    /// Reads the watchdog's interval from the environment.
    pub fn new() -> Self {
        let watchdog = sd_notify::watchdog_enabled().map(|limit| limit / 4);
        Self { watchdog, last_beat: Instant::now(), last_status: String::new() }
    }

    /// Reports that the daemon is ready: every account is watched.
    pub fn ready(&self) {
        send(&[NotifyState::Ready]);
    }

    /// Reports that the daemon is stopping.
    pub fn stopping(&self) {
        send(&[NotifyState::Stopping, NotifyState::Status("Stopping")]);
    }

    /// Returns how often to feed the watchdog, if there is one: four times per limit, so that a
    /// late beat does no harm.
    pub fn watchdog(&self) -> Option<Duration> {
        self.watchdog
    }

    /// Feeds the watchdog if the interval has passed at `now`.
    pub fn beat(&mut self, now: Instant) {
        if let Some(every) = self.watchdog
            && now.saturating_duration_since(self.last_beat) >= every
        {
            send(&[NotifyState::Watchdog]);
            self.last_beat = now;
        }
    }

    /// Sets the text that `systemctl status` shows. Sent only if it changed.
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
