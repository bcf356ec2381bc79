//! Hints about file names, for refusals and for the command `check`. Names in hints are escaped
//! and truncated. This module is pure.

use jiff::Timestamp;

use crate::import_id::ImportId;
use crate::sanitize::{normalized, printable};
use crate::spool::incoming::entry::data_ending;
use crate::spool::incoming::manifest_name::manifest_stem;
use crate::spool::incoming::temporary::final_name;

/// The maximum number of similar file names that a hint contains.
const MAX_SIMILAR: usize = 5;

/// The maximum number of characters of a file name that a hint contains.
const MAX_QUOTED: usize = 64;

/// Returns whether two file names appear equal to a reader. They can be different, because some
/// systems decompose letters.
pub fn is_same_name(a: &str, b: &str) -> bool {
    a == b || (!(a.is_ascii() && b.is_ascii()) && normalized(a) == normalized(b))
}

/// Returns hints that explain why the data file `name` is not among `names`. Each hint follows a `;
/// `.
pub fn missing_file_hints<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> String {
    let mut hints = String::new();
    if name.contains(['*', '?']) {
        hints += "; a manifest names one file";
    }
    let (temporary, others): (Vec<_>, Vec<_>) = names
        .filter(|other| *other != name)
        .partition(|other| final_name(other).is_some_and(|it| is_same_name(it, name)));
    if let Some(temporary) = temporary.iter().min() {
        hints += &format!("; {} was not renamed after its upload", quote_name(temporary));
    }
    let similar = similar(name, others);
    if !similar.is_empty() {
        hints += &format!("; similar names in the folder: {}", similar.join(", "));
    }
    hints
}

/// Returns the file names that are similar to `name`, in quotes. The most similar name is first.
fn similar(name: &str, others: Vec<&str>) -> Vec<String> {
    let stem = &name[..name.len() - data_ending(name).unwrap_or(0)];
    let begins =
        |other: &str| other.get(..stem.len()).is_some_and(|start| start.eq_ignore_ascii_case(stem));
    let mut names: Vec<_> = others.into_iter().filter(|other| begins(other)).collect();
    names.sort_unstable_by_key(|other| (other.len().abs_diff(name.len()), *other));
    names.into_iter().take(MAX_SIMILAR).map(quote_name).collect()
}

/// Returns the detail of the refusal of a manifest whose name was used before by `import`. `now`
/// is the time of the refusal.
pub fn reused_name_advice(name: &str, import: &ImportId, now: Timestamp) -> String {
    let stem = manifest_stem(name);
    let [date, compact] = ["%Y-%m-%d", "%Y%m%d"].map(|format| now.strftime(format).to_string());
    let has_date = stem.contains(&date) || stem.contains(&compact);
    let (what, example) = match has_date {
        false => ("a date", format!("{stem}-{date}.manifest")),
        true => ("a time", format!("{stem}-{}.manifest", now.strftime("%H%M%S"))),
    };
    format!(
        "the name {} was used before, by import {import}; create a new manifest file with a new \
         name: give it a name with {what} in it, such as {}",
        quote_name(name),
        quote_name(&example)
    )
}

/// Returns a file name in quotes and escaped. A long name is truncated.
pub fn quote_name(name: &str) -> String {
    let quoted = match name.char_indices().nth(MAX_QUOTED) {
        Some((end, _)) => format!("{:?}…", &name[..end]),
        None => format!("{name:?}"),
    };
    printable(&quoted)
}

/// Returns a file name escaped and truncated, without quotation marks.
pub fn cut_short(name: &str) -> String {
    let (begin, rest) = match name.char_indices().nth(MAX_QUOTED) {
        Some((end, _)) => (&name[..end], "…"),
        None => (name, ""),
    };
    printable(&format!("{}{rest}", begin.escape_debug()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hints_explain_a_missing_data_file() {
        for (name, names, expected) in [
            ("e.csv", &["f.csv"][..], ""),
            (
                "e.csv",
                &["E.CSV", "e.csv.gz"],
                r#"; similar names in the folder: "E.CSV", "e.csv.gz""#,
            ),
            ("e-*.csv", &[], "; a manifest names one file"),
            ("e-?.csv", &[], "; a manifest names one file"),
            (
                "e.csv",
                &[".in.e.csv", "e.csv.filepart"],
                r#"; ".in.e.csv" was not renamed after its upload"#,
            ),
        ] {
            assert_eq!(missing_file_hints(name, names.iter().copied()), expected, "{name}");
        }
    }

    #[test]
    fn decomposed_names_count_as_equal() {
        assert!(is_same_name("K\u{e4}ufe.csv", "Ka\u{308}ufe.csv"));
        assert!(is_same_name("a\u{a0}b.csv", "a b.csv"));
        assert!(!is_same_name("e.csv", "E.csv"));
    }

    #[test]
    fn advice_suggests_an_unused_name() {
        let now: Timestamp = "2026-11-30T10:33:20Z".parse().unwrap();
        let advice = |name| reused_name_advice(name, &"sftp1-7".parse().unwrap(), now);
        assert_eq!(
            advice("e.manifest"),
            r#"the name "e.manifest" was used before, by import sftp1-7; create a new manifest file with a new name: give it a name with a date in it, such as "e-2026-11-30.manifest""#
        );
        for name in ["e-2026-11-30.manifest", "e20261130.manifest"] {
            let expected =
                format!(r#"a time in it, such as "{}-103320.manifest""#, manifest_stem(name));
            assert!(advice(name).ends_with(&expected), "{name}");
        }
    }
}
