//! `sftp-import account …`: add, list, show, set, suspend, resume, remove.

use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;

use jiff::Timestamp;
use serde::Serialize;

use super::export::{self, EraseArguments, ExportArguments};
use super::key::{publish, shown_keys};
use super::{CliError, CliResult, Context, require_root};
use crate::account::AccountId;
use crate::config::Config;
use crate::provision::{self, ProvisionError};
use crate::state::accounts::{self, AccountRow, AccountState};
use crate::state::activity::{self, Activity};
use crate::state::{self, State, Transaction, keys};

/// What can be done with accounts.
#[derive(Debug, clap::Subcommand)]
pub enum AccountCommand {
    /// Add an account; its Unix user and folders are made with its first key
    Add {
        /// The account's id, which is its SFTP user name: 1 to 32 of A-Z a-z 0-9 _ -
        id: AccountId,
        /// The account's own contact, told when an import fails
        #[arg(long, value_name = "ADDR")]
        email: Option<String>,
        /// Send mail only to addresses of this domain (may be given several times)
        #[arg(long, value_name = "DOMAIN")]
        recipient_domain: Vec<String>,
    },
    /// List all accounts
    List,
    /// Show an account: its user, folder, keys and last activity
    Show {
        /// The account's id
        id: AccountId,
    },
    /// Change an account's contact or webhook
    Set {
        /// The account's id
        id: AccountId,
        /// The webhook that is told of this account's imports; "" for none
        #[arg(long, value_name = "NAME", required_unless_present = "email")]
        webhook: Option<String>,
        /// The account's own contact; "" for none
        #[arg(long, value_name = "ADDR")]
        email: Option<String>,
    },
    /// Stop all logins of an account and end its sessions; nothing is deleted
    Suspend {
        /// The account's id
        id: AccountId,
    },
    /// Let a suspended account log in again
    Resume {
        /// The account's id
        id: AccountId,
    },
    /// Remove an account: its keys, sessions, Unix user, and its folder with all that lies in it.
    /// Imports that were claimed, what they stored and the activity log stay
    Remove {
        /// The account's id
        id: AccountId,
        /// Don't ask
        #[arg(long)]
        yes: bool,
        /// Remove it even while its imports are waiting or running; they go on, but their answers
        /// have no results folder to go to
        #[arg(long)]
        force: bool,
    },
    /// Copy all that there is of an account into a new folder, while everything goes on
    Export(ExportArguments),
    /// Erase an account: all that `remove` takes, and its imports, what they stored, its deliveries
    /// and its activity. An import that is running is waited for
    Erase(EraseArguments),
}

/// Runs the command.
///
/// # Errors
/// Why it could not be done, for the person who typed it.
pub fn run(command: AccountCommand, context: &Context) -> CliResult {
    require_root()?;
    let config = context.config()?;
    let state = context.state(&config)?;
    let host = Host { context, config, state };
    match command {
        AccountCommand::Export(arguments) => export::export(&arguments, context),
        AccountCommand::Erase(arguments) => export::erase(&arguments, context),
        AccountCommand::Add { id, email, recipient_domain } => {
            host.add(&id, email.as_deref(), &recipient_domain)
        }
        AccountCommand::List => host.list(),
        AccountCommand::Show { id } => host.show(&id),
        AccountCommand::Set { id, webhook, email } => host.set(&id, webhook, email),
        AccountCommand::Suspend { id } => host.suspend(&id),
        AccountCommand::Resume { id } => host.resume(&id),
        AccountCommand::Remove { id, yes, force } => host.remove(&id, yes, force),
    }
}

struct Host<'a> {
    context: &'a Context,
    config: Config,
    state: State,
}

/// What `account show` shows.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown {
    #[serde(flatten)]
    account: AccountRow,
    folder: Option<PathBuf>,
    keys: Vec<super::key::ShownKey>,
    activity: Vec<Activity>,
}

impl Host<'_> {
    fn add(&self, id: &AccountId, email: Option<&str>, domains: &[String]) -> CliResult {
        let email = email.map(checked_email).transpose()?;
        let domains = domains.iter().map(|domain| checked_domain(domain));
        let domains = domains.collect::<Result<Vec<String>, CliError>>()?;
        provision::check_new(&self.config, id).map_err(hinted)?;
        let added = self.state.write(|tx| {
            let added = accounts::add(tx, Timestamp::now(), id, email.as_deref(), &domains)?;
            Ok::<_, state::Error>(if added { accounts::get(tx, id)? } else { None })
        })?;
        let Some(account) = added else {
            return Err(CliError::new(format_args!("there is an account {id} already"))
                .hint(format_args!("sftp-import account show {id}")));
        };
        let output = self.context.output();
        output.json(&account)?;
        output.line(&format!("account {id} added"))?;
        output.line(&format!("next: sftp-import key add {id} FILE.pub --name NAME"))?;
        Ok(true)
    }

    fn list(&self) -> CliResult {
        let rows = self.state.read(accounts::list)?;
        let titles = ["ACCOUNT", "STATE", "USER ID", "CONTACT", "WEBHOOK", "ADDED"];
        let empty = "no accounts yet; add one with: sftp-import account add ID";
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

    fn show(&self, id: &AccountId) -> CliResult {
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
        let domains = account.recipient_domains.as_ref().map(|domains| domains.join(", "));
        line("mail to", &domains.unwrap_or("any address".into()))?;
        output.line("")?;
        super::key::print(output, &shown.keys)?;
        if !shown.activity.is_empty() {
            output.line("")?;
        }
        for entry in &shown.activity {
            let line = format!("{:.0}  {} {}", entry.at, entry.action, entry.detail);
            output.line(line.trim_end())?;
        }
        Ok(())
    }

    fn set(&self, id: &AccountId, webhook: Option<String>, email: Option<String>) -> CliResult {
        let filled = |text: &String| !text.is_empty();
        let contact = email.as_ref().filter(|text| filled(text));
        let contact = contact.map(|text| checked_email(text)).transpose()?;
        let endpoint = webhook.as_deref().filter(|name| !name.is_empty());
        let at = Timestamp::now();
        let account = self.state.write(|tx| {
            existing(tx, id)?;
            if email.is_some() {
                accounts::set_contact(tx, at, id, contact.as_deref())?;
            }
            if webhook.is_some() && !accounts::set_webhook(tx, at, id, endpoint)? {
                let name = endpoint.unwrap_or_default();
                return Err(CliError::new(format_args!("account {id} has no webhook {name:?}"))
                    .hint(format_args!("sftp-import webhook list {id}")));
            }
            existing(tx, id)
        })?;
        self.context.output().json(&account)?;
        self.context.output().line(&format!("account {id} changed"))?;
        Ok(true)
    }

    fn suspend(&self, id: &AccountId) -> CliResult {
        let account = self.change_state(id, AccountState::Suspended)?;
        // No new login gets in from here on; those before it are ended.
        publish(&self.config, &self.state)?;
        let ended = account.uid.map_or(Ok(0), provision::end_sessions).map_err(hinted)?;
        self.context.output().json(&account)?;
        self.context.output().line(&format!(
            "account {id} is suspended: none of its keys works, {ended} session processes ended"
        ))?;
        self.context
            .output()
            .line(&format!("to let it in again: sftp-import account resume {id}"))?;
        Ok(true)
    }

    fn resume(&self, id: &AccountId) -> CliResult {
        let account = self.change_state(id, AccountState::Active)?;
        publish(&self.config, &self.state)?;
        self.context.output().json(&account)?;
        self.context.output().line(&format!("account {id} is active: its keys work again"))?;
        Ok(true)
    }

    fn change_state(&self, id: &AccountId, to: AccountState) -> Result<AccountRow, CliError> {
        self.state.write(|tx| {
            if existing(tx, id)?.state == AccountState::Removing {
                return Err(CliError::new(format_args!("account {id} is being removed"))
                    .hint(format_args!("sftp-import account remove {id}")));
            }
            accounts::set_state(tx, Timestamp::now(), id, to)?;
            existing(tx, id)
        })
    }

    fn remove(&self, id: &AccountId, yes: bool, force: bool) -> CliResult {
        self.state.read(|tx| removable(tx, id, force))?;
        let question = format!("Remove account {id} with all that lies in its folder?");
        if !yes && !confirmed(id, &question)? {
            return Err(CliError::new(format_args!("account {id} is not removed"))
                .hint(format_args!("sftp-import account remove {id} --yes")));
        }
        // From here on running it again finishes what was cut off: the row goes last.
        let account = self.state.write(|tx| {
            removable(tx, id, force)?;
            accounts::set_state(tx, Timestamp::now(), id, AccountState::Removing)?;
            existing(tx, id)
        })?;
        publish(&self.config, &self.state)?;
        provision::remove(&self.config, &account).map_err(hinted)?;
        self.state.write(|tx| accounts::remove(tx, Timestamp::now(), id))?;
        self.context.output().json(&account)?;
        self.context.output().line(&format!("account {id} is removed"))?;
        Ok(true)
    }
}

fn existing(tx: &Transaction<'_>, id: &AccountId) -> Result<AccountRow, CliError> {
    accounts::get(tx, id)?.ok_or_else(|| {
        CliError::new(format_args!("there is no account {id}"))
            .hint(format_args!("sftp-import account add {id}"))
    })
}

fn removable(tx: &Transaction<'_>, id: &AccountId, force: bool) -> Result<(), CliError> {
    let account = existing(tx, id)?;
    let unfinished = accounts::unfinished_imports(tx, id)?;
    if unfinished == 0 || force || account.state == AccountState::Removing {
        return Ok(());
    }
    Err(CliError::new(format_args!("account {id} has {unfinished} imports waiting or running"))
        .hint(format_args!(
            "sftp-import account suspend {id}, wait for them to end, or say --force"
        )))
}

/// Asks on a terminal; elsewhere the answer is no.
pub(super) fn confirmed(id: &AccountId, question: &str) -> Result<bool, CliError> {
    if !io::stdin().is_terminal() {
        return Ok(false);
    }
    let mut stderr = io::stderr().lock();
    write!(stderr, "{question} Type its id: ")?;
    stderr.flush()?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    Ok(answer.trim() == id.as_str())
}

fn checked_email(text: &str) -> Result<String, CliError> {
    if crate::manifest::is_address(text) {
        return Ok(text.to_owned());
    }
    Err(CliError::new(format_args!("{text:?} is not an email address")))
}

/// A domain in lower case.
fn checked_domain(text: &str) -> Result<String, CliError> {
    match format!("x@{text}").parse::<email_address::EmailAddress>() {
        Ok(_) if !text.contains(['@', '[', '<']) => Ok(text.to_ascii_lowercase()),
        _ => Err(CliError::new(format_args!("{text:?} is not a domain such as example.com"))),
    }
}

/// A provisioning failure with its next step.
pub(super) fn hinted(error: ProvisionError) -> CliError {
    let hint = error.hint();
    CliError::from(error).hint_if(hint)
}
