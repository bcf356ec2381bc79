//! Every interleaving of clients, daemon and crashes, for two pairs that share a data file's name.
//!
//! A model of one account's incoming, the spool and the rows. It uses the real decisions
//! ([`pairing::decide`], [`ClaimStep`]) and the real reading of the log ([`SessionTracker`]). The
//! test visits every order of the clients' steps with scans, single steps of claims, ticks of the
//! clock, settle periods, a crash and a restart. In every final state each manifest must have
//! exactly one answer, and the answer must be correct.

mod model;
mod rules;
mod scripts;

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use self::model::{Budget, Move, World};
use self::rules::Rules;
use self::scripts::{Script, all};

/// Visits every state that is reachable from `world`. Returns the number of states. If a promise is
/// broken, returns the moves to that state and the name of the promise.
fn explore(world: World) -> Result<usize, (Vec<Move>, String)> {
    let mut seen = HashSet::new();
    let mut open = vec![(world, Vec::new())];
    while let Some((world, moves)) = open.pop() {
        let next = world.moves();
        let found = match next.is_empty() {
            true => world.clone().end(),
            false => world.broken(),
        };
        if let Some(broken) = found {
            return Err((moves, broken));
        }
        for step in next {
            let mut after = world.clone();
            after.make(step);
            if seen.insert(digest(&after)) {
                let mut moves = moves.clone();
                moves.push(step);
                open.push((after, moves));
            }
        }
    }
    Ok(seen.len())
}

/// Returns two hashes of a state. A state is skipped wrongly only if both hashes collide.
fn digest(world: &World) -> (u64, u64) {
    let hash = |salt: u8| {
        let mut hasher = DefaultHasher::new();
        salt.hash(&mut hasher);
        world.digest(&mut hasher);
        hasher.finish()
    };
    (hash(0), hash(1))
}

fn is_long() -> bool {
    std::env::var_os("SFTP_IMPORT_TEST_LONG").is_some()
}

/// In the long run, a script with at most this many states is explored again with one more settle
/// period. Each settle period multiplies the number of states.
const FEW: usize = 5_000;

fn budget(settles: usize, crashes: usize) -> Budget {
    Budget { ticks: 1, settles, crashes }
}

/// Explores all interleavings of a script. Returns the number of states.
fn check(script: &Script, settles: usize, crashes: usize) -> usize {
    let visit = |settles| match explore(World::new(script, Rules::Now, budget(settles, crashes))) {
        Ok(states) => states,
        Err((moves, broken)) => panic!("{}: {broken}\nafter {moves:?}", script.name),
    };
    let states = visit(settles);
    if is_long() && states <= FEW {
        visit(settles + 1);
    }
    states
}

#[test]
fn promises_hold_in_every_order_of_steps() {
    for script in all() {
        let states = check(&script, script.settles, 0);
        assert!(states >= 50, "{}: only {states} states", script.name);
    }
}

#[test]
fn promises_hold_after_a_crash() {
    for script in all().into_iter().filter(|script| script.settles > 0) {
        check(&script, 0, 1);
    }
}

/// The previous rules claimed a pair as soon as both files were closed. The manifest was copied and
/// kept its name. If a data file was replaced before its claim, it was imported for the earlier
/// manifest, and its own manifest was refused.
#[test]
fn the_previous_pairing_rules_break_a_promise() {
    let script = all().remove(0);
    let (moves, broken) = explore(World::new(&script, Rules::Before, budget(1, 0))).unwrap_err();
    assert!(broken.contains("m2.manifest"), "{broken} after {moves:?}");
    assert!(broken.contains("No data file found"), "{broken}");
}
