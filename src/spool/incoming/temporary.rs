//! Temporary names of uploads. Clients upload a file under such a name and rename it at the end.
//! This module is pure.

use super::entry::{data_ending, usable_name};

/// The endings that clients append to a file's name during its upload: `.filepart` (WinSCP),
/// `.part` (Cyberduck and others), `.<hash>.partial` (rclone), `.inprogress` and `.tmp` (transfer
/// tools).
const ENDINGS: [&str; 5] = [".filepart", ".part", ".partial", ".inprogress", ".tmp"];

/// The prefix that lftp adds to a file's name during its upload. Other tools use a dot as the
/// prefix.
const PREFIX: &str = ".in.";

/// Returns the name of the data file that is uploaded under the temporary name `name`.
pub fn final_name(name: &str) -> Option<&str> {
    let visible = name.strip_prefix(PREFIX).or_else(|| name.strip_prefix('.'));
    let base = visible.unwrap_or(name);
    let whole = ENDINGS.iter().find_map(|ending| {
        let (base, end) = base.split_at_checked(base.len().checked_sub(ending.len())?)?;
        end.eq_ignore_ascii_case(ending).then_some(base)
    });
    if visible.is_none() && whole.is_none() {
        return None;
    }
    let is_data_file = |name: &&str| data_ending(name).is_some();
    let whole = whole.unwrap_or(base);
    // rclone inserts a hash before the ending of a temporary name.
    let without_hash = || whole.rsplit_once('.').map(|(base, _)| base);
    Some(whole).filter(is_data_file).or_else(|| without_hash().filter(is_data_file))
}

/// Returns `name` if it is a temporary name that is hidden and would be usable without its dot.
pub fn hidden_temporary_name(name: &[u8]) -> Option<&str> {
    usable_name(name.strip_prefix(b".")?)?;
    std::str::from_utf8(name).ok().filter(|name| final_name(name).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn temporary_names_yield_the_data_file_name() {
        for (name, expected) in [
            ("e.csv.filepart", Some("e.csv")),
            ("e.csv.part", Some("e.csv")),
            ("e.csv.gz.PART", Some("e.csv.gz")),
            (".e.csv.partial", Some("e.csv")),
            ("e.csv.partial", Some("e.csv")),
            ("e.csv.a1b2c3d4.partial", Some("e.csv")),
            (".in.e.csv", Some("e.csv")),
            ("e.csv.inprogress", Some("e.csv")),
            ("e.csv.tmp", Some("e.csv")),
            (".e.csv", Some("e.csv")),
            ("e.csv", None),
            (".csv", None),
            ("e.part", None),
            (".e.manifest", None),
            ("e.manifest.filepart", None),
            (".", None),
            ("é.part", None),
        ] {
            assert_eq!(final_name(name), expected, "{name}");
        }
    }

    #[test]
    fn hidden_temporary_names_must_be_usable() {
        for name in [".in.e.csv", ".e.csv.partial"] {
            assert_eq!(hidden_temporary_name(name.as_bytes()), Some(name));
        }
        for name in [&b"..e.csv"[..], b".a/e.csv", b".a\ne.csv", b".\xff.csv", b"e.csv.part", b".x"]
        {
            assert_eq!(hidden_temporary_name(name), None);
        }
    }
}
