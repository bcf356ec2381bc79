//! Imports from local files, through the same pipeline as uploads: `check` stores nothing and
//! needs no installation; `ingest` runs one import immediately.

pub mod error_folder;

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use self::error_folder::ErrorFolder;
use super::context::Context;
use super::property_types;
use super::row::{ImportRow, running_report};
use super::run::error_files::ErrorOutput;
use super::run::pipeline::{self, DataSource, ImportOutcome, StoreTarget};
use super::run::progress::Monitor;
use super::run::store_check;
use super::run::transitions;
use crate::account::AccountId;
use crate::config::Limits;
use crate::files::durable;
use crate::import_id::ImportId;
use crate::manifest::Manifest;
use crate::outbox;
use crate::recipient::{Recipient, RecipientRule, recipient};
use crate::report::{Failure, FailureText, Report};
use crate::state::imports::{self, NewImport, Origin};
use crate::state::{self, Transaction, accounts};
use crate::store;

/// A local manifest, with the data file in the same folder.
#[derive(Debug)]
pub struct LocalPair {
    folder: PathBuf,
    name: String,
    bytes: Vec<u8>,
}

/// Why a local import could not be tried.
#[derive(Debug, thiserror::Error)]
pub enum LocalError {
    #[error("cannot read the manifest {}", path.display())]
    Manifest { path: PathBuf, source: io::Error },
    /// The path has no file name in UTF-8.
    #[error("{} is not the path of a manifest", .0.display())]
    Name(PathBuf),
    #[error(transparent)]
    State(#[from] state::Error),
    #[error(transparent)]
    Transition(#[from] outbox::Error),
    #[error(transparent)]
    Store(#[from] store::Error),
}

impl LocalPair {
    /// Reads the manifest at `path`: at most one byte more than `limits` allow, so that a longer
    /// one is noticed.
    pub fn open(path: &Path, limits: &Limits) -> Result<Self, LocalError> {
        let name = path.file_name().and_then(|name| name.to_str());
        let name = name.ok_or_else(|| LocalError::Name(path.to_owned()))?.to_owned();
        let folder = durable::parent(path).to_owned();
        let mut bytes = Vec::new();
        File::open(path)
            .and_then(|f| f.take(limits.max_manifest.bytes() + 1).read_to_end(&mut bytes))
            .map_err(|source| LocalError::Manifest { path: path.to_owned(), source })?;
        Ok(Self { folder, name, bytes })
    }

    /// Makes a pair of a manifest that is not on disk, and a data file in `folder`. `name` is the
    /// manifest's.
    pub fn of_manifest(folder: &Path, name: &str, manifest: &[u8]) -> Self {
        Self { folder: folder.to_owned(), name: name.to_owned(), bytes: manifest.to_vec() }
    }

    /// The manifest's file name without `.manifest`; the error files are named after it.
    pub fn stem(&self) -> &str {
        self.name.strip_suffix(".manifest").unwrap_or(&self.name)
    }

    /// The folder that holds manifest and data file.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    fn manifest(&self, limits: &Limits) -> Result<Manifest, Failure> {
        if !self.name.ends_with(".manifest") {
            let detail = format!("the name {:?} does not end in .manifest", self.name);
            return Err(Failure::new(FailureText::Manifest, detail));
        }
        Manifest::parse(&self.bytes, limits).map_err(|errors| errors.into_failure())
    }

    fn data(&self, manifest: &Manifest) -> Result<File, Failure> {
        let path = self.folder.join(&manifest.file_name);
        let missing = |error: io::Error| {
            let name = &manifest.file_name;
            if error.kind() == io::ErrorKind::NotFound {
                let detail = format!("{name} is not in the manifest's folder");
                return Failure::new(FailureText::NoDataFile, detail);
            }
            Failure::new(FailureText::Unreadable, format_args!("{name}: {error}"))
        };
        // Opening a FIFO would wait for its writer. Checking first is enough: these are the
        // caller's own files.
        if !fs::metadata(&path).map_err(missing)?.is_file() {
            let detail = format!("{} is not a regular file", manifest.file_name);
            return Err(Failure::new(FailureText::Unreadable, detail));
        }
        File::open(path).map_err(missing)
    }

    fn run(
        &self,
        limits: &Limits,
        target: Option<StoreTarget<'_>>,
        at: Timestamp,
        output: &mut dyn ErrorOutput,
        monitor: &Monitor,
    ) -> Result<(Option<Manifest>, ImportOutcome), pipeline::StopSignal> {
        let manifest = match self.manifest(limits) {
            Ok(manifest) => manifest,
            Err(failure) => return Ok((None, ImportOutcome::failed(failure))),
        };
        let outcome = match self.data(&manifest) {
            Err(failure) => ImportOutcome {
                warnings: manifest.warnings.clone(),
                ..ImportOutcome::failed(failure)
            },
            Ok(data) => {
                monitor.set_total(data.metadata().map_or(0, |m| m.len()));
                let source = DataSource {
                    manifest: &manifest,
                    data,
                    limits,
                    processing_time: at.as_second(),
                    unchanged: &|| Ok(()), // the caller's own file
                };
                pipeline::run(source, target, output, monitor)?
            }
        };
        Ok((Some(manifest), outcome))
    }
}

/// Validates a local pair and stores nothing. `None` if `monitor` was asked to stop.
pub fn check(
    local: &LocalPair,
    limits: &Limits,
    output: &mut ErrorFolder,
    monitor: &Monitor,
) -> Option<Report> {
    let at = state::now();
    let (manifest, outcome) = local.run(limits, None, at, output, monitor).ok()?;
    let base = Report { started_at: Some(at), ..Report::queued(&local.name, at) };
    let report = outcome.report(base, manifest.as_ref(), state::now());
    Some(Report { error_file: output.error_file_path(), ..report })
}

/// Imports a local pair for `account` immediately. `None` if `monitor` was asked to stop.
///
/// The caller holds the lock that serialises ingests. An unfinished ingest of this account and
/// manifest can therefore not be running: it is continued under its own id.
pub fn ingest(
    context: &Context,
    account: &AccountId,
    local: &LocalPair,
    output: &mut ErrorFolder,
    monitor: &Monitor,
) -> Result<Option<Report>, LocalError> {
    let now = state::now();
    let (row, begun) = context.state.write(|tx| begin(tx, context, account, local, now))?;
    let ran = match &row.refusal {
        Some(refusal) => Ok((None, ImportOutcome::failed(refusal.clone()))),
        None => {
            let target = StoreTarget { store: &context.store, account, import: &row.id };
            let at = begun.started_at.unwrap_or(now);
            local.run(context.config.limits_of(account), Some(target), at, output, monitor)
        }
    };
    let Ok((manifest, outcome)) = ran else { return Ok(None) };
    let mut outcome = store_check::prefer_committed(&context.store, account, &row.id, outcome)?;
    let properties = std::mem::take(&mut outcome.properties);
    let mut report = outcome.report(begun, manifest.as_ref(), state::now());
    report.error_file = output.error_file_path();
    property_types::warn(&context.state, account, &mut report, &properties)?;
    context.state.write(|tx| {
        property_types::record(tx, account, &report, &properties)?;
        transitions::finish(tx, &row, &report)
    })?;
    Ok(Some(report))
}

/// Begins the ingest, or continues an unfinished one. Returns its row and its report so far.
fn begin(
    tx: &Transaction<'_>,
    context: &Context,
    account: &AccountId,
    local: &LocalPair,
    now: Timestamp,
) -> Result<(ImportRow, Report), outbox::Error> {
    let unfinished = imports::unfinished_ingests(tx)?
        .into_iter()
        .find(|row: &ImportRow| row.account == *account && row.manifest == local.name);
    let id = match unfinished {
        Some(row) => row.id,
        None => insert(tx, context, account, local, now)?,
    };
    let row: Option<ImportRow> = imports::get(tx, id.as_str())?;
    let row = row.ok_or_else(|| state::Error::Value(format!("no import {id}")))?;
    let at = row.started_at.unwrap_or(now);
    // Type and data file are in the final report only, as for every ingest so far.
    let running = Report { data_type: None, data_file: None, ..running_report(&row, at) };
    transitions::begin(tx, &row, at, row.refusal.is_none().then_some(&running))?;
    Ok((row, running))
}

fn insert(
    tx: &Transaction<'_>,
    context: &Context,
    account: &AccountId,
    local: &LocalPair,
    now: Timestamp,
) -> state::Result<ImportId> {
    let refusal = imports::find_spender(tx, account, &local.name)?.map(|import| {
        let detail = format!("the name {} was used before, by import {import}", local.name);
        Failure::new(FailureText::Manifest, detail)
    });
    let manifest = local.manifest(context.config.limits_of(account)).ok();
    let mail = match (&manifest, accounts::get(tx, account)?) {
        (Some(manifest), Some(row)) => {
            recipient(&row.recipients, row.email.as_deref(), &manifest.client_email)
        }
        // An account without a row has no recipient rule; root chose this manifest.
        (Some(manifest), None) => recipient(&RecipientRule::Any, None, &manifest.client_email),
        (None, _) => Recipient::default(),
    };
    let new = NewImport::<crate::spool::Claim> {
        account,
        manifest: &local.name,
        data_file: manifest.as_ref().map(|m| m.file_name.as_str()),
        data_type: manifest.as_ref().map(|m| m.data_type),
        client_email: mail.address.as_deref(),
        stem: &|_| local.stem().to_owned(),
        origin: Origin::Ingest,
        refusal: refusal.as_ref(),
        warnings: mail.warning.as_slice(),
        received_at: now,
    };
    Ok(store_check::insert(tx, context, &new)?.1)
}
