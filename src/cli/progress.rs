//! A progress bar on a terminal, while an import runs in this process.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use indicatif::{HumanCount, ProgressBar, ProgressStyle};

use crate::import::Monitor;

/// Shorter work shows no bar.
const SHOW_AFTER: Duration = Duration::from_millis(500);

/// Runs `work` and shows how far `monitor` says it is. Draws on standard error, and only when
/// that is a terminal.
pub fn shown<T>(monitor: &Arc<Monitor>, work: impl FnOnce() -> T) -> T {
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| draw(monitor, &done));
        let result = work();
        done.store(true, Relaxed);
        result
    })
}

fn draw(monitor: &Monitor, done: &AtomicBool) {
    let bar = ProgressBar::no_length().with_style(
        ProgressStyle::with_template("{bar:30} {percent:>3} % {bytes_per_sec:>12} {msg} eta {eta}")
            .unwrap_or_else(|_| ProgressStyle::default_bar()),
    );
    while !done.load(Relaxed) {
        let progress = monitor.progress();
        if progress.seconds > SHOW_AFTER.as_secs_f64() && progress.total_bytes > 0 {
            bar.set_length(progress.total_bytes);
            bar.set_position(progress.bytes);
            bar.set_message(format!("{} records", HumanCount(progress.records)));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    bar.finish_and_clear();
}
