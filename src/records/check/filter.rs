//! Removes the rows that break a rule from a batch of events. If few rows break a rule, the batch
//! is sliced. If many rows break a rule, the other rows are copied into a new batch.

use arrow_array::{BooleanArray, RecordBatch};
use arrow_buffer::BooleanBuffer;
use arrow_select::filter::filter_record_batch;

/// The minimum average number of rows per piece for which a batch is sliced. If the pieces would be
/// smaller, the rows are copied, because the store needs one call per piece and column. A piece
/// needs no copy, because it shares the memory of the batch.
const PIECE: usize = 256;

/// Returns `batch` without the rows that are marked in `bad`.
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
        return vec![good.expect("there is one verdict for each row")];
    }
    let mut next = 0;
    let pieces = bad.split(|bad| *bad).map(|good| {
        let from = next;
        next += good.len() + 1;
        batch.slice(from, good.len())
    });
    pieces.filter(|piece| piece.num_rows() > 0).collect()
}
