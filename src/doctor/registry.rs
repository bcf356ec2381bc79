//! Checks the registry: whether it exists, whether only root can use it, and whether the state
//! database matches it.

use super::finding::Finding;
use crate::admission::{AdmissionError, CopyChange, compare_copy};
use crate::config::Config;
use crate::files::private::NotPrivate;
use crate::registry::{Error, Registry};
use crate::sanitize::chain;
use crate::state::{State, accounts};

const CHECK: &str = "registry";

/// The facts about the registry that its check needs.
pub(super) struct RegistryFacts {
    pub opened: Result<Registry, Error>,
    /// Whether the state database has accounts. `None` if it can't be read.
    has_accounts: Option<bool>,
    /// The differences between the state database and the registry. `None` if one of them can't be
    /// read.
    differences: Option<Result<Vec<CopyChange>, AdmissionError>>,
}

/// Opens the registry, and compares it with the state database if that can be read.
pub(super) fn gather(config: &Config, state: Option<&State>) -> RegistryFacts {
    let opened = Registry::open(&config.paths.admin, "doctor");
    let has_accounts = state
        .and_then(|state| state.read(accounts::list).ok())
        .map(|accounts| !accounts.is_empty());
    let both = opened.as_ref().ok().zip(state);
    let differences = both.map(|(registry, state)| compare_copy(registry, state));
    RegistryFacts { opened, has_accounts, differences }
}

pub(super) fn judge(facts: &RegistryFacts) -> Finding {
    match &facts.opened {
        Err(Error::Missing(_)) if facts.has_accounts == Some(false) => {
            Finding::ok(CHECK, "no registry exists yet: adding the first account creates it")
        }
        Err(error @ Error::Missing(_)) => {
            let message = format!("{error}; the published keys still work");
            Finding::fail(CHECK, message).log("there is no registry").fix(
                "run `sftp-import registry take-over`, which lists the keys, or restore the \
                     last backup",
            )
        }
        Err(Error::NotPrivate(NotPrivate { path, fault, fix })) => {
            let message = format!("{} {fault}", path.display());
            Finding::fail(CHECK, message).log("so others can use it").fix(fix.clone())
        }
        Err(error) => Finding::fail(CHECK, chain(error))
            .log("registry.db")
            .fix("restore the last backup, or install the version that wrote it"),
        Ok(_) => judge_differences(facts.differences.as_ref()),
    }
}

fn judge_differences(differences: Option<&Result<Vec<CopyChange>, AdmissionError>>) -> Finding {
    let fix = "sftp-import provision";
    let changes = match differences {
        None => {
            return Finding::ok(
                CHECK,
                "the registry exists; the state database can't be compared with it",
            );
        }
        Some(Err(error)) => {
            let message =
                format!("the registry can't be compared with the state database: {}", chain(error));
            return Finding::fail(CHECK, message).fix(fix);
        }
        Some(Ok(changes)) => changes,
    };
    let not_approved: Vec<_> = changes.iter().filter(|change| change.was_not_approved()).collect();
    let finding = match (not_approved.first(), changes.first()) {
        (Some(first), _) => Finding::fail(
            CHECK,
            format!(
                "the state database has accounts or keys that root has not approved ({}); \
                 the first change by provision will be: {first}",
                not_approved.len()
            ),
        ),
        (None, Some(first)) => Finding::warn(
            CHECK,
            format!(
                "the state database differs from the registry ({}); the first \
                 change by provision will be: {first}",
                changes.len()
            ),
        ),
        (None, None) => return Finding::ok(CHECK, "the state database matches the registry"),
    };
    finding.log("state database: ").fix(fix)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::finding::Level;
    use crate::registry::Account;

    fn facts(opened: Error, has_accounts: bool) -> RegistryFacts {
        RegistryFacts { opened: Err(opened), has_accounts: Some(has_accounts), differences: None }
    }

    #[test]
    fn a_missing_registry_is_reported_if_accounts_exist() {
        let missing = || Error::Missing("/x/registry.db".into());
        assert_eq!(judge(&facts(missing(), false)).level, Level::Ok);
        let found = judge(&facts(missing(), true));
        assert_eq!(found.level, Level::Fail);
        assert!(found.message.contains("published keys still work"), "{found:?}");
        let (fault, fix) = ("so others can use it".to_owned(), "chmod 0600 /x".to_owned());
        let open = Error::NotPrivate(NotPrivate { path: "/x".into(), fault, fix });
        assert_eq!(judge(&facts(open, false)).level, Level::Fail);
    }

    #[test]
    fn unapproved_rows_fail_but_missing_rows_only_warn() {
        let id: crate::account::AccountId = "acme".parse().unwrap();
        let account = Account {
            id: id.clone(),
            uid: None,
            state: crate::account_state::AccountState::Active,
        };
        let of = |changes: Vec<CopyChange>| judge_differences(Some(&Ok(changes)));
        assert_eq!(of(vec![]).level, Level::Ok);
        assert_eq!(of(vec![CopyChange::AddAccount(account.clone())]).level, Level::Warn);
        let both = of(vec![CopyChange::AddAccount(account), CopyChange::SuspendUnknown(id)]);
        assert_eq!(both.level, Level::Fail);
        assert!(
            both.message
                .contains("not approved (1); the first change by provision will be: account acme")
        );
    }
}
