//! The command `sftp-import`: parses arguments, calls a workflow and prints the result.
//!
//! The exit status is 0 for success, and 1 for a failure or a bad result. It is 2 for wrong usage
//! (from clap) and for a question that the user can't answer.

mod account;
mod activity;
mod actor;
mod context;
mod delivery;
mod hints;
mod host;
mod import;
mod key;
mod output;
mod prompt;
mod webhook;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser};

use context::{CliContext, CliResult};

/// Data imports over SFTP: accounts, keys, imports, webhooks.
#[derive(Debug, Parser)]
#[command(name = "sftp-import", version, max_term_width = 100)]
pub struct Cli {
    /// Use this configuration file [default: /etc/sftp-import/config.toml, if it exists]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print JSON instead of text
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Manage accounts, the partners that may upload
    #[command(subcommand)]
    Account(account::AccountCommand),
    /// Manage the keys that accounts log in with
    #[command(subcommand)]
    Key(key::KeyCommand),
    /// Show imports, their reports and error files, and retry imports
    #[command(subcommand)]
    Import(import::ImportCommand),
    /// Manage the endpoints that are notified of an account's imports
    #[command(subcommand)]
    Webhook(webhook::WebhookCommand),
    /// List, show and retry mails and webhook messages
    #[command(subcommand)]
    Delivery(delivery::DeliveryCommand),
    /// Export the activity log for other programs
    #[command(subcommand)]
    Activity(activity::ActivityCommand),
    /// Check local files against the import rules; nothing is stored
    Check(import::check::CheckArguments),
    /// Write the manifest of a data file; its columns, types and dates are guessed
    Manifest(import::manifest::ManifestArguments),
    /// Import local files now, for an account
    Ingest(import::ingest::IngestArguments),
    /// Check the configuration file
    #[command(subcommand)]
    Config(host::config::ConfigCommand),
    /// Make Unix users, folders, published keys and the state database match the registry
    Provision,
    /// Manage the registry, the accounts and keys that root approved
    #[command(subcommand)]
    Registry(host::registry::RegistryCommand),
    /// Check every part of the installation, and print a fix for each fault
    Doctor(host::doctor::DoctorArguments),
    /// Copy the state database and the registry to a new file, while the daemon runs
    Backup(host::backup::BackupArguments),
    /// Replace the state database by a backup of it; the daemon must be stopped
    Restore(host::backup::RestoreArguments),
    /// Print the completion script for a shell
    Completions(host::completions::CompletionArguments),
}

/// Writes manifests, and checks them and their data files before an upload.
#[derive(Debug, Parser)]
#[command(name = "sftp-import", version, max_term_width = 100)]
struct PartnerCli {
    /// Use this configuration file with other limits
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print JSON instead of text
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: PartnerCommand,
}

#[derive(Debug, clap::Subcommand)]
enum PartnerCommand {
    /// Check local files against the import rules; nothing is stored
    Check(import::check::CheckArguments),
    /// Write the manifest of a data file; its columns, types and dates are guessed
    Manifest(import::manifest::ManifestArguments),
}

/// Runs only the commands that partners need on their own machines.
pub fn partner_main() -> ExitCode {
    crate::sys::memory::tune();
    let cli = PartnerCli::parse();
    let context = CliContext::new(cli.config, cli.json);
    let result = match cli.command {
        PartnerCommand::Check(arguments) => import::check::run(arguments, &context),
        PartnerCommand::Manifest(arguments) => import::manifest::run(&arguments, &context),
    };
    context.finish(result)
}

/// Runs the program with this process's arguments.
pub fn main() -> ExitCode {
    crate::sys::memory::tune();
    crate::sys::sqlite::open_without_waiting();
    let cli = Cli::parse();
    let context = CliContext::new(cli.config, cli.json);
    let result: CliResult = match cli.command {
        Command::Account(command) => account::run(command, &context),
        Command::Key(command) => key::run(command, &context),
        Command::Import(command) => import::run(command, &context),
        Command::Webhook(command) => webhook::run(command, &context),
        Command::Delivery(command) => delivery::run(command, &context),
        Command::Activity(command) => activity::run(command, &context),
        Command::Check(arguments) => import::check::run(arguments, &context),
        Command::Manifest(arguments) => import::manifest::run(&arguments, &context),
        Command::Ingest(arguments) => import::ingest::run(arguments, &context),
        Command::Config(command) => host::config::run(command, &context),
        Command::Provision => host::provision::run(&context),
        Command::Registry(command) => host::registry::run(command, &context),
        Command::Doctor(arguments) => return host::doctor::run(arguments, &context),
        Command::Backup(arguments) => host::backup::backup(&arguments, &context),
        Command::Restore(arguments) => host::backup::restore(&arguments, &context),
        Command::Completions(arguments) => host::completions::run(&arguments, &mut Cli::command()),
    };
    context.finish(result)
}
