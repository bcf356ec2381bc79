//! Encodes records as bytes, for buffers and the spill file.
//!
//! A record that waits for its profile has its ids as text or as numbers. An assigned record has
//! its profile instead. The body (time and changes) has the same bytes in all forms. Only this
//! process reads the bytes, from memory or an unlinked file. Therefore they are not validated
//! again.
//!
//! ```text
//! with texts      count u8 | kind u8, length u32, id … | length u32 | body
//! with numbers    count u8 | number u32 … | length u32 | body
//! with a profile  profile i64 | length u32 | body
//! absorption      profile i64 | u32::MAX | absorbed profile i64
//! body            time i64 | packed changes to the end
//! ```

use crate::codec::varint::{self, take, take_array};
use crate::records::{PackedChange, ProfileRecord, unpack};

/// The number that marks an absorption in place of the length of a body. No body has this length.
const ABSORPTION: u32 = u32::MAX;

/// Appends `record` to `out`. The record's ids are the numbers `ids`.
pub fn push_with_numbers(out: &mut Vec<u8>, ids: &[u32], record: &ProfileRecord<'_>) {
    push_numbers(out, ids);
    push_body(out, record);
}

/// Appends a record with an encoded body to `out`. The record's ids are the numbers `ids`.
pub fn push_body_with_numbers(out: &mut Vec<u8>, ids: &[u32], body: &[u8]) {
    push_numbers(out, ids);
    out.extend((body.len() as u32).to_le_bytes());
    out.extend_from_slice(body);
}

fn push_numbers(out: &mut Vec<u8>, ids: &[u32]) {
    out.push(ids.len() as u8);
    ids.iter().for_each(|id| out.extend(id.to_le_bytes()));
}

/// Appends `record` to `out`, with its ids as text.
pub fn push_with_texts(out: &mut Vec<u8>, record: &ProfileRecord<'_>) {
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

/// Appends `record` to `out`, with its profile in place of its ids.
pub fn push_with_profile(out: &mut Vec<u8>, profile: i64, record: &ProfileRecord<'_>) {
    out.extend(profile.to_le_bytes());
    push_body(out, record);
}

/// Appends a record with an encoded body to `out`, with its profile in place of its ids.
pub fn push_body_with_profile(out: &mut Vec<u8>, profile: i64, body: &[u8]) {
    out.extend(profile.to_le_bytes());
    out.extend((body.len() as u32).to_le_bytes());
    out.extend_from_slice(body);
}

/// Appends the absorption of the profile `loser` by the profile `winner` to `out`.
pub fn push_absorption(out: &mut Vec<u8>, winner: i64, loser: i64) {
    out.extend(winner.to_le_bytes());
    out.extend(ABSORPTION.to_le_bytes());
    out.extend(loser.to_le_bytes());
}

/// Decodes the next record or absorption. For a record, returns its profile and its body. For an
/// absorption, returns both profiles.
pub fn next_with_absorption<'a>(rest: &mut &'a [u8]) -> Option<(i64, Result<&'a [u8], i64>)> {
    let after = rest.get(size_of::<i64>()..)?;
    if !after.starts_with(&ABSORPTION.to_le_bytes()) {
        return next_with_profile(rest).map(|(profile, body)| (profile, Ok(body)));
    }
    let winner = i64::from_le_bytes(take_array(rest));
    let _length: [u8; 4] = take_array(rest);
    Some((winner, Err(i64::from_le_bytes(take_array(rest)))))
}

/// Decodes the next record that has numbers as ids. Returns the numbers, the strongest id first,
/// and the body.
pub fn next_with_numbers<'a>(
    rest: &mut &'a [u8],
) -> Option<(impl Iterator<Item = u32> + Clone + use<'a>, &'a [u8])> {
    let (&count, after) = rest.split_first()?;
    *rest = after;
    let ids = take(rest, count as usize * 4).as_chunks().0;
    Some((ids.iter().map(|&id| u32::from_le_bytes(id)), take_body(rest)))
}

/// Decodes the next record that has ids as text. Returns the ids by kind, and the body.
fn next_with_texts<'a>(rest: &mut &'a [u8]) -> Option<([Option<&'a str>; 4], &'a [u8])> {
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

/// Decodes the next records that have ids as text, at most `count` records. Returns their ids and
/// their bodies.
pub fn next_group_with_texts<'a>(
    rest: &mut &'a [u8],
    count: usize,
) -> (Vec<[Option<&'a str>; 4]>, Vec<&'a [u8]>) {
    std::iter::from_fn(|| next_with_texts(rest)).take(count).unzip()
}

/// Decodes the next record that has a profile. Returns the profile and the body.
pub fn next_with_profile<'a>(rest: &mut &'a [u8]) -> Option<(i64, &'a [u8])> {
    if rest.is_empty() {
        return None;
    }
    let profile = i64::from_le_bytes(take_array(rest));
    Some((profile, take_body(rest)))
}

/// Returns the time in the body of a record, in seconds since 1970 UTC.
pub fn time(mut body: &[u8]) -> i64 {
    i64::from_le_bytes(take_array(&mut body))
}

/// Returns the changes in the body of a record, in file order.
pub fn changes(mut body: &[u8]) -> impl Iterator<Item = PackedChange<'_>> {
    let _time: [u8; 8] = take_array(&mut body);
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
    fn records_decode_as_they_were_encoded() {
        let operations = [Operation::Set, Operation::Add, Operation::Remove];
        let value = Value::Text("é");
        let expected = operations.map(|operation| Change { property: 128, operation, value });
        let mut batch = ProfileBatch::new([].into());
        batch.push(2, -7, [Some("a"), None, None, Some("b")], expected.iter().copied());
        batch.push(3, 8, [Some("a"), None, None, None], []);
        let mut bytes = Vec::new();
        batch.iter().for_each(|record| push_with_numbers(&mut bytes, &[9, u32::MAX], &record));
        let mut rest = bytes.as_slice();
        let mut by_number = Vec::new();
        while let Some((ids, body)) = next_with_numbers(&mut rest) {
            assert_eq!(ids.collect::<Vec<_>>(), [9, u32::MAX]);
            push_body_with_profile(&mut by_number, i64::MAX, body);
        }
        let mut with_texts = Vec::new();
        batch.iter().for_each(|record| push_with_texts(&mut with_texts, &record));
        let (mut rest, mut by_text) = (with_texts.as_slice(), Vec::new());
        let (ids, bodies) = next_group_with_texts(&mut rest, 3);
        assert!(ids.into_iter().eq(batch.iter().map(|record| record.ids)));
        bodies.iter().for_each(|body| push_body_with_profile(&mut by_text, i64::MAX, body));
        assert!(rest.is_empty());
        assert_eq!(by_text, by_number);
        let mut by_profile = Vec::new();
        batch.iter().for_each(|record| push_with_profile(&mut by_profile, i64::MAX, &record));
        assert_eq!(by_profile, by_number);
        let mut rest = by_number.as_slice();
        let (profile, body) = next_with_profile(&mut rest).unwrap();
        assert_eq!((profile, time(body)), (i64::MAX, -7));
        assert_eq!(changes(body).map(PackedChange::get).collect::<Vec<_>>(), expected);
        let (_, body) = next_with_profile(&mut rest).unwrap();
        assert_eq!((time(body), changes(body).count()), (8, 0));
        assert!(next_with_profile(&mut rest).is_none());
    }

    #[test]
    fn absorptions_decode_between_records() {
        let mut bytes = Vec::new();
        push_absorption(&mut bytes, 7, -1);
        push_body_with_profile(&mut bytes, 7, b"body");
        push_absorption(&mut bytes, 8, 7);
        let mut rest = bytes.as_slice();
        let entries: Vec<_> = std::iter::from_fn(|| next_with_absorption(&mut rest)).collect();
        assert_eq!(entries, [(7, Err(-1)), (7, Ok(&b"body"[..])), (8, Err(7))]);
    }
}
