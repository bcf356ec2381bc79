//! [`RejectionTally`]: rejections counted by text, for a report.
//!
//! Always holds: what is counted apart and put together comes to the same, in the same order.

use serde::{Deserialize, Serialize};

/// How many different rejection texts a report lists; the rest are in the error file.
pub const MAX_REJECTIONS: usize = 100;

/// One rejection text, how often it came, and where it came first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RejectionCount {
    /// The rule's fixed text.
    pub message: String,
    /// How many records it rejected (one record can have several).
    pub count: u64,
    /// The first such record's line in the data file; the header is line 1.
    pub first_line: u64,
}

/// Counts rejections by text, most frequent first. There are some dozens of texts at most.
#[derive(Clone, Debug, Default)]
pub struct RejectionTally(Vec<Tallied>);

#[derive(Clone, Debug)]
struct Tallied {
    message: &'static str,
    count: u64,
    first_line: u64,
}

impl RejectionTally {
    /// Counts one more record rejected with `message` at `line`.
    pub fn add(&mut self, message: &'static str, line: u64) {
        self.add_all(message, 1, line);
    }

    /// Adds what was counted apart.
    pub fn extend(&mut self, other: Self) {
        for Tallied { message, count, first_line } in other.0 {
            self.add_all(message, count, first_line);
        }
    }

    fn add_all(&mut self, message: &'static str, count: u64, first_line: u64) {
        match self.0.iter_mut().find(|tallied| tallied.message == message) {
            Some(tallied) => {
                tallied.count += count;
                tallied.first_line = tallied.first_line.min(first_line);
            }
            None => self.0.push(Tallied { message, count, first_line }),
        }
    }

    /// The counts, most frequent first, then by first line and text: always the same order.
    pub fn into_counts(self) -> Vec<RejectionCount> {
        let mut counts: Vec<_> = self
            .0
            .into_iter()
            .map(|Tallied { message, count, first_line }| RejectionCount {
                message: message.to_owned(),
                count,
                first_line,
            })
            .collect();
        counts.sort_by(|a, b| {
            (b.count, a.first_line, &a.message).cmp(&(a.count, b.first_line, &b.message))
        });
        counts.truncate(MAX_REJECTIONS);
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_most_frequent_first_then_by_line() {
        let mut tally = RejectionTally::default();
        for (message, line) in [("b", 9), ("a", 4), ("b", 3), ("c", 2)] {
            tally.add(message, line);
        }
        let order: Vec<_> =
            tally.into_counts().into_iter().map(|c| (c.message, c.count, c.first_line)).collect();
        assert_eq!(order, [("b".into(), 2, 3), ("c".into(), 1, 2), ("a".into(), 1, 4)]);
    }
}
