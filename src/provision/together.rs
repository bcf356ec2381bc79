//! Whether users are made one by one or all at once (pure).

use super::lines::NewUser;
use super::step::Step;

/// From so many users and groups on, they are made at once; below by useradd and groupadd, which
/// tell the system's log of each.
const MANY: usize = 20;

/// `steps` with those that make users and groups as one, when they are many: after all others, as
/// folders need no user, and a user that is there should find its folders.
pub(super) fn together(steps: Vec<Step>) -> Vec<Step> {
    let makes = |step: &Step| matches!(step, Step::AddGroup { .. } | Step::AddUser { .. });
    if steps.iter().filter(|step| makes(step)).count() < MANY {
        return steps;
    }
    let (new, mut others): (Vec<Step>, Vec<Step>) = steps.into_iter().partition(makes);
    let mut users: Vec<NewUser> = Vec::new();
    for step in new {
        let (Step::AddGroup { account, gid: id } | Step::AddUser { account, uid: id }) = step
        else {
            continue;
        };
        let user = NewUser { account, id };
        // An account's group and user come one after the other.
        if users.last() != Some(&user) {
            users.push(user);
        }
    }
    others.push(Step::AddUsers(users));
    others
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(accounts: u32) -> Vec<Step> {
        let of = |n: u32| {
            let account: crate::account::AccountId = format!("A-{n}").parse().unwrap();
            let group = Step::AddGroup { account: account.clone(), gid: 70_000 + n };
            [group, Step::AddUser { account, uid: 70_000 + n }, Step::EndSessions { uid: n }]
        };
        (0..accounts).flat_map(of).collect()
    }

    #[test]
    fn few_are_left_as_they_are() {
        assert_eq!(together(steps(9)), steps(9));
    }

    #[test]
    fn many_are_made_last_and_each_once() {
        let of_many = together(steps(300));
        assert_eq!(of_many.len(), 301);
        let Some(Step::AddUsers(users)) = of_many.last() else { panic!("{of_many:?}") };
        assert_eq!((users.len(), users[299].id), (300, 70_299));
    }
}
