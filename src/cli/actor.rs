//! The user who gives a command, for the activity log.

use std::fs::read_to_string;

use nix::unistd::{Uid, User, geteuid};

/// Where the kernel has the user id of the login that a process descends from (proc(5)).
const LOGIN: &str = "/proc/self/loginuid";

/// Returns the name of the user who gives this command: of root's commands the user of sudo(8), else
/// of the login, else root.
pub(super) fn actor() -> String {
    let own = geteuid();
    // Only root's environment is believed.
    let sudo = own.is_root().then(sudo_user).flatten();
    let login = || login_id(&read_to_string(LOGIN).ok()?).map(name);
    sudo.or_else(login).unwrap_or_else(|| name(own))
}

/// The user whom sudo names, unless that is root: then the login says more.
fn sudo_user() -> Option<String> {
    let user = User::from_name(&std::env::var("SUDO_USER").ok()?).ok()??;
    (!user.uid.is_root()).then_some(user.name)
}

/// `None` if nobody has logged in, as for a unit's process.
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
    fn a_login_is_a_user_id_but_for_the_one_that_says_none() {
        assert_eq!(login_id("1000\n"), Some(Uid::from_raw(1000)));
        for text in ["4294967295", "", "x", "-1"] {
            assert_eq!(login_id(text), None, "{text}");
        }
    }

    #[test]
    fn a_user_without_a_name_is_a_number() {
        assert_eq!(name(Uid::from_raw(0)), "root");
        assert_eq!(name(Uid::from_raw(u32::MAX - 7)), "user id 4294967288");
    }
}
