//! `account list` and `account show`.

use std::io;
use std::path::PathBuf;

use jiff::Timestamp;
use serde::Serialize;

use super::{CliError, CliResult, Host, existing};
use crate::account::AccountId;
use crate::cli::key::{self, ShownKey, shown_keys};
use crate::state::accounts::{self, AccountRow};
use crate::state::activity::{self, Activity};
use crate::state::keys;

/// The output of `account show`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown {
    #[serde(flatten)]
    account: AccountRow,
    folder: Option<PathBuf>,
    keys: Vec<ShownKey>,
    activity: Vec<Activity>,
}

impl Host<'_> {
    pub(super) fn list(&self) -> CliResult {
        let rows = self.state.read(accounts::list)?;
        let titles = ["ACCOUNT", "STATE", "USER ID", "CONTACT", "WEBHOOK", "ADDED"];
        let empty = "no accounts yet; add one with: sftp-import account add ID --email ADDR";
        self.context.output().list(&rows, &titles, empty, |row| {
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

    pub(super) fn show(&self, id: &AccountId) -> CliResult {
        let (account, keys, activity) = self.state.read(|tx| {
            let account = existing(tx, id)?;
            let keys = keys::list(tx, Some(id), false)?;
            Ok::<_, CliError>((account, keys, activity::recent(tx, Some(id), 10)?))
        })?;
        let folder = account.uid.map(|_| self.config.paths.accounts.join(id));
        let keys = shown_keys(keys, account.state, Timestamp::now());
        let shown = Shown { account, folder, keys, activity };
        if self.context.output().is_json() {
            self.context.output().json(&shown)?;
        } else {
            self.print(&shown)?;
        }
        Ok(true)
    }

    fn print(&self, shown: &Shown) -> io::Result<()> {
        let output = self.context.output();
        let account = &shown.account;
        let line = |name: &str, value: &str| output.line(&format!("{name:<12}{value}"));
        let or_none = |value: &Option<String>| value.clone().unwrap_or("none".into());
        line("account", account.id.as_str())?;
        line("state", account.state.as_str())?;
        match (account.uid, &shown.folder) {
            (Some(uid), Some(folder)) => {
                line("user", &format!("{} (id {uid})", account.id))?;
                line("folder", &folder.display().to_string())?;
            }
            _ => line("user", "none before the first key")?,
        }
        line("contact", &or_none(&account.email))?;
        line("webhook", &or_none(&account.webhook))?;
        line("mail to", &account.recipients.to_string())?;
        output.line("")?;
        key::print(output, &shown.keys)?;
        if !shown.activity.is_empty() {
            output.line("")?;
        }
        for entry in &shown.activity {
            let actor = entry.actor.as_ref().map(|name| format!(" (by {name})"));
            let actor = actor.unwrap_or_default();
            let line = format!("{:.0}  {}{actor} {}", entry.at, entry.action, entry.detail);
            output.line(line.trim_end())?;
        }
        Ok(())
    }
}
