//! When accounts are scanned, surveyed, and sent progress reports. Pure.

pub mod intake;
pub mod progress;
pub mod survey;
