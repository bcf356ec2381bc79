//! Opens a data file: compression, encoding, header, mapping. The result has the plan for its
//! records.

use std::io::{self, Read};

use super::columns::Columns;
use super::schema::{EventSchema, Property, Schema};
use crate::config::Limits;
use crate::manifest::{Encoding, Manifest, failure_of};
use crate::records::check::block::Plan;
use crate::records::csv::blocks::{Block, Piece, SplitError, Splitter};
use crate::records::csv::lexer::lex;
use crate::records::csv::line_count::count_lines;
use crate::records::input::decode::{Opening, Utf8Stream};
use crate::records::input::decompress::{Compression, Decompressed};
use crate::records::input::source::{Meter, Source, failure};
use crate::records::reader::Options;
use crate::records::rules::event::{Reserved, is_items};
use crate::records::sink::Start;
use crate::report::{DataType, Failure, FailureText};

/// The longest possible record: places in a block are 32-bit numbers.
const MAX_RECORD: u64 = 1 << 30;

/// A file whose header is read and fits the manifest.
pub struct Opened<R> {
    pub start: Start,
    pub plan: Plan,
    /// The rest of the block that contained the header.
    pub first: Block,
    pub splitter: Splitter<R>,
}

pub fn open<R: Read>(
    input: R,
    file_name: &str,
    manifest: &Manifest,
    options: &Options<'_>,
    meter: &Meter,
) -> Result<Opened<Decompressed<R>>, Failure> {
    let limits = options.limits;
    let compression = Compression::of(file_name)
        .ok_or_else(|| unreadable("the data file's name must end in .csv, .csv.gz or .csv.zst"))?;
    let source = Source::new(input, meter.clone(), limits.max_data_file);
    let told = |error: io::Error| read_failure(&error, meter);
    let text = Decompressed::open(source, compression, limits.max_data_file).map_err(told)?;
    let (stream, opening) = Utf8Stream::open(text, manifest.encoding).map_err(told)?;
    if let Some(other) = opening.other {
        return Err(unreadable(other));
    }
    let max_record = limits.max_record.bytes().min(MAX_RECORD) as usize;
    let mut splitter = Splitter::new(stream, meter.clone(), manifest.delimiter, max_record);
    let header = read_header(&mut splitter, manifest.delimiter, meter)?;
    let names = header_names(&header, opening, manifest.delimiter, limits)?;
    let plan = plan(names, manifest, options)?;
    let start = Start {
        schema: plan.schema.clone(),
        names: plan.columns.header.clone(),
        header: header.record,
        delimiter: manifest.delimiter,
        line_end: if header.rest.text.starts_with(b"\r\n") { "\r\n" } else { "\n" },
        needs_mark: opening.encoding != Encoding::Utf8 || opening.marked,
    };
    Ok(Opened { start, plan, first: header.rest, splitter })
}

/// The header record, and the rest of its block.
struct Header {
    record: Vec<u8>,
    rest: Block,
}

fn read_header<R: Read>(
    splitter: &mut Splitter<R>,
    delimiter: u8,
    meter: &Meter,
) -> Result<Header, Failure> {
    loop {
        let piece = splitter.next().map_err(|error| split_failure(&error, meter))?;
        let mut block = match piece {
            None => return Err(unreadable("the file is empty")),
            Some(Piece::TooLong { .. }) => return Err(unreadable("the header is too long")),
            Some(Piece::Block(block)) => block,
        };
        let Some(header) = lex(&block.text, delimiter, 0).records.first().copied() else {
            continue;
        };
        let record = block.text[header.start as usize..header.end as usize].to_vec();
        // The header's line end stays in the block. The lexer skips it as an empty line.
        block.first_line += count_lines(&block.text[..header.end as usize]);
        block.text.drain(..header.end as usize);
        return Ok(Header { record, rest: block });
    }
}

fn header_names(
    header: &Header,
    opening: Opening,
    delimiter: u8,
    limits: &Limits,
) -> Result<Vec<String>, Failure> {
    let text = std::str::from_utf8(&header.record).map_err(|_| {
        unreadable(
            "the header has bytes that are invalid in the file's encoding: save the file as \
             UTF-8, or name its encoding in the manifest",
        )
    })?;
    if text.contains(|c: char| c.is_control() && !matches!(c, '\t' | '\r' | '\n')) {
        let hint = match opening.encoding {
            Encoding::Utf8 => " (for UTF-16, name the encoding in the manifest)",
            _ => "",
        };
        return Err(unreadable(format!("the header has control characters, it is not CSV{hint}")));
    }
    let mut lexed = lex(text.as_bytes(), delimiter, usize::MAX);
    if lexed.cells.len() > limits.max_columns {
        let (columns, max) = (lexed.cells.len(), limits.max_columns);
        return Err(unreadable(format!(
            "the header has {columns} columns, at most {max} are allowed"
        )));
    }
    let mut all = text.as_bytes().to_vec();
    all.append(&mut lexed.unquoted);
    let name = |cell: std::ops::Range<usize>| String::from_utf8_lossy(&all[cell]).into_owned();
    Ok(lexed.cells.iter().map(|cell| name(cell.range())).collect())
}

fn plan(names: Vec<String>, manifest: &Manifest, options: &Options<'_>) -> Result<Plan, Failure> {
    let columns = Columns::new(names, manifest).map_err(|findings| failure_of(&findings))?;
    let properties: Vec<Property> =
        columns.properties.iter().map(|column| column.property.clone()).collect();
    let schema = match manifest.data_type {
        DataType::Event => Schema::Event(EventSchema::new(&properties)),
        DataType::Profile => Schema::Profile(properties.into()),
    };
    let items = columns.properties.iter().find(|column| is_items(&column.property.name));
    Ok(Plan {
        items: items.map(|items| items.column),
        columns,
        schema,
        delimiter: manifest.delimiter,
        limits: options.limits.clone(),
        reserved: Reserved::new(&options.limits.reserved_event_names),
        processing_time: options.processing_time,
    })
}

pub fn unreadable(detail: impl std::fmt::Display) -> Failure {
    Failure::new(FailureText::Unreadable, detail)
}

fn read_failure(error: &io::Error, meter: &Meter) -> Failure {
    // A decompressor reports an empty file as a cut one.
    if meter.bytes() == 0 && meter.sha256().is_some() {
        return unreadable("the file is empty");
    }
    failure(error)
}

pub fn split_failure(error: &SplitError, meter: &Meter) -> Failure {
    match error {
        SplitError::Read(error) => read_failure(error, meter),
        SplitError::UnclosedQuote(line) => {
            unreadable(format!("a quote in the record that begins in line {line} is never closed"))
        }
    }
}
