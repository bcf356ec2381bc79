//! [`Survey`] counts the cells of all columns of a data file by their form.

use std::collections::HashMap;
use std::io::Read;
use std::ops::ControlFlow;

use super::column::ColumnFacts;
use super::{names, nulls};
use crate::config::Limits;
use crate::manifest::Manifest;
use crate::records::{Scan, ScannedRecord, SpecialProperty, fold, id};
use crate::report::Failure;

/// The maximum number of columns whose ids are counted.
const MAX_IDS: usize = 64;

/// The number of records between two calls of `progress`.
const PROGRESS: u64 = 4096;

/// The counts of all cells of a data file.
#[derive(Debug)]
pub struct Survey {
    pub header: Vec<String>,
    /// The counts of each column, in the order of the header.
    pub columns: Vec<ColumnFacts>,
    /// The number of records that have as many fields as the header and have no invalid bytes.
    pub records: u64,
    /// The number of records with bytes that are invalid in the file's encoding.
    pub invalid: u64,
    /// The number of records with a wrong number of fields, and of lines whose quoting is broken.
    pub uneven: u64,
    /// For each column, the index of the column that contains its operations.
    operations: Vec<Option<usize>>,
    /// The indexes of the columns that may have ids. Bit n of a mask in `ids` represents entry n of
    /// this list.
    id_columns: Vec<usize>,
    /// For each set of columns, the number of records that have usable ids in exactly these
    /// columns. The set of columns is a bit mask.
    ids: HashMap<u64, u64>,
}

impl Survey {
    /// Reads a data file to its end. Uses only the delimiter, the encoding and the quoting of the
    /// manifest. `progress` gets the number of records and the number of bytes that were read until
    /// now.
    pub fn read(
        input: impl Read,
        file_name: &str,
        manifest: &Manifest,
        limits: &Limits,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Self, Failure> {
        let mut scan = Scan::open(input, file_name, manifest, limits)?;
        let mut survey = Self::new(scan.header.clone(), limits);
        let mut read = 0;
        scan.each_record(&mut |record, bytes| {
            survey.count(record);
            read += 1;
            if read % PROGRESS == 0 {
                progress(read, bytes);
            }
            ControlFlow::Continue(())
        })?;
        Ok(survey)
    }

    fn new(header: Vec<String>, limits: &Limits) -> Self {
        let rule = |name: &String| names::profile_property(name).and_then(SpecialProperty::of);
        let is_named = |at: &usize| !fold(&header[*at]).is_empty();
        let mut id_columns: Vec<usize> = (0..header.len()).filter(is_named).collect();
        id_columns.sort_by_key(|at| id_rank(&header[*at]));
        id_columns.truncate(MAX_IDS);
        Self {
            operations: find_operations(&header),
            columns: header
                .iter()
                .map(|name| ColumnFacts::new(rule(name), names::is_time(name), limits))
                .collect(),
            header,
            records: 0,
            invalid: 0,
            uneven: 0,
            id_columns,
            ids: HashMap::new(),
        }
    }

    fn count(&mut self, record: &ScannedRecord<'_>) {
        if record.fields() != self.header.len() {
            self.uneven += 1;
            return;
        }
        let Some(cells) = record.cells() else {
            self.invalid += 1;
            return;
        };
        let cells: Vec<&str> = cells.collect();
        if cells.iter().all(|cell| cell.trim().is_empty()) {
            return;
        }
        if cells.iter().zip(&self.header).all(|(cell, name)| cell.trim() == name) {
            return;
        }
        self.records += 1;
        for (facts, cell) in self.columns.iter_mut().zip(&cells) {
            facts.count(cell, record.line);
        }
        let mut mask = 0;
        for (bit, at) in self.id_columns.iter().enumerate() {
            if nulls::word(cells[*at]).is_none() && matches!(id(cells[*at]), Ok(Some(_))) {
                mask |= 1 << bit;
            }
        }
        *self.ids.entry(mask).or_default() += 1;
    }

    /// Returns the column with the given header. If no header is exactly equal, case and spaces are
    /// ignored.
    pub fn column(&self, header: &str) -> Option<usize> {
        let equal = self.header.iter().position(|name| name == header.trim());
        equal.or_else(|| self.header.iter().position(|name| fold(name) == fold(header)))
    }

    /// Returns the number of records that have a usable id in at least one of `columns`.
    pub fn identified(&self, columns: &[usize]) -> u64 {
        let of_columns = self.id_columns.iter().enumerate().filter(|(_, at)| columns.contains(at));
        let wanted = of_columns.fold(0_u64, |mask, (bit, _)| mask | 1 << bit);
        self.ids.iter().filter(|(mask, _)| *mask & wanted != 0).map(|(_, count)| count).sum()
    }

    /// Returns the columns that may have ids of users, the likeliest first.
    pub fn id_columns(&self) -> &[usize] {
        &self.id_columns
    }

    /// Returns the column with the operations of the column `base`.
    pub fn operations_of(&self, base: usize) -> Option<usize> {
        self.operations[base]
    }

    /// Returns whether the column `at` contains the operations of another column.
    pub fn has_operations(&self, at: usize) -> bool {
        self.operations.contains(&Some(at))
    }
}

/// Returns, for each column, the index of the column with its operations. Case and spaces in the
/// names are ignored.
fn find_operations(header: &[String]) -> Vec<Option<usize>> {
    let mut columns = HashMap::new();
    for (at, name) in header.iter().enumerate() {
        columns.entry(fold(name)).or_insert(at);
    }
    let operations = |name: &String| columns.get(&format!("{}.operation", fold(name))).copied();
    header.iter().map(operations).collect()
}

/// The rank of a column name that is not typical of ids.
pub const NO_ID: usize = 70;

/// Returns the rank of a column name. The name that is most typical of ids has rank 0.
pub fn id_rank(name: &str) -> usize {
    let key = names::key(name);
    let at = |list: &[&str]| list.iter().position(|name| *name == key);
    let known = at(&names::IDENTITY)
        .or_else(|| at(&names::OTHER_IDENTITY).map(|at| 10 + at))
        .or_else(|| at(&names::OBJECT_ID).map(|at| 30 + at))
        .or_else(|| at(&names::FB_ID).or_else(|| at(&names::GP_ID)).map(|_| 40));
    known.unwrap_or_else(|| match key.as_str() {
        key if key.starts_with("email") => 50,
        "id" | "key" => 60,
        key if key.contains("user") || key.contains("customer") => 61,
        key if key.ends_with("email") || key.ends_with("mail") => 62,
        key if key.ends_with("id") => 63,
        key if key.ends_with("key") || key.ends_with("number") || key.ends_with("no") => 64,
        _ => NO_ID,
    })
}
