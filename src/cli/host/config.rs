//! `sftp-import config …`: checks the configuration file.

use crate::cli::context::{CliError, CliResult, Context};

#[derive(Debug, clap::Subcommand)]
pub enum ConfigCommand {
    /// Check the configuration file, and print its main settings
    Check,
}

pub fn run(command: ConfigCommand, context: &Context) -> CliResult {
    let ConfigCommand::Check = command;
    let config = context.config()?;
    let path = context.config_path().display().to_string();
    let exists = context.config_path().exists();
    config.check_secrets().map_err(|error| {
        let hint = error.hint();
        CliError::from(error).hint(hint)
    })?;
    context.output().json(&serde_json::json!({
        "file": path, "exists": exists, "node": config.node.name,
        "accounts": config.paths.accounts, "state": config.paths.state,
        "warnings": config.deprecations(),
    }))?;
    let verdict = if exists { "is good" } else { "does not exist; the defaults are in force" };
    context.output().line(&format!("{path} {verdict}"))?;
    context.output().line(&format!("  node      {}", config.node.name))?;
    context.output().line(&format!("  accounts  {}", config.paths.accounts.display()))?;
    context.output().line(&format!("  state     {}", config.paths.state.display()))?;
    for warning in config.deprecations() {
        context.output().line(&format!("warning: {warning}"))?;
    }
    Ok(true)
}
