//! [`Milestone`]: the four things a partner is told, and the JSON they are told in. Pure.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::report::Report;

/// What happened to an import.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Milestone {
    /// It began to run.
    #[serde(rename = "import.picked_up")]
    PickedUp,
    /// It runs still; comes again and again.
    #[serde(rename = "import.still_processing")]
    StillProcessing,
    /// It ended, and at least one record was accepted.
    #[serde(rename = "import.completed")]
    Completed,
    /// It ended, and nothing was accepted.
    #[serde(rename = "import.failed")]
    Failed,
}

impl Milestone {
    /// The milestone's type, as in webhooks, the state database and the activity log.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PickedUp => "import.picked_up",
            Self::StillProcessing => "import.still_processing",
            Self::Completed => "import.completed",
            Self::Failed => "import.failed",
        }
    }
}

/// A milestone as a webhook tells it (Standard Webhooks 1.0, "payload structure").
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Body<T> {
    /// What happened.
    #[serde(rename = "type")]
    pub milestone: T,
    /// When.
    pub timestamp: Timestamp,
    /// To what: the report as it stands.
    pub data: Report,
}

/// A new message id: `msg_` and a UUID of version 7, so that ids sort by time.
pub fn message_id() -> String {
    format!("msg_{}", Uuid::now_v7().simple())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn type_is_its_json() {
        use Milestone::*;
        for milestone in [PickedUp, StillProcessing, Completed, Failed] {
            assert_eq!(serde_json::to_value(milestone).unwrap(), milestone.as_str());
        }
    }

    #[test]
    fn message_ids_differ_and_are_header_safe() {
        let (a, b) = (message_id(), message_id());
        assert_ne!(a, b);
        assert!(a.starts_with("msg_") && a.len() == 36);
        assert!(a.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'_'));
    }
}
