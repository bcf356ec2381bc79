//! The ids of a window's records: each once, under a number.
//!
//! Numbers count up from 0 in the order in which ids are first seen. About 60 bytes an id and its
//! text are held, whatever the number of records.

use std::hash::{BuildHasher, RandomState};

use hashbrown::HashTable;

use crate::records::IdKind;

/// What an id takes beside its text while a window is gathered and resolved, in bytes.
const ID_BYTES: usize = 48;

/// The kinds as the `identity` table sorts them: by their names.
const KINDS_BY_NAME: [IdKind; 4] = [IdKind::FbId, IdKind::GpId, IdKind::Identity, IdKind::ObjectId];

/// Ids by number, and numbers by id.
#[derive(Debug, Default)]
pub struct Ids {
    /// Seeded at random: ids are partner-chosen.
    hasher: RandomState,
    numbers: HashTable<Slot>,
    text: String,
    ids: Vec<Id>,
}

/// The hash beside the number spares most looks at the text.
#[derive(Clone, Copy, Debug)]
struct Slot {
    hash: u32,
    number: u32,
}

#[derive(Clone, Copy, Debug)]
struct Id {
    kind: IdKind,
    end: u32,
}

impl Ids {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// What they hold in memory, about, in bytes.
    pub fn bytes(&self) -> usize {
        self.text.len() + self.ids.len() * ID_BYTES
    }

    /// Every number with its id, in order.
    pub fn iter(&self) -> impl Iterator<Item = (IdKind, &str)> {
        (0..self.ids.len() as u32).map(|number| self.get(number))
    }

    /// The id of this number.
    pub fn get(&self, number: u32) -> (IdKind, &str) {
        let number = number as usize;
        let start = number.checked_sub(1).map_or(0, |before| self.ids[before].end);
        let Id { kind, end } = self.ids[number];
        (kind, &self.text[start as usize..end as usize])
    }

    /// The number of this id, a new one as needed.
    pub fn number(&mut self, kind: IdKind, value: &str) -> u32 {
        let hash = self.hash(kind, value);
        if let Some(number) = self.find(hash, (kind, value)) {
            return number;
        }
        let number = self.ids.len() as u32;
        self.text.push_str(value);
        self.ids.push(Id { kind, end: self.text.len() as u32 });
        self.numbers.insert_unique(spread(hash), Slot { hash, number }, |slot| spread(slot.hash));
        number
    }

    /// The numbers of these ids, new ones as needed, into `numbers`. Best some dozens at once.
    pub fn number_all(&mut self, keys: &[(IdKind, &str)], numbers: &mut Vec<u32>) {
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
    pub fn find_all(&self, keys: &[(IdKind, &str)]) -> Vec<Option<u32>> {
        let hashes: Vec<_> = keys.iter().map(|&(kind, value)| self.hash(kind, value)).collect();
        let alike = |&hash: &u32| self.numbers.find(spread(hash), |slot| slot.hash == hash);
        let alike: Vec<_> = hashes.iter().map(|hash| alike(hash).map(|slot| slot.number)).collect();
        let texts: Vec<_> = alike.iter().map(|number| number.map(|n| self.get(n))).collect();
        // Fetches what is compared below.
        let first = |text: &Option<(IdKind, &str)>| text.and_then(|(_, text)| text.bytes().next());
        std::hint::black_box(texts.iter().filter_map(first).fold(0, |all, byte| all ^ byte));
        let same = keys.iter().zip(texts).map(|(key, text)| text.as_ref() == Some(key));
        let found = same.zip(alike).zip(keys.iter().zip(hashes));
        found
            .map(|((is_it, alike), (&key, hash))| match alike {
                Some(_) if !is_it => self.find(hash, key),
                alike => alike,
            })
            .collect()
    }

    fn find(&self, hash: u32, key: (IdKind, &str)) -> Option<u32> {
        let is_it = |slot: &Slot| slot.hash == hash && self.get(slot.number) == key;
        self.numbers.find(spread(hash), is_it).map(|slot| slot.number)
    }

    /// Lets the way from ids to numbers go, which is half of the memory.
    pub fn seal(&mut self) {
        self.numbers = HashTable::new();
    }

    /// The `wanted` numbers as the `identity` table is sorted: neighbours are on one page.
    pub fn in_key_order(&self, wanted: impl Fn(u32) -> bool) -> Vec<u32> {
        let mut order = Vec::new();
        for kind in KINDS_BY_NAME {
            let mut keys: Vec<_> = (0..self.ids.len() as u32)
                .filter(|&number| self.ids[number as usize].kind == kind && wanted(number))
                .map(|number| (prefix(self.get(number).1), number))
                .collect();
            keys.sort_unstable_by(|(a, m), (b, n)| {
                a.cmp(b).then_with(|| self.get(*m).1.cmp(self.get(*n).1))
            });
            order.extend(keys.into_iter().map(|(_, number)| number));
        }
        order
    }

    fn hash(&self, kind: IdKind, value: &str) -> u32 {
        self.hasher.hash_one((kind as u8, value)) as u32
    }
}

/// The table takes its bits from both ends of a hash.
fn spread(hash: u32) -> u64 {
    u64::from(hash) << 32 | u64::from(hash)
}

/// The first 16 bytes as a number that sorts as they do.
fn prefix(text: &str) -> u128 {
    let mut bytes = [0; 16];
    let len = text.len().min(16);
    bytes[..len].copy_from_slice(&text.as_bytes()[..len]);
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
    fn key_order_is_that_of_kind_and_value() {
        let mut ids = Ids::default();
        let texts =
            ["", "\0", "a", "a\0", "é", "a long text that ends in b", "a long text that ends in a"];
        for kind in IdKind::ALL {
            texts.iter().for_each(|text| _ = ids.number(kind, text));
        }
        let order = ids.in_key_order(|number| number != 2);
        let mut keys: Vec<_> = order.iter().map(|&n| ids.get(n)).collect();
        let found = keys.clone();
        keys.sort_by_key(|(kind, value)| (kind.as_str(), *value));
        assert_eq!((found.len(), &found), (4 * texts.len() - 1, &keys));
    }
}
