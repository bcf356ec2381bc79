//! Makes hints for cells that are not a valid DATE.

use super::day::{compact_day, has_short_year, is_ambiguous};
use super::instant::instant;
use crate::config::Limits;
use crate::manifest::DateFormat;
use crate::records::rules::LATEST_EPOCH;
use crate::records::rules::rejection::{Detail, RuleCase};

pub fn hint(case: &RuleCase<'_>) -> Detail {
    let text = case.value?.trim();
    if let Some(seconds) = instant(text, case.format) {
        return out_of_range(seconds, case.limits);
    }
    let day =
        text.split_once(' ').filter(|(_, time)| time.contains(':')).map_or(text, |(day, _)| day);
    let number = number_hint(text).or_else(|| compact_hint(text));
    let hint = if let Some(hint) = number.or_else(|| epoch_hint(text, case.format)) {
        hint
    } else if case.format.is_none() && is_ambiguous(day) {
        "only a format in the manifest can distinguish day and month"
    } else if has_short_year(day) {
        "write the year in four digits"
    } else if has_twelve_hours(text) {
        "write the time in 24 hours, HH:mm or HH:mm:ss"
    } else {
        return Some(general_hint(case.format).into());
    };
    Some(hint.into())
}

/// Returns whether the text of a time ends with AM or PM.
fn has_twelve_hours(text: &str) -> bool {
    let end = text.rsplit(' ').next().unwrap_or_default();
    end.eq_ignore_ascii_case("am") || end.eq_ignore_ascii_case("pm")
}

/// Returns a hint for a number that is not in seconds since 1970. Returns `None` for any other
/// text.
pub fn number_hint(text: &str) -> Option<&'static str> {
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(match text.len() {
        4 => "the value seems to be a year: write day and month too",
        5 => {
            "the value seems to be a spreadsheet's day number: format the column as a date, then \
             export it"
        }
        13 => {
            "the value seems to be in milliseconds: set \"format\": \"epoch-ms\" with dataType DATE"
        }
        16 => "the value seems to be in microseconds, write seconds",
        19 => "the value seems to be in nanoseconds, write seconds",
        _ => return None,
    })
}

/// Returns a hint if a column has seconds since 1970 but its format is not an epoch.
fn epoch_hint(text: &str, format: Option<DateFormat>) -> Option<&'static str> {
    let is_epoch = (9..=11).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    (is_epoch && format.is_some())
        .then_some("the value seems to be in seconds since 1970: set \"format\": \"epoch\"")
}

/// Returns a hint for a date that is written as eight digits. Returns `None` for any other text.
pub fn compact_hint(text: &str) -> Option<&'static str> {
    if text.len() != 8 || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let is_day =
        |year: &str, month: &str, day: &str| compact_day(&[year, month, day].concat()).is_some();
    let (first, second, year) = (&text[..2], &text[2..4], &text[4..]);
    if compact_day(text).is_some() {
        Some("the value seems to be yyyyMMdd: set \"format\": \"yyyyMMdd\" with dataType DATE")
    } else if is_day(year, second, first) || is_day(year, first, second) {
        Some("eight digits are a date only in the order yyyyMMdd")
    } else {
        None
    }
}

/// Returns a hint for a `ts` that is too early or too late. Returns `None` if the time is in the
/// valid range.
pub fn out_of_range(seconds: i64, limits: &Limits) -> Detail {
    let earliest = limits.min_ts;
    Some(if seconds < earliest.seconds() {
        format!("the time is before {earliest}, the earliest ts").into()
    } else if seconds > LATEST_EPOCH {
        "the time is after the year 5138, the latest ts".into()
    } else {
        return None;
    })
}

fn general_hint(format: Option<DateFormat>) -> String {
    const ISO: &str = "ISO 8601 such as 2020-12-25 or 2020-12-25T18:30:00Z";
    match format {
        Some(format) if format.has_time() => {
            format!("write {format}, with or without HH:mm or HH:mm:ss, or {ISO}")
        }
        Some(DateFormat::Epoch) => format!("write seconds since 1970, or {ISO}"),
        Some(_) => format!("write milliseconds since 1970, or {ISO}"),
        None => format!("write {ISO}, or name the column's format in the manifest"),
    }
}
