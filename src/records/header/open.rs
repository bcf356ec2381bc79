//! Opens a data file: decompresses and decodes it, reads its header, and plans by its manifest.

use std::io::Read;

use super::Header;
use super::plan::{ReadOptions, ReadPlan};
use crate::config::Limits;
use crate::manifest::{Encoding, Manifest};
use crate::records::csv::blocks::{Block, Splitter};
use crate::records::csv::dialect::Dialect;
use crate::records::input::decode::{FileHead, Utf8Stream};
use crate::records::input::decompress::{Compression, Decompressor};
use crate::records::input::source::{Meter, MeteredInput, read_failure};
use crate::records::sink::FileStart;
use crate::report::Failure;

/// The longest possible record: places in a block are 32-bit numbers.
const MAX_RECORD: u64 = 1 << 30;

/// A file whose header is read and fits the manifest.
pub struct OpenDataFile<R> {
    pub start: FileStart,
    pub plan: ReadPlan,
    /// The rest of the block that contained the header.
    pub first: Block,
    pub splitter: Splitter<R>,
}

/// A file whose header is read.
pub struct OpenText<R> {
    pub head: FileHead,
    pub header: Header,
    pub splitter: Splitter<R>,
}

/// Decompresses and decodes a data file, and reads its header. Of the manifest only the
/// description of the text is used.
pub fn open_text<R: Read>(
    input: R,
    file_name: &str,
    manifest: &Manifest,
    limits: &Limits,
    meter: &Meter,
) -> Result<OpenText<Decompressor<R>>, Failure> {
    let dialect = Dialect::of(manifest);
    let compression = Compression::of(file_name).ok_or_else(|| {
        Failure::unreadable("the data file's name must end in .csv, .csv.gz or .csv.zst")
    })?;
    let source = MeteredInput::new(input, meter.clone(), limits.max_data_file);
    let (stream, head) = Decompressor::open(source, compression, limits.max_data_file)
        .and_then(|text| Utf8Stream::open(text, manifest.encoding))
        .map_err(|error| read_failure(&error, meter))?;
    if let Some(other) = head.other {
        return Err(Failure::unreadable(other));
    }
    let max_record = limits.max_record.bytes().min(MAX_RECORD) as usize;
    let mut splitter = Splitter::new(stream, meter.clone(), dialect, max_record);
    let header = Header::read(&mut splitter, dialect, head.encoding, limits)?;
    Ok(OpenText { head, header, splitter })
}

pub fn open<R: Read>(
    input: R,
    file_name: &str,
    manifest: &Manifest,
    options: &ReadOptions<'_>,
    meter: &Meter,
) -> Result<OpenDataFile<Decompressor<R>>, Failure> {
    let OpenText { head, header, splitter } =
        open_text(input, file_name, manifest, options.limits, meter)?;
    let Header { names, raw, rest } = header;
    let plan = ReadPlan::new(names, manifest, options)?;
    let start = FileStart {
        schema: plan.schema.clone(),
        names: plan.columns.header.clone(),
        header: raw,
        dialect: Dialect::of(manifest),
        line_end: if rest.text.starts_with(b"\r\n") { "\r\n" } else { "\n" },
        needs_mark: head.encoding != Encoding::Utf8 || head.marked,
    };
    Ok(OpenDataFile { start, plan, first: rest, splitter })
}
