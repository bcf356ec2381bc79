//! An import's answer in results/. Error files are written while the import is read. The report is
//! written at the end of the import.
//!
//! No file gets its final name before the whole answer is known. If an answer is written again
//! after a crash, it is the same.

pub mod earlier_answer;

use std::io::{self, Read, Write};

use super::error_files::ErrorOutput;
use crate::account::AccountId;
use crate::config::Size;
use crate::files::dir::FolderError;
use crate::import::row::ImportRow;
use crate::import_id::ImportId;
use crate::outbox::Attachments;
use crate::report::Report;
use crate::sanitize::chain;
use crate::spool::{Layout, Results, ResultsError, UnpublishedFile, answer_bytes};

/// The endings of the names of an import's error files. The endings also distinguish the temporary
/// files.
pub(super) const ERROR_FILE: &str = "errors.csv";
const ERROR_LINES: &str = "errors.jsonl";

/// The maximum number of bytes that are read from a report.
const MAX_REPORT: u64 = 16 << 20;

/// The two error files of an import under temporary names: the CSV file and the JSON lines.
pub(super) type ErrorTemps = [Option<UnpublishedFile>; 2];

/// Writes the report, and renames the error files to their final names. `temps` is `None` if this
/// run did not read the import.
pub(super) fn publish(
    results: &Results,
    row: &ImportRow,
    report: &mut Report,
    temps: Option<ErrorTemps>,
) -> Result<(), ResultsError> {
    if temps.is_none() && row.starts > 0 {
        clear_temps(results, row);
    }
    let [errors, lines] = temps.unwrap_or_default();
    if let Some(temp) = errors {
        let name = format!("{}.{ERROR_FILE}", row.stem);
        results.publish(temp, &name)?;
        report.error_file = Some(name);
    }
    if let Some(temp) = lines {
        results.publish(temp, &format!("{}.{ERROR_LINES}", row.stem))?;
    }
    results.write(&row.id, &report_name(row), &to_json(report))
}

/// Returns the report as JSON, in the format of the file in results/.
pub(super) fn to_json(report: &Report) -> Vec<u8> {
    // Serialising a report can't fail, because all keys of its maps are texts.
    serde_json::to_vec_pretty(report).unwrap_or_default()
}

/// Returns the name of the import's report in results/. The name is the same during the import and
/// after its end.
pub fn report_name(row: &ImportRow) -> String {
    format!("{}.result.json", row.stem)
}

/// Returns the names of the files in results/ that an answer with this stem can have.
pub fn answer_names(stem: &str) -> [String; 3] {
    [ERROR_FILE, ERROR_LINES, "result.json"].map(|ending| format!("{stem}.{ending}"))
}

/// Reads the report with the file name `name` from results/. Returns `None` if the report is
/// missing or unreadable.
pub fn read_report(results: &Results, name: &str) -> Option<Report> {
    let mut json = Vec::new();
    results.read(name).ok()?.take(MAX_REPORT).read_to_end(&mut json).ok()?;
    serde_json::from_slice(&json)
        .inspect_err(|error| {
            tracing::warn!("the report {name:?} in results/ can't be read: {}", chain(error));
        })
        .ok()
}

/// Returns the import whose answer has this stem in results/, according to the report with this
/// stem.
pub fn owner_of(results: &Results, stem: &str) -> Option<ImportId> {
    read_report(results, &answer_names(stem)[2])?.import
}

/// Returns the names of an import's answer in results/. Returns `None` if another import's answer
/// has the stem, because this import's answer was then renamed or removed.
pub fn own_answer_names(results: &Results, import: &ImportId, stem: &str) -> Option<[String; 3]> {
    let renamed = answer_names(import.as_str());
    if results.read(&renamed[2]).is_ok() {
        return Some(renamed);
    }
    owner_of(results, stem).is_none_or(|owner| owner == *import).then(|| answer_names(stem))
}

/// Removes temporary error files of interrupted runs that this answer does not use.
fn clear_temps(results: &Results, row: &ImportRow) {
    for purpose in [ERROR_FILE, ERROR_LINES] {
        let cleared = results.create_temp(&row.id, purpose).and_then(|t| results.discard(t));
        if let Err(error) = cleared {
            tracing::warn!(account = %row.account, import = %row.id,
                "a part of an error file may remain in results/: {}", chain(&error));
        }
    }
}

/// Opens error files in results/ for the mails that attach them.
#[derive(Clone, Debug)]
pub struct ResultsAttachments(pub Layout);

impl Attachments for ResultsAttachments {
    fn open(
        &self,
        account: &str,
        import: Option<&ImportId>,
        name: &str,
    ) -> io::Result<(Box<dyn Read>, u64)> {
        let account: AccountId = account.parse().map_err(io::Error::other)?;
        let results = Results::open(&self.0, &account).map_err(io::Error::other)?;
        let named = results.read(name);
        // This check follows the open, because a later answer gets the name only after this answer
        // was renamed.
        let renamed = import.and_then(|id| results.read(&format!("{id}.{ERROR_FILE}")).ok());
        let is_own = |import: &ImportId| {
            let stem = name.strip_suffix(ERROR_FILE).and_then(|stem| stem.strip_suffix('.'));
            stem.and_then(|stem| owner_of(&results, stem)).is_none_or(|owner| owner == *import)
        };
        let file = match renamed {
            Some(file) => file,
            None if import.is_none_or(is_own) => named.map_err(io::Error::other)?,
            None => return Err(io::Error::other("a later import's answer has this name")),
        };
        let length = file.metadata()?.len();
        Ok((Box::new(file), length))
    }
}

/// Returns whether the error means that results/ does not exist because the account was removed.
pub fn is_missing(error: &ResultsError) -> bool {
    matches!(error, ResultsError::Folder(FolderError::Missing { .. }))
}

/// Creates an import's error files in results/, under temporary names.
pub(super) struct ResultsOutput<'a> {
    results: Option<Results>,
    row: &'a ImportRow,
    layout: &'a Layout,
    /// The maximum size of all answers of the account.
    max_results: Size,
    temps: ErrorTemps,
}

impl<'a> ResultsOutput<'a> {
    pub(super) fn new(layout: &'a Layout, row: &'a ImportRow, max_results: Size) -> Self {
        Self { results: None, row, layout, max_results, temps: ErrorTemps::default() }
    }

    /// Returns the temporary error files for [`publish`].
    pub(super) fn into_temps(self) -> ErrorTemps {
        self.temps
    }

    fn create(&mut self, index: usize, purpose: &str) -> io::Result<Box<dyn Write>> {
        if self.results.is_none() {
            match Results::open(self.layout, &self.row.account) {
                Ok(results) => self.results = Some(results),
                // The account was removed, so no partner can read the files. The records are
                // stored.
                Err(error) if is_missing(&error) => {}
                Err(error) => return Err(io_error(error)),
            }
        }
        let Some(results) = &self.results else { return Ok(Box::new(io::sink())) };
        let temp = results.create_temp(&self.row.id, purpose).map_err(io_error)?;
        let file = temp.try_clone()?;
        self.temps[index] = Some(temp);
        Ok(Box::new(file))
    }
}

fn io_error(error: ResultsError) -> io::Error {
    let kind = match &error {
        ResultsError::Io(error) => error.source.kind(),
        ResultsError::Folder(FolderError::Io(error)) => error.source.kind(),
        ResultsError::Folder(FolderError::Missing { .. }) => io::ErrorKind::NotFound,
    };
    io::Error::new(kind, error)
}

impl ErrorOutput for ResultsOutput<'_> {
    fn error_file(&mut self) -> io::Result<Box<dyn Write>> {
        self.create(0, ERROR_FILE)
    }

    fn error_lines(&mut self) -> io::Result<Box<dyn Write>> {
        self.create(1, ERROR_LINES)
    }

    /// Half of the remaining space, because there are two files. This import's own files from
    /// before a crash are not counted, so that the answer is the same again.
    fn room(&mut self) -> io::Result<u64> {
        let own = answer_names(&self.row.stem);
        let bytes = answer_bytes(self.layout, &self.row.account, &own)
            .map_err(|error| io_error(error.into()))?;
        Ok(self.max_results.bytes().saturating_sub(bytes) / 2)
    }
}
