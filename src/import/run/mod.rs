//! Runs one import: picked up, read, stored, answered in results/, finished.
//!
//! Every step may be cut off and done again from the start: the store takes an import once,
//! results/ gets the same answer by rename, and the finishing transaction happens once.

pub mod answer;
pub mod decide;
pub mod early_start;
pub mod error_files;
pub mod input;
pub mod milestone_log;
pub mod pipeline;
pub mod progress;
pub mod progress_report;
pub mod queue;
pub mod store_check;
pub mod transitions;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use jiff::Timestamp;

use input::check_unchanged;

use self::answer::{InResults, Temps};
use self::decide::{AfterHostFailure, Start};
use self::pipeline::{Outcome, Source, Stopped, Target};
use self::progress::Monitor;
use super::{Engine, ImportRow};
use crate::import_id::ImportId;
use crate::manifest::Manifest;
use crate::report::{Failure, FailureText, ImportState, Report};
use crate::sanitize::chain;
use crate::spool::{self, Results, ResultsError};
use crate::state::{self, imports};
use crate::store;

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The import completed or failed, and its answer is given.
    Finished,
    /// It was asked to stop and waits in the queue.
    Stopped,
    /// The host failed it; try again after this long.
    Again(Duration),
}

/// Why an import could neither be finished nor answered; it stays in the queue.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The state database's.
    #[error(transparent)]
    State(#[from] state::Error),
    /// There is no such import.
    #[error("the state database has no import {0}")]
    Unknown(ImportId),
    /// It can't begin or end in the state database.
    #[error(transparent)]
    Finish(#[from] transitions::FinishError),
    /// Nobody can tell whether the store has it.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The answer can't be written into results/.
    #[error("cannot answer in results/")]
    Results(#[from] ResultsError),
    /// A bug of ours, twice; what panicked has said where.
    #[error("a bug of ours ended the import and the answer to it")]
    Panicked,
}

impl Engine {
    /// [`Engine::run`], with a panic of ours turned into that import's failure.
    ///
    /// # Errors
    /// As [`Engine::run`].
    pub fn run_guarded(
        &self,
        id: &ImportId,
        monitor: &Monitor,
        wake_relay: &dyn Fn(),
    ) -> Result<Ended, RunError> {
        // The engine holds no lock across the import; a panic leaves nothing half-changed.
        let ran = catch_unwind(AssertUnwindSafe(|| self.run(id, monitor, wake_relay)));
        ran.unwrap_or_else(|_| {
            let row = self.row(id)?;
            tracing::error!(account = %row.account, import = %id, "a bug of ours ended the import");
            let failure = Failure::new(FailureText::Internal, "the log of the server says more");
            let answered = self.answer(&row, None, Outcome::failed(failure), None);
            self.uncounted_on_error(&row, answered)
        })
    }

    /// Runs one queued import to its end. One that has ended already stays as it is: whoever says
    /// that it waits may have looked before it ran.
    ///
    /// # Errors
    /// The state database or results/ can't be written; the import stays as it is.
    pub fn run(
        &self,
        id: &ImportId,
        monitor: &Monitor,
        wake_relay: &dyn Fn(),
    ) -> Result<Ended, RunError> {
        let row = self.row(id)?;
        if matches!(row.state, ImportState::Completed | ImportState::Failed) {
            return Ok(Ended::Finished);
        }
        let (row, start) = match self.take_over(id) {
            true => (row, Start::Run),
            false => self.begin(row)?,
        };
        wake_relay();
        let ended = match start {
            Start::Run => self.import(&row, row.started_at.unwrap_or(row.received_at), monitor),
            Start::Answer(failure) | Start::SetAside(failure) => {
                self.clear_store(&row);
                self.answer(&row, None, Outcome::failed(failure), None)
            }
        };
        self.uncounted_on_error(&row, ended)
    }

    /// The import begins; what to do with it.
    fn begin(&self, row: ImportRow) -> Result<(ImportRow, Start), RunError> {
        let now = state::now();
        let started_at = row.started_at.unwrap_or(now);
        let start = self.start(&row)?;
        let report = (start == Start::Run).then(|| running(&row, started_at));
        if self.state.write(|tx| transitions::begin(tx, &row, now, report.as_ref()))? {
            early_start::picked_up(&row, now);
        }
        Ok((ImportRow { started_at: Some(started_at), ..row }, start))
    }

    /// The host's failure is no sign of a poisoned import: the start is not counted. What was
    /// stored by then stays stored, and setting the import aside would deny it.
    fn uncounted_on_error(
        &self,
        row: &ImportRow,
        ended: Result<Ended, RunError>,
    ) -> Result<Ended, RunError> {
        if ended.is_err() {
            // Should it be refused as well, the error that is returned says enough.
            let _ = self.state.write(|tx| imports::set_stopped(tx, &row.id));
        }
        ended
    }

    /// Takes away what cut-off runs of an import left that will not run again.
    fn clear_store(&self, row: &ImportRow) {
        if row.starts > 0
            && let Err(error) = self.store.abandon(&row.account, &row.id)
        {
            tracing::warn!(account = %row.account, import = %row.id,
                "what a cut-off run stored stays on disk, unseen: {}", chain(&error));
        }
    }

    fn row(&self, id: &ImportId) -> Result<ImportRow, RunError> {
        let row = self.state.read(|tx| imports::get(tx, id.as_str()))?;
        row.ok_or_else(|| RunError::Unknown(id.clone()))
    }

    fn import(
        &self,
        row: &ImportRow,
        started_at: Timestamp,
        monitor: &Monitor,
    ) -> Result<Ended, RunError> {
        let max_results = self.config.limits_of(&row.account).max_results;
        let mut answers = InResults::new(&self.layout, row, max_results);
        let (manifest, outcome) = match self.open_spooled(row, monitor) {
            Err(failure) => (None, Ok(Outcome::failed(failure))),
            Ok((manifest, data, reader)) => {
                let unchanged = || check_unchanged(row, &data);
                let source = Source {
                    manifest: &manifest,
                    data: reader,
                    unchanged: &unchanged,
                    limits: self.config.limits_of(&row.account),
                    processing_time: started_at.as_second(),
                };
                let target = Target { store: &self.store, account: &row.account, import: &row.id };
                let outcome = pipeline::run(source, Some(target), &mut answers, monitor);
                (Some(manifest), outcome)
            }
        };
        let temps = answers.into_temps();
        match outcome {
            Err(Stopped) => {
                self.state.write(|tx| imports::set_stopped(tx, &row.id))?;
                Ok(Ended::Stopped)
            }
            Ok(outcome) => match self.after_host_failure(row, &outcome)? {
                Some(pause) => Ok(Ended::Again(pause)),
                None => self.answer(row, manifest.as_ref(), outcome, Some(temps)),
            },
        }
    }

    /// How long to wait when the host failed and the retry window, which begins with the first
    /// failure in a row, is open.
    fn after_host_failure(
        &self,
        row: &ImportRow,
        outcome: &Outcome,
    ) -> Result<Option<Duration>, RunError> {
        let failed = outcome.failure.as_ref().filter(|f| f.message == FailureText::Infra);
        let Some(failure) = failed else { return Ok(None) };
        let trouble = self.trouble(&row.id);
        let window = self.config.imports.retry_for.get();
        match decide::after_host_failure(trouble.tries, trouble.since.elapsed(), window) {
            AfterHostFailure::GiveUp => Ok(None),
            AfterHostFailure::Retry(pause) => {
                crate::metrics::host_failed();
                tracing::warn!(account = %row.account, import = %row.id, ?pause,
                    "the host failed the import, which is tried again: {}", failure.detail);
                // A try that the host failed is no sign of a poisoned import.
                self.state.write(|tx| imports::set_stopped(tx, &row.id))?;
                Ok(Some(pause))
            }
        }
    }

    /// Writes the answer into results/ and finishes the import.
    fn answer(
        &self,
        row: &ImportRow,
        manifest: Option<&Manifest>,
        outcome: Outcome,
        temps: Option<Temps>,
    ) -> Result<Ended, RunError> {
        let begun = running(row, row.started_at.unwrap_or(row.received_at));
        let outcome = self.not_denied(&row.account, &row.id, outcome)?;
        let mut report = outcome.report(begun, manifest, state::now());
        let _answering = self.answering(&row.id);
        match Results::open(&self.layout, &row.account) {
            Ok(folder) => answer::publish(&folder, row, &mut report, temps)?,
            // Its account was removed while it ran: there is nobody to read an answer there.
            Err(error) if answer::is_missing(&error) => {
                tracing::warn!(account = %row.account, import = %row.id,
                "the answer is in the state database only: {}", chain(&error))
            }
            Err(error) => return Err(error.into()),
        }
        self.state.write(|tx| transitions::finish(tx, row, &report))?;
        self.forget_trouble(&row.id);
        crate::metrics::ended(&report);
        milestone_log::ended(row, &report);
        if report.state == ImportState::Completed
            && self.config.retention_of(&row.account).completed_uploads.is_zero()
            && let Err(error) = spool::discard(&self.layout, &row.id)
        {
            tracing::warn!(account = %row.account, import = %row.id,
                "the spooled files stay: {}", chain(&error));
        }
        Ok(Ended::Finished)
    }
}

/// The report of an import that is running.
pub(super) fn running(row: &ImportRow, started_at: Timestamp) -> Report {
    Report {
        data_type: row.data_type,
        data_file: row.data_file.clone(),
        state: ImportState::Running,
        started_at: Some(started_at),
        warnings: row.warnings.clone(),
        ..Report::queued(&row.manifest, row.received_at).of(&row.id, &row.account)
    }
}
