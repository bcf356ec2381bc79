//! The outbox. A milestone has deliveries, and a delivery has attempts. Only this module writes the
//! three tables.
//!
//! A delivery is either finished, or pending with a time for its next attempt. CHECKs of the schema
//! ensure this. `outbox::retry` chooses the time of the next attempt.

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
