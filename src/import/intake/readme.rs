//! Keeps README.txt in each account's incoming, which partners see after login.
//!
//! Invariant: the file of an account is written at most once per [`PAUSE`]. Therefore an account
//! that renames it repeatedly cannot fill the disk.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use askama::Template;

use crate::account::AccountId;
use crate::config::Readme;
use crate::sanitize::chain;
use crate::spool::Incoming;
use crate::state::accounts::AccountRow;

/// The minimum time between two checks of an account's README.txt.
const PAUSE: Duration = Duration::from_secs(60);

/// The time at which each account's README.txt was last compared with its wanted text. These times
/// are lost at a restart, because the text may have changed.
#[derive(Debug, Default)]
pub(super) struct CheckedReadmes(Mutex<HashMap<AccountId, Instant>>);

#[derive(Template)]
#[template(path = "readme.txt")]
struct ReadmeText<'a> {
    /// The sysadmin's text from the configuration of the host.
    own_text: &'a str,
    /// The address of the account's contact, or an example, as JSON.
    email: String,
}

impl CheckedReadmes {
    /// Writes the file to the incoming of `account` if it is missing or has another text. Returns
    /// the time at which the account must be scanned again because of the file. `is_present` is
    /// true if a listing contains the file or is incomplete.
    pub(super) fn keep(
        &self,
        config: &Readme,
        account: &AccountRow,
        incoming: &Incoming,
        is_present: bool,
    ) -> Option<Duration> {
        if !config.enabled {
            return None;
        }
        let now = Instant::now();
        match self.last(&account.id) {
            Some(_) if is_present => return None,
            Some(last) if now.duration_since(last) < PAUSE => {
                return Some(PAUSE - now.duration_since(last));
            }
            _ => {}
        }
        let email = account.email.as_deref().unwrap_or("you@example.com");
        let email = serde_json::Value::from(email).to_string();
        let text = ReadmeText { own_text: config.text.trim(), email }.render();
        let placed = text
            .map_err(|error| error.to_string())
            .and_then(|text| incoming.place_readme(&text).map_err(|error| chain(&error)));
        if let Err(problem) = placed {
            tracing::warn!(account = %account.id, "README.txt cannot be placed: {problem}");
        }
        self.lock().insert(account.id.clone(), now);
        None
    }

    pub(super) fn forget(&self, account: &AccountId) {
        self.lock().remove(account);
    }

    fn last(&self, account: &AccountId) -> Option<Instant> {
        self.lock().get(account).copied()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<AccountId, Instant>> {
        // A panic leaves no incomplete change, because every change inserts or removes one whole
        // entry.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use crate::import::tests::host::{EVENTS, Host, names};
    use crate::manifest::Manifest;

    fn host() -> Host {
        Host::with(|config| {
            config.readme.enabled = true;
            config.readme.text = "Questions: imports@host.example\n".into();
        })
    }

    #[test]
    fn the_readme_has_a_manifest_that_imports() {
        let host = host();
        host.scan();
        let text = fs::read_to_string(host.incoming().join("README.txt")).unwrap();
        assert!(text.starts_with("Questions: imports@host.example\n\nHOW TO UPLOAD\n"), "{text}");
        let (begin, end) = (text.find('{').unwrap(), text.find('}').unwrap());
        let manifest =
            Manifest::parse(&text.as_bytes()[begin..=end], &host.importer.context.config.limits);
        assert_eq!(manifest.unwrap().file_name, "customers.csv");
        assert!(text.lines().all(|line| line.len() <= 80), "{text}");
    }

    #[test]
    fn a_deleted_readme_is_replaced_once_a_minute() {
        let host = host();
        host.scan();
        let path = host.incoming().join("README.txt");
        fs::remove_file(&path).unwrap();
        let pause = host.scan().rescan_after.unwrap();
        assert!(!path.exists() && pause.as_secs() <= 60, "{pause:?}");
        host.importer.intake.readmes.forget(&host.account);
        host.scan();
        assert!(path.exists());
    }

    #[test]
    fn the_readme_does_not_count_as_upload() {
        let host = host();
        host.upload("e", "event", EVENTS);
        host.claim();
        assert_eq!(names(host.incoming()), ["README.txt"]);
        host.sql("UPDATE account SET uid = 1");
        host.importer.survey(None, true).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(3100));
        host.scan();
        let survey = host.importer.survey(None, true).unwrap().unwrap();
        assert!(survey.to_scan.is_empty(), "a folder with only the readme is empty");
    }
}
