//! The lines that new Unix users and their groups get in passwd(5), shadow(5), group(5) and
//! gshadow(5) (pure).
//!
//! What is there is never changed: a name that has its line keeps it, and a name or an id that is
//! somebody else's is told, so that nothing is written at all.

use std::collections::HashMap;

use super::host::{GECOS, SHELL};
use crate::account::AccountId;

/// A Unix user to make, with the group of its name and id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewUser {
    /// Whose; user and group have the same name.
    pub account: AccountId,
    /// The user's id, and the group's.
    pub id: u32,
}

/// One of the four files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Database {
    Gshadow,
    Group,
    Shadow,
    Passwd,
}

impl Database {
    /// In this order a user is there in its last moment alone, and then has all that it needs.
    pub const IN_ORDER: [Self; 4] = [Self::Gshadow, Self::Group, Self::Shadow, Self::Passwd];

    /// Where it lies.
    pub const fn path(self) -> &'static str {
        match self {
            Self::Gshadow => "/etc/gshadow",
            Self::Group => "/etc/group",
            Self::Shadow => "/etc/shadow",
            Self::Passwd => "/etc/passwd",
        }
    }

    /// The same as useradd(8) and groupadd(8) write for an account (see `tools`): no password, no
    /// ageing, no home. `day` is the day of the password's last change, counted from 1970.
    fn line(self, user: &NewUser, day: i64) -> String {
        let NewUser { account, id } = user;
        match self {
            Self::Gshadow => format!("{account}:!::\n"),
            Self::Group => format!("{account}:x:{id}:\n"),
            Self::Shadow => format!("{account}:*:{day}::::::\n"),
            Self::Passwd => format!("{account}:x:{id}:{id}:{GECOS}:/nonexistent:{SHELL}\n"),
        }
    }

    /// The id of a line's user or group; none in the files that have none.
    fn id(self, line: &str) -> Option<u32> {
        match self {
            Self::Gshadow | Self::Shadow => None,
            Self::Group | Self::Passwd => line.split(':').nth(2)?.parse().ok(),
        }
    }
}

/// A name or an id that went to somebody else since it was looked at.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path} has {name} with id {id} meanwhile")]
pub(super) struct Clash {
    path: &'static str,
    name: String,
    id: u32,
}

/// `text` with a line for each of `users` that lacks one; none when none lacks.
///
/// # Errors
/// A name or an id is somebody else's.
pub(super) fn with(
    text: &str,
    database: Database,
    users: &[NewUser],
    day: i64,
) -> Result<Option<String>, Clash> {
    let lines = text.lines().filter_map(|line| Some((line.split(':').next()?, line)));
    let by_name: HashMap<&str, Option<u32>> =
        lines.map(|(name, line)| (name, database.id(line))).collect();
    let by_id: HashMap<u32, &str> =
        by_name.iter().filter_map(|(name, id)| Some(((*id)?, *name))).collect();
    let clash = |name: &str, id| Err(Clash { path: database.path(), name: name.to_owned(), id });
    let mut new = String::new();
    for user in users {
        match (by_name.get(user.account.as_str()), by_id.get(&user.id)) {
            (Some(Some(id)), _) if *id != user.id => return clash(user.account.as_str(), *id),
            (None, Some(other)) => return clash(other, user.id),
            (Some(_), _) => {}
            (None, None) => new.push_str(&database.line(user, day)),
        }
    }
    Ok((!new.is_empty()).then(|| inserted(text, &new)))
}

/// `text` with `new` at its end, but before lines that ask NIS (`+`, `-`), which must come last.
fn inserted(text: &str, new: &str) -> String {
    let asks_nis = |line: &&str| line.starts_with(['+', '-']);
    let own: usize = text.split_inclusive('\n').take_while(|l| !asks_nis(l)).map(str::len).sum();
    let (own, nis) = text.split_at(own);
    let end = if own.is_empty() || own.ends_with('\n') { "" } else { "\n" };
    format!("{own}{end}{new}{nis}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(account: &str, id: u32) -> NewUser {
        NewUser { account: account.parse().unwrap(), id }
    }

    fn with(text: &str, database: Database, users: &[NewUser]) -> Option<String> {
        super::with(text, database, users, 20_000).unwrap()
    }

    #[test]
    fn each_file_has_its_line() {
        let users = [user("8R5-4K5", 70_001)];
        let lines = Database::IN_ORDER.map(|database| with("", database, &users).unwrap());
        assert_eq!(
            lines,
            [
                "8R5-4K5:!::\n",
                "8R5-4K5:x:70001:\n",
                "8R5-4K5:*:20000::::::\n",
                "8R5-4K5:x:70001:70001:sftp-import account:/nonexistent:/usr/sbin/nologin\n",
            ]
        );
    }

    #[test]
    fn only_what_lacks_is_added_and_nothing_is_changed() {
        let text = "root:x:0:\nacme:x:70001:friend\n";
        let users = [user("acme", 70_001), user("other", 70_002)];
        let added = with(text, Database::Group, &users).unwrap();
        assert_eq!(added, format!("{text}other:x:70002:\n"));
        assert_eq!(with(&added, Database::Group, &users), None, "again");
        assert_eq!(with("acme:!:20000::::::\n", Database::Shadow, &users[..1]), None);
    }

    #[test]
    fn what_is_somebody_elses_stops_all() {
        let users = [user("first", 70_000), user("acme", 70_001)];
        for (text, told) in [
            ("acme:x:1000:", "/etc/group has acme with id 1000 meanwhile"),
            ("other:x:70001:\n", "/etc/group has other with id 70001 meanwhile"),
        ] {
            let clash = super::with(text, Database::Group, &users, 0).unwrap_err();
            assert_eq!(clash.to_string(), told);
        }
    }

    #[test]
    fn a_last_line_without_its_end_and_lines_for_nis() {
        let users = [user("acme", 70_001)];
        let of = |text| with(text, Database::Group, &users).unwrap();
        assert_eq!(of("root:x:0:"), "root:x:0:\nacme:x:70001:\n");
        assert_eq!(of("root:x:0:\n+:::\n"), "root:x:0:\nacme:x:70001:\n+:::\n");
    }
}
