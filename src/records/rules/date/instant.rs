//! The seconds of a DATE in any of its forms.

use super::day::{compact_day, day_and_time, is_ambiguous, only_reading, written_day};
use super::iso8601::iso8601;
use crate::manifest::{DateFormat, DayOrder};
use crate::records::rules::calendar::SECONDS;
use crate::records::rules::digits::digits;
use crate::records::rules::epoch;

/// The fewest digits that are epoch seconds without a format.
const EPOCH_DIGITS: usize = 9;

/// Parses epoch seconds, with a minus sign for times before 1970.
pub fn signed_epoch(text: &str) -> Option<i64> {
    let seconds = match text.strip_prefix('-') {
        Some(digits) => -epoch(digits.as_bytes())?,
        None => epoch(text.as_bytes())?,
    };
    SECONDS.contains(&seconds).then_some(seconds)
}

/// Parses a text that is not empty.
pub fn instant(text: &str, format: Option<DateFormat>) -> Option<i64> {
    let iso = iso8601(text).filter(|_| !is_day_before_month(text, format));
    let seconds = iso.or_else(|| match format {
        None => long_epoch(text).or_else(|| day_and_time(text, only_reading)),
        Some(DateFormat::Day { order, separator }) => {
            day_and_time(text, |day, _| written_day(day, order, separator))
        }
        Some(DateFormat::Compact) => day_and_time(text, |day, _| compact_day(day)),
        Some(DateFormat::Epoch) => whole_number(text),
        Some(DateFormat::EpochMilliseconds) => whole_number(text).map(|ms| ms.div_euclid(1000)),
    })?;
    SECONDS.contains(&seconds).then_some(seconds)
}

/// Whether a text that is no number is a date in some format.
pub fn is_written_day(text: &str) -> bool {
    iso8601(text).or_else(|| day_and_time(text, only_reading)).is_some() || is_ambiguous(text)
}

/// Whether the format is yyyy-dd-MM, and nothing in `text` shows that it is ISO 8601 instead.
fn is_day_before_month(text: &str, format: Option<DateFormat>) -> bool {
    let dashed = DateFormat::Day { order: DayOrder::YearDayMonth, separator: '-' };
    format == Some(dashed) && text.as_bytes().get(10) != Some(&b'T')
}

/// Parses epoch seconds that can't be taken for anything else.
fn long_epoch(text: &str) -> Option<i64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.len() < EPOCH_DIGITS { None } else { signed_epoch(text) }
}

/// Parses a number with an optional sign and decimals, and rounds it down.
fn whole_number(text: &str) -> Option<i64> {
    let (negative, number) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let (whole, decimals) = number.split_once('.').unwrap_or((number, "0"));
    let whole = digits(whole.as_bytes())?;
    if decimals.is_empty() || !decimals.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let has_rest = decimals.bytes().any(|byte| byte != b'0');
    Some(if negative { -whole - i64::from(has_rest) } else { whole })
}
