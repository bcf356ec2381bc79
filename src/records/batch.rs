//! Batches: some thousand accepted records, on their way to the store.

use std::sync::Arc;

use arrow_array::RecordBatch;

use super::schema::{IdKind, Property};

/// Accepted records in file order.
#[derive(Clone, Debug)]
pub enum Batch {
    /// Events as columns, of the import's [`super::EventSchema`].
    Events(RecordBatch),
    /// Profiles as changes.
    Profiles(ProfileBatch),
}

impl Batch {
    /// How many records it holds.
    pub fn len(&self) -> usize {
        match self {
            Self::Events(batch) => batch.num_rows(),
            Self::Profiles(batch) => batch.len(),
        }
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// What a change does to its property.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// `$set`: replaces.
    Set,
    /// `$add`: adds the value to the list.
    Add,
    /// `$remove`: takes the value out of the list.
    Remove,
    /// `$delete`: removes the property; the value is [`Value::None`].
    Delete,
}

/// A typed value of a profile property.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    /// With [`Operation::Delete`] only.
    None,
    /// Text.
    Text(&'a str),
    /// INTEGER and LONG.
    Integer(i64),
    /// Finite.
    Float(f64),
    /// BOOLEAN and communication preferences.
    Boolean(bool),
    /// Seconds since 1970 UTC.
    Date(i64),
}

/// One change to one property of the profile.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Change<'a> {
    /// Which property: an index into [`ProfileBatch::properties`].
    pub property: usize,
    /// What to do.
    pub operation: Operation,
    /// With what.
    pub value: Value<'a>,
}

/// One accepted profile record.
#[derive(Clone, Debug)]
pub struct ProfileRecord<'a> {
    /// Its line in the data file.
    pub line: u64,
    /// Its `ts`, or the time of processing: seconds since 1970 UTC.
    pub at: i64,
    /// Its ids by [`IdKind`]; at least one is there.
    pub ids: [Option<&'a str>; 4],
    changes: &'a [StoredChange],
    text: &'a str,
}

/// Many profile records, packed: two allocations grow with the number of records, none per record.
#[derive(Clone, Debug)]
pub struct ProfileBatch {
    properties: Arc<[Property]>,
    records: Vec<StoredRecord>,
    changes: Vec<StoredChange>,
    text: String,
}

#[derive(Clone, Debug)]
struct StoredRecord {
    line: u64,
    at: i64,
    ids: [Option<Span>; 4],
    changes_end: usize,
}

#[derive(Clone, Copy, Debug)]
struct StoredChange {
    property: usize,
    operation: Operation,
    value: StoredValue,
}

#[derive(Clone, Copy, Debug)]
enum StoredValue {
    None,
    Text(Span),
    Integer(i64),
    Float(f64),
    Boolean(bool),
    Date(i64),
}

/// A piece of a batch's text; a batch's text stays under 4 GiB.
#[derive(Clone, Copy, Debug)]
struct Span {
    start: u32,
    end: u32,
}

impl ProfileBatch {
    /// An empty batch whose changes index into `properties`.
    pub fn new(properties: Arc<[Property]>) -> Self {
        Self { properties, records: Vec::new(), changes: Vec::new(), text: String::new() }
    }

    /// What changes index into.
    pub fn properties(&self) -> &Arc<[Property]> {
        &self.properties
    }

    /// How many records it holds.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Bytes of text held, to bound a batch by.
    pub fn text_len(&self) -> usize {
        self.text.len()
    }

    /// Appends a record.
    pub fn push<'a>(
        &mut self,
        line: u64,
        at: i64,
        ids: [Option<&str>; 4],
        changes: impl IntoIterator<Item = Change<'a>>,
    ) {
        let ids = ids.map(|id| id.map(|id| self.keep(id)));
        for Change { property, operation, value } in changes {
            let value = match value {
                Value::None => StoredValue::None,
                Value::Text(text) => StoredValue::Text(self.keep(text)),
                Value::Integer(n) => StoredValue::Integer(n),
                Value::Float(n) => StoredValue::Float(n),
                Value::Boolean(b) => StoredValue::Boolean(b),
                Value::Date(seconds) => StoredValue::Date(seconds),
            };
            self.changes.push(StoredChange { property, operation, value });
        }
        self.records.push(StoredRecord { line, at, ids, changes_end: self.changes.len() });
    }

    /// The records in file order.
    pub fn iter(&self) -> impl Iterator<Item = ProfileRecord<'_>> {
        let mut start = 0;
        self.records.iter().map(move |record| {
            let changes = &self.changes[start..record.changes_end];
            start = record.changes_end;
            ProfileRecord {
                line: record.line,
                at: record.at,
                ids: record.ids.map(|id| id.map(|span| span.of(&self.text))),
                changes,
                text: &self.text,
            }
        })
    }

    fn keep(&mut self, text: &str) -> Span {
        let start = self.text.len() as u32;
        self.text.push_str(text);
        Span { start, end: self.text.len() as u32 }
    }
}

impl Span {
    fn of(self, text: &str) -> &str {
        &text[self.start as usize..self.end as usize]
    }
}

impl<'a> ProfileRecord<'a> {
    /// The id of this kind, if the record has it.
    pub fn id(&self, kind: IdKind) -> Option<&'a str> {
        self.ids[kind as usize]
    }

    /// The changes, in column order.
    pub fn changes(&self) -> impl Iterator<Item = Change<'a>> + use<'a> {
        let text = self.text;
        self.changes.iter().map(move |change| Change {
            property: change.property,
            operation: change.operation,
            value: match change.value {
                StoredValue::None => Value::None,
                StoredValue::Text(span) => Value::Text(span.of(text)),
                StoredValue::Integer(n) => Value::Integer(n),
                StoredValue::Float(n) => Value::Float(n),
                StoredValue::Boolean(b) => Value::Boolean(b),
                StoredValue::Date(seconds) => Value::Date(seconds),
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::schema::PropertyType;

    #[test]
    fn gives_back_what_was_pushed() {
        let properties: Arc<[_]> =
            [Property { name: "Playlist".into(), kind: PropertyType::String }].into();
        let mut batch = ProfileBatch::new(properties);
        let rock = Change { property: 0, operation: Operation::Add, value: Value::Text("Rock") };
        let gone = Change { property: 0, operation: Operation::Delete, value: Value::None };
        batch.push(2, 7, [Some("a@b.c"), None, None, Some("cookie")], [rock]);
        batch.push(3, 8, [None, Some("fb"), None, None], [gone, rock]);
        let records: Vec<_> = batch.iter().collect();
        assert_eq!(records[0].id(IdKind::ObjectId), Some("cookie"));
        assert_eq!(records[0].changes().collect::<Vec<_>>(), [rock]);
        assert_eq!((records[1].line, records[1].at, records[1].ids[1]), (3, 8, Some("fb")));
        assert_eq!(records[1].changes().collect::<Vec<_>>(), [gone, rock]);
    }
}
