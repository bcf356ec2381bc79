//! Opens a data file: decompresses and decodes the file, reads its header, and plans the reading
//! of its records by the manifest.

use std::io::{Chain, Cursor, Read};

use super::Header;
use super::plan::{ReadOptions, ReadPlan};
use crate::config::Limits;
use crate::manifest::{Encoding, Manifest};
use crate::records::csv::blocks::{Block, Splitter};
use crate::records::csv::dialect::Dialect;
use crate::records::input::decode::{FileHead, Utf8Stream};
use crate::records::input::decompress::{Compression, Decompressor};
use crate::records::input::file_kind::{HEAD, foreign_kind, not_compressed};
use crate::records::input::source::{Meter, MeteredInput, read_failure};
use crate::records::input::utf8_check::Utf8Example;
use crate::records::sink::FileStart;
use crate::report::Failure;

/// The maximum length of a record in bytes. Positions in a block are 32-bit numbers.
const MAX_RECORD: u64 = 1 << 30;

/// The maximum length of a `Failure Description` in bytes. The length of a record does not include
/// this field.
const MAX_DESCRIPTION: usize = 2 << 20;

/// A data file as it was uploaded. The first bytes of the file are in memory.
pub type Input<R> = Chain<Cursor<Vec<u8>>, MeteredInput<R>>;

/// A data file whose header was read and fits the manifest.
pub struct OpenDataFile<R> {
    pub start: FileStart,
    pub plan: ReadPlan,
    /// The remaining text of the block that contained the header.
    pub first: Block,
    pub splitter: Splitter<R>,
    /// An example that proves that a file is UTF-8 although its manifest declares windows-1252. The
    /// example is set at the end of the file.
    pub is_utf8: Utf8Example,
}

/// A data file whose header was read.
pub struct OpenText<R> {
    pub head: FileHead,
    pub header: Header,
    pub splitter: Splitter<R>,
}

/// Decompresses and decodes a data file, and reads its header. Only the encoding, the delimiter
/// and the quoting in the manifest are used.
pub fn open_text<R: Read>(
    input: R,
    file_name: &str,
    manifest: &Manifest,
    limits: &Limits,
    meter: &Meter,
) -> Result<OpenText<Decompressor<Input<R>>>, Failure> {
    let compression = Compression::of(file_name).ok_or_else(|| {
        Failure::unreadable("the data file's name must end in .csv, .csv.gz or .csv.zst")
    })?;
    let input = begin(MeteredInput::new(input, meter.clone(), limits.max_data_file));
    let (bytes, input) = input.map_err(|error| read_failure(&error, meter))?;
    if let Some(detail) = not_compressed(&bytes, compression) {
        return Err(Failure::unreadable(detail));
    }
    let (mut stream, head) = Decompressor::open(input, compression, limits.max_data_file)
        .and_then(|text| Utf8Stream::open(text, manifest.encoding))
        .map_err(|error| read_failure(&error, meter))?;
    if let Some(detail) = foreign_kind(&head.bytes, compression, head.encoding) {
        return Err(Failure::unreadable(detail));
    }
    if let Some(delimiter) = manifest.wide_delimiter {
        stream.replace_delimiter(delimiter);
    }
    let max_record = limits.max_record.bytes().min(MAX_RECORD) as usize;
    let dialect = Dialect::of(manifest);
    let mut splitter = Splitter::new(stream, meter.clone(), dialect, max_record);
    let header = Header::read(&mut splitter, manifest, head.encoding, limits)?;
    Ok(OpenText { head, header, splitter })
}

pub fn open<R: Read>(
    input: R,
    file_name: &str,
    manifest: &Manifest,
    options: &ReadOptions<'_>,
    meter: &Meter,
) -> Result<OpenDataFile<Decompressor<Input<R>>>, Failure> {
    let OpenText { head, header, mut splitter } =
        open_text(input, file_name, manifest, options.limits, meter)?;
    let plan = ReadPlan::new(&header, manifest, options)?;
    if plan.columns.description.is_some() {
        splitter.extend_max_record(MAX_DESCRIPTION);
    }
    let Header { raw, separator_line, dialect, rest, .. } = header;
    let start = FileStart {
        schema: plan.schema.clone(),
        description: plan.columns.description,
        separator_line,
        header: raw,
        dialect,
        wide_delimiter: manifest.wide_delimiter,
        line_end: if rest.text.starts_with(b"\r\n") { "\r\n" } else { "\n" },
        needs_mark: head.encoding != Encoding::Utf8 || head.marked,
    };
    Ok(OpenDataFile { start, plan, first: rest, splitter, is_utf8: head.is_utf8 })
}

/// Reads the first bytes of `input`. Returns these bytes, and an input that begins with the same
/// bytes.
fn begin<R: Read>(mut input: MeteredInput<R>) -> std::io::Result<(Vec<u8>, Input<R>)> {
    let mut bytes = Vec::new();
    (&mut input).take(HEAD as u64).read_to_end(&mut bytes)?;
    Ok((bytes.clone(), Cursor::new(bytes).chain(input)))
}
