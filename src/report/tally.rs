//! [`RejectionTally`]: counts rejections by text, for a report.
//!
//! Invariant: the merged tallies of the parts of a file have the same counts in the same order as
//! one tally of the whole file.

use serde::{Deserialize, Serialize};

/// The most different texts that a report lists. The error file has the other texts too.
pub const MAX_REJECTIONS: usize = 100;

/// One rejection text with its count and the line of its first record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RejectionCount {
    /// The rule's fixed text.
    pub message: String,
    /// The number of records that were rejected with this text. One record can have several texts.
    pub count: u64,
    /// The line of the first such record in the data file. The header is line 1.
    pub first_line: u64,
}

/// Counts rejections by text in a list, because there are only some dozens of texts.
#[derive(Clone, Debug, Default)]
pub struct RejectionTally(Vec<TallyEntry>);

#[derive(Clone, Debug)]
struct TallyEntry {
    message: &'static str,
    count: u64,
    first_line: u64,
}

impl RejectionTally {
    /// Counts a record at `line` that was rejected with `message`.
    pub fn add(&mut self, message: &'static str, line: u64) {
        self.add_all(message, 1, line);
    }

    /// Adds the counts of `other`.
    pub fn extend(&mut self, other: Self) {
        for TallyEntry { message, count, first_line } in other.0 {
            self.add_all(message, count, first_line);
        }
    }

    fn add_all(&mut self, message: &'static str, count: u64, first_line: u64) {
        match self.0.iter_mut().find(|tallied| tallied.message == message) {
            Some(tallied) => {
                tallied.count += count;
                tallied.first_line = tallied.first_line.min(first_line);
            }
            None => self.0.push(TallyEntry { message, count, first_line }),
        }
    }

    /// Returns the counts, most frequent first, then by first line and text.
    pub fn into_counts(self) -> Vec<RejectionCount> {
        let mut counts: Vec<_> = self
            .0
            .into_iter()
            .map(|TallyEntry { message, count, first_line }| RejectionCount {
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
    fn counts_are_sorted_by_frequency_then_line() {
        let mut tally = RejectionTally::default();
        for (message, line) in [("b", 9), ("a", 4), ("b", 3), ("c", 2)] {
            tally.add(message, line);
        }
        let order: Vec<_> =
            tally.into_counts().into_iter().map(|c| (c.message, c.count, c.first_line)).collect();
        assert_eq!(order, [("b".into(), 2, 3), ("c".into(), 1, 2), ("a".into(), 1, 4)]);
    }
}
