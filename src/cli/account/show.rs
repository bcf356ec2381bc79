//! Implements the commands `account list` and `account show`.

use std::io;
use std::path::PathBuf;

use jiff::Timestamp;
use serde::Serialize;

use crate::account::AccountId;
use crate::admission::AdmissionError;
use crate::cli::context::{CliContext, CliError, CliResult};
use crate::cli::key::{self, KeyStatus, with_status};
use crate::cli::output::Output;
use crate::state::accounts::{self, AccountRow};
use crate::state::activity::{self, Activity};
use crate::state::{Transaction, keys};

/// The output of the command `account show`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AccountDetails {
    #[serde(flatten)]
    account: AccountRow,
    folder: Option<PathBuf>,
    keys: Vec<KeyStatus>,
    activity: Vec<Activity>,
}

pub(super) fn list(context: &CliContext) -> CliResult {
    let rows = context.open_state()?.read(accounts::list)?;
    let titles = ["ACCOUNT", "STATE", "USER ID", "CONTACT", "WEBHOOK", "ADDED"];
    let empty = "there are no accounts yet; to add an account, run: sftp-import account add ID --email ADDR";
    context.output().list(&rows, &titles, empty, |row| {
        vec![
            row.id.to_string(),
            row.state.to_string(),
            row.uid.map_or("-".into(), |uid| uid.to_string()),
            row.email.clone().unwrap_or("-".into()),
            row.webhook.clone().unwrap_or("-".into()),
            row.created_at.strftime("%Y-%m-%d").to_string(),
        ]
    })?;
    Ok(true)
}

pub(super) fn show(context: &CliContext, id: &AccountId) -> CliResult {
    let config = context.config()?;
    let (account, keys, activity) = context.state(&config)?.read(|tx| {
        let account = find_account(tx, id)?;
        let keys = keys::list(tx, Some(id), false)?;
        Ok::<_, CliError>((account, keys, activity::recent(tx, Some(id), 10)?))
    })?;
    let folder = account.uid.map(|_| config.paths.accounts.join(id));
    let keys = with_status(keys, account.state, Timestamp::now());
    let details = AccountDetails { account, folder, keys, activity };
    context.output().json(&details)?;
    if !context.output().is_json() {
        print(&details, context.output())?;
    }
    Ok(true)
}

/// Returns the row of the account `id`.
pub(super) fn find_account(tx: &Transaction<'_>, id: &AccountId) -> Result<AccountRow, CliError> {
    Ok(accounts::get(tx, id)?.ok_or_else(|| AdmissionError::NoAccount(id.clone()))?)
}

fn print(details: &AccountDetails, output: &Output) -> io::Result<()> {
    let account = &details.account;
    let line = |name: &str, value: &str| output.line(&format!("{name:<12}{value}"));
    let or_none = |value: &Option<String>| value.clone().unwrap_or("none".into());
    line("account", account.id.as_str())?;
    line("state", account.state.as_str())?;
    match (account.uid, &details.folder) {
        (Some(uid), Some(folder)) => {
            line("user", &format!("{} (user id {uid})", account.id))?;
            line("folder", &folder.display().to_string())?;
        }
        _ => line("user", "no user exists before the first key")?,
    }
    line("contact", &or_none(&account.email))?;
    line("webhook", &or_none(&account.webhook))?;
    line("mail to", &account.recipients.to_string())?;
    output.line("")?;
    key::print(output, &details.keys)?;
    if !details.activity.is_empty() {
        output.line("")?;
    }
    for entry in &details.activity {
        let actor = entry.actor.as_ref().map(|name| format!(" (by user {name})"));
        let actor = actor.unwrap_or_default();
        let line = format!("{:.0}  {}{actor} {}", entry.at, entry.action, entry.detail);
        output.line(line.trim_end())?;
    }
    Ok(())
}
