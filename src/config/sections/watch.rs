//! The section `[watch]` of the configuration file sets how uploads are detected.

use serde::Deserialize;

use crate::config::Period;

/// The section `[watch]` of the configuration file.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Watch {
    pub method: Method,
    /// The interval between two scans of an account for which the kernel sends no notifications.
    /// With [`Method::Poll`] these are all accounts. With [`Method::Inotify`] these are the
    /// accounts beyond the limit of inotify watches. [`Method::Poll`] also compares the
    /// modification times of folders, five times as often.
    pub poll_every: Period,
}

/// The method that detects uploads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Method {
    /// Inotify of the kernel reports each upload within milliseconds.
    #[default]
    Inotify,
    /// notify's `PollWatcher` compares the modification times of folders, and every account is
    /// scanned at intervals. This method is for file systems that another host writes to, because
    /// the kernel does not report those writes.
    Poll,
}

impl Default for Watch {
    fn default() -> Self {
        Self { method: Method::default(), poll_every: Period::seconds(5) }
    }
}
