//! `[account.ID.limits]`, `[account.ID.pairing]`, `[account.ID.retention]` and `[account.ID.web]`:
//! settings of one account.
//!
//! If a key is missing in an account's section, the value from `[limits]`, `[pairing]`,
//! `[retention]` or `[web]` applies.

use std::collections::{BTreeMap, HashMap};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use toml::Table;

use crate::account::AccountId;
use crate::config::{AccountWeb, Limits, Pairing, Retention};

/// The settings of all accounts that have their own sections.
#[derive(Clone, Debug, Default)]
pub struct PerAccount(HashMap<AccountId, AccountSettings>);

/// The settings of one account.
#[derive(Clone, Debug)]
pub struct AccountSettings {
    pub limits: Limits,
    pub pairing: Pairing,
    pub retention: Retention,
    pub web: AccountWeb,
}

/// The sections of one account, as they are written in the configuration file.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct SectionTables {
    limits: Table,
    pairing: Table,
    retention: Table,
    web: AccountWeb,
}

/// The sections of the configuration file that the settings of accounts depend on.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct SettingsTables {
    limits: Table,
    pairing: Table,
    retention: Table,
    account: BTreeMap<String, SectionTables>,
}

impl PerAccount {
    /// Reads the accounts' sections from the text of a configuration file. The error names the
    /// invalid section.
    pub fn read(text: &str) -> Result<Self, String> {
        let file: SettingsTables = toml::from_str(text).map_err(|error| error.to_string())?;
        let mut accounts = HashMap::new();
        for (id, written) in &file.account {
            let account: AccountId =
                id.parse().map_err(|error| format!("[account.{id}]: {error}"))?;
            let section = AccountSettings {
                limits: merge(id, "limits", &file.limits, &written.limits)?,
                pairing: merge(id, "pairing", &file.pairing, &written.pairing)?,
                retention: merge(id, "retention", &file.retention, &written.retention)?,
                web: written.web.clone(),
            };
            accounts.insert(account, section);
        }
        Ok(Self(accounts))
    }

    pub fn get(&self, account: &AccountId) -> Option<&AccountSettings> {
        self.0.get(account)
    }

    pub fn iter(&self) -> impl Iterator<Item = &AccountSettings> {
        self.0.values()
    }
}

/// Returns the general section `base`, with the keys of the account's own section replaced. `id` is
/// the id of the account.
fn merge<T: DeserializeOwned>(
    id: &str,
    name: &str,
    base: &Table,
    own: &Table,
) -> Result<T, String> {
    let mut table = base.clone();
    table.extend(own.clone());
    table.try_into().map_err(|error| format!("[account.{id}.{name}]: {error}"))
}

/// Checks the sections and returns an empty map. [`PerAccount::read`] fills the map later, because
/// it needs the general sections as well.
impl<'de> Deserialize<'de> for PerAccount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        BTreeMap::<String, SectionTables>::deserialize(deserializer).map(|_| Self::default())
    }
}

#[cfg(test)]
mod tests {
    use crate::account::AccountId;
    use crate::config::{AccountPolicy, Config, KeyPolicy};

    #[test]
    fn account_sections_override_only_their_keys() {
        let config = Config::parse(
            "[limits]\nmax-columns = 7\nmax-property-value = 9\n[pairing]\ndata-file-grace = '5s'\n\
             [account.ACME-1.limits]\nmax-property-value = 2048\n\
             [account.ACME-1.pairing]\nopen-file-grace = '1h'\n\
             [retention]\nresults = '3d'\n[account.ACME-1.retention]\nactivity = '9d'\n",
        )
        .unwrap();
        let account = |id: &str| id.parse::<AccountId>().unwrap();
        let own = config.limits_of(&account("ACME-1"));
        assert_eq!((own.max_columns, own.max_property_value), (7, 2048));
        assert_eq!(config.limits_of(&account("other")).max_property_value, 9);
        let own = config.pairing_of(&account("ACME-1"));
        assert_eq!(
            (own.data_file_grace.get().as_secs(), own.open_file_grace.get().as_secs()),
            (5, 3600)
        );
        assert_eq!(config.pairing_of(&account("other")).open_file_grace.get().as_secs(), 1800);
        let days = |id| {
            let retention = config.retention_of(&account(id));
            [retention.results, retention.activity].map(|kept| kept.get().as_secs() / 86_400)
        };
        assert_eq!((days("ACME-1"), days("other")), ([3, 9], [3, 365]));
    }

    #[test]
    fn an_account_can_have_its_own_key_policy() {
        let config = Config::parse(
            "[web]\nkeys = 'signed'\naccounts = 'root'\n[account.ACME-1.web]\nkeys = 'operators'\n\
             [account.ACME-2.web]\n",
        )
        .unwrap();
        let policy = |id: &str| config.key_policy_of(&id.parse::<AccountId>().unwrap());
        assert_eq!(policy("ACME-1"), KeyPolicy::Operators);
        assert_eq!([policy("ACME-2"), policy("other")], [KeyPolicy::Signed; 2]);
        assert_eq!(config.web.accounts, AccountPolicy::Root);
        for text in ["[account.a.web]\naccounts = 'root'\n", "[web]\nkeys = 'anybody'\n"] {
            assert!(Config::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn errors_name_the_account_section() {
        for (text, part) in [
            ("[account.'a b'.limits]\n", "account.a b"),
            ("[account.a.limits]\nmax-colums = 1\n", "max-colums"),
            ("[account.a.limits]\nmax-columns = 'x'\n", "account.a.limits"),
            ("[account.a.mail]\nurl = ''\n", "mail"),
        ] {
            let error = Config::parse(text).unwrap_err();
            assert!(error.contains(part), "{text:?}: {error}");
        }
    }
}
