//! Parses durations and sizes such as `"2h"` and `"5GB"`.

use std::fmt;
use std::time::Duration;

use bytesize::ByteSize;
use jiff::{Span, SpanRelativeTo};
use serde::{Deserialize, Deserializer, de};

/// A duration of zero or more, in the form `"90s"`, `"2h"`, `"1h 30m"` or `"7d"`.
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
        // Months and years have no fixed length. Days and weeks are fixed here, because changes of
        // the clock are ignored.
        let length = span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(|_| {
            de::Error::custom("months and years have no fixed length; write the duration in days")
        })?;
        Ok(Self(length.try_into().map_err(|_| de::Error::custom("must not be negative"))?))
    }
}

/// A number of bytes, in the form `"512KB"` (factor 1000) or `"1MiB"` (factor 1024).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(transparent)]
pub struct Size(ByteSize);

impl Size {
    /// Returns a size of `n` × 1 000 000 bytes.
    pub const fn mb(n: u64) -> Self {
        Self(ByteSize::mb(n))
    }

    /// Returns a size of `n` × 1024 × 1024 bytes.
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
