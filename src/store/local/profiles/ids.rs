//! The ids of a window's records: each once, under a number.
//!
//! Numbers count up from 0 in the order in which ids are first seen. About 60 bytes an id and its
//! text are held, whatever the number of records. What there is to wait for here is memory, in
//! which ids lie far apart: hence an id's number, kind, length and text lie together, and the ids
//! that one record has side by side, where the first leads to the others.

use std::hash::{BuildHasher, RandomState};

use hashbrown::HashTable;

use crate::records::IdKind;

/// What an id takes beside its text while a window is gathered and resolved, in bytes.
const ID_BYTES: usize = 52;

/// The kinds as the `identity` table sorts them: by their names.
pub const KINDS_BY_NAME: [IdKind; 4] =
    [IdKind::FbId, IdKind::GpId, IdKind::Identity, IdKind::ObjectId];

/// What stands before an id's text: its number, and its length and kind.
const HEAD: usize = 8;
/// How far the kind is above the length.
const KIND_SHIFT: u32 = 30;

/// Ids by number, and numbers by id.
#[derive(Debug, Default)]
pub struct Ids {
    /// Seeded at random: ids are partner-chosen.
    hasher: RandomState,
    starts_by_id: HashTable<Slot>,
    /// An [`Entry`] for each id, one after the other.
    entries: Vec<u8>,
    /// By number, where its entry starts.
    starts: Vec<u32>,
}

/// The hash beside the place of the entry spares most looks at it.
#[derive(Clone, Copy, Debug)]
struct Slot {
    hash: u32,
    start: u32,
}

/// An id as it is held.
#[derive(Clone, Copy)]
struct Entry<'a> {
    number: u32,
    length_and_kind: u32,
    text: &'a [u8],
    /// Where the next one starts.
    end: u32,
}

/// What is looked for.
type Key<'a> = (IdKind, &'a str);

impl Ids {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.starts.len()
    }

    /// What they hold in memory, about, in bytes.
    pub fn bytes(&self) -> usize {
        self.entries.len() + self.starts.len() * (ID_BYTES - HEAD)
    }

    /// Every number with its id, in order.
    pub fn iter(&self) -> impl Iterator<Item = Key<'_>> {
        (0..self.starts.len() as u32).map(|number| self.get(number))
    }

    /// The id of this number.
    pub fn get(&self, number: u32) -> Key<'_> {
        let entry = self.numbered(number);
        (entry.kind(), std::str::from_utf8(entry.text).expect("an id is text"))
    }

    /// The number of this id, a new one as needed.
    pub fn number(&mut self, kind: IdKind, value: &str) -> u32 {
        let hash = self.hash((kind, value));
        match self.find(hash, (kind, value)) {
            Some(entry) => entry.number,
            None => self.insert(hash, (kind, value)),
        }
    }

    fn insert(&mut self, hash: u32, key: Key<'_>) -> u32 {
        let (number, start) = (self.starts.len() as u32, self.entries.len() as u32);
        self.starts.push(start);
        self.entries.extend(number.to_le_bytes());
        self.entries.extend(length_and_kind(key).to_le_bytes());
        self.entries.extend_from_slice(key.1.as_bytes());
        let slot = Slot { hash, start };
        self.starts_by_id.insert_unique(spread(hash), slot, |slot| spread(slot.hash));
        number
    }

    /// The numbers of these ids, new ones as needed, into `numbers`: some dozens of records' ids
    /// at once, each record's strongest first.
    pub fn number_all(&mut self, keys: &[Key<'_>], numbers: &mut Vec<u32>) {
        let found = self.find_all(keys);
        numbers.clear();
        numbers.extend(
            keys.iter()
                .zip(found)
                .map(|(&(kind, value), found)| found.unwrap_or_else(|| self.number(kind, value))),
        );
    }

    /// The numbers of those ids that are here. Best some dozens at once: each step is done for
    /// all of them, so that the processor waits for many places in memory at the same time.
    pub fn find_all(&self, keys: &[Key<'_>]) -> Vec<Option<u32>> {
        // Kinds rise within a record: what follows the one before is looked for beside it.
        let follows = |n: usize| n > 0 && keys[n].0 as u8 > keys[n - 1].0 as u8;
        let hash = |(n, &key)| if follows(n) { 0 } else { self.hash(key) };
        let hashes: Vec<_> = keys.iter().enumerate().map(hash).collect();
        let alike = |(n, &hash): (usize, &u32)| {
            if follows(n) {
                return None;
            }
            let slot = self.starts_by_id.find(spread(hash), |slot| slot.hash == hash);
            slot.map(|slot| slot.start)
        };
        let alike: Vec<_> = hashes.iter().enumerate().map(alike).collect();
        // Fetches what is compared below.
        let first = |start: &Option<u32>| start.and_then(|start| self.entries.get(start as usize));
        std::hint::black_box(alike.iter().filter_map(first).fold(0, |all, byte| all ^ byte));
        let mut before: Option<Entry<'_>> = None;
        let find = |(n, (&key, start)): (usize, (_, Option<u32>))| {
            let guess = match before {
                Some(before) if follows(n) => self.entry(before.end),
                _ => start.and_then(|start| self.entry(start)),
            };
            before = match guess {
                Some(entry) if entry.is(key) => guess,
                _ if follows(n) => self.find(self.hash(key), key),
                Some(_) => self.find(hashes[n], key),
                None => None,
            };
            before.map(|entry| entry.number)
        };
        keys.iter().zip(alike).enumerate().map(find).collect()
    }

    fn find(&self, hash: u32, key: Key<'_>) -> Option<Entry<'_>> {
        let entry = |slot: &Slot| self.entry(slot.start).filter(|entry| entry.is(key));
        let slot =
            self.starts_by_id.find(spread(hash), |slot| slot.hash == hash && entry(slot).is_some());
        slot.and_then(entry)
    }

    fn numbered(&self, number: u32) -> Entry<'_> {
        self.entry(self.starts[number as usize]).expect("every number has an entry")
    }

    /// The entry that starts here; none at their end.
    #[inline]
    fn entry(&self, start: u32) -> Option<Entry<'_>> {
        let (head, rest) = self.entries.get(start as usize..)?.split_first_chunk::<HEAD>()?;
        let [number, length_and_kind] = [0, 4]
            .map(|at| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]));
        let length = length_and_kind & !(u32::MAX << KIND_SHIFT);
        let text = &rest[..length as usize];
        Some(Entry { number, length_and_kind, text, end: start + HEAD as u32 + length })
    }

    /// Lets the way from ids to numbers go, which is a third of the memory.
    pub fn seal(&mut self) {
        self.starts_by_id = HashTable::new();
    }

    /// The `wanted` numbers of one kind as the `identity` table is sorted: neighbours are on one
    /// page.
    pub fn in_key_order(&self, kind: IdKind, wanted: impl Fn(u32) -> bool) -> Vec<u32> {
        let entries = (0..self.len() as u32).map(|number| self.numbered(number));
        let wanted = entries.filter(|entry| entry.kind() == kind && wanted(entry.number));
        let mut keys: Vec<_> = wanted.map(|entry| (prefix(entry.text), entry.number)).collect();
        keys.sort_unstable_by(|(a, m), (b, n)| {
            a.cmp(b).then_with(|| self.numbered(*m).text.cmp(self.numbered(*n).text))
        });
        keys.into_iter().map(|(_, number)| number).collect()
    }

    fn hash(&self, (kind, value): Key<'_>) -> u32 {
        self.hasher.hash_one((kind as u8, value)) as u32
    }
}

impl Entry<'_> {
    #[inline]
    fn is(&self, key: Key<'_>) -> bool {
        self.length_and_kind == length_and_kind(key) && self.text == key.1.as_bytes()
    }

    fn kind(&self) -> IdKind {
        IdKind::ALL[(self.length_and_kind >> KIND_SHIFT) as usize]
    }
}

#[inline]
fn length_and_kind((kind, value): Key<'_>) -> u32 {
    (kind as u32) << KIND_SHIFT | value.len() as u32
}

/// The table takes its bits from both ends of a hash.
fn spread(hash: u32) -> u64 {
    u64::from(hash) << 32 | u64::from(hash)
}

/// The first 16 bytes as a number that sorts as they do.
fn prefix(text: &[u8]) -> u128 {
    let mut bytes = [0; 16];
    let len = text.len().min(16);
    bytes[..len].copy_from_slice(&text[..len]);
    u128::from_be_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_keeps_its_number() {
        let mut ids = Ids::default();
        let texts: Vec<_> = (0..5000).map(|n| format!("id {n}")).collect();
        for _ in 0..2 {
            for (text, n) in texts.iter().zip(0..) {
                assert_eq!(ids.number(IdKind::Identity, text), 2 * n);
                assert_eq!(ids.number(IdKind::GpId, text), 2 * n + 1);
            }
        }
        let keys = [(IdKind::FbId, "id 1"), (IdKind::GpId, "id 1"), (IdKind::GpId, "")];
        assert_eq!((ids.len(), ids.find_all(&keys)), (10_000, vec![None, Some(3), None]));
        let mut numbers = Vec::new();
        let new = (IdKind::ObjectId, "new");
        ids.number_all(&[keys[1], new, new, keys[0]], &mut numbers);
        assert_eq!(numbers, [3, 10_000, 10_000, 10_001]);
        assert_eq!(ids.iter().nth(3), Some((IdKind::GpId, "id 1")));
    }

    #[test]
    fn ids_of_records_are_found_whether_they_came_together_or_not() {
        use IdKind::{GpId, Identity, ObjectId};
        let mut ids = Ids::default();
        let mut numbers = Vec::new();
        let records = [(Identity, "a"), (ObjectId, "x"), (Identity, "b"), (ObjectId, "y")];
        for _ in 0..2 {
            ids.number_all(&records, &mut numbers);
            assert_eq!(numbers, [0, 1, 2, 3]);
        }
        let mixed = [
            (Identity, "a"),
            (ObjectId, "y"),
            (ObjectId, "x"),
            (Identity, "b"),
            (GpId, "new"),
            (ObjectId, "y"),
            (Identity, "c"),
            (ObjectId, "x"),
        ];
        let found = [Some(0), Some(3), Some(1), Some(2), None, Some(3), None, Some(1)];
        assert_eq!(ids.find_all(&mixed), found);
        ids.number_all(&mixed, &mut numbers);
        assert_eq!(numbers, [0, 3, 1, 2, 4, 3, 5, 1]);
    }

    #[test]
    fn key_order_is_that_of_kind_and_value() {
        let mut ids = Ids::default();
        let texts =
            ["", "\0", "a", "a\0", "é", "a long text that ends in b", "a long text that ends in a"];
        for kind in IdKind::ALL {
            texts.iter().for_each(|text| _ = ids.number(kind, text));
        }
        let orders = KINDS_BY_NAME.map(|kind| ids.in_key_order(kind, |number| number != 2));
        let mut keys: Vec<_> = orders.iter().flatten().map(|&n| ids.get(n)).collect();
        let found = keys.clone();
        keys.sort_by_key(|(kind, value)| (kind.as_str(), *value));
        assert_eq!((found.len(), &found), (4 * texts.len() - 1, &keys));
    }
}
