//! The settings of the Parquet writer. They were chosen by measurements with the eight columns of
//! the product page.

use std::collections::HashSet;
use std::hash::Hash;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Float64Type, Int32Type, Int64Type, TimestampMillisecondType,
};
use arrow_array::{Array, ArrayRef};
use arrow_schema::{DataType, SchemaRef};
use arrow_select::concat::concat;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::errors::Result;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesBuilder};

use crate::account::AccountId;
use crate::import_id::ImportId;
use crate::records::EventSchema;

/// The number of values in the sample that determines the encoding of a column.
const SAMPLE: usize = 4096;
/// The approximate size of the sample of a column, in bytes.
const SAMPLE_BYTES: usize = 256 << 10;

/// The size of a page before compression, in bytes. A page of this size stays in the core's cache
/// between encoding and compression. With 1 MiB an import took 1.5 times as long.
pub const PAGE_BYTES: usize = 64 << 10;
/// The maximum size of a dictionary, in bytes. If the dictionary of a column becomes larger, the
/// column continues without a dictionary.
const DICTIONARY_BYTES: usize = 256 << 10;

/// The settings that all files of an import share.
#[derive(Clone, Debug)]
pub struct WriterSettings {
    pub schema: SchemaRef,
    /// The properties of each file. The program, the account and the import are in the metadata.
    pub file: WriterProperties,
}

impl WriterSettings {
    pub fn new(account: &AccountId, import: &ImportId, schema: &EventSchema) -> Self {
        let metadata = vec![
            KeyValue::new("sftp-import.account".to_owned(), account.to_string()),
            KeyValue::new("sftp-import.import".to_owned(), import.to_string()),
        ];
        let file = common_properties().set_key_value_metadata(Some(metadata)).build();
        Self { schema: Arc::clone(&schema.arrow), file }
    }
}

/// Returns the settings for a column whose values are not texts. `sample` has the first values of
/// the column.
pub fn column_properties(sample: &ArrayRef) -> WriterPropertiesBuilder {
    let settings = common_properties().set_dictionary_enabled(has_repeats(sample));
    match sample.data_type() {
        DataType::Int32 | DataType::Int64 | DataType::Timestamp(_, _) => {
            settings.set_encoding(Encoding::DELTA_BINARY_PACKED)
        }
        _ => settings,
    }
}

/// Returns the first [`SAMPLE`] values of `values`, or fewer values if they are long. `values` may
/// be many short arrays.
pub fn take_sample<'a>(values: impl Iterator<Item = &'a ArrayRef>) -> Result<ArrayRef> {
    let (mut left, mut bytes) = (SAMPLE, 0);
    let first = values.map_while(|values| {
        let length = if bytes < SAMPLE_BYTES { values.len().min(left) } else { 0 };
        let mut first = values.slice(0, length);
        let own = memory_bytes(&first);
        if own > SAMPLE_BYTES {
            first = values.slice(0, (length * SAMPLE_BYTES / own).max(1));
        }
        (left, bytes) = (left - first.len(), bytes + own);
        (!first.is_empty()).then_some(first)
    });
    let first: Vec<_> = first.collect();
    Ok(concat(&first.iter().map(AsRef::as_ref).collect::<Vec<_>>())?)
}

/// Returns the memory that `array` uses, in bytes. If `array` is a slice, only the rows of the
/// slice count.
pub fn memory_bytes(array: &ArrayRef) -> usize {
    array.to_data().get_slice_memory_size().unwrap_or(0)
}

fn common_properties() -> WriterPropertiesBuilder {
    let level = ZstdLevel::try_new(1).expect("zstd has a level 1");
    WriterProperties::builder()
        // parquet-java parses this form. It refuses files with DELTA_BYTE_ARRAY that have another
        // form, because an old version of parquet-java wrote such files incorrectly (PARQUET-246).
        .set_created_by(concat!("sftp-import version ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_compression(Compression::ZSTD(level))
        .set_statistics_enabled(EnabledStatistics::Page)
        .set_data_page_size_limit(PAGE_BYTES)
        .set_dictionary_page_size_limit(DICTIONARY_BYTES)
        // The writer of events decides where a row group ends.
        .set_max_row_group_row_count(None)
}

/// Returns whether at least half of the values are repetitions. If so, a dictionary is useful.
fn has_repeats(values: &ArrayRef) -> bool {
    match values.data_type() {
        DataType::Int32 => primitives_repeat::<Int32Type, _>(values, |n| n),
        DataType::Int64 => primitives_repeat::<Int64Type, _>(values, |n| n),
        DataType::Float64 => primitives_repeat::<Float64Type, _>(values, f64::to_bits),
        DataType::Timestamp(_, _) => {
            primitives_repeat::<TimestampMillisecondType, _>(values, |n| n)
        }
        _ => false,
    }
}

fn primitives_repeat<T: ArrowPrimitiveType, K: Hash + Eq>(
    values: &ArrayRef,
    key: impl Fn(T::Native) -> K,
) -> bool {
    let array = values.as_primitive::<T>();
    half_repeat(values.len() - values.null_count(), array.iter().flatten().map(key))
}

fn half_repeat<K: Hash + Eq>(count: usize, values: impl Iterator<Item = K>) -> bool {
    values.collect::<HashSet<_>>().len() * 2 <= count
}
