//! Parses durations, sizes and times such as `"2h"`, `"5GB"` and `"2000-01-01"`.

use std::fmt;
use std::time::Duration;

use bytesize::ByteSize;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{Span, SpanRelativeTo, Timestamp};
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
        let span: Span = text
            .parse()
            .map_err(|e| de::Error::custom(format!("{e}; write a duration such as \"2h\"")))?;
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

/// A time in UTC, written `"2000-01-01"`, `"2000-01-01T00:00:00Z"`, as a year (`2000`), or in seconds
/// since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct UtcTime(i64);

/// A time in the form in which the configuration file contains it.
#[derive(Deserialize)]
#[serde(untagged)]
enum WrittenTime {
    Number(i64),
    Text(String),
    Toml(toml::value::Datetime),
}

impl UtcTime {
    pub const fn from_seconds(seconds: i64) -> Self {
        Self(seconds)
    }

    /// Returns the time in seconds since 1970 UTC.
    pub const fn seconds(self) -> i64 {
        self.0
    }

    fn parse(text: &str) -> Option<Self> {
        if let Ok(number) = text.parse() {
            let is_year = text.len() == 4;
            return if is_year {
                Self::parse(&format!("{text}-01-01"))
            } else {
                Some(Self(number))
            };
        }
        // A date without a time of day means 00:00 UTC of that date.
        let utc = || TimeZone::UTC.to_timestamp(text.parse::<DateTime>().ok()?).ok();
        Some(Self(text.parse::<Timestamp>().ok().or_else(utc)?.as_second()))
    }
}

impl<'de> Deserialize<'de> for UtcTime {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = match WrittenTime::deserialize(deserializer) {
            Ok(WrittenTime::Number(number)) => number.to_string(),
            Ok(WrittenTime::Text(text)) => text,
            Ok(WrittenTime::Toml(time)) => time.to_string(),
            Err(_) => String::new(),
        };
        Self::parse(&text).ok_or_else(|| {
            de::Error::custom(
                "is not a time; write a time such as \"2000-01-01\", or a number of seconds since \
                 1970",
            )
        })
    }
}

impl fmt::Display for UtcTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Timestamp::from_second(self.0) {
            Ok(time) => write!(f, "{time}"),
            Err(_) => write!(f, "{} seconds after 1970", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_parsed_in_several_forms() {
        #[derive(Deserialize)]
        struct File {
            at: UtcTime,
        }
        let read = |text: &str| toml::from_str::<File>(&format!("at = {text}")).map(|file| file.at);
        for text in ["946684800", "'946684800'", "2000", "'2000'", "'2000-01-01'", "2000-01-01"] {
            assert_eq!(read(text).unwrap().seconds(), 946_684_800, "{text}");
        }
        for text in ["'2000-01-01T01:00:00+01:00'", "2000-01-01T00:00:00Z", "2000-01-01T00:00:00"] {
            assert_eq!(read(text).unwrap().seconds(), 946_684_800, "{text}");
        }
        assert_eq!(read("0").unwrap().to_string(), "1970-01-01T00:00:00Z");
        for text in ["'soon'", "'01/02/2000'", "true", "1.5", "'2h'"] {
            let error = read(text).err().unwrap().to_string();
            assert!(
                error.contains("is not a time; write a time such as \"2000-01-01\""),
                "{text}: {error}"
            );
        }
    }
}
