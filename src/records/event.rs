//! Events: rows to Arrow columns, column by column. With the lexer, the hot loop of an import.
//!
//! Every column is built whole, and the rows that break a rule are marked. Only these are then
//! explained cell by cell, with the same rules, and taken out of the batch.
//!
//! Invariants: each column gets one value, or null, for each row, in the rows' order, whether the
//! row is bad or not. A cell that a `plain` test lets pass is what the rule itself would give,
//! which property tests hold; every other cell is the rule's.

use std::sync::Arc;

use arrow_array::types::{
    ArrowPrimitiveType, Float64Type, Int32Type, Int64Type, TimestampMillisecondType,
};
use arrow_array::{
    ArrayRef, BooleanArray, PrimitiveArray, RecordBatch, TimestampMillisecondArray, new_null_array,
};
use arrow_buffer::BooleanBuffer;
use arrow_schema::DataType;
use arrow_select::filter::filter_record_batch;

use super::batch::Value;
use super::columns::PropertyColumn;
use super::explain::{explain, has_charged_items, too_many_properties};
use super::lex::Span;
use super::parse::{Found, Plan, Rows};
use super::rejection::Rule;
use super::rules::calendar::Calendar;
use super::rules::id::{self, id};
use super::rules::timestamp::{self, timestamp};
use super::rules::{property, value};
use super::schema::{EventSchema, IdKind, PropertyType};
use super::texts::{Nulls, Texts};

/// The rows that break no rule; what the others break is added to `found`.
pub(super) fn build(
    plan: &Plan,
    schema: &EventSchema,
    rows: &Rows<'_>,
    found: &mut Vec<Found>,
) -> Vec<RecordBatch> {
    let mut builder = Builder::new(plan, rows);
    let columns = builder.columns();
    let batch = RecordBatch::try_new(schema.arrow.clone(), columns)
        .expect("one column of its type for each field of the schema");
    let bad = builder.bad;
    let explained = (0..bad.len()).filter(|row| bad[*row]);
    let explained = explained.map(|row| explain(plan, rows, row, found)).count();
    without(&bad, explained, batch)
}

/// A batch is cut at its bad rows where the pieces are this long on average, in rows: a piece
/// shares the batch's memory, and costs the store a call for each column.
const PIECE: usize = 256;

/// `batch` without its bad rows, which are `count`.
fn without(bad: &[bool], count: usize, batch: RecordBatch) -> Vec<RecordBatch> {
    if count == 0 {
        return vec![batch];
    }
    if count == bad.len() {
        return Vec::new();
    }
    if count * PIECE > bad.len() {
        let good = BooleanBuffer::collect_bool(bad.len(), |row| !bad[row]);
        let good = filter_record_batch(&batch, &BooleanArray::new(good, None));
        return vec![good.expect("one verdict for each row")];
    }
    let mut next = 0;
    let pieces = bad.split(|bad| *bad).map(|good| {
        let from = next;
        next += good.len() + 1;
        batch.slice(from, good.len())
    });
    pieces.filter(|piece| piece.num_rows() > 0).collect()
}

struct Builder<'a, 'r> {
    plan: &'a Plan,
    rows: &'a Rows<'r>,
    /// Rows that break a rule.
    bad: Vec<bool>,
    calendar: Calendar,
}

impl<'a, 'r> Builder<'a, 'r> {
    fn new(plan: &'a Plan, rows: &'a Rows<'r>) -> Self {
        Self { plan, rows, bad: vec![false; rows.len()], calendar: Calendar::default() }
    }

    fn columns(&mut self) -> Vec<ArrayRef> {
        let mut columns = vec![self.names(), self.timestamps()];
        columns.extend(self.ids());
        columns.push(self.lines());
        let plan = self.plan;
        columns.extend(plan.columns.properties.iter().map(|property| self.property(property)));
        self.count_properties();
        self.check_items();
        columns
    }

    fn names(&mut self) -> ArrayRef {
        let Some(column) = self.plan.columns.event_name else {
            return new_null_array(&DataType::Utf8, self.rows.len());
        };
        let mut recent = RecentNames::default();
        let mut names = self.texts(column);
        for (cell, bad) in self.rows.spans(column).zip(&mut self.bad) {
            if recent.holds(self.rows.bytes(cell)) {
                names.push_cell(cell);
                continue;
            }
            match self.plan.reserved.name(self.rows.text(cell)) {
                Ok(name) => {
                    names.push(name);
                    recent.add(name.as_bytes());
                }
                Err(_) => {
                    *bad = true;
                    names.push("");
                }
            }
        }
        names.finish()
    }

    fn timestamps(&mut self) -> ArrayRef {
        let now = self.plan.processing_time;
        let Some(column) = self.plan.columns.timestamp else {
            return instants(vec![now * 1000; self.rows.len()], Nulls::default());
        };
        let at = |(cell, bad): (Span, &mut bool)| {
            let plain = timestamp::plain(self.rows.bytes(cell));
            let seconds = plain.map_or_else(|| timestamp(self.rows.text(cell)), |at| Ok(Some(at)));
            *bad |= seconds.is_err();
            seconds.ok().flatten().unwrap_or(now) * 1000
        };
        let times = self.rows.spans(column).zip(&mut self.bad).map(at).collect();
        instants(times, Nulls::default())
    }

    /// The four id columns in the schema's order.
    fn ids(&mut self) -> Vec<ArrayRef> {
        let mut has_one = vec![false; self.rows.len()];
        let order = [IdKind::Identity, IdKind::ObjectId, IdKind::FbId, IdKind::GpId];
        let columns = order.map(|kind| match self.plan.columns.ids[kind as usize] {
            Some(column) => self.id_column(column, &mut has_one),
            None => new_null_array(&DataType::Utf8, self.rows.len()),
        });
        for (bad, has_one) in self.bad.iter_mut().zip(has_one) {
            *bad |= !has_one;
        }
        columns.into()
    }

    fn id_column(&mut self, column: usize, has_one: &mut [bool]) -> ArrayRef {
        let mut ids = self.texts(column);
        let marks = self.bad.iter_mut().zip(has_one);
        for (cell, (bad, has_one)) in self.rows.spans(column).zip(marks) {
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
                absent => {
                    *bad |= absent.is_err();
                    ids.push_null();
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
        let column = property.column;
        match property.property.kind {
            PropertyType::String => self.strings(column),
            PropertyType::Integer => self.numbers::<Int32Type>(column, value::integer),
            PropertyType::Long => self.numbers::<Int64Type>(column, value::long),
            PropertyType::Float => self.numbers::<Float64Type>(column, value::float),
            PropertyType::Boolean => self.booleans(column),
            PropertyType::Date => self.dates(property),
        }
    }

    fn strings(&mut self, column: usize) -> ArrayRef {
        let max = self.plan.limits.max_property_value;
        let mut strings = self.texts(column);
        for (cell, bad) in self.rows.spans(column).zip(&mut self.bad) {
            if property::is_plain(self.rows.bytes(cell), max) {
                strings.push_cell(cell);
                continue;
            }
            let text = self.rows.text(cell);
            match property::length(text, max).and_then(|()| property::string(text)) {
                Ok(Value::Text(_)) => strings.push_cell(cell),
                Ok(Value::Date(at)) => strings.push_ascii(&self.calendar.rfc3339(at)),
                other => {
                    *bad |= other.is_err();
                    strings.push_null();
                }
            }
        }
        strings.finish()
    }

    /// The values of a column, where `parse` reads a cell without white space around it.
    #[inline]
    fn typed<T: Default>(
        &mut self,
        column: usize,
        parse: impl Fn(&str) -> Result<T, &'static Rule>,
    ) -> (Vec<T>, Nulls) {
        let max = self.plan.limits.max_property_value;
        let (mut values, mut nulls) = (Vec::with_capacity(self.rows.len()), Nulls::default());
        for (row, cell) in self.rows.spans(column).enumerate() {
            let text = self.rows.text(cell);
            let plain = if text.len() <= max { parse(text).ok() } else { None };
            let value = plain.map_or_else(
                || property::length(text, max).and_then(|()| property::typed(text, &parse)),
                |value| Ok(Some(value)),
            );
            self.bad[row] |= value.is_err();
            values.push(value.ok().flatten().unwrap_or_else(|| {
                nulls.push(row);
                T::default()
            }));
        }
        (values, nulls)
    }

    #[inline]
    fn numbers<T: ArrowPrimitiveType<Native: Default>>(
        &mut self,
        column: usize,
        parse: impl Fn(&str) -> Result<T::Native, &'static Rule>,
    ) -> ArrayRef {
        let (numbers, nulls) = self.typed(column, parse);
        let nulls = nulls.finish(numbers.len());
        Arc::new(PrimitiveArray::<T>::new(numbers.into(), nulls))
    }

    fn booleans(&mut self, column: usize) -> ArrayRef {
        let (booleans, nulls) = self.typed(column, value::boolean);
        let nulls = nulls.finish(booleans.len());
        let bits = BooleanBuffer::collect_bool(booleans.len(), |row| booleans[row]);
        Arc::new(BooleanArray::new(bits, nulls))
    }

    fn dates(&mut self, property: &PropertyColumn) -> ArrayRef {
        let max = self.plan.limits.max_property_value;
        let (mut times, mut nulls) = (Vec::with_capacity(self.rows.len()), Nulls::default());
        for (row, cell) in self.rows.spans(property.column).enumerate() {
            let cell = self.rows.text(cell);
            let instant =
                property::length(cell, max).and_then(|()| property::instant(cell, property.format));
            self.bad[row] |= instant.is_err();
            let seconds = instant.ok().flatten();
            if seconds.is_none() {
                nulls.push(row);
            }
            times.push(seconds.unwrap_or_default() * 1000);
        }
        instants(times, nulls)
    }

    /// A column of texts, with room for the cells of `column`.
    fn texts(&self, column: usize) -> Texts<'r> {
        let bytes = self.rows.spans(column).map(Span::len).sum();
        Texts::new(self.rows.block(), self.rows.len(), bytes)
    }

    /// Marks rows with too many properties, where there are columns enough for that.
    fn count_properties(&mut self) {
        if self.plan.columns.properties.len() <= self.plan.limits.max_event_properties {
            return;
        }
        for row in 0..self.rows.len() {
            self.bad[row] |= too_many_properties(self.plan, self.rows, row);
        }
    }

    fn check_items(&mut self) {
        let Some(items) = self.plan.items else { return };
        for row in 0..self.rows.len() {
            self.bad[row] |= has_charged_items(self.plan, self.rows, row, items);
        }
    }
}

fn instants(milliseconds: Vec<i64>, nulls: Nulls) -> ArrayRef {
    let nulls = nulls.finish(milliseconds.len());
    let times = PrimitiveArray::<TimestampMillisecondType>::new(milliseconds.into(), nulls);
    Arc::new(TimestampMillisecondArray::with_timezone(times, "UTC"))
}

/// Cells seen lately that are valid event names as they stand: a file has few, and checking one
/// costs an allocation.
#[derive(Default)]
struct RecentNames<'a>([Option<&'a [u8]>; 16]);

impl<'a> RecentNames<'a> {
    #[inline]
    fn holds(&self, cell: &[u8]) -> bool {
        self.0[Self::slot(cell)].is_some_and(|name| name == cell)
    }

    fn add(&mut self, name: &'a [u8]) {
        self.0[Self::slot(name)] = Some(name);
    }

    #[inline]
    fn slot(cell: &[u8]) -> usize {
        let ends = [cell.first(), cell.last()].map(|byte| byte.map_or(0, |b| *b as usize));
        (cell.len() + ends[0] + 3 * ends[1]) % 16
    }
}
