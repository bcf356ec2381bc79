//! [`ManifestErrors`] has all errors of a manifest, and the recipient of the report.

use std::fmt;

use email_address::{EmailAddress, Options};

use super::Manifest;
use crate::report::{DataType, Failure, FailureText};

/// All errors of a manifest, with the values that could be read despite the errors.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ManifestErrors {
    /// One sentence for each error, in the order of the manifest's keys. The list is never empty.
    pub findings: Vec<String>,
    /// The manifest is not JSON, or not UTF-8. Its upload may still be in progress.
    pub syntax: bool,
    /// The value of the manifest's key `fileName`, if the value is valid.
    pub file_name: Option<String>,
    /// The value of the manifest's key `clientEmail`, if the value is valid.
    pub client_email: Option<String>,
    /// The value of the manifest's key `type`, if the value is valid.
    pub data_type: Option<DataType>,
    /// The valid values of the manifest, if they suffice to read the data file and to find its
    /// errors as well.
    pub readable: Option<Box<Manifest>>,
}

impl ManifestErrors {
    /// Returns the failure for the report, with the findings joined by `; `.
    pub fn into_failure(self) -> Failure {
        failure_of(&self.findings)
    }

    /// Returns whether two of the three mandatory keys have valid values. A file with these keys
    /// counts as a manifest.
    pub fn has_most_mandatory_keys(&self) -> bool {
        let valid =
            [self.data_type.is_some(), self.file_name.is_some(), self.client_email.is_some()];
        valid.into_iter().filter(|is_valid| *is_valid).count() >= 2
    }

    /// Returns the errors of a text that is not JSON: `finding`, and the values that a search for
    /// their keys found.
    pub(super) fn of_syntax(finding: String, text: &str) -> Self {
        Self {
            findings: vec![finding],
            syntax: true,
            file_name: string_after(text, "fileName").filter(|name| is_plain_name(name)),
            client_email: string_after(text, "clientEmail").filter(|email| is_address(email)),
            data_type: string_after(text, "type").and_then(|text| data_type(&text)),
            readable: None,
        }
    }
}

impl fmt::Display for ManifestErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&join(&self.findings))
    }
}

impl std::error::Error for ManifestErrors {}

/// Returns the failure that reports these findings about a manifest and its header.
pub(crate) fn failure_of(findings: &[String]) -> Failure {
    Failure::new(FailureText::Manifest, join(findings))
}

/// The maximum number of findings in a report. A hostile manifest can cause a hundred thousand
/// findings.
const MAX_FINDINGS: usize = 100;

fn join(findings: &[String]) -> String {
    let reported = findings[..findings.len().min(MAX_FINDINGS)].join("; ");
    match findings.len().saturating_sub(MAX_FINDINGS) {
        0 => reported,
        more => format!("{reported}; and {more} more"),
    }
}

/// Returns the string after `"key":` in a text that may be only the beginning of an object.
fn string_after(text: &str, key: &str) -> Option<String> {
    let (_, rest) = text.split_once(&format!("\"{key}\""))?;
    let value = rest.trim_start().strip_prefix(':')?;
    let mut values = serde_json::Deserializer::from_str(value).into_iter::<String>();
    values.next()?.ok()
}

/// Parses the text `event` or `profile`, in any case.
pub(super) fn data_type(text: &str) -> Option<DataType> {
    [DataType::Event, DataType::Profile]
        .into_iter()
        .find(|data_type| text.trim().eq_ignore_ascii_case(data_type.as_str()))
}

/// Returns whether `name` is a visible file in the manifest's own folder, on any system.
pub(super) fn is_plain_name(name: &str) -> bool {
    (1..=255).contains(&name.len())
        && !name.starts_with('.')
        && !name.contains(['/', '\\'])
        && !name.chars().any(char::is_control)
}

/// Returns whether `text` is one address without a display name that can go into a mail's header
/// unchanged. Its domain follows the last `@`.
pub(crate) fn is_address(text: &str) -> bool {
    is_plain_address(text.as_bytes()) || is_any_address(text)
}

fn is_any_address(text: &str) -> bool {
    let bare = Options::default().without_display_text();
    !text.chars().any(char::is_control) && EmailAddress::parse_with_options(text, bare).is_ok()
}

/// Tests quickly whether `text` is an address. Returns true for most valid addresses, and only for
/// valid addresses.
fn is_plain_address(text: &[u8]) -> bool {
    let Some(at) = memchr::memchr(b'@', text) else { return false };
    let (local, domain) = (&text[..at], &text[at + 1..]);
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'+' | b'-');
    local.len() <= 64
        && domain.len() <= 63
        && is_joined(local, is_word, |byte| byte == b'.')
        && is_joined(
            domain,
            |byte| byte.is_ascii_alphanumeric(),
            |byte| matches!(byte, b'.' | b'-'),
        )
}

/// Returns whether `text` consists of words, with exactly one joint between every two words.
fn is_joined(text: &[u8], is_word: impl Fn(u8) -> bool, is_joint: impl Fn(u8) -> bool) -> bool {
    let mut after_word = false;
    for &byte in text {
        if !(is_word(byte) || after_word && is_joint(byte)) {
            return false;
        }
        after_word = is_word(byte);
    }
    after_word
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contact_of_an_incomplete_manifest_is_read() {
        let text = r#"{"type" : "Event","fileName":"e.csv", "clientEmail":"a@b.example", "colu"#;
        let errors = ManifestErrors::of_syntax("cut".into(), text);
        assert_eq!(errors.client_email.as_deref(), Some("a@b.example"));
        assert_eq!(errors.file_name.as_deref(), Some("e.csv"));
        assert_eq!(errors.data_type, Some(DataType::Event));
    }

    #[test]
    fn values_of_incomplete_manifests_are_validated() {
        let text = r#"{"fileName":"../e.csv","clientEmail":"a@b.c\r\nBcc: x@y.z","type":"#;
        let errors = ManifestErrors::of_syntax("cut".into(), text);
        assert_eq!((errors.client_email, errors.file_name, errors.data_type), (None, None, None));
    }

    #[test]
    fn report_lists_100_findings_and_counts_others() {
        let findings: Vec<_> = (0..103).map(|n| n.to_string()).collect();
        let detail = failure_of(&findings).detail;
        assert!(detail.starts_with("0; 1; ") && detail.ends_with("; 99; and 3 more"), "{detail}");
    }

    proptest::proptest! {
        #[test]
        fn the_fast_address_check_accepts_only_valid_addresses(
            text in "[a-z0-9.+_ -]{0,6}@?[a-zA-Z0-9.@é-]{0,8}|[a-z]{62,66}@[a-z]{61,65}|[a-z]@[a-z.]{250,256}",
        ) {
            proptest::prop_assert!(!is_plain_address(text.as_bytes()) || is_any_address(&text));
        }
    }

    #[test]
    fn addresses_with_display_names_are_refused() {
        for text in ["a@b.example", "a.b+c@b.example", "\"a b\"@b.example", "é@b.example"] {
            assert!(is_address(text), "{text:?}");
        }
        for text in
            ["a@b.example>", "Jane <a@b.example>", "<a@b.example>", "a@", "a@b, c@d", "a@b\n"]
        {
            assert!(!is_address(text), "{text:?}");
        }
    }

    #[test]
    fn only_plain_file_names_are_accepted() {
        for name in ["e.csv", "a b.csv", "é.csv.gz", "a..b.csv"] {
            assert!(is_plain_name(name), "{name:?}");
        }
        let long = "x".repeat(256);
        for name in ["", ".", "..", ".e.csv", "../e.csv", "/e.csv", "a/b", "a\\b", "a\n", &long] {
            assert!(!is_plain_name(name), "{name:?}");
        }
    }
}
