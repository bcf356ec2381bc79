//! Imports from local files, with the same pipeline as uploads. `check` stores no data and needs no
//! installation. `ingest` runs one import immediately.

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
use crate::config::{Limits, ReusedManifest};
use crate::files::{self, IoError, durable};
use crate::import_id::ImportId;
use crate::manifest::{Manifest, ManifestErrors};
use crate::outbox;
use crate::recipient::{Recipient, RecipientRule, recipient};
use crate::report::{Failure, FailureText, Report};
use crate::sanitize::excerpt;
use crate::spool;
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

/// The reason why a local import could not be started.
#[derive(Debug, thiserror::Error)]
pub enum LocalError {
    #[error(transparent)]
    Io(#[from] IoError),
    /// The path of the manifest has no file name in UTF-8.
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
    /// Reads the manifest at `path`. Reads at most one byte more than `limits` allow, so that a
    /// larger manifest is detected.
    pub fn open(path: &Path, limits: &Limits) -> Result<Self, LocalError> {
        let name = path.file_name().and_then(|name| name.to_str());
        let name = name.ok_or_else(|| LocalError::Name(path.to_owned()))?.to_owned();
        let folder = durable::parent(path).to_owned();
        let mut bytes = Vec::new();
        File::open(path)
            .and_then(|f| f.take(limits.max_manifest.bytes() + 1).read_to_end(&mut bytes))
            .map_err(IoError::of("read the manifest", path))?;
        Ok(Self { folder, name, bytes })
    }

    /// Makes a pair of a manifest that is not on disk and of a data file in `folder`. `name` is the
    /// name of the manifest.
    pub fn of_manifest(folder: &Path, name: &str, manifest: &[u8]) -> Self {
        Self { folder: folder.to_owned(), name: name.to_owned(), bytes: manifest.to_vec() }
    }

    /// Returns the manifest's file name without `.manifest`. The names of the error files begin
    /// with this stem.
    pub fn stem(&self) -> &str {
        spool::manifest_stem(&self.name)
    }

    /// Returns the folder that contains the manifest and the data file.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Returns whether the file is not a manifest, according to its name and its content.
    pub fn is_foreign(&self, limits: &Limits) -> bool {
        let has_few_keys = |errors: ManifestErrors| !errors.has_most_mandatory_keys();
        !spool::is_manifest_name(&self.name)
            && Manifest::parse(&self.bytes, limits).is_err_and(has_few_keys)
    }

    /// Returns the manifests in the folder that name this data file. A manifest with the same stem
    /// as the data file is first.
    pub fn naming_manifests(&self, limits: &Limits) -> Vec<String> {
        let names_this = |name: &String| {
            let read = fs::read(self.folder.join(name)).unwrap_or_default();
            let named = match Manifest::parse(&read, limits) {
                Ok(manifest) => Some(manifest.file_name),
                Err(errors) => errors.file_name,
            };
            named.is_some_and(|named| spool::is_same_name(&named, &self.name))
        };
        let mut names = self.names();
        names.retain(|name| spool::is_manifest_name(name) && names_this(name));
        let stem = |name: &str| name.split('.').next().map(str::to_owned);
        names.sort_by_key(|name| (stem(name) != stem(&self.name), name.clone()));
        names
    }

    fn manifest(&self, limits: &Limits) -> Result<Manifest, ManifestErrors> {
        let parsed = Manifest::parse(&self.bytes, limits);
        if spool::is_manifest_name(&self.name) {
            return parsed;
        }
        let advice = spool::naming_advice(&self.name);
        let finding = format!("the name {:?} does not end in .manifest: {advice}", self.name);
        let mut errors = parsed.map_or_else(
            |errors| errors,
            |valid| ManifestErrors { readable: Some(Box::new(valid)), ..ManifestErrors::default() },
        );
        errors.findings.insert(0, finding);
        Err(errors)
    }

    fn data(&self, manifest: &Manifest) -> Result<File, Failure> {
        let named = &manifest.file_name;
        let mut path = self.folder.join(named);
        let shown = excerpt(named);
        let missing = |error: io::Error| {
            if error.kind() == io::ErrorKind::NotFound {
                let names = self.names();
                let others = names.iter().filter(|name| !spool::is_manifest_name(name));
                let hints = spool::missing_file_hints(named, others.map(String::as_str));
                let detail = format!("{shown} is not in the manifest's folder{hints}");
                return Failure::new(FailureText::NoDataFile, detail);
            }
            Failure::new(FailureText::Unreadable, format_args!("{shown}: {error}"))
        };
        if !path.exists()
            && let Some(equal) = self.names().iter().find(|name| spool::is_same_name(name, named))
        {
            path = self.folder.join(equal);
        }
        files::open_regular(&path).map_err(missing)?.ok_or_else(|| {
            let detail = format!("{shown} is not a regular file");
            Failure::new(FailureText::Unreadable, detail)
        })
    }

    /// Returns the names in the folder. Returns an empty list if the folder cannot be listed.
    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        entries.filter_map(|entry| entry.file_name().into_string().ok()).collect()
    }

    fn run(
        &self,
        limits: &Limits,
        target: Option<StoreTarget<'_>>,
        at: Timestamp,
        output: &mut dyn ErrorOutput,
        monitor: &Monitor,
    ) -> Result<(Option<Manifest>, ImportOutcome), pipeline::StopSignal> {
        let read = |manifest: &Manifest, data: File, target, output: &mut dyn ErrorOutput| {
            monitor.set_total(data.metadata().map_or(0, |m| m.len()));
            let source = DataSource {
                manifest,
                data,
                limits,
                processing_time: at.as_second(),
                // The file is not checked for changes, because the caller owns it.
                unchanged: &|| Ok(()),
            };
            pipeline::run(source, target, output, monitor)
        };
        let manifest = match self.manifest(limits) {
            Ok(manifest) => manifest,
            Err(mut errors) => {
                if let Some(manifest) = errors.readable.take()
                    && let Ok(data) = self.data(&manifest)
                {
                    // No record is stored. Rejected records are counted only if the manifest is
                    // valid.
                    let outcome = read(&manifest, data, None, &mut ErrorFolder::none())?;
                    errors.findings.extend(outcome.failure.map(finding_of));
                }
                return Ok((None, ImportOutcome::failed(errors.into_failure())));
            }
        };
        let outcome = match self.data(&manifest) {
            Err(failure) => ImportOutcome {
                warnings: manifest.warnings.clone(),
                ..ImportOutcome::failed(failure)
            },
            Ok(data) => read(&manifest, data, target, output)?,
        };
        Ok((Some(manifest), outcome))
    }
}

/// Converts the failure of a data file to a finding about its manifest.
fn finding_of(failure: Failure) -> String {
    match failure.message {
        FailureText::Manifest => failure.detail,
        _ => failure.to_string(),
    }
}

/// Validates a local pair without storing records. Returns `None` if `monitor` requested a stop.
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

/// Imports a local pair for `account` immediately. `None` if `monitor` requested a stop.
///
/// The caller holds the lock that serialises ingests. Therefore an unfinished ingest of this
/// account and manifest is not running. It is continued under its own id.
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

/// Begins the ingest, or continues an unfinished ingest. Returns its row and its report so far.
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
    let row = row.ok_or_else(|| state::Error::Value(format!("there is no import {id}")))?;
    let at = row.started_at.unwrap_or(now);
    // Only the final report of an ingest has the type and the data file.
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
    let spends = spool::spent_name(&local.name);
    let spender = match &spends {
        Some(name) => imports::find_spender(tx, account, name)?,
        None => None,
    };
    let policy = context.config.pairing_of(account).reused_manifest;
    let refusal = spender.as_ref().filter(|_| policy == ReusedManifest::Refuse).map(|import| {
        let detail = spool::reused_name_advice(&local.name, import, now);
        Failure::new(FailureText::Manifest, detail)
    });
    let manifest = local.manifest(context.config.limits_of(account)).ok();
    let mail = match (&manifest, accounts::get(tx, account)?) {
        (Some(manifest), Some(row)) => {
            recipient(&row.recipients, row.email.as_deref(), &manifest.client_email)
        }
        // An account without a row has no recipient rule. Its import may notify any address,
        // because root chose this manifest.
        (Some(manifest), None) => recipient(&RecipientRule::Any, None, &manifest.client_email),
        (None, _) => Recipient::default(),
    };
    let new = NewImport::<crate::spool::Claim> {
        account,
        manifest: &local.name,
        data_file: manifest.as_ref().map(|m| m.file_name.as_str()),
        data_type: manifest.as_ref().map(|m| m.data_type),
        client_email: mail.address.as_deref(),
        // If an upload's answer has this stem, that answer keeps its name in results/.
        stem: &|import| match spender {
            Some(_) => import.to_string(),
            None => local.stem().to_owned(),
        },
        spends: spends.as_deref(),
        origin: Origin::Ingest,
        refusal: refusal.as_ref(),
        warnings: mail.warning.as_slice(),
        received_at: now,
    };
    Ok(store_check::insert(tx, context, &new)?.1)
}
