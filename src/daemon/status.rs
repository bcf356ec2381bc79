//! The STATUS line that `systemctl status` shows. Pure.

use super::jobs::Run;

/// Describes the current work: the oldest running import, how many more run, how many wait.
pub fn status(runs: &[&Run], waiting: usize, watched: usize) -> String {
    let Some(first) = runs.iter().min_by_key(|run| run.import.n) else {
        return format!("{waiting} imports waiting; watching {watched} accounts");
    };
    let progress = first.monitor.progress();
    let more = match runs.len() {
        1 => String::new(),
        n => format!(" and {} more", n - 1),
    };
    let share = (progress.bytes * 100).checked_div(progress.total_bytes).unwrap_or(0);
    format!(
        "Importing {} of {} ({share} %, {} records){more}; {waiting} waiting",
        first.import.id, first.import.account, progress.records
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::run::queue::{Queued, Weight};

    fn run(n: i64) -> Run {
        let (account, id) = ("acme".parse().unwrap(), format!("t-{n}").parse().unwrap());
        let import = Queued { account, n, id, weight: Weight::Light };
        Run { import, since: std::time::Instant::now(), monitor: Default::default() }
    }

    #[test]
    fn names_the_oldest_import() {
        assert_eq!(status(&[], 0, 3), "0 imports waiting; watching 3 accounts");
        let (old, new) = (run(4), run(5));
        old.monitor.set_total(200);
        old.monitor.set(7, 50);
        let text = "Importing t-4 of acme (25 %, 7 records) and 1 more; 2 waiting";
        assert_eq!(status(&[&new, &old], 2, 3), text);
        assert_eq!(status(&[&new], 0, 1), "Importing t-5 of acme (0 %, 0 records); 0 waiting");
    }
}
