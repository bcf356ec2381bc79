//! The rule for `ts`: seconds since 1970 in 9 to 11 digits, or a date if the column is mapped as
//! DATE. An empty cell means the time of processing.
//!
//! The setting `min-ts` is the earliest valid time. Its default value excludes numbers with fewer
//! than 9 digits, because such numbers are probably dates, day numbers or years.

use super::date::{self, date};
use super::{LATEST_EPOCH, epoch, trim};
use crate::config::Limits;
use crate::manifest::DateFormat;
use crate::records::rules::rejection::{Detail, Rule, RuleCase};

pub static TIMESTAMP: Rule = Rule::new(
    "Timestamp not in UNIX epoch format",
    "Write ts in seconds since 1970, 9 to 11 digits, or leave it empty.",
)
.with_help(hint);

/// The notation of the times in a `ts` column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimestampNotation {
    Epoch,
    Date(Option<DateFormat>),
}

impl TimestampNotation {
    /// Parses a `ts` cell to seconds since 1970 UTC. Returns `None` if the cell is empty. A time
    /// before `min` is an error.
    pub fn seconds(self, cell: &str, min: i64) -> Result<Option<i64>, &'static Rule> {
        match self {
            Self::Epoch => timestamp(cell, min),
            Self::Date(format) => {
                let seconds = date(cell, format)?;
                let valid = seconds.is_none_or(|at| (min..=LATEST_EPOCH).contains(&at));
                if valid { Ok(seconds) } else { Err(&date::DATE) }
            }
        }
    }

    /// Parses the simple case of a `ts` cell with only digits quickly. If the result is `None`, the
    /// cell can still be valid.
    #[inline]
    pub fn plain(self, cell: &[u8], min: i64) -> Option<i64> {
        if self == Self::Epoch { epoch(cell).filter(|at| *at >= min) } else { None }
    }
}

fn timestamp(cell: &str, min: i64) -> Result<Option<i64>, &'static Rule> {
    match trim(cell) {
        "" => Ok(None),
        text => match epoch(text.as_bytes()) {
            Some(at) if at >= min => Ok(Some(at)),
            _ => Err(&TIMESTAMP),
        },
    }
}

fn hint(case: &RuleCase<'_>) -> Detail {
    let text = case.value?.trim();
    if text.len() == 13 && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some("the value seems to be in milliseconds, write seconds".into());
    }
    if let Some(hint) = date::number_hint(text).or_else(|| date::compact_hint(text)) {
        return Some(hint.into());
    }
    if let Some(seconds) = epoch(text.as_bytes()) {
        return if text.len() < 9 {
            general_hint(case.limits)
        } else {
            date::out_of_range(seconds, case.limits)
        };
    }
    if date::is_written_day(text) {
        return Some(
            "the value seems to be a date: map the column with dataType DATE and its format".into(),
        );
    }
    general_hint(case.limits)
}

fn general_hint(limits: &Limits) -> Detail {
    let min = limits.min_ts;
    Some(if min == Limits::default().min_ts {
        "write seconds since 1970 in 9 to 11 digits".into()
    } else {
        format!("write seconds since 1970 in at most 11 digits, {} or more", min.seconds()).into()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIN: i64 = 100_000_000;

    fn epoch_column(cell: &str, min: i64) -> Result<Option<i64>, &'static str> {
        TimestampNotation::Epoch.seconds(cell, min).map_err(Rule::text)
    }

    #[test]
    fn timestamps_are_epoch_seconds_or_empty() {
        for (cell, seconds) in [
            ("1578503667", Some(1_578_503_667)),
            (" 1578503667 ", Some(1_578_503_667)),
            ("100000000", Some(100_000_000)),
            ("99999999999", Some(99_999_999_999)),
            ("", None),
            ("  ", None),
        ] {
            assert_eq!(epoch_column(cell, MIN), Ok(seconds), "{cell:?}");
            let plain = TimestampNotation::Epoch.plain(cell.as_bytes(), MIN);
            assert_eq!(plain.or(seconds), seconds, "{cell:?}");
        }
        for cell in [
            "1578503667000",
            "99999999",
            "20200108",
            "43838",
            "2020",
            "0",
            "000000001",
            "-1",
            "1.5",
            "2020-01-01",
            "$D_1578503667",
            "1e9",
            "x",
        ] {
            assert_eq!(epoch_column(cell, MIN), Err(TIMESTAMP.text()), "{cell:?}");
            let plain = TimestampNotation::Epoch.plain(cell.as_bytes(), MIN);
            assert_eq!(plain, None, "{cell:?}");
        }
    }

    #[test]
    fn the_earliest_time_can_be_configured() {
        assert_eq!(epoch_column("0", 0), Ok(Some(0)));
        assert_eq!(epoch_column("946684799", 946_684_800), Err(TIMESTAMP.text()));
        assert_eq!(epoch_column("946684800", 946_684_800), Ok(Some(946_684_800)));
    }

    #[test]
    fn dates_outside_the_timestamp_range_are_rejected() {
        let column = TimestampNotation::Date(DateFormat::named("dd/MM/yyyy"));
        let seconds = |cell| column.seconds(cell, MIN).map_err(Rule::text);
        assert_eq!(seconds("08/01/2020 17:14:27"), Ok(Some(1_578_503_667)));
        assert_eq!(seconds("2020-01-08T17:14:27Z"), Ok(Some(1_578_503_667)));
        assert_eq!(seconds(" "), Ok(None));
        for cell in ["01/01/1900", "31/12/9999", "1578503667"] {
            assert_eq!(seconds(cell), Err("DATE value expected"), "{cell}");
            assert_eq!(column.plain(cell.as_bytes(), MIN), None);
        }
    }
}
