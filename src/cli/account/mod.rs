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

/// Which addresses mail about an account's imports may go to.
#[derive(Debug, clap::Args)]
pub struct RecipientArguments {
    /// Allow this address as a manifest's clientEmail, beside the contact (may be given several
    /// times); "" for none
    #[arg(long, value_name = "ADDR")]
    recipient: Vec<String>,
    /// Allow all addresses at this domain, but none at its subdomains (may be given several times);
    /// "" for none [default for a new rule: the contact's domain, unless it is a free-mail
    /// provider's]
    #[arg(long, value_name = "DOMAIN")]
    recipient_domain: Vec<String>,
    /// Allow any address
    #[arg(long, conflicts_with_all = ["recipient", "recipient_domain"])]
    any_recipient: bool,
}

/// What can be done with accounts.
#[derive(Debug, clap::Subcommand)]
pub enum AccountCommand {
    /// Add an account; its Unix user and folders are made with its first key. One of --email,
    /// --recipient-domain and --any-recipient is required
    #[command(group = ArgGroup::new("reached").required(true).multiple(true)
        .args(["email", "recipient_domain", "any_recipient"]))]
    Add {
        /// The account's id, which is its SFTP user name: 1 to 32 of A-Z a-z 0-9 _ -
        id: AccountId,
        /// The account's own contact: gets mail when an import fails, and mail whose clientEmail
        /// is not an allowed recipient
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
    /// Change an account's contact, its webhook, or the allowed recipients of its mail. What is not
    /// given stays as it is
    #[command(group = ArgGroup::new("changed").required(true).multiple(true)
        .args(["webhook", "email", "recipient", "recipient_domain", "any_recipient"]))]
    Set {
        /// The account's id
        id: AccountId,
        /// The webhook that is told of this account's imports; "" for none
        #[arg(long, value_name = "NAME")]
        webhook: Option<String>,
        /// The account's own contact; "" for none
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
        // These two change who can log in without the state database.
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
    /// The registry, for commands that change who may log in.
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

/// A provisioning failure with its next step.
pub(super) fn hinted(error: ProvisionError) -> CliError {
    let hint = error.hint();
    CliError::from(error).hint_if(hint)
}
