//! Implements the command `sftp-import completions SHELL`, which prints a completion script for
//! packages.

use std::io::{self, Write as _};

use clap_complete::Shell;

use crate::cli::context::CliResult;

#[derive(Debug, clap::Args)]
pub struct CompletionArguments {
    /// The shell for which the script is printed
    shell: Shell,
}

/// Prints the script for the program that `command` describes.
pub fn run(arguments: &CompletionArguments, command: &mut clap::Command) -> CliResult {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, command, "sftp-import", &mut script);
    io::stdout().write_all(&script)?;
    Ok(true)
}
