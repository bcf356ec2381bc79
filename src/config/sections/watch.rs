//! `[watch]`: how uploads are detected.

use serde::Deserialize;

use crate::config::Period;

/// `[watch]`
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Watch {
    pub method: Method,
    /// The scan interval for accounts without notifications from the kernel: all accounts with
    /// [`Method::Poll`], else those beyond the limit of inotify watches. With [`Method::Poll`] the
    /// times of folders are compared five times as often.
    pub poll_every: Period,
}

/// The method that detects uploads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Method {
    /// The kernel notifies us within milliseconds.
    #[default]
    Inotify,
    /// notify's `PollWatcher` compares the times of folders, and every account is scanned at
    /// intervals. For file systems that another host writes to: the kernel does not report that.
    Poll,
}

impl Default for Watch {
    fn default() -> Self {
        Self { method: Method::default(), poll_every: Period::seconds(5) }
    }
}
