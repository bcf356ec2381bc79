//! Parses the bytes of a manifest and collects every finding about them.

mod columns;
mod quoting;

use std::collections::HashSet;

use super::errors::{self, ManifestErrors};
use super::json::{Json, quote};
use super::{DELIMITER_SUBSTITUTE, Encoding, Manifest, syntax};
use crate::config::Limits;
use crate::report::DataType;
use crate::sanitize::is_unprintable;

const KEYS: [&str; 13] = [
    "type",
    "fileName",
    "clientEmail",
    "columns",
    "size",
    "rows",
    "sha256",
    "delimiter",
    "quote",
    "escape",
    "null",
    "encoding",
    "dryRun",
];

impl Manifest {
    /// Parses a manifest: a UTF-8 JSON object, with or without a byte order mark.
    pub fn parse(bytes: &[u8], limits: &Limits) -> Result<Self, ManifestErrors> {
        let max = limits.max_manifest.bytes();
        if bytes.len() as u64 > max {
            let finding =
                format!("the manifest is {} bytes long, at most {max} are allowed", bytes.len());
            let findings = vec![finding];
            return Err(ManifestErrors { findings, ..ManifestErrors::default() });
        }
        let text = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
        let json = read_json(text)
            .map_err(|finding| ManifestErrors::of_syntax(finding, &syntax::decode(text)))?;
        let Json::Object(entries) = json else {
            let findings = vec![format!("the manifest is {json}, not a JSON object")];
            return Err(ManifestErrors { findings, ..ManifestErrors::default() });
        };
        ManifestReader::new(entries).manifest()
    }
}

fn read_json(bytes: &[u8]) -> Result<Json, String> {
    if let Some(finding) = syntax::explain_bytes(bytes) {
        return Err(finding);
    }
    let text = std::str::from_utf8(bytes).map_err(|error| error.to_string())?;
    Json::read(text).map_err(|error| syntax::explain(text, &error))
}

/// Reads the values of the manifest's JSON object and collects findings about them.
pub(super) struct ManifestReader {
    entries: Vec<(String, Json)>,
    pub findings: Vec<String>,
    pub warnings: Vec<String>,
}

impl ManifestReader {
    fn new(mut entries: Vec<(String, Json)>) -> Self {
        let findings = correct_keys(&mut entries, &KEYS);
        Self { entries, findings, warnings: Vec::new() }
    }

    fn manifest(mut self) -> Result<Manifest, ManifestErrors> {
        self.report_duplicate_keys();
        let data_type = self.data_type();
        let file_name = self.file_name();
        let client_email = self.client_email();
        let columns = self.columns();
        let size = self.whole_number("size", "the data file's size in bytes");
        let rows = self.whole_number("rows", "the number of records after the header");
        let sha256 = self.sha256();
        let known = self.findings.len();
        let delimiter = self.delimiter().unwrap_or(',');
        let quoting = self.quoting(delimiter);
        let null = self.null_texts();
        let encoding = self.encoding();
        let is_readable = self.findings.len() == known;
        let dry_run = self.dry_run();
        self.warn_of_unknown_keys();
        let manifest = data_type.zip(file_name.clone()).map(|(data_type, file_name)| Manifest {
            data_type,
            file_name,
            client_email: client_email.clone().unwrap_or_default(),
            columns,
            size,
            rows,
            sha256,
            delimiter: if delimiter.is_ascii() { delimiter as u8 } else { DELIMITER_SUBSTITUTE },
            wide_delimiter: (!delimiter.is_ascii()).then_some(delimiter),
            quoting,
            null,
            encoding,
            dry_run: dry_run.unwrap_or(false),
            warnings: self.warnings,
        });
        match manifest {
            Some(manifest) if self.findings.is_empty() => Ok(manifest),
            manifest => Err(ManifestErrors {
                findings: self.findings,
                syntax: false,
                file_name,
                client_email,
                data_type,
                readable: manifest.filter(|_| is_readable).map(Box::new),
            }),
        }
    }

    fn report_duplicate_keys(&mut self) {
        let keys = self.entries.iter().map(|(key, _)| key.as_str());
        self.findings
            .extend(duplicates(keys).map(|key| format!("key {} appears twice", quote(key))));
    }

    /// Removes and returns the value of the key `key`. Returns `None` if the value is absent or
    /// null.
    pub fn take(&mut self, key: &str) -> Option<Json> {
        let at = self.entries.iter().position(|(name, _)| name == key)?;
        let (_, value) = self.entries.remove(at);
        (value != Json::Null).then_some(value)
    }

    /// Returns the value of `key`, converted by `check`. If the conversion fails, adds a finding
    /// that names `wanted`.
    fn read<T>(
        &mut self,
        key: &str,
        wanted: &str,
        check: impl FnOnce(&Json) -> Option<T>,
    ) -> Option<T> {
        let value = self.take(key)?;
        let checked = check(&value);
        if checked.is_none() {
            self.findings.push(format!("{key} must be {wanted}, not {value}"));
        }
        checked
    }

    /// Reads the value of a mandatory key. If the key is absent, adds a finding.
    fn require<T>(
        &mut self,
        key: &str,
        wanted: &str,
        check: impl FnOnce(&Json) -> Option<T>,
    ) -> Option<T> {
        if !self.entries.iter().any(|(name, value)| name == key && *value != Json::Null) {
            self.findings.push(format!("{key} is missing"));
            return None;
        }
        self.read(key, wanted, check)
    }

    fn data_type(&mut self) -> Option<DataType> {
        self.require("type", "\"event\" or \"profile\"", |json| errors::data_type(text(json)?))
    }

    fn file_name(&mut self) -> Option<String> {
        if let Some((_, Json::Array(_))) = self.entries.iter().find(|(key, _)| key == "fileName") {
            self.take("fileName");
            self.findings.push("fileName is a list: a manifest names one file".to_owned());
            return None;
        }
        let wanted = "the plain name of a visible file in the manifest's own folder, at most 255 \
                      bytes, without a path or control characters";
        let name = self.require("fileName", wanted, |json| {
            text(json).filter(|name| errors::is_plain_name(name)).map(str::to_owned)
        });
        name.filter(|name| {
            let has_wildcard = name.contains('*');
            if has_wildcard {
                let name = quote(name);
                self.findings.push(format!("fileName {name}: a manifest names one file"));
            }
            !has_wildcard
        })
    }

    fn client_email(&mut self) -> Option<String> {
        self.require("clientEmail", "one valid email address", |json| {
            text(json).filter(|email| errors::is_address(email)).map(str::to_owned)
        })
    }

    fn whole_number(&mut self, key: &str, what: &str) -> Option<u64> {
        self.read(key, &format!("{what}, a whole number"), |json| match json {
            Json::Whole(n) => Some(*n),
            _ => None,
        })
    }

    fn sha256(&mut self) -> Option<[u8; 32]> {
        let wanted = "the data file's SHA-256, 64 hexadecimal digits";
        self.read("sha256", wanted, |json| parse_digest(text(json)?))
    }

    fn delimiter(&mut self) -> Option<char> {
        let wanted = "one character such as \",\", \";\", \"|\", \"\\t\" or \"\\u0001\", and no quote, \
                      line end or NUL";
        self.read("delimiter", wanted, |json| {
            let mut characters = text(json)?.chars();
            let only = characters.next().filter(|_| characters.next().is_none())?;
            (!matches!(only, '"' | '\r' | '\n' | '\0' | '\u{feff}')).then_some(only)
        })
    }

    fn encoding(&mut self) -> Option<Encoding> {
        let wanted = "one of utf-8, utf-16, utf-16le, utf-16be, windows-1252";
        self.read("encoding", wanted, |json| Encoding::named(text(json)?.trim()))
    }

    fn dry_run(&mut self) -> Option<bool> {
        self.read("dryRun", "true or false", |json| match json {
            Json::Bool(value) => Some(*value),
            _ => None,
        })
    }

    fn warn_of_unknown_keys(&mut self) {
        for (key, _) in std::mem::take(&mut self.entries) {
            if !KEYS.contains(&key.as_str()) {
                self.warnings.push(format!("the manifest's key {} is not known", quote(&key)));
            }
        }
    }
}

/// Corrects each key that differs from one of `known` only in case, spaces, `-` or `_`, and returns
/// a finding for it. The value of a corrected key is checked too. If the right key exists as well,
/// the wrong key is removed.
pub(super) fn correct_keys(entries: &mut Vec<(String, Json)>, known: &[&str]) -> Vec<String> {
    let known: Vec<_> = known.iter().map(|key| (*key, plain_key(key))).collect();
    let meant = |key: &str| {
        let plain = plain_key(key);
        let (right, _) = known.iter().find(|(_, known)| *known == plain)?;
        (*right != key).then_some(*right)
    };
    let mut findings = Vec::new();
    let mut present: HashSet<String> = entries.iter().map(|(key, _)| key.clone()).collect();
    entries.retain_mut(|(key, _)| {
        let Some(right) = meant(key) else { return true };
        findings.push(format!("write {} as {right:?}", quote(key)));
        *key = right.to_owned();
        present.insert(right.to_owned())
    });
    findings
}

/// Returns a key in lower case, without spaces, `-`, `_` and invisible characters.
fn plain_key(key: &str) -> String {
    let is_part = |c: &char| !matches!(c, '-' | '_') && !c.is_whitespace() && !is_unprintable(*c);
    key.chars().filter(is_part).flat_map(char::to_lowercase).collect()
}

pub(super) fn text(json: &Json) -> Option<&str> {
    match json {
        Json::Text(text) => Some(text),
        _ => None,
    }
}

/// Returns the keys that appear more than once. Each of them is returned only once.
pub(super) fn duplicates<'a>(keys: impl Iterator<Item = &'a str>) -> impl Iterator<Item = &'a str> {
    let mut seen = HashSet::new();
    let mut returned = HashSet::new();
    keys.filter(move |key| !seen.insert(*key) && returned.insert(*key))
}

/// Parses a SHA-256 digest, which is written as 64 hexadecimal digits.
pub fn parse_digest(hex: &str) -> Option<[u8; 32]> {
    let digits: Vec<u8> =
        hex.chars().map(|c| c.to_digit(16).map(|digit| digit as u8)).collect::<Option<_>>()?;
    let bytes: Vec<u8> = digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect();
    (digits.len() == 64).then(|| bytes.try_into().ok())?
}

#[cfg(test)]
mod tests;
