//! [`TsRange`]: the earliest and the latest `ts` of events.

/// The earliest and the latest `ts` of events, in seconds since 1970 UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TsRange {
    pub first: i64,
    pub last: i64,
}

impl TsRange {
    /// Returns the range of times that covers both ranges. `None` means that a range has no
    /// events.
    pub fn merge(a: Option<Self>, b: Option<Self>) -> Option<Self> {
        match (a, b) {
            (Some(a), Some(b)) => {
                Some(Self { first: a.first.min(b.first), last: a.last.max(b.last) })
            }
            (a, b) => a.or(b),
        }
    }
}
