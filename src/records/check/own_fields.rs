//! Finds the fields of a rejected record that the error file keeps. The field with the description
//! from an earlier error file is not kept.

use crate::records::csv::fields::{RawFields, first_fields, without_quoted_end};
use crate::records::csv::lexer::RecordSpan;
use crate::records::header::plan::ReadPlan;
use crate::records::rules::catalogue::is_description;

/// Returns the content of a cell without the quotes around the content. This function is needed
/// because the lexer treats quotes after a byte order mark as part of the cell.
pub fn without_quotes(cell: &[u8]) -> &[u8] {
    cell.strip_prefix(b"\"").and_then(|cell| cell.strip_suffix(b"\"")).unwrap_or(cell)
}

/// If the quoting of a line is broken, returns the line without the description of an earlier error
/// file. The fields of such a line are not known. Therefore the description is searched from the
/// end of the line. All other records are returned unchanged.
pub fn own_line<'a>(plan: &ReadPlan, record: &RecordSpan, raw: &'a [u8]) -> &'a [u8] {
    if record.broken.is_none() || plan.columns.description.is_none() {
        return raw;
    }
    let own = without_quoted_end(raw, plan.dialect);
    let end = raw[own.len()..].strip_prefix(&[plan.dialect.delimiter]);
    if end.is_some_and(|end| is_description(without_quotes(end), plan.dialect)) { own } else { raw }
}

/// Returns the index of the field with the description of an earlier error file. If the record has
/// a wrong number of fields, its last field may be the description.
pub fn description_field(plan: &ReadPlan, raw: &[u8]) -> Option<usize> {
    let column = plan.columns.description?;
    let fields = RawFields::of(raw, plan.dialect).fields;
    if fields.len() == plan.width() {
        return Some(column);
    }
    let last = fields.len().checked_sub(1)?;
    let is_description = |at: &usize| {
        let field = fields.get(*at).map(|field| without_quotes(&raw[field.clone()]));
        field.is_some_and(|field| is_description(field, plan.dialect))
    };
    [column, last].into_iter().find(is_description)
}

/// Returns the length of a record in bytes, without the description from an earlier error file.
pub fn length_alone(plan: &ReadPlan, record: &RecordSpan, raw: &[u8]) -> u64 {
    if record.broken.is_some() {
        return own_line(plan, record, raw).len() as u64;
    }
    let field = description_field(plan, raw)
        .map_or(0, |at| RawFields::of(raw, plan.dialect).fields[at].len() + 1);
    raw.len().saturating_sub(field) as u64
}

/// Returns the first complete fields of a record that is longer than `max-record`, and the index of
/// the field with the description of an earlier error file. `start` is the beginning of the record.
/// The result has fewer fields than the header, so that the record is rejected again. The returned
/// fields are `None` if the record has no complete field to keep.
pub fn kept_fields<'a>(plan: &ReadPlan, start: &'a [u8]) -> (Option<&'a [u8]>, Option<usize>) {
    let most = plan.own_width() - 1;
    let column = plan.columns.description.filter(|column| *column <= most);
    let described = column.and_then(|column| {
        let raw = first_fields(start, plan.dialect, most + 1)?;
        (description_field(plan, raw) == Some(column)).then_some(raw)
    });
    match described {
        Some(raw) => (Some(raw), column),
        None => (first_fields(start, plan.dialect, most), None),
    }
}

/// Restores a record with too few fields to which a tool has added empty fields. The field `column`
/// has the text of an earlier error file. If all fields after `column` are empty, returns the
/// fields before `column`. Otherwise returns all fields.
pub fn before_error_text<'a>(
    plan: &ReadPlan,
    raw: &'a [u8],
    column: Option<u32>,
) -> Option<&'a [u8]> {
    let column = column.map_or(0, |column| column as usize);
    let fields = RawFields::of(raw, plan.dialect).fields;
    let is_empty = |field: &std::ops::Range<usize>| {
        without_quotes(&raw[field.clone()]).trim_ascii().is_empty()
    };
    let was_short = plan.columns.description.is_some_and(|description| column < description)
        && fields[column + 1..].iter().all(is_empty);
    if !was_short {
        return Some(raw);
    }
    column.checked_sub(1).map(|last| &raw[..fields[last].end])
}
