//! Measures the real daemon, as root: `cargo bench --bench daemon -- WHAT [NUMBERS]`, where WHAT is
//!
//! - `pickup`: from the session's end to `picked_up`, idle and beside a huge import; and from the
//!   manifest's close in a session that stays open
//! - `load [SESSIONS] [PAIRS]`: small imports a second
//! - `accounts [ACCOUNTS]`: start, memory and idle cost with many accounts
//!
//! Each prints one line for each thing that it measured. They want an idle machine.

#![allow(clippy::print_stdout, reason = "a bench reports")]

mod accounts;
mod host;
mod load;
mod pickup;
mod session;

fn main() {
    // cargo bench passes --bench on.
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
        other => panic!("no bench is called {other:?}: pickup, load or accounts"),
    }
}
