//! `sftp-import account …`: add, list, show, set, suspend, resume, remove.

mod change;
pub mod export;
mod show;
mod state;

use std::io::{self, IsTerminal, Write};

use clap::ArgGroup;

use self::export::{EraseArguments, ExportArguments};
use super::{CliError, CliResult, Context, require_root};
use crate::account::AccountId;
use crate::admission::Admission;
use crate::config::Config;
use crate::provision::ProvisionError;
use crate::registry::Registry;
use crate::state::accounts::{self, AccountRow};
use crate::state::{State, Transaction};

/// The addresses that may get mail about an account's imports.
#[derive(Debug, clap::Args)]
pub struct RecipientArguments {
    /// Allow this address as a manifest's clientEmail, in addition to the contact (may be given
    /// several times); "" for none
    #[arg(long, value_name = "ADDR")]
    recipient: Vec<String>,
    /// Allow all addresses at this domain, but not at its subdomains (may be given several times);
    /// "" for none [default for a new rule: the contact's domain, unless it is a free-mail
    /// provider's]
    #[arg(long, value_name = "DOMAIN")]
    recipient_domain: Vec<String>,
    /// Allow any address
    #[arg(long, conflicts_with_all = ["recipient", "recipient_domain"])]
    any_recipient: bool,
}

#[derive(Debug, clap::Subcommand)]
pub enum AccountCommand {
    /// Add an account; its Unix user and folders are created with its first key. One of --email,
    /// --recipient-domain and --any-recipient is required
    #[command(group = ArgGroup::new("reached").required(true).multiple(true)
        .args(["email", "recipient_domain", "any_recipient"]))]
    Add {
        /// The account's id, which is its SFTP user name: 1 to 32 of A-Z a-z 0-9 _ -
        id: AccountId,
        /// The address of the account's contact: it gets mail when an import fails, and mail whose
        /// clientEmail is not an allowed recipient
        #[arg(long, value_name = "ADDR")]
        email: Option<String>,
        #[command(flatten)]
        recipients: RecipientArguments,
    },
    /// List all accounts
    List,
    /// Show an account: its user, folder, keys and last activity
    Show {
        /// The account's id
        id: AccountId,
    },
    /// Change an account's contact, its webhook, or the allowed recipients of its mail. An option
    /// that is not given changes nothing
    #[command(group = ArgGroup::new("changed").required(true).multiple(true)
        .args(["webhook", "email", "recipient", "recipient_domain", "any_recipient"]))]
    Set {
        /// The account's id
        id: AccountId,
        /// The webhook that is notified of this account's imports; "" for none
        #[arg(long, value_name = "NAME")]
        webhook: Option<String>,
        /// The address of the account's contact; "" for none
        #[arg(long, value_name = "ADDR")]
        email: Option<String>,
        #[command(flatten)]
        recipients: RecipientArguments,
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
    /// Remove an account: its keys, sessions, Unix user, and its folder with all files in it.
    /// Claimed imports, their stored data and the activity log remain
    Remove {
        /// The account's id
        id: AccountId,
        /// Don't ask
        #[arg(long)]
        yes: bool,
        /// Remove the account even while its imports are waiting or running; they continue, but
        /// there is no results folder for their reports
        #[arg(long)]
        force: bool,
    },
    /// Copy all data of an account into a new folder, while the daemon runs
    Export(ExportArguments),
    /// Erase an account: all that `remove` removes, its imports, their stored data, its deliveries
    /// and its activity. Waits for a running import
    Erase(EraseArguments),
}

pub fn run(command: AccountCommand, context: &Context) -> CliResult {
    require_root()?;
    let config = context.config()?;
    let host = |config| Host::open(context, config);
    match command {
        AccountCommand::Export(arguments) => export::export(&arguments, context),
        AccountCommand::Erase(arguments) => export::erase(&arguments, context),
        AccountCommand::Add { id, email, recipients } => {
            host(config)?.add(&id, email.as_deref(), &recipients)
        }
        AccountCommand::List => host(config)?.list(),
        AccountCommand::Show { id } => host(config)?.show(&id),
        AccountCommand::Set { id, webhook, email, recipients } => {
            host(config)?.set(&id, webhook, email, &recipients)
        }
        // These two take effect even if the state database is broken.
        AccountCommand::Suspend { id } => state::suspend(&id, &config, context),
        AccountCommand::Resume { id } => state::resume(&id, &config, context),
        AccountCommand::Remove { id, yes, force } => host(config)?.remove(&id, yes, force),
    }
}

struct Host<'a> {
    context: &'a Context,
    config: Config,
    state: State,
}

impl<'a> Host<'a> {
    fn open(context: &'a Context, config: Config) -> Result<Self, CliError> {
        let state = context.state(&config)?;
        Ok(Self { context, config, state })
    }
}

impl Host<'_> {
    fn registry(&self) -> Result<Registry, CliError> {
        self.context.registry(&self.config)
    }

    fn admission<'a>(&'a self, registry: &'a Registry) -> Admission<'a> {
        Admission { config: &self.config, registry }
    }
}

fn existing(tx: &Transaction<'_>, id: &AccountId) -> Result<AccountRow, CliError> {
    accounts::get(tx, id)?.ok_or_else(|| {
        CliError::new(format_args!("there is no account {id}"))
            .hint(format_args!("sftp-import account add {id} --email ADDR"))
    })
}

/// Asks for confirmation on a terminal; elsewhere the answer is no.
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

/// Adds the hint to a failure of provisioning.
pub(super) fn hinted(error: ProvisionError) -> CliError {
    let hint = error.hint();
    CliError::from(error).hint_if(hint)
}
