//! Draws a progress bar on a terminal while an import runs in this process.

use std::io::{self, IsTerminal};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::{self, Thread};
use std::time::Duration;

use indicatif::{HumanCount, ProgressBar, ProgressStyle};

use crate::import::Monitor;

/// The time after which the progress bar appears.
const SHOW_AFTER: Duration = Duration::from_millis(500);

/// The interval at which the progress bar is drawn.
const TICK: Duration = Duration::from_millis(100);

/// Runs `work`. If standard error is a terminal, shows the progress of `monitor` there.
pub fn show_progress<T>(monitor: &Arc<Monitor>, work: impl FnOnce() -> T) -> T {
    if !io::stderr().is_terminal() {
        return work();
    }
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let drawing = scope.spawn(|| draw(monitor, &done));
        let _stop = StopDrawing { done: &done, drawing: drawing.thread() };
        work()
    })
}

/// On drop, ends the thread that draws the progress bar, even after a panic in the work, because
/// the scope waits for the thread.
struct StopDrawing<'a> {
    done: &'a AtomicBool,
    drawing: &'a Thread,
}

impl Drop for StopDrawing<'_> {
    fn drop(&mut self) {
        self.done.store(true, Relaxed);
        self.drawing.unpark();
    }
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
        thread::park_timeout(TICK);
    }
    bar.finish_and_clear();
}
