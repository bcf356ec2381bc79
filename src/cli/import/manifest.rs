//! `sftp-import manifest`: writes the manifest of a data file, as `guess` proposes it.
//!
//! The command needs no configuration, no root and no server. The manifest is checked with its data
//! file before it is written. The check also determines size, rows and SHA-256.

mod file;
mod summary;

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;

use self::file::{ManifestFile, data_file_name, open};
use self::summary::Summary;
use super::progress::show_progress;
use crate::cli::context::{CliContext, CliError, CliResult};
use crate::cli::prompt::{can_ask, choose};
use crate::config::Limits;
use crate::files::durable::parent;
use crate::guess::{
    Answers, Draft, Proposal, Question, Survey, TextGuess, Topic, guess_text, propose,
};
use crate::import::{self, ErrorFolder, LocalPair, Monitor};
use crate::manifest::Manifest;
use crate::records::read_head;
use crate::report::{DataType, Failure, Report};

#[derive(Debug, clap::Args)]
pub struct ManifestArguments {
    /// The path of the data file: .csv, .csv.gz or .csv.zst
    #[arg(value_name = "FILE.csv")]
    file: PathBuf,
    /// The address that gets the mails about the import (clientEmail)
    #[arg(long, value_name = "ADDR")]
    email: String,
    /// Write the manifest to this file, or to standard output if the file is - [default: a file
    /// beside the data file, whose name is the data file's name with the date]
    #[arg(long, short, value_name = "FILE.manifest")]
    output: Option<PathBuf>,
    /// Replace an existing manifest
    #[arg(long)]
    force: bool,
    /// If two readings are possible, use the likelier reading and print it
    #[arg(long, short)]
    yes: bool,
    /// The type of the records: event or profile
    #[arg(long = "type", value_name = "TYPE")]
    data_type: Option<DataType>,
    /// The delimiter of the data file: one character, tab, or a code such as U+0001
    #[arg(long, value_name = "CHAR", value_parser = parse_delimiter)]
    delimiter: Option<u8>,
    /// The header of the column with the user's identity
    #[arg(long, value_name = "COLUMN")]
    identity: Option<String>,
    /// The header of the column with the event's name
    #[arg(long, value_name = "COLUMN")]
    event_name: Option<String>,
    /// The format of dates that can be read in two ways, such as dd/MM/yyyy
    #[arg(long, value_name = "FORMAT")]
    date_format: Option<String>,
}

fn parse_delimiter(text: &str) -> Result<u8, String> {
    crate::guess::delimiter_named(text).ok_or_else(|| {
        "the delimiter must be one character, tab, or a code such as U+0001".to_owned()
    })
}

/// Guesses the manifest, asks questions, checks the data file and writes the manifest. Succeeds if
/// the manifest was written.
pub fn run(arguments: &ManifestArguments, context: &CliContext) -> CliResult {
    if !crate::manifest::is_address(&arguments.email) {
        let message = format_args!("{} is not a single valid email address", arguments.email);
        return Err(CliError::wrong_usage(message));
    }
    let config = context.config()?;
    let name = data_file_name(&arguments.file)?;
    let target = ManifestFile::new(arguments.output.as_deref(), &arguments.file, &name)?;
    target.check_absent(arguments.force)?;
    let guesser = Guesser { arguments, name: &name, limits: &config.limits };
    let mut taken = Vec::new();
    let mut proposal = guesser.proposal(&mut taken)?;
    taken.append(&mut proposal.notes);
    proposal.notes = taken;
    let header: Vec<String> = proposal.columns.iter().map(|c| c.header.clone()).collect();
    let report = guesser.check(&proposal.manifest, &target, &header)?;
    let summary = Summary { proposal: &proposal, report: &report };
    if report.failure.is_some() || report.records.accepted == 0 {
        summary.print_text(context.output())?;
        return Err(CliError::new("nothing was written: no record of the file could be imported"));
    }
    fill_in(&mut proposal.manifest, &report);
    let text = proposal.manifest.to_json(&header);
    let summary = Summary { proposal: &proposal, report: &report };
    match &target {
        ManifestFile::StandardOutput => {
            proposal.notes.iter().for_each(|text| context.output().note(text));
            context.output().json_text(&text)?;
        }
        ManifestFile::Path(path) => {
            target.write(&text, &arguments.file, arguments.force)?;
            summary.print(context.output(), path, &text)?;
        }
    }
    Ok(true)
}

/// Adds the counts of the check to the manifest, so that an incomplete upload is detected.
fn fill_in(manifest: &mut Manifest, report: &Report) {
    manifest.size = Some(report.bytes);
    manifest.rows = Some(report.records.read);
    manifest.sha256 = report.sha256.as_deref().and_then(crate::manifest::parse_digest);
}

/// Reads the data file twice: once for the guess and once for the check.
struct Guesser<'a> {
    arguments: &'a ManifestArguments,
    name: &'a str,
    limits: &'a Limits,
}

impl Guesser<'_> {
    /// Returns the proposal without open questions. Choices that were made without an answer are
    /// added to `taken`.
    fn proposal(&self, taken: &mut Vec<String>) -> Result<Proposal, CliError> {
        let mut answers = Answers {
            delimiter: self.arguments.delimiter,
            data_type: self.arguments.data_type,
            event_name: self.arguments.event_name.clone(),
            identity: self.arguments.identity.clone(),
            date_format: self.arguments.date_format.clone(),
            ..Answers::default()
        };
        let head = read_head(self.open()?, self.name, self.limits).map_err(unreadable)?;
        let mut text = guess_text(&head, &answers, self.limits);
        if let Some(question) = text.question.take() {
            self.answer(&[question], &mut answers, taken)?;
            text = guess_text(&head, &answers, self.limits);
        }
        let survey = self.survey_with_best_quoting(&mut text)?;
        for column in [&answers.identity, &answers.event_name].into_iter().flatten() {
            if survey.column(column).is_none() {
                let message = format_args!("the header has no column {column}");
                let header = survey.header.join(", ");
                return Err(CliError::wrong_usage(message)
                    .hint(format_args!("choose one of these columns: {header}")));
            }
        }
        let draft = Draft { file_name: self.name, client_email: &self.arguments.email };
        loop {
            let proposal = propose(&text, &survey, &answers, draft).map_err(unreadable)?;
            if proposal.questions.is_empty() {
                return Ok(proposal);
            }
            self.answer(&proposal.questions, &mut answers, taken)?;
        }
    }

    fn survey(&self, text: &TextGuess) -> Result<Survey, CliError> {
        let file = self.open()?;
        let monitor = Arc::new(Monitor::default());
        monitor.set_total(file.metadata().map_or(0, |metadata| metadata.len()));
        let mut manifest = Manifest::new(DataType::Profile, self.name, &self.arguments.email);
        text.describe(&mut manifest);
        let mut progress = |records, bytes| monitor.set(records, bytes);
        let read = || Survey::read(file, self.name, &manifest, self.limits, &mut progress);
        show_progress(&monitor, read).map_err(unreadable)
    }

    /// Reads the file. If records are broken, tries the other possible kinds of quoting, because
    /// the head of the file may have no cell that shows the correct kind.
    fn survey_with_best_quoting(&self, text: &mut TextGuess) -> Result<Survey, CliError> {
        let mut best = self.survey(text);
        for quoting in text.other_quotings.clone() {
            if best.as_ref().is_ok_and(|best| best.uneven == 0) {
                break;
            }
            let other = self.survey(&TextGuess { quoting, ..text.clone() });
            let is_better = match (&best, &other) {
                (Ok(best), Ok(other)) => other.uneven < best.uneven,
                (Err(_), Ok(other)) => other.uneven == 0,
                (_, Err(_)) => false,
            };
            if is_better {
                (best, text.quoting) = (other, quoting);
            }
        }
        best
    }

    /// Answers the first question. Asks the user, or takes the most likely choice.
    ///
    /// # Errors
    /// Returns an error if the user can't be asked and `--yes` was not given. The message has all
    /// questions.
    fn answer(
        &self,
        questions: &[Question],
        answers: &mut Answers,
        taken: &mut Vec<String>,
    ) -> Result<(), CliError> {
        let Some(question) = questions.first() else { return Ok(()) };
        let choices: Vec<String> = question
            .choices
            .iter()
            .map(|choice| format!("{} ({})", choice.label, choice.reason))
            .collect();
        let chosen = if self.arguments.yes {
            let others = choices[1..].join(", ");
            taken.push(format!(
                "{} The answer {} was chosen, not {others}",
                question.text, choices[0]
            ));
            Some(0)
        } else if can_ask() {
            choose(&question.text, &choices)?
        } else {
            None
        };
        let chosen = chosen.ok_or_else(|| unanswered(questions))?;
        answers.set(&question.topic, &question.choices[chosen].label);
        Ok(())
    }

    /// Checks the data file against the manifest in the same way as the server does after the
    /// upload.
    fn check(
        &self,
        manifest: &Manifest,
        target: &ManifestFile,
        header: &[String],
    ) -> Result<Report, CliError> {
        let text = manifest.to_json(header);
        let folder = parent(&self.arguments.file);
        let local = LocalPair::of_manifest(folder, &target.name(), text.as_bytes());
        let monitor = Arc::new(Monitor::default());
        let check = || import::check(&local, self.limits, &mut ErrorFolder::none(), &monitor);
        show_progress(&monitor, check).ok_or_else(|| CliError::new("the check was stopped"))
    }

    fn open(&self) -> Result<File, CliError> {
        open(&self.arguments.file)
    }
}

fn unreadable(failure: Failure) -> CliError {
    CliError::from(failure)
}

/// Returns the error for questions that the user can't answer.
fn unanswered(questions: &[Question]) -> CliError {
    let question = |question: &Question| {
        let labels: Vec<&str> = question.choices.iter().map(|choice| &*choice.label).collect();
        format!("{} ({})", question.text, labels.join(" or "))
    };
    let texts: Vec<String> = questions.iter().map(question).collect();
    let mut options: Vec<String> = Vec::new();
    for question in questions {
        let option = option(&question.topic);
        if !options.contains(&option) {
            options.push(option);
        }
    }
    let options = options.join(" ");
    CliError::wrong_usage(format_args!("two readings are possible: {}", texts.join("; "))).hint(
        format_args!(
            "choose with the options {options}, or use --yes for the first reading of each question"
        ),
    )
}

/// Returns the option that answers questions about a topic.
fn option(topic: &Topic) -> String {
    match topic {
        Topic::Delimiter => "--delimiter CHAR",
        Topic::DataType => "--type TYPE",
        Topic::EventName => "--event-name COLUMN",
        Topic::Identity => "--identity COLUMN",
        Topic::DateFormat(_) => "--date-format FORMAT",
    }
    .to_owned()
}
