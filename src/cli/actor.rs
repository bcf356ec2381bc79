//! Determines the user who runs a command, for the activity log.

use std::fs::read_to_string;

use nix::unistd::{Uid, User, geteuid};

/// The kernel's file with the user id of the login session of this process (proc(5)).
const LOGIN: &str = "/proc/self/loginuid";

/// Returns the name of the user who runs this command. For root this is the user of sudo(8). If
/// sudo names no user, it is the user of the login, or else the user of the process.
pub(super) fn actor() -> String {
    let own = geteuid();
    // Only root's environment is trusted.
    let sudo = own.is_root().then(sudo_user).flatten();
    let login = || login_id(&read_to_string(LOGIN).ok()?).map(name);
    sudo.or_else(login).unwrap_or_else(|| name(own))
}

/// Returns the user named by sudo. `None` if sudo names root, because the login is then more
/// precise.
fn sudo_user() -> Option<String> {
    let user = User::from_name(&std::env::var("SUDO_USER").ok()?).ok()??;
    (!user.uid.is_root()).then_some(user.name)
}

/// Parses a login id. `None` if the process has no login, such as the process of a unit.
fn login_id(text: &str) -> Option<Uid> {
    let id = text.trim().parse().ok()?;
    (id != u32::MAX).then(|| Uid::from_raw(id))
}

fn name(id: Uid) -> String {
    User::from_uid(id).ok().flatten().map_or_else(|| format!("user id {id}"), |user| user.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn login_ids_are_parsed() {
        assert_eq!(login_id("1000\n"), Some(Uid::from_raw(1000)));
        for text in ["4294967295", "", "x", "-1"] {
            assert_eq!(login_id(text), None, "{text}");
        }
    }

    #[test]
    fn users_without_a_name_are_shown_by_number() {
        assert_eq!(name(Uid::from_raw(0)), "root");
        assert_eq!(name(Uid::from_raw(u32::MAX - 7)), "user id 4294967288");
    }
}
