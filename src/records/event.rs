//! Events: rows to Arrow columns, column by column.
//!
//! The fast way builds every column and marks the rows that break a rule. Only when there are
//! some, each is explained cell by cell with the same rules, and the columns are built again
//! without them.

use std::sync::Arc;

use arrow_array::builder::{
    BooleanBuilder, Int64Builder, PrimitiveBuilder, StringBuilder, TimestampMillisecondBuilder,
};
use arrow_array::types::{ArrowPrimitiveType, Float64Type, Int32Type, Int64Type};
use arrow_array::{ArrayRef, RecordBatch, new_null_array};
use arrow_schema::DataType;

use super::batch::Value;
use super::columns::PropertyColumn;
use super::explain::{explain, has_charged_items, too_many_properties};
use super::parse::{Found, Plan, Rows};
use super::rejection::Rule;
use super::rules::id::id;
use super::rules::timestamp::timestamp;
use super::rules::{date, property, value};
use super::schema::{EventSchema, IdKind, PropertyType};

/// The batch of the rows that break no rule; what the others break is added to `found`.
pub(super) fn build(
    plan: &Plan,
    schema: &EventSchema,
    rows: &mut Rows<'_>,
    found: &mut Vec<Found>,
) -> RecordBatch {
    let mut builder = Builder::new(plan, rows);
    let mut columns = builder.columns();
    let bad = builder.bad;
    if bad.contains(&true) {
        for row in (0..bad.len()).filter(|row| bad[*row]) {
            explain(plan, rows, row, found);
        }
        rows.drop_bad(&bad);
        columns = Builder::new(plan, rows).columns();
    }
    RecordBatch::try_new(schema.arrow.clone(), columns)
        .expect("one column of its type for each field of the schema")
}

struct Builder<'a, 'r> {
    plan: &'a Plan,
    rows: &'a Rows<'r>,
    /// Rows that break a rule.
    bad: Vec<bool>,
}

impl<'a, 'r> Builder<'a, 'r> {
    fn new(plan: &'a Plan, rows: &'a Rows<'r>) -> Self {
        Self { plan, rows, bad: vec![false; rows.len()] }
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
        let mut names = StringBuilder::with_capacity(self.rows.len(), self.rows.len() * 16);
        for (cell, bad) in self.rows.column(column).zip(&mut self.bad) {
            match recent.get_or(cell, |cell| self.plan.reserved.name(cell)) {
                Ok(name) => names.append_value(name),
                Err(_) => {
                    *bad = true;
                    names.append_value("");
                }
            }
        }
        Arc::new(names.finish())
    }

    fn timestamps(&mut self) -> ArrayRef {
        let now = self.plan.processing_time;
        let mut instants = instants(self.rows.len());
        let Some(column) = self.plan.columns.timestamp else {
            instants.append_value_n(now * 1000, self.rows.len());
            return Arc::new(instants.finish());
        };
        for (cell, bad) in self.rows.column(column).zip(&mut self.bad) {
            let seconds = timestamp(cell).unwrap_or_else(|_| {
                *bad = true;
                None
            });
            instants.append_value(seconds.unwrap_or(now) * 1000);
        }
        Arc::new(instants.finish())
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
        let mut ids = StringBuilder::with_capacity(self.rows.len(), self.rows.len() * 24);
        let marks = self.bad.iter_mut().zip(has_one);
        for (cell, (bad, has_one)) in self.rows.column(column).zip(marks) {
            let id = id(cell).unwrap_or_else(|_| {
                *bad = true;
                None
            });
            *has_one |= id.is_some();
            ids.append_option(id);
        }
        Arc::new(ids.finish())
    }

    fn lines(&self) -> ArrayRef {
        let mut lines = Int64Builder::with_capacity(self.rows.len());
        (0..self.rows.len()).for_each(|row| lines.append_value(self.rows.line(row) as i64));
        Arc::new(lines.finish())
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

    /// Gives every cell of a column to `append`; a row that breaks a rule is marked, and `append`
    /// is told to give it nothing.
    fn each<T>(
        &mut self,
        column: usize,
        read: impl Fn(&'r str) -> Result<T, &'static Rule>,
        mut append: impl FnMut(Option<T>),
    ) {
        let max = self.plan.limits.max_property_value;
        for (cell, bad) in self.rows.column(column).zip(&mut self.bad) {
            let value = property::length(cell, max).and_then(|()| read(cell));
            *bad |= value.is_err();
            append(value.ok());
        }
    }

    fn strings(&mut self, column: usize) -> ArrayRef {
        let mut strings = StringBuilder::with_capacity(self.rows.len(), self.rows.len() * 16);
        let mut text = String::new();
        self.each(column, property::string, |value| match value {
            Some(Value::Text(text)) => strings.append_value(text),
            Some(Value::Date(seconds)) => {
                text.clear();
                date::push_rfc3339(&mut text, seconds);
                strings.append_value(&text);
            }
            _ => strings.append_null(),
        });
        Arc::new(strings.finish())
    }

    fn numbers<T: ArrowPrimitiveType>(
        &mut self,
        column: usize,
        parse: fn(&str) -> Result<T::Native, &'static Rule>,
    ) -> ArrayRef {
        let mut numbers = PrimitiveBuilder::<T>::with_capacity(self.rows.len());
        let read = |cell| property::typed(cell, parse);
        self.each(column, read, |value| numbers.append_option(value.flatten()));
        Arc::new(numbers.finish())
    }

    fn booleans(&mut self, column: usize) -> ArrayRef {
        let mut booleans = BooleanBuilder::with_capacity(self.rows.len());
        let read = |cell| property::typed(cell, value::boolean);
        self.each(column, read, |value| booleans.append_option(value.flatten()));
        Arc::new(booleans.finish())
    }

    fn dates(&mut self, property: &PropertyColumn) -> ArrayRef {
        let mut dates = instants(self.rows.len());
        let read = |cell| property::instant(cell, property.format);
        self.each(property.column, read, |value| {
            dates.append_option(value.flatten().map(|seconds| seconds * 1000));
        });
        Arc::new(dates.finish())
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

fn instants(capacity: usize) -> TimestampMillisecondBuilder {
    TimestampMillisecondBuilder::with_capacity(capacity).with_timezone("UTC")
}

/// Valid event names seen lately: a file has few, and checking one costs an allocation.
#[derive(Default)]
struct RecentNames<'a>([Option<(&'a str, &'a str)>; 16]);

impl<'a> RecentNames<'a> {
    fn get_or(
        &mut self,
        cell: &'a str,
        check: impl FnOnce(&'a str) -> Result<&'a str, &'static Rule>,
    ) -> Result<&'a str, &'static Rule> {
        let bytes = cell.as_bytes();
        let ends = [bytes.first(), bytes.last()].map(|byte| byte.map_or(0, |b| *b as usize));
        let slot = &mut self.0[(bytes.len() + ends[0] + 3 * ends[1]) % 16];
        if let Some((_, name)) = slot.filter(|(seen, _)| *seen == cell) {
            return Ok(name);
        }
        let name = check(cell)?;
        *slot = Some((cell, name));
        Ok(name)
    }
}
