//! Caches formatted reasons for both error files.
//!
//! Many records of a file break the same rules. Their reasons differ only in the line and the
//! value. The other parts of a reason are formatted once and cached.

use std::fmt::{self, Write as _};
use std::hash::{BuildHasher, RandomState};

use hashbrown::HashTable;

use crate::records::rules::rejection::Rejection;

/// The maximum number of cached reasons. This is about two reasons for each possible column.
const CAPACITY: usize = 4096;

/// A cache of the formatted reasons for rejections.
#[derive(Clone, Debug, Default)]
pub struct ReasonCache {
    known: Vec<CachedReason>,
    /// A hash table of indexes into `known`.
    table: HashTable<u32>,
    hasher: RandomState,
    /// The index of the reason that was requested last.
    last: usize,
}

/// A cached reason without its line and its value, formatted for both error files. Each format has
/// a part before the value and a part after the value.
#[derive(Clone, Debug)]
pub struct CachedReason {
    message: String,
    column: Option<String>,
    help: Option<String>,
    value: ValueKind,
    csv: [Vec<u8>; 2],
    json: [Vec<u8>; 2],
}

/// Whether a reason has a value. Empty values are left out of the texts for partners.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum ValueKind {
    No,
    Empty,
    Yes,
}

impl ReasonCache {
    /// Returns the cached texts of `reason`. Formats them first if they are not cached.
    pub fn of(&mut self, reason: &Rejection<'_>) -> &CachedReason {
        // A record often breaks the same rules as the previous record, in the same order.
        let next = if self.last + 1 < self.known.len() { self.last + 1 } else { 0 };
        let mut likely = [next, self.last].into_iter();
        let at = likely.find(|at| self.known.get(*at).is_some_and(|known| known.is_of(reason)));
        self.last = at.unwrap_or_else(|| self.find(reason));
        &self.known[self.last]
    }

    fn find(&mut self, reason: &Rejection<'_>) -> usize {
        let hash = self.hasher.hash_one(key(reason));
        let found = self.table.find(hash, |at| self.known[*at as usize].is_of(reason));
        if let Some(at) = found {
            return *at as usize;
        }
        // Messages that contain many different numbers can fill the cache.
        if self.known.len() == CAPACITY {
            self.known.clear();
            self.table.clear();
        }
        let at = self.known.len();
        self.known.push(CachedReason::new(reason));
        let (known, hasher) = (&self.known, &self.hasher);
        self.table.insert_unique(hash, at as u32, |at| hasher.hash_one(known[*at as usize].key()));
        at
    }
}

/// The parts of a reason that determine its cached texts.
type ReasonKey<'a> = (&'a str, Option<&'a str>, Option<&'a str>, ValueKind);

fn key<'a>(reason: &'a Rejection<'_>) -> ReasonKey<'a> {
    let (column, help) = (reason.column.as_deref(), reason.help.as_deref());
    (&reason.message, column, help, ValueKind::of(reason))
}

impl CachedReason {
    fn new(reason: &Rejection<'_>) -> Self {
        let quoted = |write: &dyn Fn(&mut Quoted<'_>) -> fmt::Result| {
            let mut text = Vec::new();
            write(&mut Quoted(&mut text)).expect("writing to memory always succeeds");
            text
        };
        let mut json = [b",\"column\":".to_vec(), b",\"message\":".to_vec()];
        push_json(reason.column.as_deref(), &mut json[0]);
        json[0].extend_from_slice(b",\"value\":");
        push_json(Some(&reason.message), &mut json[1]);
        if let Some(help) = &reason.help {
            json[1].extend_from_slice(b",\"help\":");
            push_json(Some(help), &mut json[1]);
        }
        json[1].extend_from_slice(b"}\n");
        Self {
            message: reason.message.as_ref().to_owned(),
            column: reason.column.as_deref().map(str::to_owned),
            help: reason.help.as_deref().map(str::to_owned),
            value: ValueKind::of(reason),
            csv: [
                quoted(&|text| reason.write_before_value(text)),
                quoted(&|text| reason.write_after_value(text)),
            ],
            json,
        }
    }

    fn key(&self) -> ReasonKey<'_> {
        (&self.message, self.column.as_deref(), self.help.as_deref(), self.value)
    }

    fn is_of(&self, reason: &Rejection<'_>) -> bool {
        self.key() == key(reason)
    }

    /// Appends the reason with the value `value` to a quoted field of the CSV error file.
    pub fn push_quoted(&self, value: Option<&str>, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.csv[0]);
        Quoted(out).write_str(value.unwrap_or("")).expect("writing to memory always succeeds");
        out.extend_from_slice(&self.csv[1]);
    }

    /// Appends the reason as a JSON line with the line number `line` and the value `value`.
    pub fn push_json_line(&self, line: u64, value: Option<&str>, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"line\":");
        push_json(line, out);
        out.extend_from_slice(&self.json[0]);
        push_json(value, out);
        out.extend_from_slice(&self.json[1]);
    }
}

impl ValueKind {
    fn of(reason: &Rejection<'_>) -> Self {
        match reason.value.as_deref() {
            None => Self::No,
            Some("") => Self::Empty,
            Some(_) => Self::Yes,
        }
    }
}

fn push_json(value: impl serde::Serialize, out: &mut Vec<u8>) {
    serde_json::to_writer(out, &value)
        .expect("writing a text or a number to memory always succeeds");
}

/// Writes text inside a quoted CSV field. Each quote in the text is doubled.
pub struct Quoted<'a>(pub &'a mut Vec<u8>);

impl fmt::Write for Quoted<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text.as_bytes();
        while let Some(quote) = memchr::memchr(b'"', rest) {
            self.0.extend_from_slice(&rest[..=quote]);
            self.0.push(b'"');
            rest = &rest[quote + 1..];
        }
        self.0.extend_from_slice(rest);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn part() -> impl Strategy<Value = Option<String>> {
        prop_oneof![Just(None), Just(Some(String::new())), "[a-b\",\\\\é]{1,3}".prop_map(Some),]
    }

    proptest! {
        /// A reason from the cache must be equal to the formatted reason after any other requests,
        /// in any order.
        #[test]
        fn cached_reasons_match_uncached_ones(
            reasons in prop::collection::vec(("[ab\"]{0,2}", part(), part(), part()), 0..80),
        ) {
            let mut reason_cache = ReasonCache::default();
            for (n, (message, column, value, help)) in reasons.iter().enumerate() {
                let reason = Rejection {
                    text: "No",
                    message: message.clone().into(),
                    line: n as u64,
                    column: column.as_deref().map(Into::into),
                    value: value.as_deref().map(Into::into),
                    help: help.clone().map(Into::into),
                };
                let (mut csv, mut line) = (Vec::new(), Vec::new());
                let cached = reason_cache.of(&reason);
                cached.push_quoted(value.as_deref(), &mut csv);
                cached.push_json_line(reason.line, value.as_deref(), &mut line);
                let csv = String::from_utf8(csv).unwrap();
                prop_assert_eq!(csv, reason.to_string().replace('"', "\"\""));
                prop_assert_eq!(line.pop(), Some(b'\n'));
                let mut expected =
                    json!({"line": n, "column": column, "value": value, "message": message});
                if let Some(help) = help {
                    expected["help"] = json!(help);
                }
                prop_assert_eq!(serde_json::from_slice::<Value>(&line).unwrap(), expected);
            }
        }
    }
}
