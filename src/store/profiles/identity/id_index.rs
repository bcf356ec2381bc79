//! The ids of a window's records: each once, under a number.
//!
//! Numbers count up from 0 in the order in which ids are first seen. Some 40 bytes an id and its
//! text are held, whatever the number of records. What there is to wait for here is memory, in
//! which ids lie far apart: hence an id's number, kind, length and text lie together, and the ids
//! that one record has side by side, where the first leads to the others.

use std::hash::{BuildHasher, RandomState};

use hashbrown::HashTable;

use crate::records::IdKind;

/// What is known of where an id leads, beside it, while records are resolved, in bytes.
const LEAD: usize = 9;

/// What stands before an id's text: its number, and its length and kind.
pub const HEAD: usize = 8;
/// Entries of a record that lie together are seldom longer than two of them.
const CACHE_LINE: usize = 64;
/// How many ids are numbered at once.
const AT_ONCE: usize = 128;
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
    pub starts: Vec<u32>,
}

/// The hash beside the place of the entry spares most looks at it.
#[derive(Clone, Copy, Debug)]
struct Slot {
    hash: u32,
    start: u32,
}

/// An id as it is held.
#[derive(Clone, Copy)]
pub struct Entry<'a> {
    pub number: u32,
    length_and_kind: u32,
    pub text: &'a [u8],
    /// Where the next one starts.
    end: u32,
}

/// What came of looking for an id.
struct Looked {
    /// Its hash, if it was needed.
    hash: Option<u32>,
    number: Option<u32>,
}

/// What is looked for.
pub type Key<'a> = (IdKind, &'a str);

impl Ids {
    /// These, which differ, are so many and have so many bytes of text, numbered in their order and
    /// sealed.
    pub fn sealed<'a>(keys: impl Iterator<Item = Key<'a>>, count: usize, text: usize) -> Self {
        let mut ids = Self {
            entries: Vec::with_capacity(text + count * HEAD),
            starts: Vec::with_capacity(count),
            ..Self::default()
        };
        keys.for_each(|key| _ = ids.append(key));
        ids
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.starts.len()
    }

    /// What they hold in memory, with where they lead, about, in bytes.
    pub fn bytes(&self) -> usize {
        Self::bytes_of(self.len(), self.text_bytes())
    }

    /// Of their texts.
    pub fn text_bytes(&self) -> usize {
        self.entries.len() - self.len() * HEAD
    }

    /// What so many ids with so many bytes of text hold.
    pub fn bytes_of(count: usize, text: usize) -> usize {
        // As hashbrown has it: a power of two of them, and a byte for each.
        let slots = if count == 0 { 0 } else { (count * 8 / 7).next_power_of_two() };
        text + count * (HEAD + size_of::<u32>() + LEAD) + slots * (size_of::<Slot>() + 1)
    }

    /// Every number with its id, in order.
    pub fn iter(&self) -> impl Iterator<Item = Key<'_>> {
        (0..self.starts.len() as u32).map(|number| self.get(number))
    }

    /// The id of this number.
    pub fn get(&self, number: u32) -> Key<'_> {
        let entry = self.at(self.starts[number as usize]);
        (entry.kind(), entry.as_str())
    }

    /// The numbers of these ids, new ones as needed, into `numbers`: some dozens of records' ids
    /// at once, each record's strongest first.
    pub fn number_all(&mut self, keys: &[Key<'_>], numbers: &mut Vec<u32>) {
        let looked = self.look(keys);
        numbers.clear();
        numbers.extend(keys.iter().zip(looked).map(|(&key, looked)| match looked.number {
            Some(number) => number,
            None => self.number(looked.hash.unwrap_or_else(|| self.hash(key)), key),
        }));
    }

    /// The number of this id, a new one as needed.
    fn number(&mut self, hash: u32, key: Key<'_>) -> u32 {
        match self.find(hash, key) {
            Some(entry) => entry.number,
            None => self.push(hash, key),
        }
    }

    /// The number of this id, which is not there.
    fn push(&mut self, hash: u32, key: Key<'_>) -> u32 {
        let (number, start) = self.append(key);
        let slot = Slot { hash, start };
        self.starts_by_id.insert_unique(spread(hash), slot, |slot| spread(slot.hash));
        number
    }

    /// A new id's number, and where its entry starts; it is not found yet.
    fn append(&mut self, key: Key<'_>) -> (u32, u32) {
        let (number, start) = (self.starts.len() as u32, self.entries.len() as u32);
        self.starts.push(start);
        self.entries.extend(number.to_le_bytes());
        self.entries.extend(length_and_kind(key).to_le_bytes());
        self.entries.extend_from_slice(key.1.as_bytes());
        (number, start)
    }

    /// The numbers here of all ids of `others`, by their numbers there.
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

    /// The numbers of those ids that are here.
    pub fn find_all(&self, keys: &[Key<'_>]) -> Vec<Option<u32>> {
        self.look(keys).into_iter().map(|looked| looked.number).collect()
    }

    /// Looks for all of these. Best some dozens at once: each step is done for all of them, so that
    /// the processor waits for many places in memory at the same time.
    fn look(&self, keys: &[Key<'_>]) -> Vec<Looked> {
        // Kinds rise within a record: its other ids are looked for beside its first.
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

    /// Where an entry is whose id has this hash: most likely the one that is looked for.
    #[inline]
    fn alike(&self, hash: u32) -> Option<u32> {
        self.starts_by_id.find(spread(hash), |slot| slot.hash == hash).map(|slot| slot.start)
    }

    /// Looks at all of these entries and at what comes after them, so that they are near when they
    /// are read one by one.
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

    /// The entry that starts here.
    pub fn at(&self, start: u32) -> Entry<'_> {
        self.entry(start).expect("an entry starts here")
    }

    /// The entry that starts here; none at their end.
    #[inline]
    fn entry(&self, start: u32) -> Option<Entry<'_>> {
        let (head, rest) = self.entries.get(start as usize..)?.split_first_chunk::<HEAD>()?;
        let [number, length_and_kind] = [0, 4]
            .map(|at| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]));
        let text = &rest[..length_of(length_and_kind)];
        let end = start + (HEAD + text.len()) as u32;
        Some(Entry { number, length_and_kind, text, end })
    }

    /// Lets the way from ids to numbers go, which is a third of the memory.
    pub fn seal(&mut self) {
        self.starts_by_id = HashTable::new();
    }

    /// Finds the way from sealed ids to their numbers again. The table is filled from one end to the
    /// other, about: there is less to wait for then.
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

/// An id's length and kind in one number, which rises with the kind.
#[inline]
pub fn length_and_kind((kind, value): Key<'_>) -> u32 {
    (kind as u32) << KIND_SHIFT | value.len() as u32
}

/// The length.
#[inline]
pub fn length_of(length_and_kind: u32) -> usize {
    (length_and_kind & !(u32::MAX << KIND_SHIFT)) as usize
}

/// The kind.
#[inline]
pub fn kind_of(length_and_kind: u32) -> IdKind {
    IdKind::ALL[(length_and_kind >> KIND_SHIFT) as usize]
}

/// The table takes its bits from both ends of a hash.
fn spread(hash: u32) -> u64 {
    u64::from(hash) << 32 | u64::from(hash)
}

#[cfg(test)]
pub(super) mod tests;
