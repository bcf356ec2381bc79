//! Durations and sizes in text form: `"2h"`, `"5GB"`.

use std::fmt;
use std::time::Duration;

use bytesize::ByteSize;
use jiff::{Span, SpanRelativeTo};
use serde::{Deserialize, Deserializer, de};

/// A duration of zero or more, written `"90s"`, `"2h"`, `"1h 30m"`, `"7d"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Period(Duration);

impl Period {
    pub const fn seconds(n: u64) -> Self {
        Self(Duration::from_secs(n))
    }

    pub const fn get(self) -> Duration {
        self.0
    }

    pub const fn is_zero(self) -> bool {
        self.0.is_zero()
    }
}

impl<'de> Deserialize<'de> for Period {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let span: Span =
            text.parse().map_err(|e| de::Error::custom(format!("{e}; write it as \"2h\"")))?;
        // Months and years have no fixed length; days and weeks do without changes of the clock.
        let length = span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(|_| {
            de::Error::custom("a month or a year has no one length; write it in days")
        })?;
        Ok(Self(length.try_into().map_err(|_| de::Error::custom("is negative"))?))
    }
}

/// A number of bytes, written `"512KB"` (1000s) or `"1MiB"` (1024s).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(transparent)]
pub struct Size(ByteSize);

impl Size {
    /// `n` × 1 000 000 bytes.
    pub const fn mb(n: u64) -> Self {
        Self(ByteSize::mb(n))
    }

    /// `n` × 1024 × 1024 bytes.
    pub const fn mib(n: u64) -> Self {
        Self(ByteSize::mib(n))
    }

    pub const fn from_bytes(n: u64) -> Self {
        Self(ByteSize::b(n))
    }

    pub const fn bytes(self) -> u64 {
        self.0.as_u64()
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.display().si().fmt(f)
    }
}
