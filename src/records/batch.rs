//! Batches of accepted records, which the store receives. A batch has some thousand records.

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_array::types::TimestampMillisecondType;

use super::header::schema::{IdKind, Property, TS};
use super::profile_change::{Change, PackedChange, pack, unpack};
use crate::report::TsRange;

/// A batch of accepted records. The records are in the order of the data file.
#[derive(Clone, Debug)]
pub enum Batch {
    /// A batch of events, stored as columns. The columns are those of the import's
    /// [`super::EventSchema`].
    Events(RecordBatch),
    Profiles(ProfileBatch),
}

impl Batch {
    pub fn len(&self) -> usize {
        match self {
            Self::Events(batch) => batch.num_rows(),
            Self::Profiles(batch) => batch.len(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the earliest and the latest `ts` of the batch; `None` if the batch has no events.
    pub fn ts_range(&self) -> Option<TsRange> {
        let Self::Events(batch) = self else { return None };
        let times = batch.column(TS).as_primitive::<TimestampMillisecondType>().values();
        let [first, last] = times
            .iter()
            .fold([i64::MAX, i64::MIN], |[first, last], at| [first.min(*at), last.max(*at)]);
        let seconds = |milliseconds: i64| milliseconds.div_euclid(1000);
        (!times.is_empty()).then(|| TsRange { first: seconds(first), last: seconds(last) })
    }
}

/// One accepted profile record.
#[derive(Clone, Debug)]
pub struct ProfileRecord<'a> {
    /// The line number of the record in the data file; the header is line 1.
    pub line: u64,
    /// The time of the record in seconds since 1970 UTC: the record's `ts`, or the time of
    /// processing if `ts` is empty.
    pub at: i64,
    /// The user's ids in the record, indexed by [`IdKind`]. At least one id is `Some`.
    pub ids: [Option<&'a str>; 4],
    changes: &'a [u8],
}

/// A batch of profile records in packed form. The batch needs three allocations; a record needs no
/// allocation.
#[derive(Clone, Debug)]
pub struct ProfileBatch {
    properties: Arc<[Property]>,
    records: Vec<StoredRecord>,
    /// The ids of all records of the batch, concatenated.
    ids: String,
    /// The changes of all records of the batch, packed by [`pack`] and concatenated.
    changes: Vec<u8>,
}

#[derive(Clone, Debug)]
struct StoredRecord {
    line: u64,
    at: i64,
    /// The length of each of the record's ids in bytes, or [`NO_ID`] if the record does not have
    /// an id of the kind.
    ids: [u32; 4],
    /// The end of the record's changes in the packed changes of the batch, in bytes. The changes
    /// of a batch have less than 4 GiB.
    changes_end: u32,
}

const NO_ID: u32 = u32::MAX;

impl ProfileBatch {
    /// Creates an empty batch of profile records. `Change::property` is an index into
    /// `properties`.
    pub fn new(properties: Arc<[Property]>) -> Self {
        Self { properties, records: Vec::new(), ids: String::new(), changes: Vec::new() }
    }

    /// Returns the properties of the import. `Change::property` is an index into these properties.
    pub fn properties(&self) -> &Arc<[Property]> {
        &self.properties
    }

    pub fn len(&self) -> usize {
        self.records.len()
    }

    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Returns the size of the batch in memory, in bytes. Callers use it to limit the size of
    /// batches.
    pub fn bytes(&self) -> usize {
        self.records.len() * size_of::<StoredRecord>() + self.ids.len() + self.changes.len()
    }

    pub fn push<'a>(
        &mut self,
        line: u64,
        at: i64,
        ids: [Option<&str>; 4],
        changes: impl IntoIterator<Item = Change<'a>>,
    ) {
        ids.into_iter().flatten().for_each(|id| self.ids.push_str(id));
        changes.into_iter().for_each(|change| pack(&mut self.changes, change));
        let ids = ids.map(|id| id.map_or(NO_ID, |id| id.len() as u32));
        self.records.push(StoredRecord { line, at, ids, changes_end: self.changes.len() as u32 });
    }

    /// Iterates over the records of the batch in the order of the file.
    pub fn iter(&self) -> impl Iterator<Item = ProfileRecord<'_>> {
        let (mut ids, mut start) = (self.ids.as_str(), 0);
        self.records.iter().map(move |record| {
            let end = record.changes_end as usize;
            let changes = &self.changes[std::mem::replace(&mut start, end)..end];
            let mut id = |length| {
                let (id, rest) = ids.split_at(length);
                ids = rest;
                id
            };
            let ids = record.ids.map(|length| (length != NO_ID).then(|| id(length as usize)));
            ProfileRecord { line: record.line, at: record.at, ids, changes }
        })
    }
}

impl<'a> ProfileRecord<'a> {
    /// Returns the record's id of the kind `kind`. Returns `None` if the record has no such id.
    pub fn id(&self, kind: IdKind) -> Option<&'a str> {
        self.ids[kind as usize]
    }

    /// Iterates over the changes of the record in the order of the columns.
    pub fn changes(&self) -> impl Iterator<Item = Change<'a>> + use<'a> {
        unpack(self.changes).map(PackedChange::get)
    }

    /// Returns the changes of the record in the packed form that [`unpack`] reads.
    pub fn packed_changes(&self) -> &'a [u8] {
        self.changes
    }
}

#[cfg(test)]
mod tests {
    use super::super::profile_change::{Operation, Value};
    use super::*;
    use crate::manifest::PropertyType;

    #[test]
    fn a_batch_returns_pushed_records_in_order() {
        let properties: Arc<[_]> =
            [Property { name: "Playlist".into(), kind: PropertyType::String }].into();
        let mut batch = ProfileBatch::new(properties);
        let rock = Change { property: 0, operation: Operation::Add, value: Value::Text("Rock") };
        let delete = Change { property: 0, operation: Operation::Delete, value: Value::None };
        batch.push(2, 7, [Some("a@b.c"), None, None, Some("cookie")], [rock]);
        batch.push(3, 8, [None, Some("fb"), None, None], [delete, rock]);
        let records: Vec<_> = batch.iter().collect();
        assert_eq!(records[0].id(IdKind::ObjectId), Some("cookie"));
        assert_eq!(records[0].changes().collect::<Vec<_>>(), [rock]);
        assert_eq!((records[1].line, records[1].at, records[1].ids[1]), (3, 8, Some("fb")));
        assert_eq!(records[1].changes().collect::<Vec<_>>(), [delete, rock]);
    }
}
