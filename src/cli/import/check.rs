//! `sftp-import check`: checks local files against the import rules, and stores nothing.
//!
//! The command needs no configuration, no root and no server, so that partners can run it before an
//! upload.

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::progress::show_progress;
use super::report::{self, CheckVerdict};
use crate::cli::context::{CliContext, CliError, CliResult};
use crate::cli::output::{BAD, FAIR, GOOD, Output, PLAIN, STRONG, StyledLine};
use crate::config::Limits;
use crate::import::{self, ErrorFolder, LocalError, LocalPair, Monitor};
use crate::report::Report;

#[derive(Debug, clap::Args)]
pub struct CheckArguments {
    /// The manifests to check; the data file of each manifest must be in the same folder
    #[arg(required = true, value_name = "MANIFEST")]
    manifests: Vec<PathBuf>,
    /// Write the error files into this folder
    #[arg(long, value_name = "FOLDER")]
    errors: Option<PathBuf>,
}

/// Checks each manifest. Succeeds if all of them would import completely.
///
/// # Errors
/// Returns an error if the only manifest can't be read. If one of several manifests can't be read,
/// the error is printed, and the other manifests are checked.
pub fn run(arguments: CheckArguments, context: &CliContext) -> CliResult {
    let config = context.config()?;
    if arguments.errors.is_some() {
        check_distinct_stems(&arguments.manifests)?;
    }
    let check = |path: &Path| check_one(path, arguments.errors.as_deref(), &config.limits);
    match arguments.manifests.as_slice() {
        [path] => {
            let report = check(path)?;
            report::print(&report, context.output())?;
            Ok(report.is_clean())
        }
        paths => check_all(paths, check, context.output()),
    }
}

/// Fails if two manifests have the same name, and therefore the same error file.
fn check_distinct_stems(paths: &[PathBuf]) -> Result<(), CliError> {
    let mut names = HashSet::new();
    match paths.iter().filter_map(|path| path.file_stem()).find(|stem| !names.insert(*stem)) {
        None => Ok(()),
        Some(stem) => Err(CliError::new(format_args!(
            "two manifests are named {}: their error files would have the same name",
            stem.display()
        ))
        .hint("check the manifests one by one, with another --errors folder for each")),
    }
}

fn check_one(path: &Path, errors: Option<&Path>, limits: &Limits) -> Result<Report, CliError> {
    let local = LocalPair::open(path, limits).map_err(cannot_open)?;
    if local.is_foreign(limits) {
        return Err(no_manifest(path, &local.naming_manifests(limits)));
    }
    let mut answers = match errors {
        Some(folder) => {
            ErrorFolder::create(folder, local.stem()).map_err(|e| cannot_write(folder, &e))?
        }
        None => ErrorFolder::none(),
    };
    let monitor = Arc::new(Monitor::default());
    let check = || import::check(&local, limits, &mut answers, &monitor);
    let checked = show_progress(&monitor, check);
    match (errors, answers.keep()) {
        (Some(folder), Err(error)) => return Err(cannot_write(folder, &error)),
        (_, kept) => kept?,
    }
    checked.ok_or_else(|| CliError::new("the check was stopped"))
}

fn cannot_open(error: LocalError) -> CliError {
    CliError::from(error).hint("give the path of the manifest, the file that ends in .manifest")
}

/// Returns the error for a file that is not a manifest. `manifests` are the manifests that name it
/// as their data file.
fn no_manifest(path: &Path, manifests: &[String]) -> CliError {
    let error = CliError::new(format_args!("{} is not a manifest", path.display()));
    match manifests {
        [] => error.hint("give the path of the manifest, the file that ends in .manifest"),
        [first, ..] => {
            let manifest = path.with_file_name(first);
            error.hint(format_args!("sftp-import check {}", manifest.display()))
        }
    }
}

fn cannot_write(folder: &Path, error: &io::Error) -> CliError {
    CliError::new(format_args!("cannot write error files in {}: {error}", folder.display()))
        .hint("choose a folder for --errors that exists and that you can write to")
}

/// Checks `paths` and prints each report, then a summary.
fn check_all(
    paths: &[PathBuf],
    check: impl Fn(&Path) -> Result<Report, CliError>,
    output: &Output,
) -> CliResult {
    let mut reports = Vec::new();
    let mut unread = 0;
    for path in paths {
        match check(path) {
            Ok(report) => {
                report::print_text(&report, output)?;
                output.line("")?;
                reports.push(report);
            }
            Err(error) => {
                error.print(output);
                unread += 1;
            }
        }
    }
    output.json(&reports)?;
    output.styled(&summary(&reports, unread))?;
    Ok(unread == 0 && reports.iter().all(Report::is_clean))
}

fn summary(reports: &[Report], unread: usize) -> StyledLine {
    let of = |verdict| reports.iter().filter(|report| CheckVerdict::of(report) == verdict).count();
    let counts = [
        (of(CheckVerdict::Whole), GOOD, "would import completely"),
        (of(CheckVerdict::Part), FAIR, "would import in part"),
        (of(CheckVerdict::Nothing), BAD, "would fail"),
        (unread, BAD, "could not be checked"),
    ];
    let line = StyledLine::new(STRONG, format_args!("{} manifests", reports.len() + unread));
    let shown = counts.iter().filter(|(count, ..)| *count > 0).enumerate();
    shown.fold(line, |line, (n, (count, style, what))| {
        let separator = if n == 0 { ": " } else { ", " };
        line.and(PLAIN, separator).and(*style, format_args!("{count} {what}"))
    })
}
