//! [`RejectionTally`]: counts rejections by text, for a report.
//!
//! Invariant: when the tallies of all parts of a file are merged, the result equals the tally of
//! the whole file.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

/// The maximum number of different rejection texts in a report. The error file has all texts.
pub const MAX_REJECTIONS: usize = 100;

/// A rejection text with the number of records that were rejected with it, and the line of the
/// first such record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RejectionCount {
    /// The text of the broken rule.
    pub message: String,
    /// The number of records that were rejected with this text. One record can have several texts.
    pub count: u64,
    /// The line in the data file of the first record that was rejected with the text. The header
    /// is line 1.
    pub first_line: u64,
}

/// Counts rejections by their text. The counts are in a list, because there are only a few dozen
/// texts.
#[derive(Clone, Debug, Default)]
pub struct RejectionTally(Vec<TallyEntry>);

#[derive(Clone, Debug)]
struct TallyEntry {
    message: &'static str,
    count: u64,
    first_line: u64,
}

impl RejectionTally {
    /// Counts a record that was rejected with the text `message`. `line` is the line of the
    /// record.
    pub fn add(&mut self, message: &'static str, line: u64) {
        self.add_all(message, 1, line);
    }

    /// Adds the counts of the tally `other`.
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

    /// Returns the counts in this order: the most frequent first, then by first line, then by text.
    /// `text` converts a rule's fixed text to its text in the report.
    pub fn into_counts(
        self,
        text: impl Fn(&'static str) -> Cow<'static, str>,
    ) -> Vec<RejectionCount> {
        let mut counts: Vec<_> = self
            .0
            .into_iter()
            .map(|TallyEntry { message, count, first_line }| RejectionCount {
                message: text(message).into_owned(),
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
        let order: Vec<_> = tally
            .into_counts(Cow::from)
            .into_iter()
            .map(|c| (c.message, c.count, c.first_line))
            .collect();
        assert_eq!(order, [("b".into(), 2, 3), ("c".into(), 1, 2), ("a".into(), 1, 4)]);
    }
}
