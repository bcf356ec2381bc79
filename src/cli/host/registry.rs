//! Implements the commands `sftp-import registry …`, which list and add accounts and keys that the
//! registry lacks.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::admission::{TakeOver, copy_all, prepare_take_over};
use crate::cli::actor::actor;
use crate::cli::context::{CliContext, CliError, CliResult, require_root};
use crate::key::publish;
use crate::registry::backup;
use crate::state::activity;

#[derive(Debug, clap::Subcommand)]
pub enum RegistryCommand {
    /// List the accounts and keys that are in the state database but not in the registry. Any
    /// process of the user sftp-import can write the state database, so check each one before you
    /// accept it
    TakeOver {
        /// Add these accounts and keys to the registry, so that the keys can log in. Creates a
        /// missing registry
        #[arg(long)]
        accept_keys: bool,
    },
}

/// The maximum number of accounts and keys that the text output lists. JSON lists all of them.
const SHOWN: usize = 50;

/// Runs `registry take-over`. The exit status is 1 if accounts or keys were listed but not added.
pub fn run(command: RegistryCommand, context: &CliContext) -> CliResult {
    require_root()?;
    let config = context.config()?;
    let RegistryCommand::TakeOver { accept_keys } = command;
    let state = context.state(&config)?;
    let claims = state.read(|tx| Ok::<_, CliError>(backup::read_state(tx)?))?;
    let (found, taken) = prepare_take_over(&config, &actor(), claims)?;
    let output = context.output();
    output.json(&json!({ "accepted": accept_keys, "notInRegistry": take_over_json(&taken) }))?;
    if !accept_keys {
        print_take_over(&taken, false, context)?;
        if taken.is_empty() {
            output.line("every account and key of the state database is in the registry")?;
        } else {
            output.line("to let these accounts and keys log in, run: sftp-import registry take-over --accept-keys")?;
        }
        return Ok(taken.is_empty() && found.is_some());
    }
    let now = Timestamp::now();
    let registry = taken.accept(found, &config, &actor(), now)?;
    let taken_over =
        format!("{} accounts, {} keys", taken.accounts.len(), taken.valid_keys().count());
    publish(&registry, &config, now)?;
    copy_all(&registry, &state, now)?;
    state.write(|tx| activity::log(tx, now, None, None, "registry.taken_over", &taken_over))?;
    print_take_over(&taken, true, context)?;
    output
        .line(&format!("added to the registry: {taken_over}; next, run: sftp-import provision"))?;
    Ok(true)
}

/// Returns the accounts and keys that the registry lacks, as JSON.
pub(super) fn take_over_json(taken: &TakeOver) -> Value {
    let accounts: Vec<Value> = taken
        .accounts
        .iter()
        .map(|account| json!({ "account": account.id.as_str(), "state": account.state }))
        .collect();
    let keys: Vec<Value> = taken
        .valid_keys()
        .map(|key| {
            json!({
                "account": key.account.as_str(), "name": key.name, "fingerprint": key.fingerprint,
                "from": key.from,
            })
        })
        .collect();
    let refused: Vec<Value> = taken
        .refused
        .iter()
        .map(|refused| json!({ "what": refused.what, "why": refused.why }))
        .collect();
    json!({ "accounts": accounts, "keys": keys, "refused": refused })
}

/// Prints the accounts and keys that the registry lacks, as text.
pub(super) fn print_take_over(
    taken: &TakeOver,
    accepted: bool,
    context: &CliContext,
) -> Result<(), CliError> {
    let place = if accepted { "is added to the registry" } else { "is not in the registry" };
    let accounts = taken
        .accounts
        .iter()
        .map(|account| format!("account {} ({}) {place}", account.id, account.state));
    let keys = taken.valid_keys().map(|key| {
        format!("key {:?} {} of account {} {place}", key.name, key.fingerprint, key.account)
    });
    let refused = taken
        .refused
        .iter()
        .map(|refused| format!("{} can't be added: {}", refused.what, refused.why));
    let lines: Vec<String> = refused.chain(accounts).chain(keys).collect();
    for line in lines.iter().take(SHOWN) {
        context.output().line(line)?;
    }
    if lines.len() > SHOWN {
        context.output().line(&format!(
            "… and {} more accounts or keys; --json lists all of them",
            lines.len() - SHOWN
        ))?;
    }
    Ok(())
}
