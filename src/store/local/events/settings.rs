//! How Parquet files are written: chosen by measurement on the product page's eight columns.

use std::sync::Arc;

use arrow_schema::SchemaRef;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesPtr};

use crate::account::AccountId;
use crate::import_id::ImportId;
use crate::records::EventSchema;

/// What every part of an import shares.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The columns.
    pub schema: SchemaRef,
    /// The writer's.
    pub properties: WriterPropertiesPtr,
}

impl Settings {
    /// The settings for one import's files.
    pub fn new(account: &AccountId, import: &ImportId, schema: &EventSchema) -> Self {
        let metadata = vec![
            KeyValue::new("sftp-import.account".to_owned(), account.to_string()),
            KeyValue::new("sftp-import.import".to_owned(), import.to_string()),
        ];
        let level = ZstdLevel::try_new(1).expect("zstd has a level 1");
        let properties = WriterProperties::builder()
            .set_created_by(concat!("sftp-import ", env!("CARGO_PKG_VERSION")).to_owned())
            .set_key_value_metadata(Some(metadata))
            .set_compression(Compression::ZSTD(level))
            .set_statistics_enabled(EnabledStatistics::Page)
            .set_max_row_group_row_count(None)
            .build();
        Self { schema: Arc::clone(&schema.arrow), properties: Arc::new(properties) }
    }
}
