//! `sftp-import import …`: what became of the uploads.

use std::time::Duration;

use clap::Subcommand;
use indicatif::HumanCount;
use serde::Serialize;

use super::context::{CliError, CliResult, Context};
use super::report;
use crate::account::AccountId;
use crate::import::ImportRow;
use crate::report::{ImportState, Report};
use crate::spool::Layout;
use crate::state::{State, activity, imports};

/// What `import` can do.
#[derive(Debug, Subcommand)]
pub enum ImportCommand {
    /// List imports, newest first
    List {
        /// Only this account's
        #[arg(long, value_name = "ID")]
        account: Option<AccountId>,
        /// Only those in this state
        #[arg(long, value_parser = state_word)]
        state: Option<ImportState>,
        /// At most so many
        #[arg(long, default_value_t = 50)]
        limit: u32,
    },
    /// Show one import's report
    Show {
        /// The import, such as sftp1-42
        import: String,
    },
    /// Wait for an import to end, then show its report
    Watch {
        /// The import, such as sftp1-42
        import: String,
    },
    /// Print the path of an import's error file
    Errors {
        /// The import, such as sftp1-42
        import: String,
    },
    /// Run a failed import again from its spooled files
    Retry {
        /// The import, such as sftp1-42
        import: String,
    },
    /// Show the activity log, oldest first
    Log {
        /// Only this account's
        #[arg(long, value_name = "ID")]
        account: Option<AccountId>,
        /// At most so many lines
        #[arg(long, default_value_t = 50)]
        limit: u32,
    },
}

/// Runs one of them.
///
/// # Errors
/// The state database's, or there is no such import.
pub fn run(command: ImportCommand, context: &Context) -> CliResult {
    let config = context.config()?;
    let state = context.state(&config)?;
    match command {
        ImportCommand::List { account, state: wanted, limit } => {
            list(&state, account.as_ref(), wanted, limit, context)
        }
        ImportCommand::Show { import } => show(&get(&state, &import)?, context),
        ImportCommand::Watch { import } => watch(&state, &import, context),
        ImportCommand::Errors { import } => {
            let row = get(&state, &import)?;
            let name = row
                .report
                .and_then(|report| report.error_file)
                .ok_or_else(|| CliError::new(format_args!("import {import} has no error file")))?;
            let layout = Layout::new(&config.paths);
            let path = layout.results(&row.account).join(name);
            if !path.exists() {
                let gone = format_args!("the error file of import {import} is not kept any more");
                return Err(
                    CliError::new(gone).hint(format_args!("sftp-import import show {import}"))
                );
            }
            context.output().json(&serde_json::json!({ "errorFile": path }))?;
            context.output().line(&path.display().to_string())?;
            Ok(true)
        }
        ImportCommand::Retry { import } => {
            let row = get(&state, &import)?;
            crate::import::retry(
                &state,
                &Layout::new(&config.paths),
                &row,
                jiff::Timestamp::now(),
            )?;
            context.output().json(&serde_json::json!({ "import": row.id, "state": "queued" }))?;
            context.output().line(&format!("{import} is queued again; `import watch {import}`"))?;
            Ok(true)
        }
        ImportCommand::Log { account, limit } => log(&state, account.as_ref(), limit, context),
    }
}

fn state_word(word: &str) -> Result<ImportState, String> {
    serde_json::from_value(serde_json::Value::from(word))
        .map_err(|_| "one of claiming, queued, running, completed, failed".into())
}

fn get(state: &State, import: &str) -> Result<ImportRow, CliError> {
    state.read(|tx| imports::get(tx, import))?.ok_or_else(|| {
        CliError::new(format_args!("there is no import {import}"))
            .hint("`sftp-import import list` shows the newest")
    })
}

/// A line of `import list`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    import: String,
    account: String,
    manifest: String,
    state: ImportState,
    read: u64,
    accepted: u64,
    rejected: u64,
    received_at: jiff::Timestamp,
    finished_at: Option<jiff::Timestamp>,
    failure: Option<String>,
}

fn list(
    state: &State,
    account: Option<&AccountId>,
    wanted: Option<ImportState>,
    limit: u32,
    context: &Context,
) -> CliResult {
    let rows: Vec<ImportRow> = state.read(|tx| imports::list(tx, account, wanted, limit))?;
    let lines: Vec<Line> = rows.into_iter().map(line).collect();
    let titles =
        ["IMPORT", "ACCOUNT", "MANIFEST", "STATE", "READ", "ACCEPTED", "REJECTED", "RECEIVED", ""];
    context.output().list(&lines, &titles, "no imports yet", |l| {
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

fn line(row: ImportRow) -> Line {
    let records = row.report.as_ref().map(|report| report.records).unwrap_or_default();
    Line {
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

fn show(row: &ImportRow, context: &Context) -> CliResult {
    let report = row.report.clone().unwrap_or_else(|| unfinished(row));
    report::print(&report, context.output())?;
    Ok(true)
}

/// The report of an import that has not ended: what is known so far.
fn unfinished(row: &ImportRow) -> Report {
    Report {
        data_type: row.data_type,
        data_file: row.data_file.clone(),
        state: row.state,
        started_at: row.started_at,
        ..Report::queued(&row.manifest, row.received_at).of(&row.id, &row.account)
    }
}

fn watch(state: &State, import: &str, context: &Context) -> CliResult {
    let spinner = indicatif::ProgressBar::new_spinner();
    spinner.enable_steady_tick(Duration::from_millis(100));
    loop {
        let row = get(state, import)?;
        if row.report.is_some() {
            spinner.finish_and_clear();
            return show(&row, context);
        }
        spinner.set_message(format!("{import} is {}", row.state.as_str()));
        std::thread::sleep(Duration::from_millis(200));
    }
}

fn log(state: &State, account: Option<&AccountId>, limit: u32, context: &Context) -> CliResult {
    let lines = state.read(|tx| activity::recent(tx, account, limit))?;
    let titles = ["TIME", "ACCOUNT", "IMPORT", "ACTION", ""];
    context.output().list(&lines, &titles, "nothing has happened yet", |line| {
        vec![
            format!("{:.3}", line.at),
            line.account.clone().unwrap_or_default(),
            line.import.clone().unwrap_or_default(),
            line.action.clone(),
            line.detail.clone(),
        ]
    })?;
    Ok(true)
}
