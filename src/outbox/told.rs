//! [`Told`]: a milestone as a mail tells it, with what its error file adds.

use super::milestone::Milestone;
use crate::report::{RejectionCount, Report};

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Told {
    /// What happened.
    pub milestone: Milestone,
    /// To what.
    pub report: Report,
    /// For each of the first rejections a sample record, where one is known.
    pub samples: Vec<Option<String>>,
}

impl Told {
    /// The `top` most frequent rejections, each with its sample.
    pub(super) fn rejections(
        &self,
        top: usize,
    ) -> impl Iterator<Item = (&RejectionCount, Option<&str>)> {
        let sample = |n: usize| self.samples.get(n).and_then(Option::as_deref);
        let rejections = self.report.rejections.iter().take(top).enumerate();
        rejections.map(move |(n, count)| (count, sample(n)))
    }
}
