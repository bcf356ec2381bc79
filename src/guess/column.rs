//! [`ColumnFacts`]: counts over the cells of one column.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};

use super::nulls;
use crate::config::Limits;
use crate::manifest::{DateFormat, PropertyType};
use crate::records::{SpecialProperty, Value, is_forbidden, of_type};

/// The formats of dates that are tried, the likeliest of two first.
pub const DATE_FORMATS: [&str; 6] =
    ["dd/MM/yyyy", "MM/dd/yyyy", "yyyy/MM/dd", "yyyy/dd/MM", "dd MMM yyyy", COMPACT];
pub const COMPACT: &str = "yyyyMMdd";

/// The years of plausible dates without separators.
const YEARS: std::ops::RangeInclusive<u16> = 1900..=2100;

/// Different values that are counted.
const MAX_DISTINCT: usize = 1000;

/// Values that are shown.
const SHOWN: usize = 3;

/// Values that a reading may fail on before its share is compared with [`MAX_FAILED`].
const MIN_FAILED: u64 = 20;
/// A reading that fails on more than one of this many values is given up.
const MAX_FAILED: u64 = 20;

/// The counts.
#[derive(Debug)]
pub struct ColumnFacts {
    /// Cells that are more than white space.
    pub filled: u64,
    /// Cells that are one of [`nulls::WORDS`].
    pub nulls: nulls::WordCounts,
    /// The first different values, at most three.
    pub values: Vec<String>,
    /// The types and formats, in the order of preference.
    pub readings: Vec<Reading>,
    /// Pairs of [`DATE_FORMATS`] that read a value as two different dates.
    different: HashSet<(usize, usize)>,
    /// Values of digits alone, by their number.
    pub digits: [u64; 20],
    pub zeros_and_ones: u64,
    /// Values such as `1.234,50`: numbers with a decimal comma.
    pub commas: u64,
    /// Values that break the rule of the property.
    pub broken: u64,
    /// Values that cannot be names of events.
    pub no_names: u64,
    /// Values that can be the time of an event: epoch seconds or a date in one reading.
    pub times: u64,
    rule: Option<SpecialProperty>,
    /// Whether the domain of an email needs a dot.
    needs_dot: bool,
    is_time: bool,
    hasher: RandomState,
    distinct: HashSet<u64>,
}

/// One type, with a format if it is DATE, and the values that are not of it.
#[derive(Debug)]
pub struct Reading {
    pub kind: PropertyType,
    /// The index in [`DATE_FORMATS`].
    pub format: Option<usize>,
    parsed: Option<DateFormat>,
    pub failed: u64,
    /// The first value that is not of this type, with its line.
    pub first_failed: Option<(u64, String)>,
    is_given_up: bool,
}

impl Reading {
    fn new(kind: PropertyType, format: Option<usize>) -> Option<Self> {
        let parsed = match format {
            Some(format) => Some(DateFormat::named(DATE_FORMATS[format])?),
            None => None,
        };
        Some(Self { kind, format, parsed, failed: 0, first_failed: None, is_given_up: false })
    }

    /// Returns whether all values are of this type.
    pub fn fits(&self) -> bool {
        self.failed == 0
    }

    /// Returns whether nearly all values are of this type, and `failed` is exact.
    pub fn nearly_fits(&self, values: u64) -> bool {
        !self.is_given_up && self.failed * 100 <= values && self.failed < values
    }

    /// Reads a value. Returns the date if it is one.
    fn read(&mut self, value: &str, line: u64, values: u64) -> Option<i64> {
        if self.is_given_up {
            return None;
        }
        let read = self.accepts(value).then(|| of_type(value, self.kind, self.parsed).ok());
        match read.flatten() {
            Some(Value::Date(at)) => Some(at),
            Some(_) => None,
            None => {
                self.failed += 1;
                self.first_failed.get_or_insert_with(|| (line, value.to_owned()));
                self.is_given_up = self.failed > MIN_FAILED && self.failed * MAX_FAILED > values;
                None
            }
        }
    }

    /// Returns whether a value that has this type is likely meant so.
    fn accepts(&self, value: &str) -> bool {
        let text = value.trim();
        let digits = text.strip_prefix('-').unwrap_or(text).bytes().all(|b| b.is_ascii_digit());
        match self.kind {
            PropertyType::Integer | PropertyType::Long => is_plain_number(value),
            PropertyType::Float => is_plain_number(value) && is_exact(value),
            PropertyType::Date if text.starts_with("$D_") => false,
            PropertyType::Date if self.format.is_some_and(|f| DATE_FORMATS[f] == COMPACT) => {
                let year = value.get(..4).and_then(|year| year.parse().ok());
                value.len() >= 8 && year.is_some_and(|year| YEARS.contains(&year))
            }
            PropertyType::Date => !digits,
            PropertyType::Boolean | PropertyType::String => true,
        }
    }
}

/// Returns whether a number would be written the same way again: a leading zero or plus, and white
/// space, belong to codes and phone numbers.
fn is_plain_number(value: &str) -> bool {
    let digits = value.strip_prefix('-').unwrap_or(value).as_bytes();
    match digits {
        [b'0', second, ..] => !second.is_ascii_digit(),
        [first, ..] => first.is_ascii_digit() || *first == b'.',
        [] => false,
    }
}

/// Returns whether a value is a number with a decimal comma.
fn has_decimal_comma(value: &str) -> bool {
    let number = value.strip_prefix('-').unwrap_or(value);
    number.split_once(',').is_some_and(|(whole, decimals)| {
        let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        is_digits(decimals) && whole.split('.').all(is_digits)
    })
}

/// Returns whether a FLOAT keeps all digits of a decimal number.
fn is_exact(value: &str) -> bool {
    let mantissa = value.split(['e', 'E']).next().unwrap_or_default();
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    let digits = digits.trim_start_matches('0');
    let is_whole = !mantissa.contains('.');
    let significant = if is_whole { digits } else { digits.trim_end_matches('0') };
    significant.len() <= if is_whole { 15 } else { 17 }
}

impl ColumnFacts {
    /// `rule` is that of the property which the column is likely to be; `is_time` whether its
    /// name is that of a time.
    pub fn new(rule: Option<SpecialProperty>, is_time: bool, limits: &Limits) -> Self {
        use PropertyType::{Boolean, Date, Float, Integer, Long};
        let dates = (0..DATE_FORMATS.len()).map(|format| Reading::new(Date, Some(format)));
        let others = [Boolean, Integer, Long, Float, Date].map(|kind| Reading::new(kind, None));
        Self {
            filled: 0,
            nulls: [0; nulls::WORDS.len()],
            values: Vec::new(),
            readings: dates.chain(others).flatten().collect(),
            different: HashSet::new(),
            digits: [0; 20],
            zeros_and_ones: 0,
            commas: 0,
            broken: 0,
            no_names: 0,
            times: 0,
            rule,
            needs_dot: limits.email_domain_dot,
            is_time,
            hasher: RandomState::new(),
            distinct: HashSet::new(),
        }
    }

    /// Counts a cell.
    pub fn count(&mut self, cell: &str, line: u64) {
        let value = cell.trim();
        if value.is_empty() {
            return;
        }
        self.filled += 1;
        if let Some(word) = nulls::word(cell) {
            self.nulls[word] += 1;
            return;
        }
        let values = self.value_count();
        self.count_form(value);
        if self.is_time && matches!(of_type(cell, PropertyType::Date, None), Ok(Value::Date(_))) {
            self.times += u64::from(Self::is_time_form(value));
        }
        self.broken +=
            u64::from(self.rule.is_some_and(|rule| rule.normal(cell, self.needs_dot).is_err()));
        if self.distinct.len() < MAX_DISTINCT
            && self.distinct.insert(self.hasher.hash_one(value))
            && self.values.len() < SHOWN
        {
            self.values.push(value.to_owned());
        }
        let mut dates: [Option<i64>; DATE_FORMATS.len()] = [None; DATE_FORMATS.len()];
        for reading in &mut self.readings {
            let date = reading.read(cell, line, values);
            if let Some(format) = reading.format {
                dates[format] = date;
            }
        }
        if dates.iter().flatten().count() < 2 {
            return;
        }
        for (a, first) in dates.iter().enumerate() {
            for (b, second) in dates.iter().enumerate().skip(a + 1) {
                if first.is_some() && second.is_some() && first != second {
                    self.different.insert((a, b));
                }
            }
        }
    }

    fn count_form(&mut self, value: &str) {
        if value.bytes().all(|b| b.is_ascii_digit()) {
            if let Some(count) = self.digits.get_mut(value.len()) {
                *count += 1;
            }
            self.zeros_and_ones += u64::from(matches!(value, "0" | "1"));
        }
        self.commas += u64::from(has_decimal_comma(value));
        self.no_names += u64::from(value.chars().any(is_forbidden));
    }

    /// Returns whether digits alone are as many as those of epoch seconds.
    fn is_time_form(value: &str) -> bool {
        !value.bytes().all(|b| b.is_ascii_digit()) || (9..=11).contains(&value.len())
    }

    /// Returns the number of cells with a value that is not one of [`nulls::WORDS`].
    pub fn value_count(&self) -> u64 {
        self.filled - self.nulls.iter().sum::<u64>()
    }

    /// Returns the number of different values, at most 1000.
    pub fn distinct(&self) -> usize {
        self.distinct.len()
    }

    /// Returns the formats that read every value.
    pub fn formats(&self) -> Vec<usize> {
        let fitting = self.readings.iter().filter(|reading| reading.fits());
        fitting.filter_map(|reading| reading.format).collect()
    }

    /// Returns whether two formats read a value as two different dates.
    pub fn differ(&self, a: usize, b: usize) -> bool {
        self.different.contains(&(a.min(b), a.max(b)))
    }

    /// Returns whether all values are of this type, without a format.
    pub fn fits(&self, kind: PropertyType) -> bool {
        let mut readings = self.readings.iter();
        self.value_count() > 0 && readings.any(|r| r.kind == kind && r.format.is_none() && r.fits())
    }

    /// Returns whether all values have so many digits, and nothing else.
    pub fn has_digits(&self, lengths: std::ops::RangeInclusive<usize>) -> bool {
        let values = self.value_count();
        values > 0 && self.digits[lengths].iter().sum::<u64>() == values
    }
}
