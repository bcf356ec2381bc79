//! The slow way: everything that one record breaks, with the same rules as the fast way.

use super::columns::PropertyColumn;
use super::parse::{Found, Plan, Rows};
use super::rules::event::{CHARGED_ITEMS, TOO_MANY_PROPERTIES, is_charged};
use super::rules::id::{ID, id};
use super::rules::property;
use super::rules::timestamp::timestamp;
use super::schema::PropertyType;

pub(super) fn too_many_properties(plan: &Plan, rows: &Rows<'_>, row: usize) -> bool {
    let is_set = |property: &&PropertyColumn| {
        let cell = rows.cell(row, property.column);
        let is_text = property.property.kind == PropertyType::String;
        if is_text { !cell.is_empty() } else { !cell.trim().is_empty() }
    };
    plan.columns.properties.iter().filter(is_set).count() > plan.limits.max_event_properties
}

pub(super) fn has_charged_items(plan: &Plan, rows: &Rows<'_>, row: usize, items: usize) -> bool {
    let name = plan.columns.event_name.map_or("", |column| rows.cell(row, column));
    !rows.cell(row, items).is_empty() && is_charged(name)
}

/// Adds every rule that a row breaks.
pub(super) fn explain(plan: &Plan, rows: &Rows<'_>, row: usize, found: &mut Vec<Found>) {
    if let Some(column) = plan.columns.event_name {
        let name = plan.reserved.name(rows.cell(row, column));
        found.extend(name.err().map(|rule| rows.found(row, rule, Some(column))));
    }
    explain_user(plan, rows, row, found);
    for PropertyColumn { column, property, format, .. } in &plan.columns.properties {
        let cell = rows.cell(row, *column);
        let length = property::length(cell, plan.limits.max_property_value).err();
        let value = property::of_type(cell, property.kind, *format).err();
        found.extend(length.into_iter().chain(value).map(|r| rows.found(row, r, Some(*column))));
    }
    if too_many_properties(plan, rows, row) {
        found.push(rows.found(row, &TOO_MANY_PROPERTIES, None));
    }
    if let Some(items) = plan.items.filter(|items| has_charged_items(plan, rows, row, *items)) {
        found.push(rows.found(row, &CHARGED_ITEMS, Some(items)));
    }
}

/// Adds what a row breaks of the rules for `ts` and the ids, events and profiles alike.
pub(super) fn explain_user(plan: &Plan, rows: &Rows<'_>, row: usize, found: &mut Vec<Found>) {
    if let Some(column) = plan.columns.timestamp {
        let at = timestamp(rows.cell(row, column));
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
        // With one id column there is no doubt which cell is meant.
        let mut columns = plan.columns.ids.into_iter().flatten();
        let only = columns.next().filter(|_| columns.next().is_none());
        found.push(rows.found(row, &ID, only));
    }
}
