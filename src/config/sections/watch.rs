//! `[watch]`: how uploads are noticed.

use serde::Deserialize;

use crate::config::Period;

/// `[watch]`
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Watch {
    /// Who says that something came.
    pub method: Method,
    /// How often accounts are looked at that the kernel tells nothing about: all of them with
    /// [`Method::Poll`], else those that no inotify watch is left for. With [`Method::Poll`] their
    /// folders' times are looked at five times as often.
    pub poll_every: Period,
}

/// Who says that something came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Method {
    /// The kernel, within milliseconds.
    #[default]
    Inotify,
    /// Nobody: notify's `PollWatcher` compares the times of folders, and every account is looked at
    /// again and again. For file systems that are written to by another host, of which this one's
    /// kernel hears nothing.
    Poll,
}

impl Default for Watch {
    fn default() -> Self {
        Self { method: Method::default(), poll_every: Period::seconds(5) }
    }
}
