//! Tests of the first and the last Unix id that an account may have, and of the ids next to them.

use super::*;

/// Returns the two ids just outside the range of account ids, and the two ids at the ends of the
/// range.
fn bounds() -> ([u32; 2], [u32; 2]) {
    let Accounts { first_uid, last_uid, .. } = Accounts::default();
    ([first_uid - 1, last_uid + 1], [first_uid, last_uid])
}

/// Returns a host with the user, the group and the folders of the account. The user and the group
/// have the id `id`.
fn host_with(id: u32) -> Host {
    let mut host = complete();
    add_user(&mut host, id, GECOS);
    host.groups.insert("acme".into(), id);
    host
}

#[test]
fn users_are_recovered_within_the_id_range() {
    let (outside, inside) = bounds();
    for id in inside {
        assert_eq!(plan::check_name(&acme(), None, &host_with(id)), Ok(()), "{id}");
    }
    for id in outside {
        let refused = Err(Refusal::User { account: acme(), uid: id });
        assert_eq!(plan::check_name(&acme(), None, &host_with(id)), refused, "{id}");
    }
}

#[test]
fn groups_without_user_are_recovered_within_the_range() {
    let with_group = |id| {
        let mut host = bare();
        host.groups.insert("acme".into(), id);
        host
    };
    let (outside, inside) = bounds();
    for id in inside {
        assert_eq!(plan::check_name(&acme(), None, &with_group(id)), Ok(()), "{id}");
    }
    for id in outside {
        let refused = Err(Refusal::Group { account: acme(), gid: id });
        assert_eq!(plan::check_name(&acme(), None, &with_group(id)), refused, "{id}");
    }
}

#[test]
fn only_users_within_the_id_range_are_removed() {
    let (outside, inside) = bounds();
    for id in inside {
        let steps = plan::leftover_steps(&acme(), &host_with(id));
        assert!(steps.contains(&Step::RemoveUser(acme())), "{id}: {steps:?}");
        assert!(steps.contains(&Step::RemoveGroup(acme())), "{id}: {steps:?}");
        assert!(steps.contains(&Step::EndSessions { uid: id }), "{id}: {steps:?}");
    }
    for id in outside {
        let steps = plan::leftover_steps(&acme(), &host_with(id));
        assert_eq!(steps, [Step::RemoveFolders(acme())], "{id}");
    }
}

/// If the limit were wrong, `end` would end processes. Therefore the test uses only ids without
/// processes.
#[test]
fn the_processes_of_system_users_are_never_ended() {
    let mut tried = 0;
    for uid in (900..1000).filter(|uid| !has_process(*uid)) {
        if uid == 999 || tried == 0 {
            assert!(matches!(sessions::end(uid), Err(ProvisionError::Sessions(id)) if id == uid));
            tried += 1;
        }
    }
    assert!(tried > 0);
}

fn has_process(uid: u32) -> bool {
    use std::os::unix::fs::MetadataExt;
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    entries.filter_map(|entry| entry.metadata().ok()).any(|meta| meta.uid() == uid)
}
