//! [`ColumnFacts`] counts the cells of one column by their form.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};

use super::nulls;
use crate::config::Limits;
use crate::manifest::{DateFormat, PropertyType};
use crate::records::{SpecialProperty, Value, is_forbidden, of_type};

/// The date formats that are tried, the more likely formats first.
pub const DATE_FORMATS: [&str; 6] =
    ["dd/MM/yyyy", "MM/dd/yyyy", "yyyy/MM/dd", "yyyy/dd/MM", "dd MMM yyyy", COMPACT];
pub const COMPACT: &str = "yyyyMMdd";

/// The range of years that is accepted in dates without separators.
const YEARS: std::ops::RangeInclusive<u16> = 1900..=2100;

/// The maximum number of different values of a column that are counted.
const MAX_DISTINCT: usize = 1000;

/// The maximum number of values of a column that are kept as examples.
const SHOWN: usize = 3;

/// The number of values that may fail to parse before their share is compared with [`MAX_FAILED`].
const MIN_FAILED: u64 = 20;
/// The limit for values that fail to parse. A type is excluded if more than one in `MAX_FAILED`
/// values fails to parse.
const MAX_FAILED: u64 = 20;

/// The counts of the cells of one column, by their form.
#[derive(Debug)]
pub struct ColumnFacts {
    /// The number of the column's cells that have more than white space.
    pub filled: u64,
    /// The number of the column's cells with each of the words in [`nulls::WORDS`].
    pub nulls: nulls::WordCounts,
    /// The first three different values of the column.
    pub values: Vec<String>,
    /// The possible types and formats of the column, in the order of preference.
    pub readings: Vec<Reading>,
    /// The pairs of formats in [`DATE_FORMATS`] that result in two different dates for some value
    /// of the column.
    different: HashSet<(usize, usize)>,
    /// For each number of digits, the number of values with so many digits and no other characters.
    /// The index of the array is the number of digits.
    pub digits: [u64; 20],
    pub zeros_and_ones: u64,
    /// The number of the column's values with a decimal comma, such as `1.234,50`.
    pub commas: u64,
    /// The number of the column's values that break the special rule of the property.
    pub broken: u64,
    /// The number of the column's values that cannot be event names.
    pub no_names: u64,
    /// The number of the column's values that can be the time of an event. Such a value is a number
    /// of seconds since 1970, or a date that is not ambiguous.
    pub times: u64,
    rule: Option<SpecialProperty>,
    /// True if the domain of an email address must have a dot.
    needs_dot: bool,
    is_time: bool,
    hasher: RandomState,
    distinct: HashSet<u64>,
}

/// A possible type of a column, and the values that do not have this type. If the type is DATE, it
/// has a format.
#[derive(Debug)]
pub struct Reading {
    pub kind: PropertyType,
    /// The index of the date format in [`DATE_FORMATS`], if the values have such a format.
    pub format: Option<usize>,
    parsed: Option<DateFormat>,
    pub failed: u64,
    /// The first value of the column that does not have this type, with its line number.
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

    /// Returns whether all values of the column have this type.
    pub fn fits(&self) -> bool {
        self.failed == 0
    }

    /// Returns whether at least 99 % of the column's values have this type. In that case, `failed`
    /// is an exact count.
    pub fn nearly_fits(&self, values: u64) -> bool {
        !self.is_given_up && self.failed * 100 <= values && self.failed < values
    }

    /// Parses a value as this type and counts failures. Returns the date in seconds since 1970 if
    /// the type is DATE.
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

    /// Returns whether a value is likely to have this type. The test is needed because, for
    /// example, a code of digits could be parsed as a number or a date by mistake.
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

/// Returns whether a number has no leading zero, no plus sign and no white space. Otherwise the
/// value is probably a code or a phone number.
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

/// Returns whether a FLOAT can store all digits of a decimal number.
fn is_exact(value: &str) -> bool {
    let mantissa = value.split(['e', 'E']).next().unwrap_or_default();
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    let digits = digits.trim_start_matches('0');
    let is_whole = !mantissa.contains('.');
    let significant = if is_whole { digits } else { digits.trim_end_matches('0') };
    significant.len() <= if is_whole { 15 } else { 17 }
}

impl ColumnFacts {
    /// Creates the counts for a column. `rule` is the special rule of the property that the column
    /// probably has. `is_time` means that the name of the column is typical of times.
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

    /// Adds a cell of the column to the counts.
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

    /// Returns whether a value can be a time by its form. A number must have as many digits as
    /// seconds since 1970. Any other text is accepted.
    fn is_time_form(value: &str) -> bool {
        !value.bytes().all(|b| b.is_ascii_digit()) || (9..=11).contains(&value.len())
    }

    /// Returns the number of cells that have a value other than [`nulls::WORDS`].
    pub fn value_count(&self) -> u64 {
        self.filled - self.nulls.iter().sum::<u64>()
    }

    /// Returns the number of different values of the column. The count stops at 1000.
    pub fn distinct(&self) -> usize {
        self.distinct.len()
    }

    /// Returns the indexes of the formats in which every value of the column is a date.
    pub fn formats(&self) -> Vec<usize> {
        let fitting = self.readings.iter().filter(|reading| reading.fits());
        fitting.filter_map(|reading| reading.format).collect()
    }

    /// Returns whether the formats `a` and `b` result in two different dates for some value of the
    /// column.
    pub fn differ(&self, a: usize, b: usize) -> bool {
        self.different.contains(&(a.min(b), a.max(b)))
    }

    /// Returns whether all values have the type `kind` without a format.
    pub fn fits(&self, kind: PropertyType) -> bool {
        let mut readings = self.readings.iter();
        self.value_count() > 0 && readings.any(|r| r.kind == kind && r.format.is_none() && r.fits())
    }

    /// Returns whether all values consist only of digits, with a number of digits in `lengths`.
    pub fn has_digits(&self, lengths: std::ops::RangeInclusive<usize>) -> bool {
        let values = self.value_count();
        values > 0 && self.digits[lengths].iter().sum::<u64>() == values
    }
}
