//! The ids of a window's records: each is stored once and has a number.
//!
//! Numbers start at 0, in the order in which ids are first seen. An id takes about 40 bytes and its
//! text, independent of the number of records. Most time is spent waiting for memory. Therefore the
//! number, kind, length and text of an id are stored in one place. The ids of one record are
//! neighbours, so that the position of the first id leads to the others.

use std::hash::{BuildHasher, RandomState};

use hashbrown::HashTable;

use crate::records::IdKind;

/// The number of bytes that [`Resolver`](super::resolve::Resolver) needs per id.
const RESOLVER_BYTES: usize = 9;

/// The number of bytes before the text of an id: the id's number, and its length and kind.
pub(super) const HEADER: usize = 8;
/// The size of a cache line of the processor, in bytes. The entries of a record's ids rarely take
/// more than two cache lines.
const CACHE_LINE: usize = 64;
/// The number of ids that get their numbers as one group.
const GROUP: usize = 128;
/// The number of bits of an id's length. The bits of the kind are above these bits.
const KIND_SHIFT: u32 = 30;

/// The kinds of ids, sorted by name. The table `identity` has the same order.
pub const KINDS_BY_NAME: [IdKind; 4] =
    [IdKind::FbId, IdKind::GpId, IdKind::Identity, IdKind::ObjectId];

/// An index of ids. It finds the id of a number, and the number of an id.
#[derive(Debug, Default)]
pub struct IdIndex {
    /// The hash function for ids. Its seed is random, because partners choose the ids.
    hasher: RandomState,
    starts_by_id: HashTable<IdSlot>,
    /// The [`IdEntry`] of each id in encoded form, concatenated.
    entries: Vec<u8>,
    /// The start of the entry of each id. The index is the number of the id.
    starts: Vec<u32>,
}

/// A slot of the hash table. The slot has the hash, so that most lookups do not read the entry.
#[derive(Clone, Copy, Debug)]
struct IdSlot {
    hash: u32,
    start: u32,
}

/// An id that is stored in the index.
#[derive(Clone, Copy)]
struct IdEntry<'a> {
    number: u32,
    length_and_kind: u32,
    text: &'a [u8],
    /// The position at which the next entry starts.
    end: u32,
}

/// The result of a lookup of one id.
struct IdLookup {
    /// The hash of the id. `None` if it was not computed.
    hash: Option<u32>,
    number: Option<u32>,
}

/// The kind and the text of an id.
pub type IdKey<'a> = (IdKind, &'a str);

impl IdIndex {
    /// Returns a sealed index of `keys`. The keys are distinct and are numbered in their order.
    /// `count` and `text` are the approximate numbers of ids and of bytes of text.
    pub fn sealed<'a>(keys: impl Iterator<Item = IdKey<'a>>, count: usize, text: usize) -> Self {
        let mut ids = Self {
            entries: Vec::with_capacity(text + count * HEADER),
            starts: Vec::with_capacity(count),
            ..Self::default()
        };
        keys.for_each(|key| _ = ids.append(key));
        ids
    }

    /// Returns the number of ids in the index.
    pub fn len(&self) -> usize {
        self.starts.len()
    }

    /// Estimates the memory of the ids in the index and of their profiles, in bytes.
    pub fn bytes(&self) -> usize {
        Self::estimate_bytes(self.len(), self.text_bytes())
    }

    /// Returns the length of the texts of all ids in the index, in bytes.
    pub fn text_bytes(&self) -> usize {
        self.entries.len() - self.len() * HEADER
    }

    /// Estimates the memory of `count` ids whose texts have `text` bytes in total.
    pub fn estimate_bytes(count: usize, text: usize) -> usize {
        // The library hashbrown allocates a power of two of slots, and one byte for each slot.
        let slots = if count == 0 { 0 } else { (count * 8 / 7).next_power_of_two() };
        text + count * (HEADER + size_of::<u32>() + RESOLVER_BYTES)
            + slots * (size_of::<IdSlot>() + 1)
    }

    /// Returns all ids of the index in the order of their numbers.
    pub fn iter(&self) -> impl Iterator<Item = IdKey<'_>> {
        (0..self.starts.len() as u32).map(|number| self.get(number))
    }

    /// Returns the id that has the number `number`.
    pub fn get(&self, number: u32) -> IdKey<'_> {
        let entry = self.entry_at(self.starts[number as usize]);
        (entry.kind(), entry.as_str())
    }

    /// Returns the numbers of `keys`. Adds the ids that are new. `keys` are the ids of some dozens
    /// of records, the strongest id of each record first.
    pub fn number_keys(&mut self, keys: &[IdKey<'_>]) -> Vec<u32> {
        let lookups = self.find_group(keys);
        let numbers = keys.iter().zip(lookups).map(|(&key, lookup)| match lookup.number {
            Some(number) => number,
            None => self.find_or_insert(lookup.hash.unwrap_or_else(|| self.hash(key)), key),
        });
        numbers.collect()
    }

    /// Returns the number of the id `key`. Adds the id if it is new.
    fn find_or_insert(&mut self, hash: u32, key: IdKey<'_>) -> u32 {
        match self.find(hash, key) {
            Some(entry) => entry.number,
            None => self.insert(hash, key),
        }
    }

    /// Adds the id `key`, which must be new. Returns the number of the id.
    fn insert(&mut self, hash: u32, key: IdKey<'_>) -> u32 {
        let (number, start) = self.append(key);
        let slot = IdSlot { hash, start };
        self.starts_by_id.insert_unique(spread(hash), slot, |slot| spread(slot.hash));
        number
    }

    /// Appends the entry of a new id without adding the id to the hash table. Returns the number
    /// of the id and the start of the entry.
    fn append(&mut self, key: IdKey<'_>) -> (u32, u32) {
        let (number, start) = (self.starts.len() as u32, self.entries.len() as u32);
        self.starts.push(start);
        self.entries.extend(number.to_le_bytes());
        self.entries.extend(length_and_kind(key).to_le_bytes());
        self.entries.extend_from_slice(key.1.as_bytes());
        (number, start)
    }

    /// Adds all ids of `others` to the index. Returns the new numbers of these ids, indexed by the
    /// old numbers.
    pub fn renumber(&mut self, others: &Self) -> Vec<u32> {
        let mut all = Vec::with_capacity(others.len());
        let mut others = others.iter();
        loop {
            let keys: Vec<_> = others.by_ref().take(GROUP).collect();
            if keys.is_empty() {
                return all;
            }
            all.append(&mut self.number_keys(&keys));
        }
    }

    /// Returns the number of each id in `keys`, and `None` for each unknown id.
    pub fn find_all(&self, keys: &[IdKey<'_>]) -> Vec<Option<u32>> {
        self.find_group(keys).into_iter().map(|lookup| lookup.number).collect()
    }

    /// Finds all of `keys`, preferably some dozens. Each step runs for all keys before the next
    /// step, so that the processor loads many places in memory at the same time.
    fn find_group(&self, keys: &[IdKey<'_>]) -> Vec<IdLookup> {
        // The kinds of ids ascend within a record. The other ids of the record are expected after
        // the first id of the record.
        let is_first = |n: usize| n == 0 || keys[n - 1].0 as u8 >= keys[n].0 as u8;
        let hash = |(n, &key)| is_first(n).then(|| self.hash(key));
        let mut hashes: Vec<_> = keys.iter().enumerate().map(hash).collect();
        let start = |&hash: &Option<u32>| hash.and_then(|hash| self.find_hash(hash));
        let mut starts: Vec<_> = hashes.iter().map(start).collect();
        let mut is_known = false;
        for n in 0..keys.len() {
            if is_first(n) {
                is_known = starts[n].is_some();
            } else if !is_known {
                let hash = self.hash(keys[n]);
                (hashes[n], starts[n]) = (Some(hash), self.find_hash(hash));
            }
        }
        self.prefetch(starts.iter().flatten());
        let mut before: Option<IdEntry<'_>> = None;
        let find = |(&key, (hash, start)): (&IdKey<'_>, (Option<u32>, Option<u32>))| {
            let start = hash.map_or(before.map(|before| before.end), |_| start);
            let entry = start.and_then(|start| self.decode_entry(start));
            before = match (entry, hash) {
                (Some(entry), _) if entry.matches(key) => Some(entry),
                (None, Some(_)) => None,
                (_, hash) => self.find(hash.unwrap_or_else(|| self.hash(key)), key),
            };
            IdLookup { hash, number: before.map(|entry| entry.number) }
        };
        keys.iter().zip(hashes.into_iter().zip(starts)).map(find).collect()
    }

    /// Returns the start of an entry whose id has the hash `hash`. In most cases this is the
    /// wanted entry.
    #[inline]
    fn find_hash(&self, hash: u32) -> Option<u32> {
        self.starts_by_id.find(spread(hash), |slot| slot.hash == hash).map(|slot| slot.start)
    }

    /// Loads entries, and the cache lines after them, into the cache of the processor. Later the
    /// entries are read one by one.
    fn prefetch<'a>(&self, starts: impl Iterator<Item = &'a u32>) {
        let byte = |at: usize| self.entries.get(at).copied().unwrap_or_default();
        let bytes = |&start: &u32| byte(start as usize) ^ byte(start as usize + CACHE_LINE);
        std::hint::black_box(starts.map(bytes).fold(0, |all, byte| all ^ byte));
    }

    fn find(&self, hash: u32, key: IdKey<'_>) -> Option<IdEntry<'_>> {
        let entry =
            |slot: &IdSlot| self.decode_entry(slot.start).filter(|entry| entry.matches(key));
        let slot =
            self.starts_by_id.find(spread(hash), |slot| slot.hash == hash && entry(slot).is_some());
        slot.and_then(entry)
    }

    /// Returns the entry that starts at the position `start`.
    fn entry_at(&self, start: u32) -> IdEntry<'_> {
        self.decode_entry(start).expect("an entry starts here")
    }

    /// Returns the entry that starts at the position `start`. Returns `None` at the end of the
    /// entries.
    #[inline]
    fn decode_entry(&self, start: u32) -> Option<IdEntry<'_>> {
        let (head, rest) = self.entries.get(start as usize..)?.split_first_chunk::<HEADER>()?;
        let [number, length_and_kind] = [0, 4]
            .map(|at| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]));
        let text = &rest[..length_of(length_and_kind)];
        let end = start + (HEADER + text.len()) as u32;
        Some(IdEntry { number, length_and_kind, text, end })
    }

    /// Frees the hash table, which takes a third of the memory. After this call, ids cannot be
    /// looked up.
    pub fn seal(&mut self) {
        self.starts_by_id = HashTable::new();
    }

    /// Builds the hash table of a sealed index again. The table is filled roughly from one end to
    /// the other, because this causes fewer cache misses.
    pub fn unseal(&mut self) {
        let mut starts_by_id = HashTable::with_capacity(self.len());
        let shift = starts_by_id.capacity().next_power_of_two().ilog2().saturating_sub(8);
        let mut regions: [Vec<IdSlot>; 256] = std::array::from_fn(|_| Vec::new());
        for &start in &self.starts {
            let entry = self.entry_at(start);
            let hash = self.hash((entry.kind(), entry.as_str()));
            regions[(hash >> shift) as usize & 255].push(IdSlot { hash, start });
        }
        for slot in regions.into_iter().flatten() {
            starts_by_id.insert_unique(spread(slot.hash), slot, |slot| spread(slot.hash));
        }
        self.starts_by_id = starts_by_id;
    }

    /// Returns the numbers of all ids of the kind `kind`, in the order of the table's key. Ids
    /// that are neighbours in this order are on one page of the table.
    pub fn in_key_order(&self, kind: IdKind) -> Vec<u32> {
        self.sort_by_key(kind, |_| true).map(|start| self.entry_at(start).number).collect()
    }

    /// Passes the `wanted` ids of the kind `kind` with their numbers to `take`. The ids are in the
    /// order of the table's key, and each call gets `count` ids.
    pub fn for_each_group_in_key_order<E>(
        &self,
        kind: IdKind,
        wanted: impl Fn(u32) -> bool,
        count: usize,
        mut take: impl FnMut(&[(u32, &str)]) -> Result<(), E>,
    ) -> Result<(), E> {
        let starts: Vec<_> = self.sort_by_key(kind, wanted).collect();
        let mut group = Vec::with_capacity(count);
        for starts in starts.chunks(count) {
            self.prefetch(starts.iter());
            group.clear();
            let entries = starts.iter().map(|&start| self.entry_at(start));
            group.extend(entries.map(|entry| (entry.number, entry.as_str())));
            take(&group)?;
        }
        Ok(())
    }

    /// Returns the starts of the entries of the `wanted` ids of the kind `kind`, in the order of
    /// the table's key.
    fn sort_by_key(&self, kind: IdKind, wanted: impl Fn(u32) -> bool) -> impl Iterator<Item = u32> {
        let starts = self.starts.iter().zip(0..).filter(|&(_, number)| wanted(number));
        let entries = starts.map(|(&start, _)| (start, self.entry_at(start)));
        let wanted = entries.filter(|(_, entry)| entry.kind() == kind);
        let mut keys: Vec<([u64; 2], u32)> =
            wanted.map(|(start, entry)| (key_prefix(entry.text), start)).collect();
        keys.sort_unstable_by(|(a, m), (b, n)| {
            a.cmp(b).then_with(|| self.entry_at(*m).text.cmp(self.entry_at(*n).text))
        });
        keys.into_iter().map(|(_, start)| start)
    }

    fn hash(&self, (kind, value): IdKey<'_>) -> u32 {
        self.hasher.hash_one((kind as u8, value)) as u32
    }
}

impl<'a> IdEntry<'a> {
    fn as_str(&self) -> &'a str {
        std::str::from_utf8(self.text).expect("an id is text")
    }

    #[inline]
    fn matches(&self, key: IdKey<'_>) -> bool {
        self.length_and_kind == length_and_kind(key) && self.text == key.1.as_bytes()
    }

    fn kind(&self) -> IdKind {
        kind_of(self.length_and_kind)
    }
}

/// Packs the length and the kind of an id into one number. The kind is in the highest bits.
#[inline]
fn length_and_kind((kind, value): IdKey<'_>) -> u32 {
    (kind as u32) << KIND_SHIFT | value.len() as u32
}

#[inline]
fn length_of(length_and_kind: u32) -> usize {
    (length_and_kind & !(u32::MAX << KIND_SHIFT)) as usize
}

#[inline]
fn kind_of(length_and_kind: u32) -> IdKind {
    IdKind::ALL[(length_and_kind >> KIND_SHIFT) as usize]
}

/// Returns the first 16 bytes of a text as two numbers, which sort like the text. A single `u128`
/// would take more memory, because of its alignment.
fn key_prefix(text: &[u8]) -> [u64; 2] {
    let mut bytes = [0; 16];
    let len = text.len().min(16);
    bytes[..len].copy_from_slice(&text[..len]);
    let number = u128::from_be_bytes(bytes);
    [(number >> 64) as u64, number as u64]
}

/// Widens a hash of an id to 64 bits. The hash table uses bits from both ends of the hash.
fn spread(hash: u32) -> u64 {
    u64::from(hash) << 32 | u64::from(hash)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub fn number(ids: &mut IdIndex, kind: IdKind, value: &str) -> u32 {
        ids.number_keys(&[(kind, value)])[0]
    }

    #[test]
    fn an_id_keeps_its_number() {
        let mut ids = IdIndex::default();
        let texts: Vec<_> = (0..5000).map(|n| format!("id {n}")).collect();
        for _ in 0..2 {
            for (text, n) in texts.iter().zip(0..) {
                assert_eq!(number(&mut ids, IdKind::Identity, text), 2 * n);
                assert_eq!(number(&mut ids, IdKind::GpId, text), 2 * n + 1);
            }
        }
        let keys = [(IdKind::FbId, "id 1"), (IdKind::GpId, "id 1"), (IdKind::GpId, "")];
        assert_eq!((ids.len(), ids.find_all(&keys)), (10_000, vec![None, Some(3), None]));
        let new = (IdKind::ObjectId, "new");
        let numbers = ids.number_keys(&[keys[1], new, new, keys[0]]);
        assert_eq!(numbers, [3, 10_000, 10_000, 10_001]);
        assert_eq!(ids.iter().nth(3), Some((IdKind::GpId, "id 1")));
    }

    #[test]
    fn ids_are_found_in_any_combination() {
        use IdKind::{GpId, Identity, ObjectId};
        let mut ids = IdIndex::default();
        let records = [(Identity, "a"), (ObjectId, "x"), (Identity, "b"), (ObjectId, "y")];
        for _ in 0..2 {
            assert_eq!(ids.number_keys(&records), [0, 1, 2, 3]);
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
        assert_eq!(ids.number_keys(&mixed), [0, 3, 1, 2, 4, 3, 5, 1]);
    }

    #[test]
    fn ids_are_sorted_by_kind_and_value() {
        let mut ids = IdIndex::default();
        let texts =
            ["", "\0", "a", "a\0", "é", "a long text that ends in b", "a long text that ends in a"];
        for kind in IdKind::ALL {
            texts.iter().for_each(|text| _ = number(&mut ids, kind, text));
        }
        let orders = KINDS_BY_NAME.map(|kind| ids.in_key_order(kind));
        for (kind, order) in KINDS_BY_NAME.iter().zip(&orders) {
            let mut taken = Vec::new();
            let take = |some: &[(u32, &str)]| {
                assert!(some.iter().all(|&(number, id)| ids.get(number) == (*kind, id)));
                taken.extend(some.iter().map(|(number, _)| *number));
                Ok::<_, ()>(())
            };
            ids.for_each_group_in_key_order(*kind, |number| number != 2, 3, take).unwrap();
            assert!(taken.iter().eq(order.iter().filter(|&&number| number != 2)));
        }
        let mut keys: Vec<_> = orders.iter().flatten().map(|&n| ids.get(n)).collect();
        let found = keys.clone();
        keys.sort_by_key(|(kind, value)| (kind.as_str(), *value));
        assert_eq!((found.len(), &found), (4 * texts.len(), &keys));
    }
}
