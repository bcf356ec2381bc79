//! Profiles: turns rows into changes, row by row.
//!
//! Only a row that breaks a rule for its time or its ids takes the slow path of `explain`. A cell
//! that passes a `plain` test has the value that its rule would return.

use super::explain::explain_user;
use super::rows::{RecordFinding, Rows};
use crate::manifest::PropertyType;
use crate::records::batch::ProfileBatch;
use crate::records::header::columns::{PropertyColumn, TimestampColumn};
use crate::records::header::plan::ReadPlan;
use crate::records::profile_change::{Change, Operation, Value};
use crate::records::rules::calendar::Calendar;
use crate::records::rules::id;
use crate::records::rules::profile::{NO_LIST, operation};
use crate::records::rules::property;

/// Appends the rows that break no rule to `batch`. Adds the broken rules of the others to `found`.
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
        if let Some((at, ids)) = user.filter(|_| found.len() == before) {
            batch.push(rows.line(row), at, ids, changes.iter());
        }
    }
    batch
}

/// Returns the time and ids of a row; `None` if it breaks a rule for them.
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
        let cell = column.map_or("", |column| rows.cell(row, column));
        *slot = if id::is_plain(cell.as_bytes()) { Some(cell) } else { id::id(cell).ok()? };
    }
    ids.iter().any(Option::is_some).then_some((at, ids))
}

/// The changes of one row.
#[derive(Default)]
struct ChangeList<'a> {
    /// Each with a flag: whether it is a date that is stored as text.
    list: Vec<(Change<'a>, bool)>,
    /// Those dates in RFC 3339, concatenated.
    dates: String,
    calendar: Calendar,
}

/// The length of `2020-05-12T09:07:12Z`.
const RFC3339: usize = 20;

impl<'a> ChangeList<'a> {
    fn clear(&mut self) {
        self.list.clear();
        self.dates.clear();
    }

    /// Reads the cells of a property and of its operation.
    fn read(
        &mut self,
        plan: &ReadPlan,
        rows: &Rows<'a>,
        row: usize,
        (property, column): (usize, &PropertyColumn),
        found: &mut Vec<RecordFinding>,
    ) {
        let operation = match operation(column.operation.map_or("", |at| rows.cell(row, at))) {
            Ok(operation) => operation,
            Err(rule) => return found.push(rows.found(row, rule, column.operation)),
        };
        if operation == Operation::Delete {
            self.list.push((Change { property, operation, value: Value::None }, false));
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
        let special = special.and_then(|special| special.check(cell).err());
        match value {
            Ok(Value::None) => {}
            Ok(value) => self.push(column, Change { property, operation, value }),
            Err(rule) => found.push(rows.found(row, rule, Some(column.column))),
        }
        let broken_rules = length.into_iter().chain(special);
        found.extend(broken_rules.map(|rule| rows.found(row, rule, Some(column.column))));
    }

    fn push(&mut self, column: &PropertyColumn, change: Change<'a>) {
        let as_text = match change.value {
            Value::Date(seconds) if column.property.kind == PropertyType::String => {
                self.calendar.push_rfc3339(&mut self.dates, seconds);
                true
            }
            _ => false,
        };
        self.list.push((change, as_text));
    }

    fn iter(&self) -> impl Iterator<Item = Change<'_>> {
        let mut dates = self.dates.as_str();
        self.list.iter().map(move |(change, as_text)| {
            if !as_text {
                return *change;
            }
            let (date, rest) = dates.split_at(RFC3339);
            dates = rest;
            Change { value: Value::Text(date), ..*change }
        })
    }
}
