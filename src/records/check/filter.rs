//! Removes the bad rows from a batch of events: by slicing if they are few, by copying if they are
//! many.

use arrow_array::{BooleanArray, RecordBatch};
use arrow_buffer::BooleanBuffer;
use arrow_select::filter::filter_record_batch;

/// A batch is sliced if the pieces have this many rows on average. A piece shares the batch's
/// memory, but costs the store a call per column.
const PIECE: usize = 256;

/// Returns `batch` without its bad rows.
pub fn remove_rows(bad: &[bool], batch: RecordBatch) -> Vec<RecordBatch> {
    let count = bad.iter().filter(|bad| **bad).count();
    if count == 0 {
        return vec![batch];
    }
    if count == bad.len() {
        return Vec::new();
    }
    if count * PIECE > bad.len() {
        let good = BooleanBuffer::collect_bool(bad.len(), |row| !bad[row]);
        let good = filter_record_batch(&batch, &BooleanArray::new(good, None));
        return vec![good.expect("one verdict for each row")];
    }
    let mut next = 0;
    let pieces = bad.split(|bad| *bad).map(|good| {
        let from = next;
        next += good.len() + 1;
        batch.slice(from, good.len())
    });
    pieces.filter(|piece| piece.num_rows() > 0).collect()
}
