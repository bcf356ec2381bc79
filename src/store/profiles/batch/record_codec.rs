//! Encodes records as bytes, for buffers and the spill file.
//!
//! A record that waits for its profile has its ids as text or as numbers. Then it has its profile
//! instead. The body (time and changes) has the same bytes in all forms. Only this process reads
//! them, from memory or an unlinked file, so they are not validated again.
//!
//! ```text
//! with names      count u8 | kind u8, length u32, id … | length u32 | body
//! with ids        count u8 | id u32 … | length u32 | body
//! with a profile  profile i64 | length u32 | body
//! body            at i64 | packed changes to the end
//! ```

use crate::codec::varint;
use crate::codec::varint::{take, take_array};
use crate::records::{PackedChange, ProfileRecord, unpack};

/// A record with numbers for its ids.
pub struct WithIds<'a> {
    ids: &'a [u8],
    /// Time and changes.
    pub body: &'a [u8],
}

/// Appends `record` with the numbers `ids`.
pub fn push_with_ids(
    out: &mut Vec<u8>,
    ids: impl Iterator<Item = u32>,
    record: &ProfileRecord<'_>,
) {
    let count = out.len();
    out.push(0);
    for id in ids {
        out.extend(id.to_le_bytes());
        out[count] += 1;
    }
    push_body(out, record);
}

/// Appends a record with the numbers `ids` and an encoded body.
pub fn push_numbered(out: &mut Vec<u8>, ids: &[u32], body: &[u8]) {
    out.push(ids.len() as u8);
    ids.iter().for_each(|id| out.extend(id.to_le_bytes()));
    out.extend((body.len() as u32).to_le_bytes());
    out.extend_from_slice(body);
}

/// Appends `record` with its ids as text.
pub fn push_with_names(out: &mut Vec<u8>, record: &ProfileRecord<'_>) {
    let count = out.len();
    out.push(0);
    for (kind, id) in record.ids.iter().enumerate().filter_map(|(n, id)| id.map(|id| (n, id))) {
        out.push(kind as u8);
        out.extend((id.len() as u32).to_le_bytes());
        out.extend_from_slice(id.as_bytes());
        out[count] += 1;
    }
    push_body(out, record);
}

/// Appends `record` with its profile.
pub fn push_resolved(out: &mut Vec<u8>, profile: i64, record: &ProfileRecord<'_>) {
    out.extend(profile.to_le_bytes());
    push_body(out, record);
}

/// Appends a record with its profile and an encoded body.
pub fn push_with_profile(out: &mut Vec<u8>, profile: i64, body: &[u8]) {
    out.extend(profile.to_le_bytes());
    out.extend((body.len() as u32).to_le_bytes());
    out.extend_from_slice(body);
}

/// Decodes the next record with numbers for its ids.
pub fn next_with_ids<'a>(rest: &mut &'a [u8]) -> Option<WithIds<'a>> {
    let (&count, after) = rest.split_first()?;
    *rest = after;
    let ids = take(rest, count as usize * 4);
    Some(WithIds { ids, body: take_body(rest) })
}

/// Decodes the next record with ids as text. Returns them by kind, and the body.
pub fn next_with_names<'a>(rest: &mut &'a [u8]) -> Option<([Option<&'a str>; 4], &'a [u8])> {
    let (&count, after) = rest.split_first()?;
    *rest = after;
    let mut ids = [None; 4];
    for _ in 0..count {
        let [kind] = take_array(rest);
        let id = take_body(rest);
        ids[kind as usize] = Some(varint::text(id));
    }
    Some((ids, take_body(rest)))
}

/// Decodes the next record with a profile. Returns the profile and the body.
pub fn next_with_profile<'a>(rest: &mut &'a [u8]) -> Option<(i64, &'a [u8])> {
    if rest.is_empty() {
        return None;
    }
    let profile = i64::from_le_bytes(take_array(rest));
    Some((profile, take_body(rest)))
}

impl<'a> WithIds<'a> {
    /// Returns the numbers of its ids, strongest first.
    pub fn ids(&self) -> impl Iterator<Item = u32> + Clone + use<'a> {
        self.ids.as_chunks().0.iter().map(|&id| u32::from_le_bytes(id))
    }
}

/// Returns a body's time, in seconds since 1970 UTC.
pub fn at(mut body: &[u8]) -> i64 {
    i64::from_le_bytes(take_array(&mut body))
}

/// Returns a body's changes, in file order.
pub fn changes(mut body: &[u8]) -> impl Iterator<Item = PackedChange<'_>> {
    let _at: [u8; 8] = take_array(&mut body);
    unpack(body)
}

fn push_body(out: &mut Vec<u8>, record: &ProfileRecord<'_>) {
    let changes = record.packed_changes();
    out.extend(((changes.len() + size_of_val(&record.at)) as u32).to_le_bytes());
    out.extend(record.at.to_le_bytes());
    out.extend_from_slice(changes);
}

fn take_body<'a>(rest: &mut &'a [u8]) -> &'a [u8] {
    let len = u32::from_le_bytes(take_array(rest));
    take(rest, len as usize)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::{Change, Operation, ProfileBatch, Value};

    #[test]
    fn a_record_comes_back_as_it_was() {
        let operations = [Operation::Set, Operation::Add, Operation::Remove];
        let value = Value::Text("é");
        let expected = operations.map(|operation| Change { property: 128, operation, value });
        let mut batch = ProfileBatch::new([].into());
        batch.push(2, -7, [Some("a"), None, None, Some("b")], expected.iter().copied());
        batch.push(3, 8, [Some("a"), None, None, None], []);
        let mut bytes = Vec::new();
        batch
            .iter()
            .for_each(|record| push_with_ids(&mut bytes, [9, u32::MAX].into_iter(), &record));
        let mut rest = bytes.as_slice();
        let mut routed = Vec::new();
        while let Some(record) = next_with_ids(&mut rest) {
            assert_eq!(record.ids().collect::<Vec<_>>(), [9, u32::MAX]);
            push_with_profile(&mut routed, i64::MAX, record.body);
        }
        let mut named = Vec::new();
        batch.iter().for_each(|record| push_with_names(&mut named, &record));
        let (mut rest, mut again) = (named.as_slice(), Vec::new());
        for record in batch.iter() {
            let (ids, body) = next_with_names(&mut rest).unwrap();
            assert_eq!(ids, record.ids);
            push_with_profile(&mut again, i64::MAX, body);
        }
        assert!(rest.is_empty());
        assert_eq!(again, routed);
        let mut at_once = Vec::new();
        batch.iter().for_each(|record| push_resolved(&mut at_once, i64::MAX, &record));
        assert_eq!(at_once, routed);
        let mut rest = routed.as_slice();
        let (profile, body) = next_with_profile(&mut rest).unwrap();
        assert_eq!((profile, at(body)), (i64::MAX, -7));
        assert_eq!(changes(body).map(PackedChange::get).collect::<Vec<_>>(), expected);
        let (_, body) = next_with_profile(&mut rest).unwrap();
        assert_eq!((at(body), changes(body).count()), (8, 0));
        assert!(next_with_profile(&mut rest).is_none());
    }
}
