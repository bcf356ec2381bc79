//! Caches checked event names. A file has few different event names, and each check needs an
//! allocation.

use crate::codec::short_bytes::same;

/// A cache of recent cells. The unchanged text of each cell is a valid event name.
#[derive(Default)]
pub struct NameCache<'a>([Option<&'a [u8]>; 16]);

impl<'a> NameCache<'a> {
    #[inline]
    pub fn holds(&self, cell: &[u8]) -> bool {
        self.0[Self::slot(cell)].is_some_and(|name| same(name, cell))
    }

    pub fn add(&mut self, name: &'a [u8]) {
        self.0[Self::slot(name)] = Some(name);
    }

    #[inline]
    fn slot(cell: &[u8]) -> usize {
        let ends = [cell.first(), cell.last()].map(|byte| byte.map_or(0, |b| *b as usize));
        (cell.len() + ends[0] + 3 * ends[1]) % 16
    }
}
