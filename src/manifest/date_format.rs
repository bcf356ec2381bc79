//! [`DateFormat`] is one of the formats that a manifest can give to a DATE.

use std::fmt;

/// The format of a cell with a DATE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DateFormat {
    /// The format has day, month and year, with an optional time. The manifest names one separator.
    /// `records` accepts the other separators as well.
    Day { order: DayOrder, separator: char },
    /// The format is `yyyyMMdd`, with an optional time.
    Compact,
    /// The cell is a number of seconds since 1970 UTC.
    Epoch,
    /// The cell is a number of milliseconds since 1970 UTC.
    EpochMilliseconds,
}

/// The order of day, month and year in a date.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DayOrder {
    DayMonthYear,
    MonthDayYear,
    YearDayMonth,
    YearMonthDay,
    DayNameYear,
}

/// A list of all formats, for messages.
pub const DATE_FORMATS: &str = "dd/MM/yyyy, MM/dd/yyyy, yyyy/dd/MM, yyyy/MM/dd or dd MMM yyyy \
     (with /, - or . between) or yyyyMMdd, each with or without HH:mm or HH:mm:ss, or epoch or \
     epoch-ms";

/// The formats of the time of day that may follow a date.
const TIMES: [&str; 3] = [" HH:mm:ss", " HH:mm", ""];

impl DayOrder {
    /// All orders of day, month and year, as listed in the import rules.
    pub const ALL: [Self; 5] = [
        Self::DayMonthYear,
        Self::MonthDayYear,
        Self::YearDayMonth,
        Self::YearMonthDay,
        Self::DayNameYear,
    ];

    /// Returns the parts of a date in this order, as a manifest writes them.
    fn parts(self) -> [&'static str; 3] {
        match self {
            Self::DayMonthYear => ["dd", "MM", "yyyy"],
            Self::MonthDayYear => ["MM", "dd", "yyyy"],
            Self::YearDayMonth => ["yyyy", "dd", "MM"],
            Self::YearMonthDay => ["yyyy", "MM", "dd"],
            Self::DayNameYear => ["dd", "MMM", "yyyy"],
        }
    }

    /// Returns whether `separator` is allowed between day, month and year.
    pub fn allows(self, separator: char) -> bool {
        matches!(separator, '/' | '-' | '.') || separator == ' ' && self == Self::DayNameYear
    }
}

impl DateFormat {
    /// Returns the format that a manifest writes as `text`, with or without a time of day.
    pub fn named(text: &str) -> Option<Self> {
        Self::all().find(|format| format.is_written(text, |a, b| a == b))
    }

    /// Returns the format that the author of `text` most likely meant.
    pub fn likely(text: &str) -> Option<Self> {
        match text.to_ascii_lowercase().replace(['_', ' '], "-").as_str() {
            "unix" | "timestamp" | "seconds" | "epoch-s" | "epoch-seconds" => Some(Self::Epoch),
            "epochms" | "epoch-ms" | "epoch-millis" | "epoch-milliseconds" | "milliseconds" => {
                Some(Self::EpochMilliseconds)
            }
            _ => Self::all().find(|format| format.is_written(text, str::eq_ignore_ascii_case)),
        }
    }

    fn all() -> impl Iterator<Item = Self> {
        let separators = |order: DayOrder| {
            let allowed = ['/', '-', '.', ' '].into_iter().filter(move |c| order.allows(*c));
            allowed.map(move |separator| Self::Day { order, separator })
        };
        let days = DayOrder::ALL.into_iter().flat_map(separators);
        days.chain([Self::Compact, Self::Epoch, Self::EpochMilliseconds])
    }

    fn is_written(self, text: &str, equal: impl Fn(&str, &str) -> bool) -> bool {
        let format = self.to_string();
        let times = if self.has_time() { &TIMES[..] } else { &[""] };
        times.iter().any(|time| equal(text, &format!("{format}{time}")))
    }

    /// Returns whether a time of day may follow a date in this format.
    pub fn has_time(self) -> bool {
        matches!(self, Self::Day { .. } | Self::Compact)
    }
}

impl fmt::Display for DateFormat {
    /// Writes the format as a manifest spells it, without a time of day.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Day { order, separator } => {
                let [a, b, c] = order.parts();
                write!(f, "{a}{separator}{b}{separator}{c}")
            }
            Self::Compact => f.write_str("yyyyMMdd"),
            Self::Epoch => f.write_str("epoch"),
            Self::EpochMilliseconds => f.write_str("epoch-ms"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parsing_format_names_reverses_formatting() {
        for format in DateFormat::all() {
            let name = format.to_string();
            assert_eq!(DateFormat::named(&name), Some(format), "{name}");
            for time in [" HH:mm", " HH:mm:ss"] {
                let with_time = DateFormat::named(&format!("{name}{time}"));
                assert_eq!(with_time, format.has_time().then_some(format), "{name}{time}");
            }
            assert!(DateFormat::likely(&name.to_uppercase()).is_some(), "{name}");
        }
        assert_eq!(DateFormat::all().count(), 5 * 3 + 1 + 3);
    }

    #[test]
    fn unknown_date_formats_are_refused() {
        for name in ["DD/MM/YYYY", "dd MM yyyy", "dd/MM-yyyy", "dd/MM/yy", "yyyyddMM", "Epoch", ""]
        {
            assert_eq!(DateFormat::named(name), None, "{name}");
        }
    }
}
