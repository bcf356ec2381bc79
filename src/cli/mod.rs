//! `sftp-import`: what a sysadmin types. Wiring only: parses, calls a workflow, prints.
//!
//! Exit status 0: done. 1: it failed, or the answer is bad. 2: wrong usage (clap's).

mod context;
mod delivery;
mod output;
mod webhook;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

pub use context::{CliError, CliResult, Context};
pub use output::Output;

/// Data imports over SFTP: accounts, keys, imports, webhooks.
#[derive(Debug, Parser)]
#[command(name = "sftp-import", version, max_term_width = 100)]
pub struct Cli {
    /// Configuration file
    #[arg(long, global = true, value_name = "FILE", default_value = crate::config::DEFAULT_PATH)]
    config: PathBuf,
    /// Print JSON instead of text
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// To come
    Version,
    /// Endpoints: where an account's webhooks go
    #[command(subcommand)]
    Webhook(webhook::WebhookCommand),
    /// Mails and webhooks: sent, pending, given up
    #[command(subcommand)]
    Delivery(delivery::DeliveryCommand),
}

/// Runs the program with this process's arguments.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let context = Context::new(cli.config, cli.json);
    let result: CliResult = match cli.command {
        Command::Version => Ok(true),
        Command::Webhook(command) => webhook::run(command, &context),
        Command::Delivery(command) => delivery::run(command, &context),
    };
    context.finish(result)
}
