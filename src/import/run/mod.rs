//! Runs one import: begins it, reads and stores its data, writes its answer into results/ and
//! finishes it.
//!
//! An interrupted run is repeated from the start: the store commits an import only once, results/
//! gets the same answer by rename, and the finishing transaction happens once.

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
    /// The import completed or failed, and its answer is written.
    Finished,
    /// It was asked to stop, and is queued again.
    Stopped,
    /// The host failed; run it again after this pause.
    Again(Duration),
}

/// Why an import could neither be finished nor answered; it stays in the queue.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error(transparent)]
    State(#[from] state::Error),
    #[error("the state database has no import {0}")]
    Unknown(ImportId),
    #[error(transparent)]
    Finish(#[from] transitions::FinishError),
    /// The store can't be queried, so it is unknown whether it has the import.
    #[error(transparent)]
    Store(#[from] store::Error),
    #[error("cannot write the answer into results/")]
    Results(#[from] ResultsError),
    /// The panic message is on standard error.
    #[error("a bug of ours ended the import and the answer to it")]
    Panicked,
}

impl Engine {
    /// Calls [`Engine::run`], and turns a panic into a failure of the import.
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
            let failure = Failure::new(FailureText::Internal, "see the log of the server");
            let answered = self.answer(&row, None, Outcome::failed(failure), None);
            self.uncounted_on_error(&row, answered)
        })
    }

    /// Runs one queued import to its end. An import that has ended is left unchanged: a survey may
    /// have queued it again from an older reading. On an error the import stays as it is.
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

    /// Begins the import, and decides what to do with it.
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

    /// Takes the start off the count if the run ended in an error: an error of the host must not
    /// set the import aside, which may be stored already.
    fn uncounted_on_error(
        &self,
        row: &ImportRow,
        ended: Result<Ended, RunError>,
    ) -> Result<Ended, RunError> {
        if ended.is_err() {
            // If this fails too, the error of the run is the one to report.
            let _ = self.state.write(|tx| imports::set_stopped(tx, &row.id));
        }
        ended
    }

    /// Removes what interrupted runs left in the store, for an import that will not run again.
    fn clear_store(&self, row: &ImportRow) {
        if row.starts > 0
            && let Err(error) = self.store.abandon(&row.account, &row.id)
        {
            tracing::warn!(account = %row.account, import = %row.id,
                "the uncommitted data of an interrupted run stays on disk: {}", chain(&error));
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

    /// Returns the pause before the next run if the host failed and the retry window, which begins
    /// with the first failure in a row, is open.
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
                crate::metrics::count_host_failure();
                tracing::warn!(account = %row.account, import = %row.id, ?pause,
                    "the host failed the import, which is tried again: {}", failure.detail);
                // The start doesn't count: the failure was not the import's.
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
            // The account was removed during the run: no partner is left to read an answer.
            Err(error) if answer::is_missing(&error) => {
                tracing::warn!(account = %row.account, import = %row.id,
                "the answer is in the state database only: {}", chain(&error))
            }
            Err(error) => return Err(error.into()),
        }
        self.state.write(|tx| transitions::finish(tx, row, &report))?;
        self.forget_trouble(&row.id);
        crate::metrics::count_end(&report);
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

/// Makes the report of a running import.
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
