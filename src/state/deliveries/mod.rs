//! The outbox: milestone → delivery → attempt. Only this module writes these three tables.
//!
//! A delivery is pending and has a next attempt, or it is finished; the schema's CHECKs ensure
//! that. `outbox::retry` decides when to try again.

mod batch;
mod delivery;
mod due;
mod list;
mod reschedule;

pub use batch::{find_end, list_companions, list_earlier};
pub use delivery::{
    Attempt, AttemptResult, Channel, DeliveryTask, MilestoneRow, add, add_milestone, find_task,
    record_attempt,
};
pub use due::{DueDelivery, list_due, next_due};
pub use list::{Delivery, DeliveryFilter, find, list, list_attempts};
pub use reschedule::{
    fail_pending, make_due, postpone, postpone_account, postpone_address, retry, retry_failed,
};

#[cfg(test)]
mod tests;
