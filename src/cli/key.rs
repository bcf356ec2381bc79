//! `sftp-import key …`: add, list, revoke.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::Serialize;

use super::admission::refused;
use super::{CliError, CliResult, Context, Output, require_root};
use crate::account::AccountId;
use crate::account_state::AccountState;
use crate::admission::{Admission, AdmissionError};
use crate::config::Config;
use crate::key::{self, KeyRestrictions, NewKey, PublicKey, parse};
use crate::state::accounts;
use crate::state::keys::{self, KeyRow};

#[derive(Debug, clap::Subcommand)]
pub enum KeyCommand {
    /// Add a public key to an account; the first one creates its Unix user and folders
    Add(AddKey),
    /// List keys
    List {
        /// Only this account's
        account: Option<AccountId>,
        /// Revoked ones too
        #[arg(long)]
        all: bool,
    },
    /// Revoke a key: when this returns, no login with it succeeds. Open sessions continue
    /// (`account suspend` ends them)
    Revoke {
        /// The account's id
        account: AccountId,
        /// The key's name or its fingerprint (SHA256:…)
        #[arg(value_name = "NAME|FINGERPRINT")]
        key: String,
    },
}

/// `key add`
#[derive(Debug, clap::Args)]
pub struct AddKey {
    /// The account's id
    account: AccountId,
    /// The partner's .pub file; - for standard input
    file: PathBuf,
    /// The key's name, such as the machine it is for
    #[arg(long)]
    name: String,
    /// Addresses and networks the key may be used from, such as 192.0.2.7,2001:db8::/32
    #[arg(long, value_name = "CIDR,…")]
    from: Option<String>,
    /// When the key stops working: a date (its first moment in UTC) or an RFC 3339 instant
    #[arg(long, value_name = "DATE")]
    expires: Option<String>,
    /// Add the key even if it was revoked for this account
    #[arg(long)]
    again: bool,
}

/// A key with its state at a given time.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ShownKey {
    #[serde(flatten)]
    key: KeyRow,
    state: &'static str,
}

pub fn run(command: KeyCommand, context: &Context) -> CliResult {
    require_root()?;
    let config = context.config()?;
    match command {
        KeyCommand::Add(arguments) => add(&arguments, &config, context),
        KeyCommand::List { account, all } => list(account.as_ref(), all, &config, context),
        KeyCommand::Revoke { account, key } => revoke(&account, &key, &config, context),
    }
}

fn add(arguments: &AddKey, config: &Config, context: &Context) -> CliResult {
    let AddKey { account, name, again, .. } = arguments;
    let now = Timestamp::now();
    let key = read_key(&arguments.file)?;
    let from = arguments.from.as_deref().map(key::parse_from_hosts).transpose()?;
    let expires_at =
        arguments.expires.as_deref().map(|text| key::parse_expiry(text, now)).transpose()?;
    let restrictions = KeyRestrictions { from, expires_at };
    let state = context.state(config)?;
    let registry = context.registry(config)?;
    let admission = Admission { config, registry: &registry };
    let new = NewKey { name, key: &key, restrictions, again: *again };
    let added = admission.add_key(&state, now, account, new).map_err(refused)?;
    context.output().json(&added.key)?;
    let suspended = added.account == AccountState::Suspended;
    say_added(context.output(), &added.key, suspended, &config.node.name)?;
    Ok(true)
}

fn say_added(output: &Output, row: &KeyRow, suspended: bool, host: &str) -> io::Result<()> {
    let KeyRow { account, name, algorithm, fingerprint, .. } = row;
    output.line(&format!("key {name:?} added to account {account}: {algorithm} {fingerprint}"))?;
    if let Some(from) = &row.from {
        output.line(&format!("it works from {from} only"))?;
    }
    if let Some(at) = row.expires_at {
        output.line(&format!("it stops working at {at}"))?;
    }
    if suspended {
        return output.line(&format!(
            "the account is suspended; to let it log in: sftp-import account resume {account}"
        ));
    }
    output.line(&format!("the partner connects with: sftp {account}@{host}"))
}

fn list(account: Option<&AccountId>, all: bool, config: &Config, context: &Context) -> CliResult {
    let now = Timestamp::now();
    let shown: Vec<ShownKey> = context.state(config)?.read(|tx| {
        let rows = accounts::list(tx)?.into_iter();
        let states: HashMap<AccountId, AccountState> =
            rows.map(|row| (row.id, row.state)).collect();
        if let Some(id) = account
            && !states.contains_key(id)
        {
            return Err(refused(AdmissionError::NoAccount(id.clone())));
        }
        let keys = keys::list(tx, account, all)?;
        Ok(keys
            .into_iter()
            .map(|key| {
                let account = states.get(&key.account).copied().unwrap_or(AccountState::Removing);
                ShownKey { state: key_state(&key, account, now), key }
            })
            .collect())
    })?;
    print(context.output(), &shown)?;
    Ok(true)
}

fn revoke(account: &AccountId, key: &str, config: &Config, context: &Context) -> CliResult {
    let registry = context.registry(config)?;
    let admission = Admission { config, registry: &registry };
    let revoked = admission.revoke_key(Timestamp::now(), account, key).map_err(refused)?;
    let state = context.copy(&admission, account)?;
    let row = state.read(|tx| keys::find(tx, account, &revoked.key.fingerprint))?;
    context.output().json(&row)?;
    let when = if revoked.was_revoked { "was revoked before" } else { "is revoked" };
    let name = revoked.key.name;
    context.output().line(&format!("key {name:?} of account {account} {when}"))?;
    if !revoked.was_revoked {
        context.output().line(&format!(
            "open sessions continue; to end them: sftp-import account suspend {account}"
        ))?;
    }
    Ok(true)
}

/// Adds to the keys of one account, which has `state`, their states at `now`.
pub(super) fn shown_keys(keys: Vec<KeyRow>, state: AccountState, now: Timestamp) -> Vec<ShownKey> {
    keys.into_iter().map(|key| ShownKey { state: key_state(&key, state, now), key }).collect()
}

fn key_state(key: &KeyRow, account: AccountState, now: Timestamp) -> &'static str {
    if key.revoked_at.is_some() {
        "revoked"
    } else if key.expires_at.is_some_and(|at| at <= now) {
        "expired"
    } else {
        account.as_str()
    }
}

pub(super) fn print(output: &Output, keys: &[ShownKey]) -> io::Result<()> {
    let titles = [
        "ACCOUNT",
        "NAME",
        "STATE",
        "TYPE",
        "FINGERPRINT",
        "FROM",
        "EXPIRES",
        "LAST USE",
        "LAST FROM",
    ];
    let empty = "no keys yet; add one with: sftp-import key add ACCOUNT FILE.pub --name NAME";
    output.list(keys, &titles, empty, |shown| {
        let key = &shown.key;
        vec![
            key.account.to_string(),
            key.name.clone(),
            shown.state.to_owned(),
            key.algorithm.clone(),
            key.fingerprint.clone(),
            key.from.clone().unwrap_or("anywhere".into()),
            key.expires_at.map_or("never".into(), |at| at.to_string()),
            key.last_used_at
                .map_or("never".into(), |at| at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()),
            key.last_used_from.clone().unwrap_or("-".into()),
        ]
    })
}

fn read_key(path: &Path) -> Result<PublicKey, CliError> {
    let mut content = Vec::new();
    let limit = parse::MAX_FILE as u64 + 1;
    let read = if path == Path::new("-") {
        io::stdin().take(limit).read_to_end(&mut content)
    } else {
        File::open(path).and_then(|file| file.take(limit).read_to_end(&mut content))
    };
    read.map_err(|error| CliError::new(format_args!("cannot read {}: {error}", path.display())))?;
    PublicKey::from_file(&content).map_err(|refusal| {
        let hint = refusal.hint();
        CliError::from(refusal).hint_if(hint)
    })
}
