//! The command `sftp-import key refused` lists the keys that sshd refused. For each key, the
//! command shows the reason and the next steps.
//!
//! The reasons and the next steps are made from the registry, to which only root can write. Only
//! the refused keys are read from the state database, because another user could have written a key
//! into it.

use std::collections::HashSet;

use jiff::Timestamp;
use serde::Serialize;

use super::next_steps::{NextStep, next_steps};
use crate::account::AccountId;
use crate::admission::AdmissionError;
use crate::audit::RefusedKey;
use crate::cli::context::{CliContext, CliError, CliResult};
use crate::cli::output::Output;
use crate::config::Config;
use crate::key::{RefusalReason, offered_key, refusal_reason};
use crate::registry::{self, ApprovedKey};
use crate::state::refused;

/// A refused key with its reason.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ExplainedKey {
    #[serde(flatten)]
    refused: RefusedKey,
    /// The name of the key. `None` if the account has no such key.
    name: Option<String>,
    /// The reason as one word.
    reason: &'static str,
    explanation: String,
    next_steps: Vec<NextStep>,
}

pub fn run(account: &AccountId, config: &Config, context: &CliContext) -> CliResult {
    let now = Timestamp::now();
    let registry = context.registry(config)?;
    let (known, keys) = registry.read(|tx| {
        let known = registry::accounts::get(tx, account)?;
        Ok::<_, registry::Error>((known, registry::keys::list(tx, Some(account), true)?))
    })?;
    let Some(known) = known else {
        return Err(AdmissionError::NoAccount(account.clone()).into());
    };
    let rows = context.state(config)?.read(|tx| Ok::<_, CliError>(refused::list(tx, account)?))?;
    let explain = |row: RefusedKey| {
        let key = offered_key(&keys, &row.fingerprint);
        let reason = refusal_reason(key, known.state, &row.address, row.last_at, now);
        explained(row, &reason, key, &keys, now)
    };
    print(context.output(), account, &rows.into_iter().map(explain).collect::<Vec<_>>())
}

fn explained(
    row: RefusedKey,
    reason: &RefusalReason,
    key: Option<&ApprovedKey>,
    keys: &[ApprovedKey],
    now: Timestamp,
) -> ExplainedKey {
    ExplainedKey {
        next_steps: next_steps(&row, reason, key, keys, now),
        refused: row,
        name: key.map(|key| key.name.clone()),
        reason: reason.as_str(),
        explanation: reason.to_string(),
    }
}

fn print(output: &Output, account: &AccountId, keys: &[ExplainedKey]) -> CliResult {
    let titles = ["LAST", "TIMES", "ADDRESS", "NAME", "REASON", "FINGERPRINT"];
    let empty = format!(
        "sshd refused no key of account {account} lately; `sftp-import doctor` checks that refused \
         keys are recorded"
    );
    output.list(keys, &titles, &empty, |key| {
        vec![
            format!("{:.0}", key.refused.last_at),
            key.refused.times.to_string(),
            key.refused.address.clone(),
            key.name.clone().unwrap_or("-".into()),
            key.reason.into(),
            key.refused.fingerprint.clone(),
        ]
    })?;
    // If a key was offered from several addresses, its next steps are usually the same for all
    // addresses. Equal steps for a key are printed only once.
    let mut printed = HashSet::new();
    for key in keys {
        let fingerprint = &key.refused.fingerprint;
        if !printed.insert((fingerprint, &key.explanation, &key.next_steps)) {
            continue;
        }
        output.line("")?;
        output.line(&format!("{fingerprint}: {}", key.explanation))?;
        for NextStep { text, command } in &key.next_steps {
            output.line(&format!("  {text}{}", if command.is_some() { ":" } else { "" }))?;
            command.iter().try_for_each(|command| output.line(&format!("    {command}")))?;
        }
    }
    Ok(true)
}
