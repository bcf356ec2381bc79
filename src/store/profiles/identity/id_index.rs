//! The ids of a window's records: each is stored once and has a number.
//!
//! Numbers start at 0, in the order in which ids are first seen. An id takes about 40 bytes and its
//! text, independent of the number of records. Most time is spent waiting for memory. Therefore the
//! number, kind, length and text of an id are stored in one place, and the ids of one record are
//! neighbours, so that the first of them gives the place of the next.

use std::hash::{BuildHasher, RandomState};

use hashbrown::HashTable;

use crate::records::IdKind;

/// The bytes per id in [`Leads`](super::resolve::Leads).
const LEAD: usize = 9;

/// The bytes before an id's text: its number, and its length and kind.
pub const HEAD: usize = 8;
/// In bytes. The entries of a record's ids rarely take more than two cache lines.
const CACHE_LINE: usize = 64;
/// The number of ids that are numbered as one group.
const AT_ONCE: usize = 128;
/// The position of the kind's bits, above those of the length.
const KIND_SHIFT: u32 = 30;

/// An index of ids by number, and of numbers by id.
#[derive(Debug, Default)]
pub struct Ids {
    /// Seeded at random, since partners choose the ids.
    hasher: RandomState,
    starts_by_id: HashTable<Slot>,
    /// The encoded [`Entry`] of each id.
    entries: Vec<u8>,
    /// By number, the start of its entry.
    pub starts: Vec<u32>,
}

/// A slot of the hash table. The stored hash spares most reads of the entry.
#[derive(Clone, Copy, Debug)]
struct Slot {
    hash: u32,
    start: u32,
}

/// An id as it is stored.
#[derive(Clone, Copy)]
pub struct Entry<'a> {
    pub number: u32,
    length_and_kind: u32,
    pub text: &'a [u8],
    /// The start of the next entry.
    end: u32,
}

/// The result of a lookup.
struct Looked {
    /// The id's hash, if it was computed.
    hash: Option<u32>,
    number: Option<u32>,
}

/// An id with its kind.
pub type Key<'a> = (IdKind, &'a str);

impl Ids {
    /// Returns a sealed index of `keys`, which are distinct and numbered in their order. There are
    /// about `count` of them with `text` bytes.
    pub fn sealed<'a>(keys: impl Iterator<Item = Key<'a>>, count: usize, text: usize) -> Self {
        let mut ids = Self {
            entries: Vec::with_capacity(text + count * HEAD),
            starts: Vec::with_capacity(count),
            ..Self::default()
        };
        keys.for_each(|key| _ = ids.append(key));
        ids
    }

    /// Returns the number of ids.
    pub fn len(&self) -> usize {
        self.starts.len()
    }

    /// Estimates the memory of the ids and their profiles, in bytes.
    pub fn bytes(&self) -> usize {
        Self::bytes_of(self.len(), self.text_bytes())
    }

    /// Returns the length of all ids, in bytes.
    pub fn text_bytes(&self) -> usize {
        self.entries.len() - self.len() * HEAD
    }

    /// Estimates the memory of `count` ids with `text` bytes of text.
    pub fn bytes_of(count: usize, text: usize) -> usize {
        // hashbrown allocates a power of two of slots, and one byte for each.
        let slots = if count == 0 { 0 } else { (count * 8 / 7).next_power_of_two() };
        text + count * (HEAD + size_of::<u32>() + LEAD) + slots * (size_of::<Slot>() + 1)
    }

    /// Returns all ids in the order of their numbers.
    pub fn iter(&self) -> impl Iterator<Item = Key<'_>> {
        (0..self.starts.len() as u32).map(|number| self.get(number))
    }

    /// Returns the id with this number.
    pub fn get(&self, number: u32) -> Key<'_> {
        let entry = self.at(self.starts[number as usize]);
        (entry.kind(), entry.as_str())
    }

    /// Writes the numbers of `keys` to `numbers` and adds ids that are new. `keys` are the ids of
    /// some dozens of records, each record's strongest id first.
    pub fn number_all(&mut self, keys: &[Key<'_>], numbers: &mut Vec<u32>) {
        let looked = self.look(keys);
        numbers.clear();
        numbers.extend(keys.iter().zip(looked).map(|(&key, looked)| match looked.number {
            Some(number) => number,
            None => self.number(looked.hash.unwrap_or_else(|| self.hash(key)), key),
        }));
    }

    /// Returns the number of this id, which is added if it is new.
    fn number(&mut self, hash: u32, key: Key<'_>) -> u32 {
        match self.find(hash, key) {
            Some(entry) => entry.number,
            None => self.push(hash, key),
        }
    }

    /// Adds this id, which is new, and returns its number.
    fn push(&mut self, hash: u32, key: Key<'_>) -> u32 {
        let (number, start) = self.append(key);
        let slot = Slot { hash, start };
        self.starts_by_id.insert_unique(spread(hash), slot, |slot| spread(slot.hash));
        number
    }

    /// Appends the entry of a new id, without adding it to the hash table. Returns its number and
    /// the start of the entry.
    fn append(&mut self, key: Key<'_>) -> (u32, u32) {
        let (number, start) = (self.starts.len() as u32, self.entries.len() as u32);
        self.starts.push(start);
        self.entries.extend(number.to_le_bytes());
        self.entries.extend(length_and_kind(key).to_le_bytes());
        self.entries.extend_from_slice(key.1.as_bytes());
        (number, start)
    }

    /// Numbers all ids of `others`. Returns the new numbers by the old ones.
    pub fn number_those_of(&mut self, others: &Self) -> Vec<u32> {
        let mut all = Vec::with_capacity(others.len());
        let (mut others, mut numbers) = (others.iter(), Vec::new());
        loop {
            let keys: Vec<_> = others.by_ref().take(AT_ONCE).collect();
            if keys.is_empty() {
                return all;
            }
            self.number_all(&keys, &mut numbers);
            all.extend_from_slice(&numbers);
        }
    }

    /// Returns the numbers of `keys`, `None` for unknown ids.
    pub fn find_all(&self, keys: &[Key<'_>]) -> Vec<Option<u32>> {
        self.look(keys).into_iter().map(|looked| looked.number).collect()
    }

    /// Looks up all of `keys`, best some dozens. Each step is done for all of them, so that the
    /// processor loads many places in memory at the same time.
    fn look(&self, keys: &[Key<'_>]) -> Vec<Looked> {
        // Kinds ascend within a record. Its other ids are expected after its first.
        let is_first = |n: usize| n == 0 || keys[n - 1].0 as u8 >= keys[n].0 as u8;
        let hash = |(n, &key)| is_first(n).then(|| self.hash(key));
        let mut hashes: Vec<_> = keys.iter().enumerate().map(hash).collect();
        let alike = |&hash: &Option<u32>| hash.and_then(|hash| self.alike(hash));
        let mut starts: Vec<_> = hashes.iter().map(alike).collect();
        let mut is_led = false;
        for n in 0..keys.len() {
            if is_first(n) {
                is_led = starts[n].is_some();
            } else if !is_led {
                let hash = self.hash(keys[n]);
                (hashes[n], starts[n]) = (Some(hash), self.alike(hash));
            }
        }
        self.fetch(starts.iter().flatten());
        let mut before: Option<Entry<'_>> = None;
        let look = |(&key, (hash, start)): (&Key<'_>, (Option<u32>, Option<u32>))| {
            let start = hash.map_or(before.map(|before| before.end), |_| start);
            let entry = start.and_then(|start| self.entry(start));
            before = match (entry, hash) {
                (Some(entry), _) if entry.is(key) => Some(entry),
                (None, Some(_)) => None,
                (_, hash) => self.find(hash.unwrap_or_else(|| self.hash(key)), key),
            };
            Looked { hash, number: before.map(|entry| entry.number) }
        };
        keys.iter().zip(hashes.into_iter().zip(starts)).map(look).collect()
    }

    /// Returns the start of an entry whose id has this hash: most likely the wanted one.
    #[inline]
    fn alike(&self, hash: u32) -> Option<u32> {
        self.starts_by_id.find(spread(hash), |slot| slot.hash == hash).map(|slot| slot.start)
    }

    /// Loads these entries and the cache lines after them into the cache, before they are read one
    /// by one.
    pub fn fetch<'a>(&self, starts: impl Iterator<Item = &'a u32>) {
        let byte = |at: usize| self.entries.get(at).copied().unwrap_or_default();
        let look = |&start: &u32| byte(start as usize) ^ byte(start as usize + CACHE_LINE);
        std::hint::black_box(starts.map(look).fold(0, |all, byte| all ^ byte));
    }

    fn find(&self, hash: u32, key: Key<'_>) -> Option<Entry<'_>> {
        let entry = |slot: &Slot| self.entry(slot.start).filter(|entry| entry.is(key));
        let slot =
            self.starts_by_id.find(spread(hash), |slot| slot.hash == hash && entry(slot).is_some());
        slot.and_then(entry)
    }

    /// Returns the entry that starts at `start`.
    pub fn at(&self, start: u32) -> Entry<'_> {
        self.entry(start).expect("an entry starts here")
    }

    /// Returns the entry that starts at `start`, `None` at the end.
    #[inline]
    fn entry(&self, start: u32) -> Option<Entry<'_>> {
        let (head, rest) = self.entries.get(start as usize..)?.split_first_chunk::<HEAD>()?;
        let [number, length_and_kind] = [0, 4]
            .map(|at| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]));
        let text = &rest[..length_of(length_and_kind)];
        let end = start + (HEAD + text.len()) as u32;
        Some(Entry { number, length_and_kind, text, end })
    }

    /// Frees the hash table, which is a third of the memory. Ids can't be looked up any more.
    pub fn seal(&mut self) {
        self.starts_by_id = HashTable::new();
    }

    /// Rebuilds the hash table of sealed ids. It is filled about from one end to the other, which
    /// needs fewer cache misses.
    pub fn unseal(&mut self) {
        let mut starts_by_id = HashTable::with_capacity(self.len());
        let shift = starts_by_id.capacity().next_power_of_two().ilog2().saturating_sub(8);
        let mut regions: [Vec<Slot>; 256] = std::array::from_fn(|_| Vec::new());
        for &start in &self.starts {
            let entry = self.at(start);
            let hash = self.hash((entry.kind(), entry.as_str()));
            regions[(hash >> shift) as usize & 255].push(Slot { hash, start });
        }
        for slot in regions.into_iter().flatten() {
            starts_by_id.insert_unique(spread(slot.hash), slot, |slot| spread(slot.hash));
        }
        self.starts_by_id = starts_by_id;
    }

    fn hash(&self, (kind, value): Key<'_>) -> u32 {
        self.hasher.hash_one((kind as u8, value)) as u32
    }
}

impl<'a> Entry<'a> {
    pub fn as_str(&self) -> &'a str {
        std::str::from_utf8(self.text).expect("an id is text")
    }

    #[inline]
    fn is(&self, key: Key<'_>) -> bool {
        self.length_and_kind == length_and_kind(key) && self.text == key.1.as_bytes()
    }

    pub fn kind(&self) -> IdKind {
        kind_of(self.length_and_kind)
    }
}

/// Packs an id's length and kind into one number, with the kind in the highest bits.
#[inline]
pub fn length_and_kind((kind, value): Key<'_>) -> u32 {
    (kind as u32) << KIND_SHIFT | value.len() as u32
}

#[inline]
pub fn length_of(length_and_kind: u32) -> usize {
    (length_and_kind & !(u32::MAX << KIND_SHIFT)) as usize
}

#[inline]
pub fn kind_of(length_and_kind: u32) -> IdKind {
    IdKind::ALL[(length_and_kind >> KIND_SHIFT) as usize]
}

/// Widens a hash. The hash table uses bits of both ends of 64.
fn spread(hash: u32) -> u64 {
    u64::from(hash) << 32 | u64::from(hash)
}

#[cfg(test)]
pub(super) mod tests;
