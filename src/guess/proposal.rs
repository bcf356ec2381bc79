//! [`Proposal`] is the guessed manifest, with reasons, open questions and notes.

use super::meaning::{Meaning, Target};
use super::nulls;
use super::property::{PropertyGuess, PropertyNames, is_plain};
use super::question::{Answers, Question, delimiter_name};
use super::survey::Survey;
use super::text::TextGuess;
use super::types::TypeGuess;
use crate::manifest::{Column, DateFormat, Encoding, Manifest, PropertyType, Quoting};
use crate::records::{SpecialProperty, Value, fold, of_type};
use crate::report::{DataType, Failure};
use crate::sanitize::excerpt;

/// The values of the manifest that cannot be guessed from the data file.
#[derive(Clone, Copy, Debug)]
pub struct Draft<'a> {
    pub file_name: &'a str,
    pub client_email: &'a str,
}

/// A guessed manifest, with its reasons, open questions and notes.
#[derive(Debug)]
pub struct Proposal {
    pub manifest: Manifest,
    /// The columns of the data file's header, in their order.
    pub columns: Vec<ProposedColumn>,
    /// The open questions. The manifest has the likeliest answers.
    pub questions: Vec<Question>,
    /// Notes for the author of the manifest, one sentence each.
    pub notes: Vec<String>,
}

/// A column of the data file, and its meaning.
#[derive(Clone, Debug, PartialEq)]
pub struct ProposedColumn {
    pub header: String,
    /// The first three different values of the column.
    pub values: Vec<String>,
    /// The name of the fixed column or the property to which the manifest maps the column. `None`
    /// if the column has no entry of its own in the manifest.
    pub becomes: Option<String>,
    pub data_type: Option<PropertyType>,
    pub format: Option<DateFormat>,
    pub reason: String,
}

/// Proposes a manifest for a file.
///
/// # Errors
/// No manifest can import the file, because the file has no column with ids or no column with event
/// names.
pub fn propose(
    text: &TextGuess,
    survey: &Survey,
    answers: &Answers,
    draft: Draft<'_>,
) -> Result<Proposal, Failure> {
    let Meaning { data_type, targets, questions, notes } = Meaning::guess(survey, answers)?;
    let mut manifest = Manifest::new(data_type, draft.file_name, draft.client_email);
    text.describe(&mut manifest);
    let mut proposal =
        Proposal { manifest, columns: Vec::new(), questions, notes: text.notes.clone() };
    proposal.notes.extend(notes);
    proposal.note_missing_header(survey);
    proposal.note_nameless_columns(survey);
    proposal.note_invalid(survey);
    let mut properties = properties(survey, &targets, data_type, answers, &mut proposal.notes);
    for (at, target) in targets.iter().enumerate() {
        let column = match target {
            Target::EventName => column(survey, at, "evtName", None, "name"),
            Target::Id(kind) => column(survey, at, kind, None, "id"),
            Target::Timestamp(guess) => column(survey, at, "ts", Some(guess), &guess.reason),
            Target::Ignored => ProposedColumn {
                becomes: None,
                ..column(survey, at, "", None, "the column is not imported on its own")
            },
            Target::Property => {
                let Some(property) = properties[at].take() else { continue };
                proposal.questions.extend(property.guess.question.clone());
                proposal.notes.extend(property.guess.note.clone());
                let reason = property.guess.reason.clone();
                column(survey, at, &property.name, Some(&property.guess), &reason)
            }
        };
        proposal.add(column);
    }
    proposal.set_null_texts(survey, &targets);
    Ok(proposal)
}

/// Returns whether a name of the header is probably a value: a number, a date or an email address.
fn is_value(name: &str) -> bool {
    let reads = |kind| matches!(of_type(name, kind, None), Ok(value) if value != Value::None);
    reads(PropertyType::Float)
        || reads(PropertyType::Date)
        || SpecialProperty::Email.normal(name, true).is_ok()
}

/// Returns whether the values of a property have a special rule.
fn has_rule(column: &ProposedColumn, data_type: DataType) -> bool {
    let rule = column.becomes.as_deref().and_then(SpecialProperty::of);
    data_type == DataType::Profile && rule.is_some_and(|rule| rule != SpecialProperty::Scalar)
}

/// Chooses the names of the properties. Columns with the exact name of a profile property are
/// first. Columns that can keep the name of their header are next. All other columns follow.
fn properties(
    survey: &Survey,
    targets: &[Target],
    data_type: DataType,
    answers: &Answers,
    notes: &mut Vec<String>,
) -> Vec<Option<PropertyGuess>> {
    let mut names = PropertyNames::new(data_type);
    let mut properties: Vec<_> = targets.iter().map(|_| None).collect();
    let mut order: Vec<usize> = (0..targets.len()).collect();
    order.sort_by_key(|at| {
        let name = &survey.header[*at];
        (SpecialProperty::of(name).is_none(), !is_plain(name))
    });
    for at in order.into_iter().filter(|at| targets[*at] == Target::Property) {
        properties[at] = Some(names.choose(survey, at, answers, notes));
    }
    properties
}

fn column(
    survey: &Survey,
    at: usize,
    becomes: &str,
    guess: Option<&TypeGuess>,
    reason: &str,
) -> ProposedColumn {
    ProposedColumn {
        header: survey.header[at].clone(),
        values: survey.columns[at].values.clone(),
        becomes: Some(becomes.to_owned()),
        data_type: guess.map(|guess| guess.kind),
        format: guess.and_then(|guess| guess.format),
        reason: reason.to_owned(),
    }
}

impl Proposal {
    fn add(&mut self, column: ProposedColumn) {
        if let Some(becomes) = &column.becomes {
            let renamed = *becomes != column.header;
            let entry = Column {
                ct_name: renamed.then(|| becomes.clone()),
                data_type: column.data_type.unwrap_or_default(),
                format: column.format,
            };
            if renamed || column.data_type.is_some() {
                self.manifest.columns.insert(column.header.clone(), entry);
            }
        }
        self.columns.push(column);
    }

    /// Sets `null` in the manifest: the texts that mean empty cells. Some texts mean empty cells
    /// only if they occur in a column with a type or a special rule.
    fn set_null_texts(&mut self, survey: &Survey, targets: &[Target]) {
        let is_typed = |(column, target): (&ProposedColumn, &Target)| match column.data_type {
            Some(kind) if kind != PropertyType::String => true,
            Some(_) => *target == Target::Property && has_rule(column, self.manifest.data_type),
            None => false,
        };
        let typed: Vec<bool> = self.columns.iter().zip(targets).map(is_typed).collect();
        let counts = survey.columns.iter().map(|facts| &facts.nulls);
        self.manifest.null = nulls::texts(counts.zip(typed.iter().copied()));
        if !self.manifest.null.is_empty() {
            let texts = self.manifest.null.join(", ");
            self.notes.push(format!("these cells are treated as empty in all columns: {texts}"));
        }
    }

    fn note_missing_header(&mut self, survey: &Survey) {
        if let Some(value) = survey.header.iter().find(|name| is_value(name)) {
            self.notes.push(format!(
                "the first line seems to be a record, because {} is not a column name: a data file \
                 begins with the names of its columns",
                excerpt(value)
            ));
        }
    }

    /// Adds a note for each column that has values but no name, such as the index that pandas
    /// writes. An import of a file with such a column fails.
    fn note_nameless_columns(&mut self, survey: &Survey) {
        for (at, facts) in survey.columns.iter().enumerate() {
            if fold(&survey.header[at]).is_empty() && facts.filled > 0 {
                self.notes.push(format!(
                    "column {} has values but no name: give it a name, or leave it out (pandas: \
                     to_csv(..., index=False))",
                    at + 1
                ));
            }
        }
    }

    fn note_invalid(&mut self, survey: &Survey) {
        if survey.invalid > 0 {
            self.notes.push(format!(
                "{} records have bytes that are invalid in the file's encoding, and will be \
                 rejected",
                survey.invalid
            ));
        }
    }

    /// Returns a text with the delimiter, the quoting and the encoding of the file, such as
    /// `delimiter ;, windows-1252`.
    pub fn text(&self) -> String {
        let encoding = match self.manifest.encoding {
            None | Some(Encoding::Utf8) => String::new(),
            Some(encoding) => format!(", {}", encoding.as_str()),
        };
        let quoting = match self.manifest.quoting {
            Quoting::Doubled => "",
            Quoting::Backslash => r#", quotes inside cells as \""#,
            Quoting::None => ", without quoting",
        };
        format!("delimiter {}{quoting}{encoding}", delimiter_name(self.manifest.delimiter))
    }
}
