//! Checks the registry: whether it exists, whether only root can use it, and whether the state
//! database matches it.

use super::finding::Finding;
use crate::admission::{AdmissionError, Change, differences};
use crate::config::Config;
use crate::files::private::NotPrivate;
use crate::registry::{Error, Registry};
use crate::sanitize::chain;
use crate::state::{State, accounts};

const CHECK: &str = "registry";

/// Facts about the registry.
pub(super) struct Facts {
    pub opened: Result<Registry, Error>,
    /// Whether the state database has accounts. `None` if it can't be read.
    has_accounts: Option<bool>,
    /// The state database's differences from it. `None` if one of the two can't be read.
    differences: Option<Result<Vec<Change>, AdmissionError>>,
}

/// Opens the registry and compares it with `state`, if that can be read.
pub(super) fn gather(config: &Config, state: Option<&State>) -> Facts {
    let opened = Registry::open(&config.paths.admin, "doctor");
    let has_accounts = state
        .and_then(|state| state.read(accounts::list).ok())
        .map(|accounts| !accounts.is_empty());
    let both = opened.as_ref().ok().zip(state);
    let differences = both.map(|(registry, state)| differences(registry, state));
    Facts { opened, has_accounts, differences }
}

pub(super) fn judge(facts: &Facts) -> Finding {
    match &facts.opened {
        Err(Error::Missing(_)) if facts.has_accounts == Some(false) => {
            Finding::ok(CHECK, "none yet: the first account creates it")
        }
        Err(error @ Error::Missing(_)) => {
            let message = format!("{error}; the keys that are published go on working");
            Finding::fail(CHECK, message)
                .log("there is no registry")
                .fix("sftp-import registry take-over (lists them), or restore the last backup")
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

fn judge_differences(differences: Option<&Result<Vec<Change>, AdmissionError>>) -> Finding {
    let fix = "sftp-import provision";
    let changes = match differences {
        None => return Finding::ok(CHECK, "it exists; the state database can't be compared"),
        Some(Err(error)) => {
            let message = format!("it can't be compared with the state database: {}", chain(error));
            return Finding::fail(CHECK, message).log("cannot be compared").fix(fix);
        }
        Some(Ok(changes)) => changes,
    };
    let mut not_approved = changes.iter().filter(|change| change.was_not_approved()).peekable();
    let finding = match (not_approved.peek(), changes.first()) {
        (Some(first), _) => {
            let first = first.to_string();
            let count = not_approved.count();
            Finding::fail(
                CHECK,
                format!(
                    "the state database has accounts or keys that root has not approved ({count}); \
                     what provision will do first: {first}"
                ),
            )
        }
        (None, Some(first)) => Finding::warn(
            CHECK,
            format!(
                "the state database differs from the registry ({}); what provision will do \
                 first: {first}",
                changes.len()
            ),
        ),
        (None, None) => return Finding::ok(CHECK, "the state database matches it"),
    };
    finding.log("state database: ").fix(fix)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::finding::Level;
    use crate::registry::Account;

    fn facts(opened: Error, has_accounts: bool) -> Facts {
        Facts { opened: Err(opened), has_accounts: Some(has_accounts), differences: None }
    }

    #[test]
    fn a_registry_that_is_not_there_matters_where_there_are_accounts() {
        let missing = || Error::Missing("/x/registry.db".into());
        assert_eq!(judge(&facts(missing(), false)).level, Level::Ok);
        let found = judge(&facts(missing(), true));
        assert_eq!(found.level, Level::Fail);
        assert!(found.message.contains("published go on working"), "{found:?}");
        let (fault, fix) = ("so others can use it".to_owned(), "chmod 0600 /x".to_owned());
        let open = Error::NotPrivate(NotPrivate { path: "/x".into(), fault, fix });
        assert_eq!(judge(&facts(open, false)).level, Level::Fail);
    }

    #[test]
    fn what_nobody_approved_is_worse_than_what_is_lacking() {
        let id: crate::account::AccountId = "acme".parse().unwrap();
        let account = Account {
            id: id.clone(),
            uid: None,
            state: crate::account_state::AccountState::Active,
        };
        let of = |changes: Vec<Change>| judge_differences(Some(&Ok(changes)));
        assert_eq!(of(vec![]).level, Level::Ok);
        assert_eq!(of(vec![Change::AddAccount(account.clone())]).level, Level::Warn);
        let both = of(vec![Change::AddAccount(account), Change::SuspendUnknown(id)]);
        assert_eq!(both.level, Level::Fail);
        assert!(
            both.message.contains("not approved (1); what provision will do first: account acme")
        );
    }
}
