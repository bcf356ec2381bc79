//! Implements the commands `sftp-import activity …`, which export the activity log for other
//! programs.

use clap::Subcommand;
use jiff::Timestamp;

use super::context::{CliContext, CliResult};
use super::import::parse_since;
use crate::account::AccountId;
use crate::state::activity::ActivityPages;

#[derive(Debug, Subcommand)]
pub enum ActivityCommand {
    /// Print the activity log as JSON lines, oldest first
    Export {
        /// Print only the lines of this account
        #[arg(long, value_name = "ID")]
        account: Option<AccountId>,
        /// Print only lines since this time, such as 2h, 3d, 2026-11-23 or 2026-11-23T20:00:00Z
        #[arg(long, value_name = "DATE", value_parser = parse_since)]
        since: Option<Timestamp>,
    },
}

pub fn run(command: ActivityCommand, context: &CliContext) -> CliResult {
    let ActivityCommand::Export { account, since } = command;
    let state = context.open_state()?;
    let mut pages = state.read(|tx| ActivityPages::new(tx, account, since))?;
    loop {
        let lines = state.read(|tx| pages.next(tx))?;
        if lines.is_empty() {
            return Ok(true);
        }
        context.output().json_lines(&lines)?;
    }
}
