//! Finds all rules that a cell or a record breaks. Only rejected records need these slow functions.
//! The functions check the same rules as the fast checks of all records.

use super::rows::{RecordFinding, Rows};
use crate::records::header::columns::{PropertyColumn, TimestampColumn};
use crate::records::header::plan::ReadPlan;
use crate::records::rules::event::is_charged;
use crate::records::rules::id::{ID, id};
use crate::records::rules::property;
use crate::records::rules::rejection::Rule;
use crate::records::rules::trim;

pub fn too_many_properties(plan: &ReadPlan, rows: &Rows<'_>, row: usize) -> bool {
    let is_set = |property: &&PropertyColumn| !trim(rows.cell(row, property.column)).is_empty();
    plan.columns.properties.iter().filter(is_set).count() > plan.limits.max_event_properties
}

pub fn has_charged_items(plan: &ReadPlan, rows: &Rows<'_>, row: usize, items: usize) -> bool {
    let name = plan.columns.event_name.map_or("", |column| rows.cell(row, column));
    !trim(rows.cell(row, items)).is_empty() && is_charged(name)
}

/// Returns the columns in which a row has a NUL character. The ignored column `Failure Description`
/// may have NUL characters, and is not returned.
pub fn nul_columns<'a>(
    plan: &ReadPlan,
    rows: &'a Rows<'_>,
    row: usize,
) -> impl Iterator<Item = usize> + use<'a> {
    let columns = if rows.has_nul { 0..plan.width() } else { 0..0 };
    let description = plan.columns.description;
    columns
        .filter(move |&column| Some(column) != description && rows.cell(row, column).contains('\0'))
}

/// Returns all rules that a cell of a property column breaks.
pub fn broken_rules(
    plan: &ReadPlan,
    property: &PropertyColumn,
    cell: &str,
) -> impl Iterator<Item = &'static Rule> + use<> {
    let length = property::length(cell, plan.limits.max_property_value).err();
    let value = property::of_type(cell, property.property.kind, property.format).err();
    length.into_iter().chain(value)
}

/// Returns the column to report if a record has no id. This is the only id column, or `None` if
/// the file has several id columns.
pub fn only_id(plan: &ReadPlan) -> Option<usize> {
    let mut columns = plan.columns.ids.into_iter().flatten();
    columns.next().filter(|_| columns.next().is_none())
}

/// Adds the rules about `ts` and about ids that a row breaks. These rules are the same for events
/// and profiles.
pub fn explain_user(plan: &ReadPlan, rows: &Rows<'_>, row: usize, found: &mut Vec<RecordFinding>) {
    if let Some(TimestampColumn { column, notation }) = plan.columns.timestamp {
        let at = notation.seconds(rows.cell(row, column), plan.limits.min_ts.seconds());
        found.extend(at.err().map(|rule| rows.found(row, rule, Some(column))));
    }
    let before = found.len();
    let mut has_one = false;
    for column in plan.columns.ids.into_iter().flatten() {
        match id(rows.cell(row, column)) {
            Ok(id) => has_one |= id.is_some(),
            Err(rule) => found.push(rows.found(row, rule, Some(column))),
        }
    }
    if !has_one && found.len() == before {
        found.push(rows.found(row, &ID, only_id(plan)));
    }
}
