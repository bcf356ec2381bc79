//! Decides how many imports may run in parallel, so that long imports don't delay short imports.
//! This module is pure.

use std::time::Duration;

use crate::import::Weight;

/// The running time after which a heavy import frees its slot for another import.
const LONG: Duration = Duration::from_secs(5);

/// The running time after which a light import counts as heavy: its file is highly compressed, or
/// the disk hangs.
const NOT_LIGHT: Duration = Duration::from_secs(1);

/// The maximum number of running light imports per worker.
const LIGHT_PER_WORKER: usize = 4;

/// Returns whether another import of `weight` may begin with `workers` workers. `running` has the
/// weight and running time of each import.
pub fn is_free(
    workers: usize,
    weight: Weight,
    running: impl Iterator<Item = (Weight, Duration)>,
) -> bool {
    let (mut light, mut all, mut short) = (0, 0, 0);
    for (weight, since) in running {
        if weight == Weight::Light && since < NOT_LIGHT {
            light += 1;
            continue;
        }
        all += 1;
        short += usize::from(since < LONG);
    }
    match weight {
        Weight::Light => light < workers * LIGHT_PER_WORKER,
        Weight::Heavy => short < workers && all < max_heavy(workers),
    }
}

/// Returns the maximum number of heavy imports, including long imports. Each heavy import needs
/// memory for batches.
fn max_heavy(workers: usize) -> usize {
    workers + workers.max(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn free(workers: usize, seconds: &[u64]) -> bool {
        let running = seconds.iter().map(|&s| (Weight::Heavy, Duration::from_secs(s)));
        is_free(workers, Weight::Heavy, running)
    }

    #[test]
    fn light_imports_have_separate_slots() {
        let running = |light: usize, millis: u64, heavy: usize| {
            let light = vec![(Weight::Light, Duration::from_millis(millis)); light];
            light.into_iter().chain(vec![(Weight::Heavy, Duration::ZERO); heavy])
        };
        assert!(is_free(2, Weight::Light, running(7, 999, 2)));
        assert!(!is_free(2, Weight::Light, running(8, 999, 0)));
        assert!(is_free(2, Weight::Heavy, running(8, 999, 1)));
        // Light imports that take long count as heavy and free their slots.
        assert!(is_free(2, Weight::Light, running(8, 1000, 0)));
        assert!(!is_free(2, Weight::Heavy, running(2, 1000, 0)));
    }

    #[test]
    fn a_long_import_frees_its_slot() {
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
