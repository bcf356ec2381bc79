//! Turns rows into Arrow columns for events, column by column. The loops in this file and in the
//! lexer take most of the time of an import.
//!
//! Every column is built for all rows, and each broken rule is recorded. Then the rows that break a
//! rule are removed from the batch.
//!
//! Invariants: each column gets one value or null per row, in the order of the rows. This is also
//! true for rows that break a rule. The rules of a row are checked in this order: name, `ts`, ids,
//! properties by column, rules about all properties. A cell that passes a `plain` test has the
//! value that its rule would return; property tests check this. Every other cell is checked by its
//! rule.

use std::sync::Arc;

use arrow_array::types::{
    ArrowPrimitiveType, Float64Type, Int32Type, Int64Type, TimestampMillisecondType,
};
use arrow_array::{
    ArrayRef, BooleanArray, PrimitiveArray, RecordBatch, TimestampMillisecondArray, new_null_array,
};
use arrow_buffer::BooleanBuffer;
use arrow_schema::DataType;

use super::explain::{broken_rules, has_charged_items, nul_columns, only_id, too_many_properties};
use super::filter::remove_rows;
use super::name_cache::NameCache;
use super::rows::{RecordFinding, Rows};
use super::string_column::{NullRows, StringColumn};
use crate::manifest::PropertyType;
use crate::records::csv::lexer::Span;
use crate::records::header::columns::{PropertyColumn, TimestampColumn};
use crate::records::header::plan::ReadPlan;
use crate::records::header::schema::{EventSchema, IdKind};
use crate::records::profile_change::Value;
use crate::records::rules::calendar::Calendar;
use crate::records::rules::event::{CHARGED_ITEMS, TOO_MANY_PROPERTIES};
use crate::records::rules::id;
use crate::records::rules::id::{ID, id};
use crate::records::rules::record::NUL;
use crate::records::rules::rejection::Rule;
use crate::records::rules::{property, value};

/// Returns the events of the rows that break no rule. Adds the rules that other rows break to
/// `found`.
pub fn build(
    plan: &ReadPlan,
    schema: &EventSchema,
    rows: &Rows<'_>,
    found: &mut Vec<RecordFinding>,
) -> Vec<RecordBatch> {
    let mut builder = EventBuilder::new(plan, rows, found);
    let columns = builder.columns();
    let batch = RecordBatch::try_new(schema.arrow.clone(), columns)
        .expect("each field of the schema has one column of its type");
    remove_rows(&builder.bad, batch)
}

struct EventBuilder<'a, 'r> {
    plan: &'a ReadPlan,
    rows: &'a Rows<'r>,
    found: &'a mut Vec<RecordFinding>,
    /// For each row of the block, true if the row breaks a rule.
    bad: Vec<bool>,
    calendar: Calendar,
}

impl<'a, 'r> EventBuilder<'a, 'r> {
    fn new(plan: &'a ReadPlan, rows: &'a Rows<'r>, found: &'a mut Vec<RecordFinding>) -> Self {
        let mut bad = vec![false; rows.len()];
        rows.rejected.iter().for_each(|row| bad[*row] = true);
        Self { plan, rows, found, bad, calendar: Calendar::default() }
    }

    /// Records that the row breaks the rule `rule`.
    fn reject(&mut self, row: usize, rule: &'static Rule, column: Option<usize>) {
        self.bad[row] = true;
        self.found.push(self.rows.found(row, rule, column));
    }

    /// Records all rules that a cell of a property column breaks.
    fn reject_property(&mut self, row: usize, property: &PropertyColumn) {
        let cell = self.rows.cell(row, property.column);
        for rule in broken_rules(self.plan, property, cell) {
            self.reject(row, rule, Some(property.column));
        }
    }

    fn columns(&mut self) -> Vec<ArrayRef> {
        let mut columns = vec![self.names(), self.timestamps()];
        columns.extend(self.ids());
        columns.push(self.lines());
        let plan = self.plan;
        columns.extend(plan.columns.properties.iter().map(|property| self.property(property)));
        self.count_properties();
        self.check_items();
        self.check_nul();
        columns
    }

    fn names(&mut self) -> ArrayRef {
        let Some(column) = self.plan.columns.event_name else {
            return new_null_array(&DataType::Utf8, self.rows.len());
        };
        let mut recent = NameCache::default();
        let mut names = self.texts(column);
        for (row, cell) in self.rows.spans(column).enumerate() {
            if recent.holds(self.rows.bytes(cell)) {
                names.push_cell(cell);
                continue;
            }
            let text = self.rows.text(cell);
            match self.plan.reserved.name(text) {
                Ok(name) => {
                    names.push(name);
                    recent.add(name.as_bytes());
                }
                Err(_) => {
                    for rule in self.plan.reserved.broken_rules(text) {
                        self.reject(row, rule, Some(column));
                    }
                    names.push("");
                }
            }
        }
        names.finish()
    }

    fn timestamps(&mut self) -> ArrayRef {
        let now = self.plan.processing_time;
        let Some(TimestampColumn { column, notation }) = self.plan.columns.timestamp else {
            return instants(vec![now * 1000; self.rows.len()], NullRows::default());
        };
        let min = self.plan.limits.min_ts.seconds();
        let mut times = Vec::with_capacity(self.rows.len());
        for (row, cell) in self.rows.spans(column).enumerate() {
            let plain = notation.plain(self.rows.bytes(cell), min);
            let at = plain
                .map_or_else(|| notation.seconds(self.rows.text(cell), min), |at| Ok(Some(at)));
            let at = at.unwrap_or_else(|rule| {
                self.reject(row, rule, Some(column));
                None
            });
            times.push(at.unwrap_or(now) * 1000);
        }
        instants(times, NullRows::default())
    }

    /// Builds the four columns for the ids of users, in the order of the schema.
    fn ids(&mut self) -> Vec<ArrayRef> {
        let mut has_one = vec![false; self.rows.len()];
        let order = [IdKind::Identity, IdKind::ObjectId, IdKind::FbId, IdKind::GpId];
        let columns = order.map(|kind| match self.plan.columns.ids[kind as usize] {
            Some(column) => self.id_column(column, &mut has_one),
            None => new_null_array(&DataType::Utf8, self.rows.len()),
        });
        for (row, _) in has_one.iter().enumerate().filter(|(_, has_one)| !**has_one) {
            self.reject(row, &ID, only_id(self.plan));
        }
        columns.into()
    }

    /// Builds a column of ids. Sets the element of `has_one` to true for each row that has a valid
    /// or invalid id.
    fn id_column(&mut self, column: usize, has_one: &mut [bool]) -> ArrayRef {
        let mut ids = self.texts(column);
        for ((row, cell), has_one) in self.rows.spans(column).enumerate().zip(has_one) {
            if id::is_plain(self.rows.bytes(cell)) {
                *has_one = true;
                ids.push_cell(cell);
                continue;
            }
            match id(self.rows.text(cell)) {
                Ok(Some(id)) => {
                    *has_one = true;
                    ids.push(id);
                }
                Ok(None) => ids.push_null(),
                Err(rule) => {
                    *has_one = true;
                    ids.push_null();
                    self.reject(row, rule, Some(column));
                }
            }
        }
        ids.finish()
    }

    fn lines(&self) -> ArrayRef {
        let lines = (0..self.rows.len()).map(|row| self.rows.line(row) as i64);
        Arc::new(lines.collect::<PrimitiveArray<Int64Type>>())
    }

    fn property(&mut self, property: &PropertyColumn) -> ArrayRef {
        match property.property.kind {
            PropertyType::String => self.strings(property),
            PropertyType::Integer => self.numbers::<Int32Type>(property, value::integer),
            PropertyType::Long => self.numbers::<Int64Type>(property, value::long),
            PropertyType::Float => self.numbers::<Float64Type>(property, value::float),
            PropertyType::Boolean => self.booleans(property),
            PropertyType::Date => self.dates(property),
        }
    }

    fn strings(&mut self, property: &PropertyColumn) -> ArrayRef {
        let max = self.plan.limits.max_property_value;
        let mut strings = self.texts(property.column);
        for (row, cell) in self.rows.spans(property.column).enumerate() {
            let bytes = self.rows.bytes(cell);
            if property::is_plain(bytes, max) {
                strings.push_cell(cell);
                continue;
            }
            if let Some(at) = property::plain_dollar_date(bytes, max) {
                strings.push_ascii(&self.calendar.rfc3339(at));
                continue;
            }
            let text = self.rows.text(cell);
            match property::length(text, max).and_then(|()| property::string(text)) {
                Ok(Value::Text(_)) => strings.push_cell(cell),
                Ok(Value::Date(at)) => strings.push_ascii(&self.calendar.rfc3339(at)),
                Ok(_) => strings.push_null(),
                Err(_) => {
                    strings.push_null();
                    self.reject_property(row, property);
                }
            }
        }
        strings.finish()
    }

    /// Builds the values of a property column. `parse` gets a cell without white space at its
    /// start and end.
    #[inline]
    fn typed<T: Default>(
        &mut self,
        property: &PropertyColumn,
        parse: impl Fn(&str) -> Result<T, &'static Rule>,
    ) -> (Vec<T>, NullRows) {
        let max = self.plan.limits.max_property_value;
        let (mut values, mut nulls) = (Vec::with_capacity(self.rows.len()), NullRows::default());
        for (row, cell) in self.rows.spans(property.column).enumerate() {
            let text = self.rows.text(cell);
            let plain = if text.len() <= max { parse(text).ok() } else { None };
            let value = plain.map_or_else(
                || property::length(text, max).and_then(|()| property::typed(text, &parse)),
                |value| Ok(Some(value)),
            );
            let value = value.unwrap_or_else(|_| {
                self.reject_property(row, property);
                None
            });
            values.push(value.unwrap_or_else(|| {
                nulls.push(row);
                T::default()
            }));
        }
        (values, nulls)
    }

    #[inline]
    fn numbers<T: ArrowPrimitiveType<Native: Default>>(
        &mut self,
        property: &PropertyColumn,
        parse: impl Fn(&str) -> Result<T::Native, &'static Rule>,
    ) -> ArrayRef {
        let (numbers, nulls) = self.typed(property, parse);
        let nulls = nulls.finish(numbers.len());
        Arc::new(PrimitiveArray::<T>::new(numbers.into(), nulls))
    }

    fn booleans(&mut self, property: &PropertyColumn) -> ArrayRef {
        let (booleans, nulls) = self.typed(property, value::boolean);
        let nulls = nulls.finish(booleans.len());
        let bits = BooleanBuffer::collect_bool(booleans.len(), |row| booleans[row]);
        Arc::new(BooleanArray::new(bits, nulls))
    }

    fn dates(&mut self, property: &PropertyColumn) -> ArrayRef {
        let max = self.plan.limits.max_property_value;
        let (mut times, mut nulls) = (Vec::with_capacity(self.rows.len()), NullRows::default());
        for (row, cell) in self.rows.spans(property.column).enumerate() {
            let cell = self.rows.text(cell);
            let instant =
                property::length(cell, max).and_then(|()| property::instant(cell, property.format));
            let seconds = instant.unwrap_or_else(|_| {
                self.reject_property(row, property);
                None
            });
            if seconds.is_none() {
                nulls.push(row);
            }
            times.push(seconds.unwrap_or_default() * 1000);
        }
        instants(times, nulls)
    }

    /// Creates a column of texts. Its memory is sufficient for the cells of `column`.
    fn texts(&self, column: usize) -> StringColumn<'r> {
        let cells = self.rows.spans(column).map(Span::len);
        StringColumn::new(self.rows.block(), self.rows.len(), cells)
    }

    /// Rejects rows with too many properties. Returns early if the file has too few columns for
    /// such a row.
    fn count_properties(&mut self) {
        if self.plan.columns.properties.len() <= self.plan.limits.max_event_properties {
            return;
        }
        for row in 0..self.rows.len() {
            if too_many_properties(self.plan, self.rows, row) {
                self.reject(row, &TOO_MANY_PROPERTIES, None);
            }
        }
    }

    fn check_items(&mut self) {
        let Some(items) = self.plan.items else { return };
        for row in 0..self.rows.len() {
            if has_charged_items(self.plan, self.rows, row, items) {
                self.reject(row, &CHARGED_ITEMS, Some(items));
            }
        }
    }

    fn check_nul(&mut self) {
        if !self.rows.has_nul {
            return;
        }
        for row in 0..self.rows.len() {
            for column in nul_columns(self.plan, self.rows, row) {
                self.reject(row, &NUL, Some(column));
            }
        }
    }
}

fn instants(milliseconds: Vec<i64>, nulls: NullRows) -> ArrayRef {
    let nulls = nulls.finish(milliseconds.len());
    let times = PrimitiveArray::<TimestampMillisecondType>::new(milliseconds.into(), nulls);
    Arc::new(TimestampMillisecondArray::with_timezone(times, "UTC"))
}
