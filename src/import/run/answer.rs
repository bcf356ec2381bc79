//! An import's answer in results/: error files are written while it is read, the report at its end.
//!
//! No file gets its final name before the whole answer is known. An answer written again after a
//! crash is the same.

use std::io::{self, Write};

use super::pipeline::Answers;
use crate::config::Size;
use crate::import::ImportRow;
use crate::report::Report;
use crate::sanitize::chain;
use crate::spool::{FolderError, Layout, Results, ResultsError, UnpublishedFile, answer_bytes};

/// The endings of an import's error files, which also distinguish the temporary files.
const ERROR_FILE: &str = "errors.csv";
const ERROR_LINES: &str = "errors.jsonl";

/// The two error files under temporary names: CSV and JSON lines.
pub type Temps = [Option<UnpublishedFile>; 2];

/// Writes the report, and gives the error files their final names. `temps` is `None` if this run
/// did not read the import.
pub fn publish(
    results: &Results,
    row: &ImportRow,
    report: &mut Report,
    temps: Option<Temps>,
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
    // Serialising a report cannot fail: it has no map with other keys than text.
    let json = serde_json::to_vec_pretty(&report).unwrap_or_default();
    results.write(&row.id, &result_name(row), &json)
}

/// Returns the report's name in results/, the same during the import and after its end.
pub fn result_name(row: &ImportRow) -> String {
    format!("{}.result.json", row.stem)
}

/// Returns the names that an answer with this stem can have in results/.
pub fn answer_names(stem: &str) -> [String; 3] {
    [ERROR_FILE, ERROR_LINES, "result.json"].map(|ending| format!("{stem}.{ending}"))
}

/// Removes temporary error files of interrupted runs that this answer does not use.
fn clear_temps(results: &Results, row: &ImportRow) {
    for purpose in [ERROR_FILE, ERROR_LINES] {
        let cleared = results.create_temp(&row.id, purpose).and_then(|t| results.discard(t));
        if let Err(error) = cleared {
            tracing::warn!(account = %row.account, import = %row.id,
                "part of an error file may stay in results/: {}", chain(&error));
        }
    }
}

/// Whether results/ does not exist because the account was removed.
pub fn is_missing(error: &ResultsError) -> bool {
    matches!(error, ResultsError::Folder(FolderError::Missing { .. }))
}

/// Creates an import's error files in results/, under temporary names.
pub struct InResults<'a> {
    results: Option<Results>,
    row: &'a ImportRow,
    layout: &'a Layout,
    /// The limit on the bytes of all answers of the account.
    max_results: Size,
    temps: Temps,
}

impl<'a> InResults<'a> {
    pub fn new(layout: &'a Layout, row: &'a ImportRow, max_results: Size) -> Self {
        Self { results: None, row, layout, max_results, temps: Temps::default() }
    }

    /// Returns the files for [`publish`].
    pub fn into_temps(self) -> Temps {
        self.temps
    }

    fn create(&mut self, place: usize, purpose: &str) -> io::Result<Box<dyn Write>> {
        if self.results.is_none() {
            match Results::open(self.layout, &self.row.account) {
                Ok(results) => self.results = Some(results),
                // The account was removed: no partner is left to read it. The records are stored.
                Err(error) if is_missing(&error) => {}
                Err(error) => return Err(unanswerable(error)),
            }
        }
        let Some(results) = &self.results else { return Ok(Box::new(io::sink())) };
        let temp = results.create_temp(&self.row.id, purpose).map_err(unanswerable)?;
        let file = temp.try_clone()?;
        self.temps[place] = Some(temp);
        Ok(Box::new(file))
    }
}

fn unanswerable(error: ResultsError) -> io::Error {
    let kind = match &error {
        ResultsError::Io(error) => error.source.kind(),
        ResultsError::Folder(FolderError::Open { source, .. }) => source.kind(),
        ResultsError::Folder(FolderError::Missing { .. }) => io::ErrorKind::NotFound,
    };
    io::Error::new(kind, error)
}

impl Answers for InResults<'_> {
    fn error_file(&mut self) -> io::Result<Box<dyn Write>> {
        self.create(0, ERROR_FILE)
    }

    fn error_lines(&mut self) -> io::Result<Box<dyn Write>> {
        self.create(1, ERROR_LINES)
    }

    /// Half of the space left, as there are two files. This import's own files from before a crash
    /// don't count, so that the answer is the same again.
    fn room(&mut self) -> io::Result<u64> {
        let own = answer_names(&self.row.stem);
        let bytes = answer_bytes(self.layout, &self.row.account, &own)
            .map_err(|error| unanswerable(error.into()))?;
        Ok(self.max_results.bytes().saturating_sub(bytes) / 2)
    }
}
