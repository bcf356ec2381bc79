//! Measures the real daemon. The bench needs root: `cargo bench --bench daemon -- WHAT [NUMBERS]`.
//! WHAT is one of:
//!
//! - `pickup`: the time from the end of a session to `picked_up`, on an idle host and during a huge
//!   import. For sessions that stay open, the time from the close of the manifest to `picked_up`.
//! - `load [SESSIONS] [PAIRS]`: the number of small imports per second
//! - `accounts [ACCOUNTS]`: the time to start, the memory, and the CPU time while idle, with many
//!   accounts
//!
//! Each bench prints one line per measurement. The results are valid only on an idle machine.

#![allow(clippy::print_stdout, reason = "a bench reports")]

mod accounts;
mod host;
mod load;
mod pickup;
mod session;

fn main() {
    // cargo bench adds the argument --bench.
    let mut args = std::env::args().skip(1).filter(|arg| arg != "--bench");
    let what = args.next().unwrap_or_default();
    if what == session::ARGUMENT {
        return session::serve(args.next().unwrap_or_default().as_ref());
    }
    let numbers: Vec<usize> = args.filter_map(|arg| arg.parse().ok()).collect();
    let number = |n: usize, default| numbers.get(n).copied().unwrap_or(default);
    match what.as_str() {
        "pickup" => pickup::measure_all(),
        "load" => load::measure(number(0, 100), number(1, 20)),
        "accounts" => accounts::measure(number(0, 10_000)),
        other => panic!("unknown bench {other:?}: write pickup, load or accounts"),
    }
}
