//! Parses a cell of the type DATE in any of its notations to seconds since 1970.

use super::day::{compact_day, day_and_time, is_ambiguous, only_reading, written_day};
use super::iso8601::iso8601;
use crate::manifest::{DateFormat, DayOrder};
use crate::records::rules::calendar::SECONDS;
use crate::records::rules::digits::digits;
use crate::records::rules::epoch;

/// In a column without a format, the minimum number of digits of a number that means seconds since
/// 1970.
const EPOCH_DIGITS: usize = 9;

/// Parses a number of seconds since 1970. Times before 1970 have a minus sign.
pub fn signed_epoch(text: &str) -> Option<i64> {
    let seconds = match text.strip_prefix('-') {
        Some(digits) => -epoch(digits.as_bytes())?,
        None => epoch(text.as_bytes())?,
    };
    SECONDS.contains(&seconds).then_some(seconds)
}

/// Parses a DATE that is not empty to seconds since 1970.
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

/// Returns whether a text that is not a number is a date in some format.
pub fn is_written_day(text: &str) -> bool {
    iso8601(text).or_else(|| day_and_time(text, only_reading)).is_some() || is_ambiguous(text)
}

/// Returns whether the format is yyyy-dd-MM and `text` has no T. A T would show that `text` is ISO
/// 8601.
fn is_day_before_month(text: &str, format: Option<DateFormat>) -> bool {
    let dashed = DateFormat::Day { order: DayOrder::YearDayMonth, separator: '-' };
    format == Some(dashed) && text.as_bytes().get(10) != Some(&b'T')
}

/// Parses seconds since 1970. Returns `None` for a number with so few digits that it can have
/// another meaning.
fn long_epoch(text: &str) -> Option<i64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.len() < EPOCH_DIGITS { None } else { signed_epoch(text) }
}

/// Parses a number with an optional minus sign and optional decimals. Rounds the number down.
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
