//! Implements the commands `sftp-import config …`, which check the configuration file.

use crate::cli::context::{CliContext, CliResult};

#[derive(Debug, clap::Subcommand)]
pub enum ConfigCommand {
    /// Check the configuration file, and print its main settings
    Check,
}

pub fn run(command: ConfigCommand, context: &CliContext) -> CliResult {
    let ConfigCommand::Check = command;
    let config = context.config()?;
    let path = context.config_path().display().to_string();
    let exists = context.config_path().exists();
    config.check_secrets()?;
    let value = serde_json::json!({
        "file": path, "exists": exists, "node": config.node.name,
        "accounts": config.paths.accounts, "state": config.paths.state,
        "warnings": config.deprecations(),
    });
    let verdict = if exists {
        format!("{path} is valid")
    } else {
        format!("{path} does not exist; the defaults are in force")
    };
    let mut lines = vec![
        verdict,
        format!("  node      {}", config.node.name),
        format!("  accounts  {}", config.paths.accounts.display()),
        format!("  state     {}", config.paths.state.display()),
    ];
    lines.extend(config.deprecations().into_iter().map(|warning| format!("warning: {warning}")));
    context.done(&value, lines)
}
