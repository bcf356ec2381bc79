//! The names of manifests, and wrong names that were probably meant as manifest names. This module
//! is pure.

use crate::sanitize::printable;

/// The ending that the name of a manifest must have, in upper or lower case.
pub const MANIFEST_ENDING: &str = ".manifest";

/// The wrong endings of manifest names. Editors and browsers append them to a name or put them in
/// place of its ending.
const WRONG_ENDINGS: [&str; 3] = [".manifest.txt", ".manifest.json", ".json"];

/// Returns whether `name` ends in `.manifest`, in upper or lower case.
pub fn is_manifest_name(name: &str) -> bool {
    before_ending(name, MANIFEST_ENDING).is_some()
}

/// Returns the name of a manifest without the ending `.manifest`. Returns the whole name if it has
/// another ending.
pub fn manifest_stem(name: &str) -> &str {
    before_ending(name, MANIFEST_ENDING).unwrap_or(name)
}

/// Returns the manifest name that the manifest `name` spends. Names that differ only in the case of
/// the ending count as one name, because their answers have the same stem. `None` for a misnamed
/// manifest.
pub fn spent_name(name: &str) -> Option<String> {
    before_ending(name, MANIFEST_ENDING).map(|stem| format!("{stem}{MANIFEST_ENDING}"))
}

/// Returns the correct name for a manifest with the name `name`. Returns `None` unless `name` has
/// one of the wrong endings.
pub fn right_name(name: &str) -> Option<String> {
    let stem = WRONG_ENDINGS.iter().find_map(|ending| before_ending(name, ending))?;
    (!stem.is_empty()).then(|| format!("{stem}{MANIFEST_ENDING}"))
}

/// Returns advice on how to rename a manifest whose name `name` does not end in `.manifest`.
pub fn naming_advice(name: &str) -> String {
    let right = right_name(name).unwrap_or_else(|| format!("{name}{MANIFEST_ENDING}"));
    format!("call it {}", printable(&right))
}

/// Returns `name` without the ending `ending`, in upper or lower case. Returns `None` if `name`
/// has another ending.
fn before_ending<'a>(name: &'a str, ending: &str) -> Option<&'a str> {
    let (stem, end) = name.split_at_checked(name.len().checked_sub(ending.len())?)?;
    end.eq_ignore_ascii_case(ending).then_some(stem)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn manifest_endings_are_found_in_any_case() {
        for (name, stem) in [
            ("e.manifest", Some("e")),
            ("E.MANIFEST", Some("E")),
            ("e.csv.Manifest", Some("e.csv")),
            (".manifest", Some("")),
            ("manifest", None),
            ("é.manifes", None),
            ("e.manifest.txt", None),
        ] {
            assert_eq!(is_manifest_name(name), stem.is_some(), "{name}");
            assert_eq!(manifest_stem(name), stem.unwrap_or(name), "{name}");
            let spent = stem.map(|stem| format!("{stem}.manifest"));
            assert_eq!(spent_name(name), spent, "{name}");
        }
    }

    #[test]
    fn a_misnamed_manifest_gets_the_correct_name() {
        for (name, right) in [
            ("e.manifest.txt", Some("e.manifest")),
            ("e.MANIFEST.TXT", Some("e.manifest")),
            ("e.manifest.json", Some("e.manifest")),
            ("e.json", Some("e.manifest")),
            (".json", None),
            ("e.manifest", None),
            ("e.txt", None),
            ("e.csv", None),
        ] {
            assert_eq!(right_name(name).as_deref(), right, "{name}");
        }
        assert_eq!(naming_advice("manifest.txt"), "call it manifest.txt.manifest");
    }
}
