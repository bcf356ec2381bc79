//! Guesses whether a file has events or profiles, and which columns have the event name, the time
//! and the ids.

use super::names;
use super::question::{Answers, Choice, Question, Topic};
use super::survey::{NO_ID, Survey, id_rank};
use super::types::{TypeGuess, guess_type};
use crate::manifest::{DateFormat, PropertyType};
use crate::records::{FAILURE_DESCRIPTION, fold, preference};
use crate::report::{DataType, Failure, FailureText};
use crate::sanitize::excerpt;

/// A minimum share of records, in percent. For example, a column with the user's ids must identify
/// at least this share of the records that the best column identifies.
const ENOUGH: u64 = 99;

/// The maximum number of choices that a question about a column offers.
const CHOICES: usize = 5;

/// The guessed meaning of a column.
#[derive(Clone, Debug, PartialEq)]
pub enum Target {
    EventName,
    Timestamp(TypeGuess),
    /// The column has an id of this kind.
    Id(&'static str),
    Property,
    /// The column is not in the manifest. It is a column of operations, the column of an error
    /// file, or a column without a name.
    Ignored,
}

/// The guessed meaning of a file and of its columns.
#[derive(Debug)]
pub struct Meaning {
    pub data_type: DataType,
    /// The targets of all columns, in the order of the header.
    pub targets: Vec<Target>,
    pub questions: Vec<Question>,
    pub notes: Vec<String>,
}

impl Meaning {
    /// Guesses the meaning of a file.
    ///
    /// # Errors
    /// No column can have the event names, or no column can have the ids of users.
    pub fn guess(survey: &Survey, answers: &Answers) -> Result<Self, Failure> {
        let mut questions = Vec::new();
        let (data_type, question) = guess_data_type(survey, answers);
        questions.extend(question);
        let mut guess = Self {
            data_type,
            targets: survey.header.iter().map(|_| Target::Property).collect(),
            questions,
            notes: Vec::new(),
        };
        guess.ignore(survey);
        if data_type == DataType::Event {
            guess.event_name(survey, answers)?;
        }
        guess.timestamp(survey, answers);
        guess.ids(survey, answers)?;
        Ok(guess)
    }

    fn ignore(&mut self, survey: &Survey) {
        for (at, name) in survey.header.iter().enumerate() {
            let is_operation = self.data_type == DataType::Profile && survey.has_operations(at);
            if name.is_empty() || fold(name) == fold(FAILURE_DESCRIPTION) || is_operation {
                self.targets[at] = Target::Ignored;
            }
        }
    }

    /// Returns the columns that are still properties and whose name is in `list`, in the order of
    /// `list`.
    fn named(&self, survey: &Survey, list: &[&str]) -> Vec<usize> {
        let columns = |name: &&str| {
            let is_named = |at: &usize| {
                names::key(&survey.header[*at]) == *name && self.targets[*at] == Target::Property
            };
            (0..survey.header.len()).filter(is_named).collect::<Vec<_>>()
        };
        list.iter().flat_map(columns).collect()
    }

    fn event_name(&mut self, survey: &Survey, answers: &Answers) -> Result<(), Failure> {
        let named = answers
            .event_name
            .as_ref()
            .and_then(|name| survey.column(name))
            .or_else(|| event_column(survey))
            .or_else(|| self.named(survey, &names::ACTION).first().copied());
        let column = match named {
            Some(column) => column,
            None => self.ask_for_event_name(survey)?,
        };
        let facts = &survey.columns[column];
        if facts.no_names > 0 {
            self.notes.push(format!(
                "{} of {} event names in column {} have a character that is not allowed: their \
                 records will be rejected",
                facts.no_names,
                facts.value_count(),
                excerpt(&survey.header[column]),
            ));
        }
        self.targets[column] = Target::EventName;
        Ok(())
    }

    /// Asks which column has the event names. A possible column has a value in nearly every record.
    /// The column with the fewest different values is the likeliest answer.
    fn ask_for_event_name(&mut self, survey: &Survey) -> Result<usize, Failure> {
        let can_be = |at: &usize| {
            let facts = &survey.columns[*at];
            self.targets[*at] == Target::Property
                && facts.value_count() * 100 >= survey.records * ENOUGH
                && facts.no_names == 0
                && !facts.fits(PropertyType::Float)
        };
        let mut columns: Vec<usize> = (0..survey.header.len()).filter(can_be).collect();
        columns.sort_by_key(|at| survey.columns[*at].distinct());
        let likeliest = *columns.first().ok_or_else(|| failure("no column has names of events"))?;
        self.ask_or_note(survey, Topic::EventName, "the event's name", &columns);
        Ok(likeliest)
    }

    /// Asks which of `columns` has the meaning `what`. If there is only one possible column, adds a
    /// note instead.
    fn ask_or_note(&mut self, survey: &Survey, topic: Topic, what: &str, columns: &[usize]) {
        let choice = |at: &usize| {
            let values: Vec<_> = survey.columns[*at].values.iter().map(|v| excerpt(v)).collect();
            Choice::new(&survey.header[*at], values.join(", "))
        };
        let choices: Vec<Choice> = columns.iter().take(CHOICES).map(choice).collect();
        match choices.as_slice() {
            [] => {}
            // A column whose name is not typical of ids must be confirmed.
            [only] if topic == Topic::EventName || id_rank(&only.label) < NO_ID => {
                self.notes.push(format!("column {} is used as {what}", excerpt(&only.label)));
            }
            _ => {
                let text = format!("which column is {what}?");
                self.questions.push(Question { topic, text, choices });
            }
        }
    }

    fn timestamp(&mut self, survey: &Survey, answers: &Answers) {
        let usual = self.named(survey, &names::TIMESTAMP);
        let columns = match self.data_type {
            DataType::Event => [&*usual, &*self.named(survey, &names::OTHER_TIMES)].concat(),
            DataType::Profile => {
                usual.iter().copied().filter(|at| fold(&survey.header[*at]) == "ts").collect()
            }
        };
        let times = columns.iter().filter_map(|at| Some((*at, time(survey, *at, answers)?)));
        let found = times.take(1).next();
        for at in columns.iter().filter(|at| found.as_ref().is_none_or(|(found, _)| found != *at)) {
            // A note about this column is not needed if a better column was found.
            let facts = &survey.columns[*at];
            let is_fine = facts.has_digits(16..=16) || facts.has_digits(19..=19);
            let is_preferred = found.is_some() && fold(&survey.header[*at]) != "ts";
            self.notes.extend(no_time(survey, *at).filter(|_| is_fine || !is_preferred));
        }
        match found {
            Some((at, guess)) => {
                self.questions.extend(guess.question.clone());
                self.notes.extend(guess.note.clone());
                self.targets[at] = Target::Timestamp(guess);
            }
            None if self.data_type == DataType::Event => self.notes.push(
                "no column is used as ts: every event will have the time of its import".to_owned(),
            ),
            None => {}
        }
    }

    fn ids(&mut self, survey: &Survey, answers: &Answers) -> Result<(), Failure> {
        let wanted = answers.identity.as_ref().and_then(|name| survey.column(name));
        for (kind, list) in [
            ("objectId", &names::OBJECT_ID[..]),
            ("fbId", &names::FB_ID[..]),
            ("gpId", &names::GP_ID[..]),
        ] {
            let mut columns = self.named(survey, list).into_iter();
            if let Some(at) = columns.find(|at| Some(*at) != wanted) {
                self.targets[at] = Target::Id(kind);
            }
        }
        let others: Vec<usize> = (0..self.targets.len())
            .filter(|at| matches!(self.targets[*at], Target::Id(_)))
            .collect();
        let reach = |at: usize| survey.identified(&[&*others, &[at]].concat());
        let mut columns = self.identity_columns(survey);
        let best = columns.iter().map(|at| reach(*at)).max().unwrap_or(0);
        columns.retain(|at| reach(*at) * 100 >= best * ENOUGH);
        let literal = self.named(survey, &["identity"]).first().copied();
        let identity = match wanted.or(literal).or(columns.first().copied()) {
            Some(identity) => Some(identity),
            None if survey.identified(&others) > 0 => None,
            None => Some(self.ask_for_identity(survey, answers)?),
        };
        let usual = |at: &&usize| id_rank(&survey.header[**at]) < names::IDENTITY.len();
        let usual: Vec<usize> = columns.iter().filter(usual).copied().collect();
        if wanted.or(literal).is_none() && usual.len() > 1 {
            self.ask_or_note(survey, Topic::Identity, "the user's identity", &usual);
        }
        if let Some(identity) = identity {
            self.targets[identity] = Target::Id("identity");
        }
        Ok(())
    }

    /// Returns the columns whose names are typical of the user's identity, the likeliest first and
    /// emails last.
    fn identity_columns(&self, survey: &Survey) -> Vec<usize> {
        let mut columns = self.named(survey, &names::IDENTITY);
        columns.extend(self.named(survey, &names::OTHER_IDENTITY));
        let emails = (0..survey.header.len()).filter(|at| {
            names::is_email(&survey.header[*at]) && self.targets[*at] == Target::Property
        });
        columns.extend(emails);
        // The column of an identity can't have operations.
        columns
            .retain(|at| self.data_type == DataType::Event || survey.operations_of(*at).is_none());
        columns
    }

    fn ask_for_identity(&mut self, survey: &Survey, answers: &Answers) -> Result<usize, Failure> {
        let is_free = |at: &&usize| self.targets[**at] == Target::Property;
        let usable = |at: usize| survey.identified(&[at]);
        let mut columns: Vec<usize> = survey.id_columns().iter().filter(is_free).copied().collect();
        columns.retain(|at| usable(*at) > 0);
        let is_text = |at: &usize| {
            let kind = guess_type(&survey.header[*at], &survey.columns[*at], answers).kind;
            !matches!(kind, PropertyType::Date | PropertyType::Boolean | PropertyType::Float)
        };
        if columns.iter().any(is_text) {
            columns.retain(is_text);
        }
        let best = columns.iter().map(|at| usable(*at)).max().unwrap_or(0);
        columns.sort_by_key(|at| {
            let different = survey.columns[*at].distinct();
            let is_rare = usable(*at) * 100 < best * ENOUGH;
            (is_rare, id_rank(&survey.header[*at]), std::cmp::Reverse(different))
        });
        let likeliest =
            *columns.first().ok_or_else(|| failure("no column has ids of the users"))?;
        // In a file of profiles, a column named `id` has the id of the user.
        let is_plain = matches!(&*names::key(&survey.header[likeliest]), "id" | "key");
        if is_plain && self.data_type == DataType::Profile {
            columns.truncate(1);
        }
        self.ask_or_note(survey, Topic::Identity, "the user's identity", &columns);
        Ok(likeliest)
    }
}

fn failure(detail: &str) -> Failure {
    Failure::new(FailureText::Manifest, detail)
}

/// Returns the column that has values and a name that is typical of event names.
fn event_column(survey: &Survey) -> Option<usize> {
    let of_name = |name: &str| {
        let is_named =
            |at: &usize| names::key(&survey.header[*at]) == name && survey.columns[*at].filled > 0;
        (0..survey.header.len()).find(is_named)
    };
    names::EVENT_NAME.iter().find_map(|name| of_name(name))
}

fn guess_data_type(survey: &Survey, answers: &Answers) -> (DataType, Option<Question>) {
    use DataType::{Event, Profile};
    if let Some(data_type) = answers.data_type {
        return (data_type, None);
    }
    if answers.event_name.is_some() {
        return (Event, None);
    }
    let has_key = |list: &[&str]| survey.header.iter().any(|n| list.contains(&&*names::key(n)));
    let is_of_profiles = (0..survey.header.len())
        .any(|at| survey.operations_of(at).is_some() || preference(&survey.header[at]).is_some());
    let events =
        |column: &str| Choice::new("event", format!("column {column} has names of events"));
    let profiles = |reason: &str| Choice::new("profile", reason);
    let choices = match event_column(survey) {
        Some(at) if is_of_profiles => {
            let name = &survey.header[at];
            let mut choices =
                vec![events(&excerpt(name)), profiles("the file has properties of profiles")];
            if names::key(name) == "event" {
                choices.reverse();
            }
            choices
        }
        Some(_) => return (Event, None),
        None if has_key(&names::ACTION) && has_key(&names::TIMESTAMP) => {
            vec![
                Choice::new("event", "a column of actions has names of events"),
                profiles("no column has the name event name"),
            ]
        }
        None => return (Profile, None),
    };
    let likeliest = if choices[0].label == "event" { Event } else { Profile };
    let text = "does the file have events or profiles?".to_owned();
    (likeliest, Some(Question { topic: Topic::DataType, text, choices }))
}

/// Returns the type that the column `at` gets if it is used as `ts`. Returns `None` if the values
/// of the column are not times.
fn time(survey: &Survey, at: usize, answers: &Answers) -> Option<TypeGuess> {
    let header = &survey.header[at];
    let facts = &survey.columns[at];
    let values = facts.value_count();
    if values == 0 {
        return Some(TypeGuess::new(PropertyType::Integer, "the column has no values"));
    }
    let seconds = facts.digits[9..=11].iter().sum::<u64>();
    if seconds * 100 >= values * ENOUGH {
        let reason = format!("{seconds} of {values} values are seconds since 1970");
        return Some(TypeGuess::new(PropertyType::Integer, reason));
    }
    if facts.digits[13] * 100 >= values * ENOUGH {
        let reason = format!("{} of {values} values are milliseconds since 1970", facts.digits[13]);
        let format = DateFormat::named("epoch-ms");
        return Some(TypeGuess { format, ..TypeGuess::new(PropertyType::Date, reason) });
    }
    let guess = guess_type(header, facts, answers);
    if guess.kind == PropertyType::Date {
        return Some(guess);
    }
    // If the name of a column is usual for times, only half of the values must be times. The
    // partner must correct the other values.
    let share = if names::TIMESTAMP.contains(&&*names::key(header)) { 50 } else { ENOUGH };
    let (kind, found) = if facts.times > seconds {
        (PropertyType::Date, facts.times)
    } else {
        (PropertyType::Integer, seconds)
    };
    (found * 100 > values * share).then(|| TypeGuess {
        note: (found < values).then(|| {
            format!(
                "{} of {values} values of column {} are not times: their records will be rejected",
                values - found,
                excerpt(header)
            )
        }),
        ..TypeGuess::new(kind, format!("{found} of {values} values are times"))
    })
}

/// Returns a note about the column `at` if its name is typical of times but its values are not
/// times.
fn no_time(survey: &Survey, at: usize) -> Option<String> {
    let facts = &survey.columns[at];
    let value = excerpt(facts.values.first()?);
    let name = excerpt(&survey.header[at]);
    let what = if facts.has_digits(16..=16) {
        "which are microseconds since 1970 (divide them by 1,000,000)"
    } else if facts.has_digits(19..=19) {
        "which are nanoseconds since 1970 (divide them by 1,000,000,000)"
    } else {
        "which are not readable times"
    };
    Some(format!("column {name} has values such as {value}, {what}; the column becomes a property"))
}
