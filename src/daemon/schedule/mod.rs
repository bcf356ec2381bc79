//! Decides when accounts are scanned, surveyed and sent progress reports, how many imports run, and
//! how often the supervisor's loop runs. All decisions are pure functions.

pub mod intake;
pub mod progress;
pub mod run_slots;
pub mod survey;
pub mod tick;
