//! Implements the commands `sftp-import key …`: add, list, revoke, refused.

mod next_steps;
mod refused;

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::Serialize;

use super::context::{CliContext, CliError, CliResult, require_root};
use super::output::Output;
use crate::account::AccountId;
use crate::account_state::AccountState;
use crate::admission::{Admission, AdmissionError};
use crate::config::Config;
use crate::key::{self, KeyRestrictions, NewKey, PublicKey, parse};
use crate::sanitize::chain;
use crate::sshd::ServerAddress;
use crate::state::accounts;
use crate::state::keys::{self, KeyRow};

#[derive(Debug, clap::Subcommand)]
pub enum KeyCommand {
    /// Add a public key to an account; the first key creates the account's Unix user and folders
    Add(AddKey),
    /// List the keys of accounts
    List {
        /// List only the keys of this account
        account: Option<AccountId>,
        /// List revoked keys too
        #[arg(long)]
        all: bool,
    },
    /// Revoke a key: when the command returns, no login with the key succeeds. Open sessions
    /// continue (`account suspend` ends them)
    Revoke {
        /// The account's id
        account: AccountId,
        /// The key's name or its fingerprint (SHA256:…)
        #[arg(value_name = "NAME|FINGERPRINT")]
        key: String,
    },
    /// List the keys that sshd refused for an account, with the reason for each and what to do
    Refused {
        /// The account's id
        account: AccountId,
    },
}

#[derive(Debug, clap::Args)]
pub struct AddKey {
    /// The account's id
    account: AccountId,
    /// The path of the partner's .pub file, or - for standard input
    file: PathBuf,
    /// A name for the key, such as the name of the machine that uses the key
    #[arg(long)]
    name: String,
    /// The addresses and networks from which the key may be used, such as 192.0.2.7,2001:db8::/32
    #[arg(long, value_name = "CIDR,…")]
    from: Option<String>,
    /// The time at which the key stops working: a date (its first moment in UTC) or an RFC 3339
    /// instant
    #[arg(long, value_name = "DATE")]
    expires: Option<String>,
    /// Add the key even if it was revoked for this account
    #[arg(long)]
    again: bool,
}

/// A key with its state at a given time.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct KeyStatus {
    #[serde(flatten)]
    key: KeyRow,
    state: &'static str,
}

/// The result of the command `key add`.
#[derive(Serialize)]
struct AddedKeyWithServer<'a> {
    #[serde(flatten)]
    key: &'a KeyRow,
    /// The server's address for the partner. `None` if sshd's configuration can't be read.
    server: Option<ServerAddress>,
}

pub fn run(command: KeyCommand, context: &CliContext) -> CliResult {
    require_root()?;
    let config = context.config()?;
    match command {
        KeyCommand::Add(arguments) => add(&arguments, &config, context),
        KeyCommand::List { account, all } => list(account.as_ref(), all, &config, context),
        KeyCommand::Revoke { account, key } => revoke(&account, &key, &config, context),
        KeyCommand::Refused { account } => refused::run(&account, &config, context),
    }
}

fn add(arguments: &AddKey, config: &Config, context: &CliContext) -> CliResult {
    let AddKey { account, name, again, .. } = arguments;
    let now = Timestamp::now();
    let key = read_key(&arguments.file)?;
    let from = arguments.from.as_deref().map(key::parse_from_hosts).transpose();
    let from = from.map_err(|error| CliError::new(format_args!("--from: {}", chain(&error))))?;
    let expires_at = arguments.expires.as_deref().map(|text| key::parse_expiry(text, now));
    let expires_at = expires_at
        .transpose()
        .map_err(|error| CliError::new(format_args!("--expires: {}", chain(&error))))?;
    let restrictions = KeyRestrictions { from, expires_at };
    let state = context.state(config)?;
    let registry = context.registry(config)?;
    let admission = Admission::of_root(config, &registry);
    let new = NewKey { name, key: &key, restrictions, again: *again };
    let added = admission.add_key(&state, now, account, new)?;
    let KeyRow { account, name, algorithm, fingerprint, .. } = &added.key;
    let mut lines =
        vec![format!("the key {name:?} is added to account {account}: {algorithm} {fingerprint}")];
    lines.extend(added.key.from.iter().map(|from| format!("the key works from {from} only")));
    lines.extend(added.key.expires_at.map(|at| format!("the key stops working at {at}")));
    if added.account == AccountState::Suspended {
        lines.push(format!(
            "the account is suspended; to let it log in, run: sftp-import account resume {account}"
        ));
    }
    let server = ServerAddress::of_host(&config.node);
    match &server {
        Ok(server) => {
            lines.push("send this to the partner:".to_owned());
            lines.extend(server.handout(account));
            if server.host.is_none() {
                let file = context.config_path().display();
                lines.push(format!(
                    "replace HOST by this host's public name, or set node.address in {file}"
                ));
            }
        }
        Err(problem) => lines.push(format!(
            "the server's address for the partner cannot be read from sshd: {problem}"
        )),
    }
    context.done(&AddedKeyWithServer { key: &added.key, server: server.ok() }, lines)
}

fn list(
    account: Option<&AccountId>,
    all: bool,
    config: &Config,
    context: &CliContext,
) -> CliResult {
    let now = Timestamp::now();
    let keys: Vec<KeyStatus> = context.state(config)?.read(|tx| {
        let rows = accounts::list(tx)?.into_iter();
        let states: HashMap<AccountId, AccountState> =
            rows.map(|row| (row.id, row.state)).collect();
        if let Some(id) = account
            && !states.contains_key(id)
        {
            return Err(CliError::from(AdmissionError::NoAccount(id.clone())));
        }
        let keys = keys::list(tx, account, all)?;
        Ok(keys
            .into_iter()
            .map(|key| {
                let account = states.get(&key.account).copied().unwrap_or(AccountState::Removing);
                KeyStatus { state: key_state(&key, account, now), key }
            })
            .collect())
    })?;
    print(context.output(), &keys)?;
    Ok(true)
}

fn revoke(account: &AccountId, key: &str, config: &Config, context: &CliContext) -> CliResult {
    let registry = context.registry(config)?;
    let admission = Admission::of_root(config, &registry);
    let revoked = admission.revoke_key(Timestamp::now(), account, key)?;
    let state = context.copy_account(&admission, account)?;
    let row = state.read(|tx| keys::find(tx, account, &revoked.key.fingerprint))?;
    let name = &revoked.key.name;
    let mut lines = vec![if revoked.was_revoked {
        format!("the key {name:?} of account {account} was revoked before")
    } else {
        format!("the key {name:?} of account {account} is revoked")
    }];
    if !revoked.was_revoked {
        lines.push(format!(
            "open sessions continue; to end them, run: sftp-import account suspend {account}"
        ));
    }
    context.done(&row, lines)
}

/// Returns the keys of one account, which has `state`, with the state of each key at `now`.
pub(super) fn with_status(
    keys: Vec<KeyRow>,
    state: AccountState,
    now: Timestamp,
) -> Vec<KeyStatus> {
    keys.into_iter().map(|key| KeyStatus { state: key_state(&key, state, now), key }).collect()
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

pub(super) fn print(output: &Output, keys: &[KeyStatus]) -> io::Result<()> {
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
    let empty = "there are no keys yet; to add a key, run: sftp-import key add ACCOUNT FILE.pub --name NAME";
    output.list(keys, &titles, empty, |status| {
        let key = &status.key;
        vec![
            key.account.to_string(),
            key.name.clone(),
            status.state.to_owned(),
            key.algorithm.clone(),
            key.fingerprint.clone(),
            key.from.clone().unwrap_or("anywhere".into()),
            key.expires_at.map_or("never".into(), |at| at.to_string()),
            key.last_used_at.map_or("never".into(), |at| format!("{at:.0}")),
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
    Ok(PublicKey::from_file(&content)?)
}
