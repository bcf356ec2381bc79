//! How many imports may run side by side, so that long ones don't keep short ones waiting. Pure.
//!
//! Always holds: an import that has run for [`LONG`] has given its place to the next. So a small
//! file waits for those ahead of it, and for no file's whole length, as long as fewer than
//! [`most`] accounts have a long one at once.

use std::time::Duration;

/// An import that has run for so long no longer counts.
const LONG: Duration = Duration::from_secs(5);

/// Whether one more import may begin, of `workers` side by side, when `running` ones run for these
/// times.
pub fn is_free(workers: usize, running: impl Iterator<Item = Duration>) -> bool {
    let (mut all, mut short) = (0, 0);
    for since in running {
        all += 1;
        short += usize::from(since < LONG);
    }
    short < workers && all < most(workers)
}

/// How many run at once in all: each takes memory for its batches.
fn most(workers: usize) -> usize {
    workers + workers.max(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn free(workers: usize, seconds: &[u64]) -> bool {
        is_free(workers, seconds.iter().map(|&s| Duration::from_secs(s)))
    }

    #[test]
    fn a_long_import_gives_its_place_to_the_next() {
        for (workers, running, expected) in [
            (1, &[][..], true),
            (1, &[1], false),
            (1, &[5], true),
            (1, &[5, 1], false),
            (1, &[3600, 3600], true),
            (1, &[3600, 3600, 3600], false),
            (2, &[1], true),
            (2, &[1, 1], false),
            (2, &[1, 9], true),
            (2, &[9, 9, 9], true),
            (2, &[9, 9, 9, 9], false),
        ] {
            assert_eq!(free(workers, running), expected, "{workers} {running:?}");
        }
    }
}
