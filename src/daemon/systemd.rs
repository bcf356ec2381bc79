//! sd_notify(3): ready, what it is doing, the watchdog, stopping.

use std::time::{Duration, Instant};

use sd_notify::NotifyState;

/// What systemd is told. Does nothing where systemd did not start us.
#[derive(Debug)]
pub struct Notify {
    watchdog: Option<Duration>,
    last_beat: Instant,
    last_status: String,
}

impl Notify {
    /// Reads what systemd expects from the environment.
    pub fn new() -> Self {
        let watchdog = sd_notify::watchdog_enabled().map(|limit| limit / 4);
        Self { watchdog, last_beat: Instant::now(), last_status: String::new() }
    }

    /// Everything is watched.
    pub fn ready(&self) {
        send(&[NotifyState::Ready]);
    }

    /// It was asked to stop.
    pub fn stopping(&self) {
        send(&[NotifyState::Stopping, NotifyState::Status("Stopping")]);
    }

    /// How often the watchdog is fed, where there is one: one that comes late is no harm.
    pub fn watchdog(&self) -> Option<Duration> {
        self.watchdog
    }

    /// The working loop has come round at `now`: feeds the watchdog when it is time.
    pub fn beat(&mut self, now: Instant) {
        if let Some(every) = self.watchdog
            && now.saturating_duration_since(self.last_beat) >= every
        {
            send(&[NotifyState::Watchdog]);
            self.last_beat = now;
        }
    }

    /// What `systemctl status` shows; sent when it changed.
    pub fn status(&mut self, text: String) {
        if text != self.last_status {
            send(&[NotifyState::Status(&text)]);
            self.last_status = text;
        }
    }
}

fn send(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "systemd does not listen");
    }
}
