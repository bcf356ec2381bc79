//! Guesses the encoding, the delimiter and the quoting of a file from its first bytes.

use std::io::Cursor;
use std::ops::ControlFlow;

use super::names;
use super::question::{Answers, Choice, Question, Topic, delimiter_name};
use crate::config::Limits;
use crate::manifest::{Encoding, Manifest, Quoting};
use crate::records::{HEAD, Scan, decode_head, separator_line, utf16_without_mark};
use crate::report::DataType;
use crate::sanitize::excerpt;

/// The delimiters that are tried, the likeliest first.
const DELIMITERS: [u8; 6] = [b',', b';', b'\t', b'|', 1, 0x1F];

/// The kinds of quoting that are tried, the likeliest first.
const QUOTINGS: [Quoting; 3] = [Quoting::Doubled, Quoting::Backslash, Quoting::None];

/// The maximum number of records that are examined to find the delimiter.
const RECORDS: usize = 200;

/// The file name that is used to scan the first bytes of a file. The ending of the name shows that
/// the bytes are not compressed.
const NAME: &str = "head.csv";

/// The guessed encoding, delimiter and quoting of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextGuess {
    /// The guessed encoding. `None` if the file is UTF-8, or if a byte order mark determines the
    /// encoding.
    pub encoding: Option<Encoding>,
    pub delimiter: u8,
    pub quoting: Quoting,
    /// The other possible kinds of quoting, the likeliest first.
    pub other_quotings: Vec<Quoting>,
    pub question: Option<Question>,
    pub notes: Vec<String>,
}

impl TextGuess {
    /// Sets the encoding, the delimiter and the quoting in a manifest.
    pub fn describe(&self, manifest: &mut Manifest) {
        manifest.encoding = self.encoding;
        manifest.delimiter = self.delimiter;
        manifest.quoting = self.quoting;
    }
}

/// Guesses encoding, delimiter and quoting from `head`, the first bytes of a file after
/// decompression.
pub fn guess_text(head: &[u8], answers: &Answers, limits: &Limits) -> TextGuess {
    let (encoding, note) = guess_encoding(head);
    let mut text = decode_head(head, encoding);
    if head.len() >= HEAD {
        cut_last_line(&mut text);
    }
    let (delimiter, question) = guess_delimiter(&text, answers, limits);
    // Broken quoting is rare, so all records of `head` are compared.
    let fit = |quoting| Fit::of(&text, delimiter, quoting, usize::MAX, limits);
    let mut fits: Vec<Fit> = QUOTINGS.into_iter().filter_map(fit).collect();
    // The sort is stable, so that the likelier of two equal kinds of quoting is still first.
    fits.sort_by_key(|fit| std::cmp::Reverse(fit.share()));
    let mut quotings = fits.iter().filter(|fit| fit.is_possible()).map(|fit| fit.quoting);
    let quoting = quotings.next().unwrap_or_default();
    let mut notes: Vec<String> = note.into_iter().collect();
    if quoting == Quoting::None {
        notes.push("the file has no quoting: quotes are part of the cells".to_owned());
    }
    let other_quotings = quotings.collect();
    TextGuess { encoding, delimiter, quoting, other_quotings, question, notes }
}

/// Removes the last line of the text, which may be incomplete.
fn cut_last_line(text: &mut Vec<u8>) {
    if let Some(end) = memchr::memrchr2(b'\n', b'\r', text) {
        text.truncate(end + 1);
    }
}

/// Returns the encoding for the manifest, and a note if the guess of the encoding is not certain.
fn guess_encoding(head: &[u8]) -> (Option<Encoding>, Option<String>) {
    if matches!(head, [0xEF, 0xBB, 0xBF, ..] | [0xFF, 0xFE, ..] | [0xFE, 0xFF, ..]) {
        return (None, None);
    }
    if let Some(encoding) = utf16_without_mark(head) {
        let note = "the file seems to be UTF-16 without a byte order mark";
        return (Some(encoding), Some(note.to_owned()));
    }
    let (mut valid, mut invalid) = (0_u64, 0_u64);
    let mut chunks = head.utf8_chunks().peekable();
    while let Some(chunk) = chunks.next() {
        valid += chunk.valid().chars().filter(|c| !c.is_ascii()).count() as u64;
        // Invalid bytes at the end of `head` may be an incomplete character.
        let is_cut = chunks.peek().is_none() && head.len() >= HEAD;
        invalid += u64::from(!chunk.invalid().is_empty() && !is_cut);
    }
    if invalid == 0 {
        return (None, None);
    }
    // Some exporters limit the length of texts in bytes. This causes a few broken characters in
    // UTF-8.
    if valid > invalid {
        let note = "the file is UTF-8 with some invalid bytes: their records will be rejected";
        return (None, Some(note.to_owned()));
    }
    let text = decode_head(head, Some(Encoding::Windows1252));
    let text = String::from_utf8_lossy(&text);
    let words = text.split(|c: char| !c.is_alphanumeric());
    let words: Vec<_> = words.filter(|word| !word.is_ascii()).take(3).map(excerpt).collect();
    let example = if words.is_empty() { String::new() } else { format!(": {}", words.join(", ")) };
    let note = format!(
        "the file is not UTF-8 and is read as windows-1252{example} (if the text is wrong, save \
         the file as UTF-8)"
    );
    (Some(Encoding::Windows1252), Some(note))
}

/// The result of splitting the first records of a file by a delimiter and a kind of quoting.
#[derive(Clone, Debug, PartialEq)]
struct Fit {
    delimiter: u8,
    quoting: Quoting,
    /// The number of names in the header that have a known meaning.
    known_names: usize,
    /// The number of records with as many fields as the header.
    even: usize,
    records: usize,
    /// The number of cells that begin and end with a quote. This number is 0 unless the quoting is
    /// `None`.
    enclosed: usize,
    fields: usize,
}

impl Fit {
    /// Splits at most the first `max` records of `text`. Returns `None` if `text` has no valid
    /// header.
    fn of(
        text: &[u8],
        delimiter: u8,
        quoting: Quoting,
        max: usize,
        limits: &Limits,
    ) -> Option<Self> {
        let mut manifest = Manifest::new(DataType::Profile, NAME, "");
        (manifest.delimiter, manifest.quoting) = (delimiter, quoting);
        let mut scan = Scan::open(Cursor::new(text), NAME, &manifest, limits).ok()?;
        let fields = scan.header.len();
        let (mut even, mut records, mut enclosed) = (0, 0, 0);
        let scanned = scan.each_record(&mut |record, _| {
            records += 1;
            even += usize::from(record.fields() == fields);
            if let Some(cells) = record.cells().filter(|_| quoting == Quoting::None) {
                enclosed += cells.filter(|cell| is_enclosed(cell)).count();
            }
            if records < max { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        if scanned.is_err() {
            // If a quote is never closed, the lines after it were not visited. These lines count as
            // records too.
            records = records.max(memchr::memchr_iter(b'\n', text).count());
        }
        let known_names = scan.header.iter().filter(|name| is_known(name)).count();
        Some(Self { delimiter, quoting, known_names, even, records, enclosed, fields })
    }

    /// Returns whether most records have as many fields as the header of the file.
    fn is_regular(&self) -> bool {
        self.even * 2 > self.records || self.records == 0
    }

    /// Returns whether the file can have this quoting. If most records have a cell in quotes, the
    /// file must have some kind of quoting.
    fn is_possible(&self) -> bool {
        self.enclosed * 2 <= self.records
    }

    /// Returns the share of records with as many fields as the header, in millionths.
    fn share(&self) -> usize {
        self.even * 1_000_000 / self.records.max(1)
    }
}

fn is_enclosed(cell: &str) -> bool {
    cell.len() > 1 && cell.starts_with('"') && cell.ends_with('"')
}

/// Returns the possible fit with the largest share of regular records. If several fits have the
/// same share, returns the first.
fn best(fits: impl Iterator<Item = Fit>) -> Option<Fit> {
    fits.filter(Fit::is_possible)
        .reduce(|best, fit| if fit.share() > best.share() { fit } else { best })
}

fn is_known(name: &str) -> bool {
    let key = names::key(name);
    let lists: [&[&str]; 7] = [
        &names::EVENT_NAME,
        &names::TIMESTAMP,
        &names::IDENTITY,
        &names::OTHER_IDENTITY,
        &names::OBJECT_ID,
        &names::FB_ID,
        &names::GP_ID,
    ];
    names::is_email(name)
        || lists.iter().any(|list| list.contains(&&*key))
        || names::profile_property(name).is_some()
}

fn guess_delimiter(text: &[u8], answers: &Answers, limits: &Limits) -> (u8, Option<Question>) {
    let of_line = separator_line(text).map(|line| line.delimiter);
    if let Some(delimiter) = of_line.or(answers.delimiter) {
        return (delimiter, None);
    }
    let of_delimiter = |delimiter: &u8| {
        let fit = |quoting| Fit::of(text, *delimiter, quoting, RECORDS, limits);
        best(QUOTINGS.into_iter().filter_map(fit)).filter(|fit| fit.fields > 1)
    };
    let mut fits: Vec<Fit> = DELIMITERS.iter().filter_map(of_delimiter).collect();
    let rank = |fit: &Fit| (fit.is_regular(), fit.known_names, fit.share());
    // The sort is stable, so that the likelier of two equal delimiters is still first.
    fits.sort_by_key(|fit| std::cmp::Reverse((rank(fit), fit.fields)));
    let Some(best) = fits.first() else { return (b',', None) };
    let equal: Vec<&Fit> = fits.iter().filter(|fit| rank(fit) == rank(best)).collect();
    (best.delimiter, (equal.len() > 1).then(|| ask(&equal)))
}

fn ask(fits: &[&Fit]) -> Question {
    let choice = |fit: &&Fit| {
        let (even, records) = (fit.even, fit.records);
        Choice::new(
            delimiter_name(fit.delimiter),
            format_args!(
                "{} columns; {even} of {records} records have this number of fields",
                fit.fields
            ),
        )
    };
    Question {
        topic: Topic::Delimiter,
        text: "which character separates the columns?".to_owned(),
        choices: fits.iter().map(choice).collect(),
    }
}
