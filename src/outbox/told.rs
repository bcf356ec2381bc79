//! [`Told`]: the content of a mail about a milestone.

use super::milestone::Milestone;
use crate::report::{RejectionCount, Report};

/// A milestone with its report and sample records.
#[derive(Clone, Debug)]
pub(super) struct Told {
    pub milestone: Milestone,
    pub report: Report,
    /// A sample record for each of the first rejections, if one was found.
    pub samples: Vec<Option<String>>,
}

impl Told {
    /// Returns the `top` most frequent rejections, each with its sample.
    pub(super) fn rejections(
        &self,
        top: usize,
    ) -> impl Iterator<Item = (&RejectionCount, Option<&str>)> {
        let sample = |n: usize| self.samples.get(n).and_then(Option::as_deref);
        let rejections = self.report.rejections.iter().take(top).enumerate();
        rejections.map(move |(n, count)| (count, sample(n)))
    }
}
