//! Chooses the type of a property from the values of its column.

use super::column::{COMPACT, ColumnFacts, DATE_FORMATS, Reading};
use super::names;
use super::question::{Answers, Choice, Question, Topic};
use crate::manifest::{DateFormat, PropertyType};
use crate::sanitize::excerpt;

/// The guessed type of a column, and the reason for the guess.
#[derive(Clone, Debug, PartialEq)]
pub struct TypeGuess {
    pub kind: PropertyType,
    pub format: Option<DateFormat>,
    pub reason: String,
    pub question: Option<Question>,
    pub note: Option<String>,
}

impl TypeGuess {
    pub fn new(kind: PropertyType, reason: impl Into<String>) -> Self {
        Self { kind, format: None, reason: reason.into(), question: None, note: None }
    }
}

/// Returns a type that all values of the column `header` have. If no other type fits, the type is
/// STRING.
pub fn guess_type(header: &str, facts: &ColumnFacts, answers: &Answers) -> TypeGuess {
    use PropertyType::{Boolean, Float, Integer, Long};
    let values = facts.value_count();
    if values == 0 {
        return TypeGuess::new(PropertyType::String, "the column has no values");
    }
    let all = |what: &str| format!("{values} of {values} values are {what}");
    if facts.fits(Boolean) && (facts.zeros_and_ones < values || names::is_flag(header)) {
        return TypeGuess::new(Boolean, all("yes or no"));
    }
    if let Some(date) = guess_date(header, facts, answers) {
        return date;
    }
    for kind in [Integer, Long, Float] {
        if facts.fits(kind) {
            return TypeGuess::new(kind, all(noun(kind)));
        }
    }
    let mut guess = TypeGuess::new(PropertyType::String, "text");
    guess.note = near_miss(header, facts);
    guess
}

/// Returns the type DATE if all values are dates in ISO 8601 or in one of the known formats.
fn guess_date(header: &str, facts: &ColumnFacts, answers: &Answers) -> Option<TypeGuess> {
    let formats = facts.formats();
    let values = facts.value_count();
    let mut guess =
        TypeGuess::new(PropertyType::Date, format!("{values} of {values} values are dates"));
    let differ = formats.iter().any(|a| formats.iter().any(|b| facts.differ(*a, *b)));
    if !differ && facts.fits(PropertyType::Date) && formats.len() != 1 {
        return Some(guess);
    }
    let first = *formats.first()?;
    let mut chosen = first;
    if differ {
        let wanted = answers.date_formats.get(header).or(answers.date_format.as_ref());
        let named = |at: &&usize| wanted == Some(&written(**at, facts));
        let same = |at: &&usize| {
            let wanted = wanted.and_then(|wanted| DateFormat::named(wanted.trim()));
            wanted.is_some() && DateFormat::named(DATE_FORMATS[**at]) == wanted
        };
        match formats.iter().find(named).or_else(|| formats.iter().find(same)) {
            Some(at) => chosen = *at,
            None => guess.question = Some(ask(header, &formats, facts)),
        }
    }
    let name = written(chosen, facts);
    guess.format = DateFormat::named(&name);
    guess.reason = format!("{values} of {values} values are dates ({name})");
    Some(guess)
}

/// Returns the date format at `index` of [`DATE_FORMATS`], with the separator that the values of
/// the column have.
fn written(index: usize, facts: &ColumnFacts) -> String {
    let name = DATE_FORMATS[index];
    let value = facts.values.first().map_or("", |value| value.as_str());
    let separator = value.chars().find(|c| matches!(c, '/' | '-' | '.' | ' '));
    let general = if name == "dd MMM yyyy" { " " } else { "/" };
    let with = separator.map(|separator| name.replace(general, &separator.to_string()));
    with.filter(|name| DateFormat::named(name).is_some()).unwrap_or_else(|| name.to_owned())
}

fn ask(header: &str, formats: &[usize], facts: &ColumnFacts) -> Question {
    let value = facts.values.first().map_or("", |value| value.as_str());
    let choice = |at: &usize| {
        let name = written(*at, facts);
        let order = match DATE_FORMATS[*at] {
            "dd/MM/yyyy" => "the day first",
            "MM/dd/yyyy" => "the month first",
            "yyyy/MM/dd" => "the month after the year",
            "yyyy/dd/MM" => "the day after the year",
            _ => "the parts in this order",
        };
        Choice::new(name, order)
    };
    Question {
        topic: Topic::DateFormat(header.to_owned()),
        text: format!(
            "column {}: are dates such as {} written with the day or the month first?",
            excerpt(header),
            excerpt(value)
        ),
        choices: formats.iter().map(choice).collect(),
    }
}

/// Returns a note about the column if nearly all values have the same type, or if all values are
/// numbers with decimal commas.
fn near_miss(header: &str, facts: &ColumnFacts) -> Option<String> {
    let values = facts.value_count();
    if facts.commas > 0 && facts.commas + facts.digits.iter().sum::<u64>() == values {
        let header = excerpt(header);
        return Some(format!(
            "column {header} stays a STRING: the numbers have decimal commas, but a FLOAT \
             needs a point"
        ));
    }
    let near = |reading: &&Reading| reading.nearly_fits(values);
    let best = facts.readings.iter().filter(near).min_by_key(|reading| reading.failed)?;
    let (line, value) = best.first_failed.as_ref()?;
    let noun = match best.format {
        Some(format) if DATE_FORMATS[format] == COMPACT => noun(PropertyType::Integer),
        _ => noun(best.kind),
    };
    Some(format!(
        "column {} stays a STRING: {} of {values} values are {noun}, but {} in line {line} is not",
        excerpt(header),
        values - best.failed,
        excerpt(value),
    ))
}

fn noun(kind: PropertyType) -> &'static str {
    match kind {
        PropertyType::String => "text",
        PropertyType::Integer => "whole numbers",
        PropertyType::Long => "large whole numbers",
        PropertyType::Float => "numbers",
        PropertyType::Boolean => "yes or no",
        PropertyType::Date => "dates",
    }
}
