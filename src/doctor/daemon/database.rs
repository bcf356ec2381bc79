//! Checks the state database, the published keys, waiting imports and full incoming folders.

use std::cmp::Ordering;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;

use jiff::{SignedDuration, Timestamp};
use nix::unistd::User;

use crate::account::AccountId;
use crate::config::Config;
use crate::doctor::finding::Finding;
use crate::doctor::registry::{self, RegistryFacts};
use crate::key::{PublishError, PublishedDiff, compare_published};
use crate::sanitize::chain;
use crate::state::health::{self, Backlog, DatabaseHealth};
use crate::state::{self, State, incoming_full};

const STATE: &str = "state-database";
const KEYS: &str = "published-keys";
const WAITING: &str = "imports-waiting";
const FULL: &str = "incoming-full";

/// The age at which an import that has not ended is reported.
const LONG: SignedDuration = SignedDuration::from_hours(2);

/// Facts from the databases, which are read once for all checks.
pub struct DatabaseFacts {
    health: state::Result<DatabaseHealth>,
    /// The state database, if it is sound and has the schema of this program.
    pub state: Option<State>,
    /// Facts about the registry, and about its differences from the state database.
    pub registry: RegistryFacts,
    /// The owner and the mode of the state database's file.
    file: io::Result<(u32, u32)>,
    published: Option<Result<PublishedDiff, PublishError>>,
    backlog: Option<Backlog>,
    /// The accounts whose incoming exceeds a limit, each with the time at which this began.
    full: Option<Vec<(AccountId, Timestamp)>>,
    now: Timestamp,
}

/// Reads the databases. This function does not create, migrate or fix any of them.
pub fn gather(config: &Config, now: Timestamp) -> DatabaseFacts {
    let path = config.paths.state_db();
    let health = health::examine(&path);
    let sound = health.as_ref().is_ok_and(|h| h.schema == h.known && h.problems.is_empty());
    let state = sound.then(|| State::open(&path).ok()).flatten();
    let registry = registry::gather(config, state.as_ref());
    let opened = registry.opened.as_ref().ok();
    let backlog = |state: &State| state.read(|tx| health::read_backlog(tx, now)).ok();
    DatabaseFacts {
        health,
        file: fs::metadata(&path).map(|found| (found.uid(), found.mode() & 0o7777)),
        published: opened.map(|registry| compare_published(registry, config, now)),
        backlog: state.as_ref().and_then(backlog),
        full: state.as_ref().and_then(|state| state.read(incoming_full::list).ok()),
        registry,
        state,
        now,
    }
}

impl DatabaseFacts {
    /// Judges the facts about the databases.
    pub fn judge(&self, config: &Config) -> Vec<Finding> {
        let service = User::from_name(&config.accounts.service_user).ok().flatten();
        let owner = service.map(|user| user.uid.as_raw());
        let file = self.file.as_ref().ok().copied();
        let mut findings = vec![judge_state(&self.health, file, owner)];
        findings.extend(self.published.as_ref().map(judge_keys));
        findings.extend(self.backlog.as_ref().map(|backlog| judge_waiting(backlog, self.now)));
        findings.extend(self.full.as_deref().into_iter().flat_map(judge_full));
        findings
    }
}

fn judge_state(
    health: &state::Result<DatabaseHealth>,
    file: Option<(u32, u32)>,
    owner: Option<u32>,
) -> Finding {
    let restore = "stop sftp-importd with systemctl, restore state.db from the last backup, \
                   and start sftp-importd again";
    // The owner is checked first, because root's commands open the file of the database with the
    // rights of its owner.
    if let (Some((uid, _)), Some(owner)) = (file, owner)
        && uid != owner
    {
        let message =
            format!("state.db belongs to user id {uid}, not {owner}: the daemon can't write it");
        let fix = format!("chown {owner} state.db state.db-wal state.db-shm");
        return Finding::fail(STATE, message).log("attempt to write a readonly database").fix(fix);
    }
    let health = match health {
        Ok(health) => health,
        Err(error) => {
            let finding = Finding::fail(STATE, chain(error)).log("cannot open the state database");
            return finding.fix(restore);
        }
    };
    if let Some(problem) = health.problems.first() {
        let log = "SQLite error in the state database";
        return Finding::fail(STATE, format!("state.db is damaged: {problem}"))
            .log(log)
            .fix(restore);
    }
    let (schema, known) = (health.schema, health.known);
    match (schema.cmp(&known), file) {
        (Ordering::Greater, _) => {
            let message =
                format!("state.db has schema {schema}, but this program knows up to {known}");
            let fix = "install the newer version again";
            Finding::fail(STATE, message).log("this program knows up to").fix(fix)
        }
        (Ordering::Less, _) => {
            let message = format!(
                "state.db has schema {schema}; the daemon's next start upgrades it to {known}"
            );
            Finding::warn(STATE, message).fix("systemctl restart sftp-importd")
        }
        (Ordering::Equal, Some((_, mode))) if mode & 0o077 != 0 => {
            let message =
                format!("state.db has mode {mode:04o}: others can read webhooks' secrets");
            Finding::warn(STATE, message).fix("chmod 0600 state.db")
        }
        _ => Finding::ok(STATE, format!("the state database is sound and has schema {schema}")),
    }
}

fn judge_keys(diff: &Result<PublishedDiff, PublishError>) -> Finding {
    let fix = "sftp-import provision";
    match diff {
        Err(error) => {
            Finding::fail(KEYS, format!("the published keys can't be read: {}", chain(error)))
                .log("cannot read the published keys")
                .fix(fix)
        }
        Ok(PublishedDiff { stale: n @ 1.., .. }) => {
            let message = format!(
                "keys that should not work are published ({n}): revoked, changed or suspended"
            );
            Finding::fail(KEYS, message).log("Accepted publickey").fix(fix)
        }
        Ok(PublishedDiff { missing: n @ 1.., .. }) => {
            let message = format!("keys that should work are not published ({n})");
            Finding::fail(KEYS, message).log("Connection closed by authenticating user").fix(fix)
        }
        Ok(PublishedDiff { matching, .. }) => {
            Finding::ok(KEYS, format!("published keys that match the registry: {matching}"))
        }
    }
}

fn judge_waiting(backlog: &Backlog, now: Timestamp) -> Finding {
    let age = backlog.oldest_import.map(|at| now.duration_since(at)).unwrap_or_default();
    let imports = backlog.imports;
    if age < LONG {
        return Finding::ok(WAITING, format!("imports that have not ended: {imports}"));
    }
    let message = format!(
        "imports that have not ended: {imports}, the oldest is from {} h ago",
        age.as_hours()
    );
    Finding::warn(WAITING, message)
        .log("the host failed during the import, which will run again")
        .fix("sftp-import import list --state queued; journalctl -u sftp-importd -p warning")
}

fn judge_full(full: &[(AccountId, Timestamp)]) -> Vec<Finding> {
    let faults = full.iter().map(|(id, since)| {
        let message =
            format!("incoming has been over its limit since {}", since.strftime("%F %H:%M UTC"));
        let fix = format!(
            "ask the partner for the missing manifests; `sftp-import import log \
             --account {id}` shows the account's activity"
        );
        Finding::warn(FULL, message).log("incoming exceeds a limit").fix(fix).of(id)
    });
    Finding::faults_or_ok(faults, FULL, "no account's incoming is over its limit")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::finding::Level;

    fn sound() -> DatabaseHealth {
        DatabaseHealth { schema: 3, known: 3, problems: Vec::new() }
    }

    #[test]
    fn reports_each_fault_of_the_state_database() {
        let of = |health| judge_state(&Ok(health), Some((999, 0o600)), Some(999));
        assert_eq!(of(sound()).level, Level::Ok);
        assert!(of(DatabaseHealth { schema: 9, ..sound() }).message.contains("knows up to 3"));
        assert_eq!(of(DatabaseHealth { schema: 2, ..sound() }).level, Level::Warn);
        let damaged =
            DatabaseHealth { problems: vec!["row 1 missing from index".into()], ..sound() };
        assert_eq!(of(damaged).message, "state.db is damaged: row 1 missing from index");
        let of = |uid, mode| judge_state(&Ok(sound()), Some((uid, mode)), Some(999));
        assert_eq!((of(0, 0o600).level, of(999, 0o644).level), (Level::Fail, Level::Warn));
        let closed =
            judge_state(&Err(state::Error::Value("x".into())), Some((0, 0o600)), Some(999));
        assert!(closed.message.contains("state.db belongs to user id 0, not 999"), "{closed:?}");
        assert_eq!(
            judge_state(&Err(state::Error::Value("x".into())), None, None).level,
            Level::Fail
        );
    }

    #[test]
    fn stale_published_keys_are_reported_before_missing_keys() {
        let of = |missing, stale| judge_keys(&Ok(PublishedDiff { missing, stale, matching: 4 }));
        assert_eq!(of(0, 0).message, "published keys that match the registry: 4");
        assert!(of(1, 0).message.contains("not published (1)"));
        assert!(of(1, 2).message.contains("should not work are published (2)"));
    }

    #[test]
    fn reports_accounts_with_a_full_incoming() {
        assert_eq!(judge_full(&[])[0].level, Level::Ok);
        let findings = judge_full(&[("acme".parse().unwrap(), Timestamp::UNIX_EPOCH)]);
        assert_eq!(
            findings[0].message,
            "incoming has been over its limit since 1970-01-01 00:00 UTC"
        );
        assert_eq!(findings[0].account.as_deref(), Some("acme"));
    }

    #[test]
    fn reports_an_import_that_waits_for_hours() {
        let now = Timestamp::from_second(100_000).unwrap();
        let of = |second| {
            let oldest_import = Timestamp::from_second(second).ok();
            judge_waiting(&Backlog { imports: 2, oldest_import, ..Backlog::default() }, now)
        };
        assert_eq!(of(99_000).level, Level::Ok);
        assert_eq!(
            of(80_000).message,
            "imports that have not ended: 2, the oldest is from 5 h ago"
        );
    }
}
