//! [`Calendar`] formats seconds since 1970 as RFC 3339 in UTC, such as `2020-05-12T09:07:12Z`.
//! [`day_number`] converts a date to a number of days since 1970.

use std::ops::RangeInclusive;

/// The range of the years 1 to 9999 in seconds since 1970 UTC.
pub const SECONDS: RangeInclusive<i64> = -62_135_596_800..=253_402_300_799;
/// The time of day for a date without a time, in seconds since midnight: 00:00:01.
pub const NO_TIME: i64 = 1;

/// The maximum number of cached days. An events file usually covers some weeks, or its dates
/// increase from day to day.
const DAYS: usize = 512;
/// The length of a formatted day in bytes. The T after the day counts too.
const DAY_LETTERS: usize = 11;

/// Formats times in seconds since 1970. Caches the formatted days.
#[derive(Debug, Default)]
pub struct Calendar(Vec<CachedDay>);

#[derive(Clone, Copy, Debug)]
struct CachedDay {
    /// The number of the cached day, counted from 1970.
    number: i32,
    /// The text of the cached day, such as `2020-05-12T`. The first character is in the lowest
    /// byte.
    text: u128,
}

impl Calendar {
    /// Formats `seconds` since 1970 in ASCII. `seconds` must be in the years 1 to 9999
    /// ([`SECONDS`]).
    ///
    /// The text is written in whole machine words. If it were written byte by byte and then read in
    /// words, the processor would stall on store forwarding. Such a stall takes longer than the
    /// rest of the function.
    #[inline(always)]
    pub fn rfc3339(&mut self, seconds: i64) -> [u8; 20] {
        let (days, time) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400) as u32);
        let clock = clock(time);
        let start = self.day(days as i32) | u128::from(clock) << (8 * DAY_LETTERS);
        let end = (clock >> (8 * (16 - DAY_LETTERS))) as u32 | u32::from(b'Z') << 24;
        let mut text = [0; 20];
        text[..16].copy_from_slice(&start.to_le_bytes());
        text[16..].copy_from_slice(&end.to_le_bytes());
        text
    }

    /// Appends the text of a time, as [`Self::rfc3339`] returns it, to `text`.
    pub fn push_rfc3339(&mut self, text: &mut String, seconds: i64) {
        let digits = self.rfc3339(seconds);
        text.push_str(std::str::from_utf8(&digits).expect("the text has only ASCII characters"));
    }

    #[inline]
    fn day(&mut self, number: i32) -> u128 {
        if self.0.is_empty() {
            self.0 = vec![CachedDay::new(0); DAYS];
        }
        let slot = &mut self.0[number.rem_euclid(DAYS as i32) as usize];
        if slot.number != number {
            *slot = CachedDay::new(number);
        }
        slot.text
    }
}

impl CachedDay {
    fn new(number: i32) -> Self {
        let (year, month, day) = civil(number);
        let mut text = [0; 16];
        text[..DAY_LETTERS].copy_from_slice(b"0000-00-00T");
        for (at, number) in [(0, year / 100), (2, year % 100), (5, month), (8, day)] {
            text[at..at + 2].copy_from_slice(&two_digits(number));
        }
        Self { number, text: u128::from_le_bytes(text) }
    }
}

/// Returns the two decimal digits of a number below 100.
fn two_digits(number: u32) -> [u8; 2] {
    [b'0' + (number / 10) as u8, b'0' + (number % 10) as u8]
}

/// Formats a time of day, given in seconds since midnight, as `09:07:12`. The first character is
/// in the lowest byte.
#[inline]
fn clock(time: u32) -> u64 {
    // Hours, minutes and seconds are each placed at the position of their two digits. Then all
    // digits are computed in parallel.
    let numbers =
        u64::from(time / 3600) | u64::from(time / 60 % 60) << 24 | u64::from(time % 60) << 48;
    // This step divides each number by ten. For a number below 100, the product has 14 bits, and
    // the quotient has 4 bits.
    let tens = ((numbers * 103) >> 10) & 0x000f_0000_0f00_000f;
    let ones = numbers - 10 * tens;
    u64::from_le_bytes(*b"00:00:00") + (tens | ones << 8)
}

/// Converts a number of days since 1970 to year, month and day in the Gregorian calendar. The
/// result must be in the years 1 to 9999.
///
/// The function counts days from 1 March of year 0, so that a leap day is the last day of its year.
/// Then every 400 years have 146,097 days, and every five months from March on have 153 days. All
/// numbers fit in unsigned 32 bits, because divisions of such numbers are the fastest.
fn civil(days: i32) -> (u32, u32, u32) {
    let days = (days + 719_468) as u32;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (era * 400 + year + u32::from(month <= 2), month, day)
}

/// Returns the number of days from 1970 to a day of the Gregorian calendar; `None` if the day does
/// not exist, or if the year is not in 1 to 9999. This is the reverse of [`civil`].
pub fn day_number(year: i64, month: i64, day: i64) -> Option<i64> {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if !(1..=9999).contains(&year) || !(1..=length).contains(&day) {
        return None;
    }
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * year + year / 4 - year / 100 + year / 400;
    Some(days + (153 * month + 2) / 5 + day - 1 - 719_468)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(calendar: &mut Calendar, seconds: i64) -> String {
        let mut text = String::new();
        calendar.push_rfc3339(&mut text, seconds);
        text
    }

    #[test]
    fn formatted_times_match_jiff() {
        let mut calendar = Calendar::default();
        for seconds in [
            0,
            1,
            -1,
            1_589_274_432,
            951_782_400,
            951_868_799,
            4_107_542_400,
            -2_208_988_800,
            *SECONDS.start(),
            99_999_999_999,
        ] {
            let expected = jiff::Timestamp::from_second(seconds).unwrap().to_string();
            assert_eq!(written(&mut calendar, seconds), expected);
        }
    }

    proptest::proptest! {
        #[test]
        fn random_formatted_times_match_jiff(
            seconds in proptest::collection::vec(SECONDS, 1..5),
            days in proptest::collection::vec(0..3_i64, 5),
        ) {
            let mut calendar = Calendar::default();
            // Two days use the same slot if they differ by a multiple of the cache's size.
            let apart = days.iter().map(|days| days * 86_400 * DAYS as i64);
            for seconds in seconds.iter().cycle().zip(apart).map(|(seconds, days)| seconds + days) {
                if let Ok(timestamp) = jiff::Timestamp::from_second(seconds) {
                    let text = written(&mut calendar, seconds);
                    proptest::prop_assert_eq!(text, timestamp.to_string());
                }
            }
        }
    }

    proptest::proptest! {
        #[test]
        fn day_numbers_match_jiff(year in 0..10_001_i64, month in 0..14_i64, day in 0..33_i64) {
            let date = jiff::civil::Date::new(year as i16, month as i8, day as i8);
            let date = date.ok().filter(|_| (1..=9999).contains(&year));
            let since_1970 = |date: jiff::civil::Date| {
                date.duration_since(jiff::civil::date(1970, 1, 1)).as_secs().div_euclid(86_400)
            };
            proptest::prop_assert_eq!(day_number(year, month, day), date.map(since_1970));
        }
    }
}
