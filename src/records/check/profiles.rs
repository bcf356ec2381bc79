//! Turns rows into changes of profiles, row by row.
//!
//! A row is passed to the slow functions in `explain` only if it breaks a rule about `ts` or ids. A
//! cell that passes a `plain` test has the value that its rule would return.

use super::explain::{explain_user, nul_columns};
use super::rows::{RecordFinding, Rows};
use crate::manifest::PropertyType;
use crate::records::batch::ProfileBatch;
use crate::records::header::columns::{PropertyColumn, TimestampColumn};
use crate::records::header::plan::ReadPlan;
use crate::records::profile_change::{Change, Operation, Value};
use crate::records::rules::calendar::Calendar;
use crate::records::rules::id;
use crate::records::rules::profile::{NO_LIST, Normal, operation};
use crate::records::rules::property;
use crate::records::rules::record::NUL;

/// Appends the profile records of the rows that break no rule to `batch`. Adds the rules that
/// other rows break to `found`.
pub fn build(
    plan: &ReadPlan,
    mut batch: ProfileBatch,
    rows: &Rows<'_>,
    found: &mut Vec<RecordFinding>,
) -> ProfileBatch {
    let mut changes = ChangeList::default();
    for row in 0..rows.len() {
        let before = found.len();
        let user = user(plan, rows, row);
        if user.is_none() {
            explain_user(plan, rows, row, found);
        }
        changes.clear();
        for (index, property) in plan.columns.properties.iter().enumerate() {
            changes.read(plan, rows, row, (index, property), found);
        }
        if rows.has_nul {
            let nul = nul_columns(plan, rows, row);
            found.extend(nul.map(|column| rows.found(row, &NUL, Some(column))));
        }
        if let Some((at, ids)) = user.filter(|_| found.len() == before && !rows.is_rejected(row)) {
            batch.push(rows.line(row), at, ids, changes.iter());
        }
    }
    batch
}

/// Returns the time and the ids of a row. Returns `None` if the row breaks a rule about them.
fn user<'a>(plan: &ReadPlan, rows: &Rows<'a>, row: usize) -> Option<(i64, [Option<&'a str>; 4])> {
    let at = match plan.columns.timestamp {
        None => plan.processing_time,
        Some(TimestampColumn { column, notation }) => {
            let (cell, min) = (rows.cell(row, column), plan.limits.min_ts.seconds());
            match notation.plain(cell.as_bytes(), min) {
                Some(seconds) => seconds,
                None => notation.seconds(cell, min).ok()?.unwrap_or(plan.processing_time),
            }
        }
    };
    let mut ids = [None; 4];
    for (slot, column) in ids.iter_mut().zip(plan.columns.ids) {
        let Some(column) = column else { continue };
        let cell = rows.cell(row, column);
        *slot = match cell.as_bytes() {
            [] => None,
            bytes if id::is_plain(bytes) => Some(cell),
            _ => id::id(cell).ok()?,
        };
    }
    ids.iter().any(Option::is_some).then_some((at, ids))
}

/// The changes of properties in one row.
#[derive(Default)]
struct ChangeList<'a> {
    /// The changes of the row. The second part of each pair is the length of the change's text in
    /// bytes. It is `None` if the text is not stored in `texts`.
    list: Vec<(Change<'a>, Option<usize>)>,
    /// The texts of changes that differ from their cells, concatenated. These texts are dates in
    /// RFC 3339 and phone numbers.
    texts: String,
    calendar: Calendar,
}

impl<'a> ChangeList<'a> {
    fn clear(&mut self) {
        self.list.clear();
        self.texts.clear();
    }

    /// Reads the cell with the value of a property and the cell with its operation.
    fn read(
        &mut self,
        plan: &ReadPlan,
        rows: &Rows<'a>,
        row: usize,
        (property, column): (usize, &PropertyColumn),
        found: &mut Vec<RecordFinding>,
    ) {
        let operation = operation(column.operation.map_or("", |at| rows.cell(row, at)));
        let operation = operation.unwrap_or_else(|rule| {
            found.push(rows.found(row, rule, column.operation));
            // `Set` is used so that the value of the property is checked too.
            Operation::Set
        });
        if operation == Operation::Delete {
            self.list.push((Change { property, operation, value: Value::None }, None));
            return;
        }
        if operation != Operation::Set && column.special.is_some() {
            found.push(rows.found(row, &NO_LIST, column.operation));
        }
        let cell = rows.cell(row, column.column);
        let max = plan.limits.max_property_value;
        let is_text = column.property.kind == PropertyType::String;
        let (length, value) = match is_text && property::is_plain(cell.as_bytes(), max) {
            true => (None, Ok(Value::Text(cell))),
            false => (
                property::length(cell, max).err(),
                property::of_type(cell, column.property.kind, column.format),
            ),
        };
        let special = column.special.filter(|_| !matches!(value, Ok(Value::None)));
        let change = value.map(|value| Change { property, operation, value });
        let broken = match (special, change) {
            (_, Err(rule)) => {
                found.push(rows.found(row, rule, Some(column.column)));
                special.and_then(|special| special.normal(cell, plan.limits.email_domain_dot).err())
            }
            (None, Ok(change)) => {
                self.push(column, change);
                None
            }
            (Some(special), Ok(change)) => {
                let normal = special.normal(cell, plan.limits.email_domain_dot);
                normal.map(|normal| self.push_normal(column, change, normal)).err()
            }
        };
        let broken_rules = length.into_iter().chain(broken);
        found.extend(broken_rules.map(|rule| rows.found(row, rule, Some(column.column))));
    }

    /// Adds the change of a property whose values are stored in a normal form.
    fn push_normal(&mut self, column: &PropertyColumn, change: Change<'a>, normal: Normal<'a>) {
        match normal {
            Normal::Unchanged => self.push(column, change),
            Normal::Value(value) => self.push(column, Change { value, ..change }),
            Normal::Text(text) => {
                self.texts.push_str(&text);
                self.list.push((change, Some(text.len())));
            }
        }
    }

    fn push(&mut self, column: &PropertyColumn, change: Change<'a>) {
        match change.value {
            Value::None => {}
            Value::Date(seconds) if column.property.kind == PropertyType::String => {
                let Self { list, texts, calendar } = self;
                let before = texts.len();
                calendar.push_rfc3339(texts, seconds);
                list.push((change, Some(texts.len() - before)));
            }
            _ => self.list.push((change, None)),
        }
    }

    fn iter(&self) -> impl Iterator<Item = Change<'_>> {
        let mut texts = self.texts.as_str();
        self.list.iter().map(move |(change, length)| {
            let Some(length) = length else { return *change };
            let (text, rest) = texts.split_at(*length);
            texts = rest;
            Change { value: Value::Text(text), ..*change }
        })
    }
}
