//! Sorts ids in the order of the `identity` table's key, so that neighbours are on one page of it.

use super::id_index::Ids;
use crate::records::IdKind;

/// The kinds in the order of the `identity` table: by name.
pub const KINDS_BY_NAME: [IdKind; 4] =
    [IdKind::FbId, IdKind::GpId, IdKind::Identity, IdKind::ObjectId];

impl Ids {
    /// Returns the numbers of the `wanted` ids of one kind in key order.
    pub fn in_key_order(&self, kind: IdKind, wanted: impl Fn(u32) -> bool) -> Vec<u32> {
        self.sorted(kind, wanted).map(|start| self.at(start).number).collect()
    }

    /// Passes the `wanted` ids of one kind with their numbers to `take`, in key order, `at_once` per
    /// call.
    pub fn take_in_key_order<E>(
        &self,
        kind: IdKind,
        wanted: impl Fn(u32) -> bool,
        at_once: usize,
        mut take: impl FnMut(&[(u32, &str)]) -> Result<(), E>,
    ) -> Result<(), E> {
        let starts: Vec<_> = self.sorted(kind, wanted).collect();
        let mut some = Vec::with_capacity(at_once);
        for starts in starts.chunks(at_once) {
            self.fetch(starts.iter());
            some.clear();
            some.extend(starts.iter().map(|&start| self.at(start)).map(|e| (e.number, e.as_str())));
            take(&some)?;
        }
        Ok(())
    }

    /// Returns the starts of the entries of the `wanted` ids of one kind, in key order.
    fn sorted(&self, kind: IdKind, wanted: impl Fn(u32) -> bool) -> impl Iterator<Item = u32> {
        let starts = self.starts.iter().zip(0..).filter(|&(_, number)| wanted(number));
        let entries = starts.map(|(&start, _)| (start, self.at(start)));
        let wanted = entries.filter(|(_, entry)| entry.kind() == kind);
        let mut keys: Vec<([u64; 2], u32)> =
            wanted.map(|(start, entry)| (prefix(entry.text), start)).collect();
        keys.sort_unstable_by(|(a, m), (b, n)| {
            a.cmp(b).then_with(|| self.at(*m).text.cmp(self.at(*n).text))
        });
        keys.into_iter().map(|(_, start)| start)
    }
}

/// Returns the first 16 bytes as two numbers that sort like the text. One `u128` would take more
/// memory, by its alignment.
fn prefix(text: &[u8]) -> [u64; 2] {
    let mut bytes = [0; 16];
    let len = text.len().min(16);
    bytes[..len].copy_from_slice(&text[..len]);
    let number = u128::from_be_bytes(bytes);
    [(number >> 64) as u64, number as u64]
}
