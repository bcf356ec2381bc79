//! Tests that the reader of the Parquet library reads the same texts that the encoder wrote.

use std::sync::Arc;

use arrow_array::builder::StringBuilder;
use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{DataType, Field, Schema};
use arrow_select::concat::concat;
use bytes::Bytes;
use parquet::arrow::ArrowSchemaConverter;
use parquet::arrow::arrow_reader::{
    ArrowReaderOptions, ParquetRecordBatchReaderBuilder, RowSelection, RowSelector,
};
use parquet::basic::Encoding;
use parquet::file::metadata::PageIndexPolicy;
use parquet::file::writer::SerializedFileWriter;
use proptest::prelude::*;

use super::compressor::MatchFinder;
use super::delta_byte_array::common_prefix;
use super::pages::PageValues;
use super::*;

/// Writes a file with one column. Returns the file and the encodings of its pages.
fn write(field: &Field, choice: EncodingChoice, arrays: &[ArrayRef]) -> (Bytes, Vec<Encoding>) {
    let schema = Schema::new(vec![field.clone()]);
    let schema = ArrowSchemaConverter::new().convert(&schema).unwrap();
    let column = TextColumn { descr: schema.column(0), choice };
    let mut file =
        SerializedFileWriter::new(Vec::new(), schema.root_schema_ptr(), Arc::default()).unwrap();
    let chunk = column.encode(arrays.iter()).unwrap();
    let encodings = chunk.close.metadata.encodings().collect();
    let mut group = file.next_row_group().unwrap();
    group.append_column(&chunk.bytes, chunk.close).unwrap();
    group.close().unwrap();
    (Bytes::from(file.into_inner().unwrap()), encodings)
}

/// Reads the selected rows of a file with the help of the page index.
fn read(file: Bytes, selection: Option<RowSelection>) -> ArrayRef {
    let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Required);
    let mut reader = ParquetRecordBatchReaderBuilder::try_new_with_options(file, options).unwrap();
    if let Some(selection) = selection {
        reader = reader.with_row_selection(selection);
    }
    let batches = reader.build().unwrap().collect::<Result<Vec<RecordBatch>, _>>().unwrap();
    let columns: Vec<_> = batches.iter().map(|batch| batch.column(0).as_ref()).collect();
    concat(&columns).unwrap()
}

fn array<'a>(texts: impl IntoIterator<Item = Option<&'a str>>) -> ArrayRef {
    let mut array = StringBuilder::new();
    texts.into_iter().for_each(|text| array.append_option(text));
    Arc::new(array.finish())
}

fn choices() -> impl Strategy<Value = EncodingChoice> {
    let layouts = prop_oneof![
        Just(TextLayout::Dictionary),
        (0_usize..10).prop_map(|max_prefix| TextLayout::DeltaByteArray { max_prefix }),
    ];
    let finders =
        prop_oneof![Just(MatchFinder::Nothing), Just(MatchFinder::Near), Just(MatchFinder::Far)];
    (layouts, finders).prop_map(|(layout, finder)| EncodingChoice { layout, finder })
}

fn texts() -> impl Strategy<Value = Vec<Option<String>>> {
    let one = || {
        prop_oneof![
            4 => "(id_)?[0-9]{0,3}".prop_map(Some),
            2 => "[a-cé😀]{0,12}".prop_map(Some),
            1 => Just(None),
        ]
    };
    let same = (one(), 0_usize..300).prop_map(|(text, count)| vec![text; count]);
    prop_oneof![prop::collection::vec(one(), 0..300), same]
}

proptest! {
    #[test]
    fn every_text_is_read_back(
        choice in choices(),
        parts in prop::collection::vec(texts(), 0..4),
        cut in 0_usize..3,
    ) {
        let field = Field::new("t", DataType::Utf8, true);
        let arrays: Vec<_> = parts
            .iter()
            .map(|texts| array(texts.iter().map(Option::as_deref)))
            // After rows are rejected, only slices of an array remain.
            .map(|texts| texts.slice(cut.min(texts.len()), texts.len().saturating_sub(2 * cut)))
            .collect();
        let written: Vec<_> = arrays.iter().flat_map(|a| a.as_string::<i32>()).collect();
        // Every row group of a file has at least one row.
        if written.is_empty() {
            return Ok(());
        }
        let (file, _) = write(&field, choice, &arrays);
        let read = read(file, None);
        let read: Vec<_> = read.as_string::<i32>().iter().collect();
        prop_assert_eq!(read, written);
    }

    #[test]
    fn common_prefix_counts_equal_first_bytes(
        one in "[ab]{0,40}",
        other in "[ab]{0,40}",
        at in 0_usize..40,
    ) {
        let mut changed = one.clone().into_bytes();
        if let Some(byte) = changed.get_mut(at) {
            *byte ^= 1;
        }
        for (one, other) in
            [(one.as_bytes(), other.as_bytes()), (one.as_bytes(), &changed), (&changed, &changed)]
        {
            let alike = one.iter().zip(other).take_while(|(one, other)| one == other).count();
            prop_assert_eq!(common_prefix(one, other, at), alike.min(at));
            prop_assert_eq!(common_prefix(one, other, usize::MAX), alike);
        }
    }

    #[test]
    fn arrays_and_single_texts_encode_identically(
        parts in prop::collection::vec(prop::collection::vec("(id_)?[0-9é]{0,40}", 0..20), 0..4),
        max_prefix in 0_usize..10,
    ) {
        let arrays: Vec<_> =
            parts.iter().map(|texts| array(texts.iter().map(|text| Some(text.as_str())))).collect();
        let new = || DeltaByteArray::new(max_prefix);
        let (mut by_array, mut by_text) = (new(), new());
        for array in &arrays {
            by_array.add(array.as_string(), 0..array.len());
            texts_of(array).for_each(|text| by_text.push(text));
        }
        let written = |page: &DeltaByteArray<'_>| {
            let mut head = Vec::new();
            page.write_numbers(&mut head);
            (head, page.text().to_vec())
        };
        prop_assert_eq!(written(&by_array), written(&by_text));
    }
}

fn texts_of(array: &ArrayRef) -> impl Iterator<Item = &[u8]> {
    super::texts(array.as_string(), 0..array.len())
}

#[test]
fn pages_have_limits_and_can_be_skipped() {
    let of = |count: usize, text: &dyn Fn(usize) -> Option<String>| -> Vec<_> {
        (0..count).map(text).collect()
    };
    let many = of(50_000, &|n| Some(format!("cookie_{:07}", n * 7919 % 10_000_000)));
    let some = of(50_000, &|n| (n % 7 < 3).then(|| format!("{n}")));
    let few = of(50_000, &|n| (n % 7 < 6).then(|| format!("item {}", n * 7 % 100)));
    let wide = of(40, &|n| Some("é".repeat(n * 1000)));
    let delta = |max_prefix| TextLayout::DeltaByteArray { max_prefix };
    for (texts, layout, pages) in [
        (&many, delta(0), 11..=12),
        (&many, delta(7), 6..=6),
        // The values have too many different texts for a dictionary, so the chunk does not use a
        // dictionary.
        (&many, TextLayout::Dictionary, 11..=12),
        (&some, delta(0), 3..=3),
        (&few, TextLayout::Dictionary, 3..=3),
        (&wide, delta(3), 20..=40),
    ] {
        let choice = EncodingChoice { layout, finder: MatchFinder::Near };
        let arrays: Vec<_> =
            texts.chunks(999).map(|texts| array(texts.iter().map(Option::as_deref))).collect();
        let (file, encodings) = write(&Field::new("t", DataType::Utf8, true), choice, &arrays);
        let dictionary = std::ptr::eq(texts, &few);
        assert_eq!(encodings.contains(&Encoding::RLE_DICTIONARY), dictionary, "{encodings:?}");
        assert_eq!(encodings.contains(&Encoding::PLAIN), dictionary, "{encodings:?}");
        assert_eq!(encodings.contains(&Encoding::DELTA_BYTE_ARRAY), !dictionary, "{encodings:?}");
        let same = |read: &ArrayRef, texts: &[Option<String>]| {
            read.as_string::<i32>().iter().eq(texts.iter().map(Option::as_deref))
        };
        assert!(same(&read(file.clone(), None), texts), "{choice:?}");
        let (skip, rows) = (texts.len() * 3 / 4, texts.len() / 10);
        let selection = vec![RowSelector::skip(skip), RowSelector::select(rows)];
        let some = read(file.clone(), Some(selection.into()));
        assert!(same(&some, &texts[skip..skip + rows]), "{choice:?}");
        let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Required);
        let found = ParquetRecordBatchReaderBuilder::try_new_with_options(file, options).unwrap();
        let index = found.metadata().page_index().unwrap().offset_index(0, 0).unwrap();
        let count = index.page_locations().len();
        assert!(pages.contains(&count), "{choice:?}: {count} pages");
    }
}

#[test]
fn first_values_determine_the_encoding() {
    let choice = |text: &dyn Fn(usize) -> String| {
        let texts: Vec<_> = (0..2000).map(text).collect();
        EncodingChoice::new(texts.iter().map(String::as_bytes)).unwrap()
    };
    let random = |n: usize| (n as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) as usize >> 32;
    let whole = TextLayout::DeltaByteArray { max_prefix: 0 };
    for (text, layout, finder) in [
        (
            &(|n: usize| format!("name {}", n % 50)) as &dyn Fn(usize) -> String,
            TextLayout::Dictionary,
            MatchFinder::Far,
        ),
        (
            &|n: usize| format!("cookie_{:07}", random(n) % 10_000_000),
            TextLayout::DeltaByteArray { max_prefix: 7 },
            MatchFinder::Nothing,
        ),
        (&|n: usize| format!("{}@acme.example", random(n)), whole, MatchFinder::Near),
        // The distance between two repetitions is large.
        (&|n: usize| format!("{:x}{:x}", random(n % 900) | 1 << 33, n), whole, MatchFinder::Far),
    ] {
        assert_eq!(choice(text), EncodingChoice { layout, finder }, "{}", text(1));
    }
    let none = EncodingChoice::new(std::iter::empty()).unwrap();
    assert_eq!(none.layout, TextLayout::Dictionary);
}
