//! Implements the commands `sftp-import import …`, which list, show and retry imports.

pub mod check;
pub mod ingest;
pub mod manifest;
mod progress;
mod report;
mod watch;

use clap::Subcommand;
use indicatif::HumanCount;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};
use serde::Serialize;
use serde_json::json;

use crate::account::AccountId;
use crate::cli::context::{CliContext, CliError, CliResult};
use crate::import::{ImportRow, current_report};
use crate::report::{DataType, ImportState};
use crate::spool::Layout;
use crate::state::{State, activity, imports};
use watch::{find_import, watch};

#[derive(Debug, Subcommand)]
pub enum ImportCommand {
    /// List imports, newest first
    List {
        /// List only the imports of this account
        #[arg(long, value_name = "ID")]
        account: Option<AccountId>,
        /// List only the imports in this state; the option may be given several times
        #[arg(long, value_parser = parse_state)]
        state: Vec<ImportState>,
        /// List only imports received since this time, such as 2h, 3d, 2026-11-23 or
        /// 2026-11-23T20:00:00Z
        #[arg(long, value_name = "WHEN", value_parser = parse_since)]
        since: Option<Timestamp>,
        /// List only the imports with records of this type: event or profile
        #[arg(long = "type", value_name = "TYPE")]
        data_type: Option<DataType>,
        /// List only imports whose manifest's name contains this text
        #[arg(long, value_name = "TEXT")]
        manifest: Option<String>,
        /// The maximum number of imports that are listed
        #[arg(long, default_value_t = 50)]
        limit: u32,
    },
    /// Show one import's report
    Show(ImportArgument),
    /// Show the progress of an import until it ends, then its report; exit status 1 if it failed
    Watch(ImportArgument),
    /// Print the path of an import's error file
    Errors(ImportArgument),
    /// Run a failed import again from its spooled files
    Retry(ImportArgument),
    /// Show the activity log, oldest first
    Log {
        /// Show only the lines of this account
        #[arg(long, value_name = "ID")]
        account: Option<AccountId>,
        /// The maximum number of lines that are shown
        #[arg(long, default_value_t = 50)]
        limit: u32,
    },
}

#[derive(Debug, clap::Args)]
pub struct ImportArgument {
    /// The import's id, such as sftp1-42
    import: String,
}

pub fn run(command: ImportCommand, context: &CliContext) -> CliResult {
    let config = context.config()?;
    let state = context.state(&config)?;
    let layout = Layout::new(&config.paths);
    match command {
        ImportCommand::List { account, state: states, since, data_type, manifest, limit } => {
            let filter =
                imports::ImportFilter { account, states, since, data_type, manifest, limit };
            list(&state, &filter, context)
        }
        ImportCommand::Show(ImportArgument { import }) => {
            let report = current_report(&find_import(&state, &import)?, &layout);
            report::print(&report, context.output())?;
            Ok(true)
        }
        ImportCommand::Watch(ImportArgument { import }) => watch(&state, &layout, &import, context),
        ImportCommand::Errors(ImportArgument { import }) => {
            let row = find_import(&state, &import)?;
            let name = row
                .report
                .and_then(|report| report.error_file)
                .ok_or_else(|| CliError::new(format_args!("import {import} has no error file")))?;
            let path = layout.results(&row.account).join(name);
            if !path.exists() {
                let gone = format_args!("the error file of import {import} was removed");
                return Err(
                    CliError::new(gone).hint(format_args!("sftp-import import show {import}"))
                );
            }
            context.done(&json!({ "errorFile": path }), [path.display().to_string()])
        }
        ImportCommand::Retry(ImportArgument { import }) => {
            let row = find_import(&state, &import)?;
            crate::import::retry(&state, &layout, &row, Timestamp::now())?;
            context.done(
                &json!({ "import": row.id, "state": "queued" }),
                [format!("import {import} is queued again; `sftp-import import watch {import}` shows its progress")],
            )
        }
        ImportCommand::Log { account, limit } => log(&state, account.as_ref(), limit, context),
    }
}

fn parse_state(word: &str) -> Result<ImportState, String> {
    serde_json::from_value(serde_json::Value::from(word))
        .map_err(|_| "the state must be one of claiming, queued, running, completed, failed".into())
}

/// Parses a time, a day (UTC), or a duration before now.
pub(super) fn parse_since(word: &str) -> Result<Timestamp, String> {
    let day =
        || Some(word.parse::<Date>().ok()?.to_zoned_datetime(TimeZone::UTC).ok()?.timestamp());
    let ago = || {
        let now = Timestamp::now().to_zoned_datetime(TimeZone::UTC);
        Some(now.checked_sub(word.parse::<Span>().ok()?.abs()).ok()?.timestamp())
    };
    let moment = word.parse().ok().or_else(day).or_else(ago);
    moment.ok_or_else(|| {
        "the value must be a time such as 2h, 3d, 2026-11-23 or 2026-11-23T20:00:00Z".into()
    })
}

/// An entry in the output of `import list`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ImportEntry {
    import: String,
    account: String,
    manifest: String,
    state: ImportState,
    read: u64,
    accepted: u64,
    rejected: u64,
    received_at: Timestamp,
    finished_at: Option<Timestamp>,
    failure: Option<String>,
}

fn list(state: &State, filter: &imports::ImportFilter, context: &CliContext) -> CliResult {
    let rows: Vec<ImportRow> = state.read(|tx| imports::list(tx, filter))?;
    let entries: Vec<ImportEntry> = rows.into_iter().map(entry).collect();
    let titles =
        ["IMPORT", "ACCOUNT", "MANIFEST", "STATE", "READ", "ACCEPTED", "REJECTED", "RECEIVED", ""];
    context.output().list(&entries, &titles, "no import matches", |l| {
        vec![
            l.import.clone(),
            l.account.clone(),
            l.manifest.clone(),
            l.state.as_str().into(),
            HumanCount(l.read).to_string(),
            HumanCount(l.accepted).to_string(),
            HumanCount(l.rejected).to_string(),
            format!("{:.0}", l.received_at),
            l.failure.clone().unwrap_or_default(),
        ]
    })?;
    Ok(true)
}

fn entry(row: ImportRow) -> ImportEntry {
    let records = row.report.as_ref().map(|report| report.records).unwrap_or_default();
    ImportEntry {
        import: row.id.to_string(),
        account: row.account.to_string(),
        manifest: row.manifest,
        state: row.state,
        read: records.read,
        accepted: records.accepted,
        rejected: records.rejected,
        received_at: row.received_at,
        finished_at: row.finished_at,
        failure: row.report.and_then(|r| r.failure).map(|f| f.message.as_str().into()),
    }
}

fn log(state: &State, account: Option<&AccountId>, limit: u32, context: &CliContext) -> CliResult {
    let lines = state.read(|tx| activity::recent(tx, account, limit))?;
    let titles = ["TIME", "ACCOUNT", "IMPORT", "BY", "ACTION", ""];
    context.output().list(&lines, &titles, "the activity log is empty", |line| {
        vec![
            format!("{:.3}", line.at),
            line.account.clone().unwrap_or_default(),
            line.import.clone().unwrap_or_default(),
            line.actor.clone().unwrap_or_default(),
            line.action.clone(),
            line.detail.clone(),
        ]
    })?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn since_accepts_a_time_day_or_duration() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        assert_eq!(parse_since("2026-11-23T20:00:00Z"), Ok(at("2026-11-23T20:00:00Z")));
        assert_eq!(parse_since("2026-11-23"), Ok(at("2026-11-23T00:00:00Z")));
        let hours = |since: Timestamp| Timestamp::now().duration_since(since).as_hours();
        assert_eq!(hours(parse_since("3d").unwrap()), 72);
        assert_eq!(hours(parse_since("2h").unwrap()), 2);
        assert!(parse_since("yesterday").is_err());
    }
}
