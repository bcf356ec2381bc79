//! [`Question`] is a guess that is not certain, with possible answers. [`Answers`] has the chosen
//! answers.

use std::collections::BTreeMap;
use std::fmt;

use crate::report::DataType;

/// The subject of a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Topic {
    Delimiter,
    DataType,
    /// The question asks which column has the event names.
    EventName,
    /// The question asks which column has the identity of the user.
    Identity,
    /// The question asks for the format of the dates in the column with this header.
    DateFormat(String),
}

/// A question with at least one choice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    pub topic: Topic,
    pub text: String,
    /// The possible answers to the question. The first answer is the likeliest.
    pub choices: Vec<Choice>,
}

/// A possible answer to a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// The text of the choice, by which [`Answers::set`] identifies it.
    pub label: String,
    pub reason: String,
}

/// The known answers to questions about a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answers {
    pub delimiter: Option<u8>,
    pub data_type: Option<DataType>,
    pub event_name: Option<String>,
    pub identity: Option<String>,
    /// The date format for every column whose values have this format.
    pub date_format: Option<String>,
    /// The formats of the dates in columns. The key is the header of a column.
    pub date_formats: BTreeMap<String, String>,
}

impl Choice {
    pub fn new(label: impl fmt::Display, reason: impl fmt::Display) -> Self {
        Self { label: label.to_string(), reason: reason.to_string() }
    }
}

impl Answers {
    /// Records the choice with the given label as the answer.
    pub fn set(&mut self, topic: &Topic, label: &str) {
        match topic {
            Topic::Delimiter => self.delimiter = delimiter_named(label),
            Topic::DataType => {
                self.data_type = label.parse().ok();
            }
            Topic::EventName => self.event_name = Some(label.to_owned()),
            Topic::Identity => self.identity = Some(label.to_owned()),
            Topic::DateFormat(header) => {
                self.date_formats.insert(header.clone(), label.to_owned());
            }
        }
    }
}

/// Returns the name of a delimiter for questions and descriptions.
pub fn delimiter_name(delimiter: u8) -> String {
    match delimiter {
        b'\t' => "tab".to_owned(),
        byte if byte.is_ascii_control() => format!("U+{byte:04X}"),
        byte => char::from(byte).to_string(),
    }
}

/// Returns the delimiter with the given name: a character, `tab`, `\t`, or a code such as `U+0001`.
pub fn delimiter_named(name: &str) -> Option<u8> {
    let code = name.strip_prefix("U+").or_else(|| name.strip_prefix("u+"));
    match (name, code) {
        ("tab" | "\\t" | "\t", _) => Some(b'\t'),
        (_, Some(code)) => u8::from_str_radix(code, 16).ok(),
        (name, None) => <[u8; 1]>::try_from(name.as_bytes()).ok().map(|[byte]| byte),
    }
}
