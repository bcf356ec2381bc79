//! Parses the manifest's keys `quote`, `escape` and `null`.

use super::{ManifestReader, text};
use crate::manifest::Quoting;
use crate::manifest::json::Json;

/// The maximum number of texts in the value of the key `null`.
const MOST_NULL_TEXTS: usize = 32;

/// The maximum length in bytes of a text in the value of the key `null`.
const LONGEST_NULL_TEXT: usize = 64;

impl ManifestReader {
    pub fn quoting(&mut self, delimiter: char) -> Quoting {
        let wanted = r#""\"", or "" for a file without quoting"#;
        let quote = self.read("quote", wanted, |json| match text(json)? {
            "\"" => Some(true),
            "" => Some(false),
            _ => None,
        });
        let wanted = r#""\"" for quotes that are written twice, or "\\" for \""#;
        let backslash = self.read("escape", wanted, |json| match text(json)? {
            "\"" => Some(false),
            "\\" => Some(true),
            _ => None,
        });
        match (quote.unwrap_or(true), backslash.unwrap_or(false)) {
            (true, false) => Quoting::Doubled,
            (true, true) => Quoting::Backslash,
            (false, backslash) => {
                if backslash {
                    let finding = r#"escape is for files with quoting: remove it, or quote """#;
                    self.findings.push(finding.to_owned());
                }
                // The text `Failure Description` contains a space, and must be one field of the
                // error file.
                if "Failure Description".contains(delimiter) {
                    let shown =
                        if delimiter == ' ' { "a space".into() } else { delimiter.to_string() };
                    self.findings.push(format!(
                        r#"a file without quoting (quote "") can't have {shown} as delimiter"#
                    ));
                }
                Quoting::None
            }
        }
    }

    pub fn null_texts(&mut self) -> Vec<String> {
        let wanted = format!(
            r#"a list of at most {MOST_NULL_TEXTS} texts such as ["\\N", "NULL"], each of at most {LONGEST_NULL_TEXT} bytes without NUL"#
        );
        let is_short = |text: &&str| text.len() <= LONGEST_NULL_TEXT && !text.contains('\0');
        let texts = self.read("null", &wanted, |json| match json {
            Json::Array(items) if items.len() <= MOST_NULL_TEXTS => items
                .iter()
                .map(|item| text(item).filter(is_short).map(str::to_owned))
                .collect::<Option<Vec<_>>>(),
            _ => None,
        });
        texts.unwrap_or_default()
    }
}
