//! Batches of deliveries. A batch is one mail about the end of several imports. The other
//! deliveries of the batch wait for that mail.

use jiff::Timestamp;
use rusqlite::params;

use super::delivery::{DeliveryTask, TASK_COLUMNS, read_task};
use crate::state::{Result, Transaction, millis};

/// Returns the deliveries that can be sent in one mail with the delivery `id`. The order is the
/// order in which the deliveries were enqueued.
///
/// At most `limit` deliveries are returned. They go to the same address and are about the end of
/// imports of the same account. Each of them is due by `now` or was not attempted yet.
pub fn list_companions(
    tx: &Transaction<'_>,
    id: i64,
    now: Timestamp,
    limit: u32,
) -> Result<Vec<(i64, DeliveryTask)>> {
    let sql = format!(
        "SELECT {TASK_COLUMNS}
         FROM delivery d JOIN milestone m ON m.id = d.milestone,
              delivery first JOIN milestone of_first ON of_first.id = first.milestone
         WHERE first.id = ?1 AND d.lane = first.lane AND d.state = 'pending' AND d.id <> first.id
           AND m.account = of_first.account AND m.type IN ('import.completed', 'import.failed')
           AND (d.attempts = 0 OR d.next_attempt_at <= ?2)
         ORDER BY d.id LIMIT ?3"
    );
    tx.select(&sql, params![id, millis(now), limit], read_task)
}

/// Returns the pending delivery about the end of an import to an address. The delivery `id`
/// determines the import and the address. `None` if there is no such delivery.
pub fn find_end(tx: &Transaction<'_>, id: i64) -> Result<Option<(i64, DeliveryTask)>> {
    Ok(list_of_same_import(tx, id, true)?.pop())
}

/// Returns the pending deliveries about earlier milestones of the same import to the same address
/// as the delivery `id`.
pub fn list_earlier(tx: &Transaction<'_>, id: i64) -> Result<Vec<(i64, DeliveryTask)>> {
    list_of_same_import(tx, id, false)
}

fn list_of_same_import(
    tx: &Transaction<'_>,
    id: i64,
    ends: bool,
) -> Result<Vec<(i64, DeliveryTask)>> {
    let sql = format!(
        "SELECT {TASK_COLUMNS}
         FROM delivery this JOIN milestone of_this ON of_this.id = this.milestone
         JOIN milestone m ON m.import = of_this.import
         JOIN delivery d ON d.milestone = m.id
         WHERE this.id = ?1 AND d.lane = this.lane AND d.state = 'pending' AND d.id <> this.id
           AND (m.type IN ('import.completed', 'import.failed')) = ?2
         ORDER BY d.id"
    );
    tx.select(&sql, params![id, ends], read_task)
}
