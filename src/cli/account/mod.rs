//! Implements the commands `sftp-import account …`: add, list, show, set, suspend, resume, remove,
//! export, erase.

mod change;
mod erase;
mod export;
mod show;
mod state;

use clap::ArgGroup;

use change::RecipientArguments;
use erase::EraseArguments;
use export::ExportArguments;

use super::context::{CliContext, CliResult, require_root};
use crate::account::AccountId;

#[derive(Debug, clap::Subcommand)]
pub enum AccountCommand {
    /// Add an account; its Unix user and folders are created with its first key. One of --email,
    /// --recipient-domain and --any-recipient is required
    #[command(group = ArgGroup::new("reached").required(true).multiple(true)
        .args(["email", "recipient_domain", "any_recipient"]))]
    Add {
        /// The account's id, which is its SFTP user name: 1 to 32 characters of A-Z a-z 0-9 _ -
        id: AccountId,
        /// Mail address of the account's contact. The contact gets a mail when an import fails, and
        /// all mails of an import whose clientEmail is not an allowed recipient
        #[arg(long, value_name = "ADDR")]
        email: Option<String>,
        #[command(flatten)]
        recipients: RecipientArguments,
    },
    /// List all accounts
    List,
    /// Show an account: its user, folder, keys and last activity
    Show(AccountArgument),
    /// Change an account's contact, its webhook, or the allowed recipients of its mail. An option
    /// that is not given changes nothing
    #[command(group = ArgGroup::new("changed").required(true).multiple(true)
        .args(["webhook", "email", "recipient", "recipient_domain", "any_recipient"]))]
    Set {
        /// The account's id
        id: AccountId,
        /// The webhook that is notified of this account's imports; the value "" removes the webhook
        #[arg(long, value_name = "NAME")]
        webhook: Option<String>,
        /// The address of the account's contact; the value "" removes the address
        #[arg(long, value_name = "ADDR")]
        email: Option<String>,
        #[command(flatten)]
        recipients: RecipientArguments,
    },
    /// Stop all logins of an account and end its sessions; nothing is deleted
    Suspend(AccountArgument),
    /// Let a suspended account log in again
    Resume(AccountArgument),
    /// Remove an account: its keys, sessions, Unix user, and its folder with all files in it.
    /// Claimed imports, their stored data and the activity log remain
    Remove {
        /// The account's id
        id: AccountId,
        /// Don't ask for confirmation
        #[arg(long)]
        yes: bool,
        /// Remove the account even while its imports are waiting or running; they continue, but
        /// there is no results folder for their reports
        #[arg(long)]
        force: bool,
    },
    /// Copy all data of an account into a new folder, while the daemon runs
    Export(ExportArguments),
    /// Erase an account: everything that `remove` removes, and also its imports, their stored data,
    /// its deliveries and its activity. Waits for a running import
    Erase(EraseArguments),
}

#[derive(Debug, clap::Args)]
pub struct AccountArgument {
    /// The account's id
    id: AccountId,
}

pub fn run(command: AccountCommand, context: &CliContext) -> CliResult {
    require_root()?;
    match command {
        AccountCommand::Add { id, email, recipients } => {
            change::add(context, &id, email.as_deref(), &recipients)
        }
        AccountCommand::List => show::list(context),
        AccountCommand::Show(AccountArgument { id }) => show::show(context, &id),
        AccountCommand::Set { id, webhook, email, recipients } => {
            change::set(context, &id, webhook, email, &recipients)
        }
        AccountCommand::Suspend(AccountArgument { id }) => state::suspend(context, &id),
        AccountCommand::Resume(AccountArgument { id }) => state::resume(context, &id),
        AccountCommand::Remove { id, yes, force } => state::remove(context, &id, yes, force),
        AccountCommand::Export(arguments) => export::export(context, &arguments),
        AccountCommand::Erase(arguments) => erase::erase(context, &arguments),
    }
}
