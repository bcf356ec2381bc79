//! Gauges: the present state of the daemon. The daemon sets them when Prometheus requests the page.

use std::path::Path;

use prometheus::{Counter, Gauge, GaugeVec, Opts, Registry};

use super::counters::register;

/// The figures about this process from the kernel.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Process {
    pub cpu_seconds: f64,
    /// The resident memory of this process, in bytes.
    pub resident_bytes: f64,
    /// The size of this process's address space, in bytes.
    pub virtual_bytes: f64,
    pub open_fds: f64,
    pub max_fds: f64,
}

pub struct Gauges {
    pub(super) registry: Registry,
    imports: GaugeVec,
    oldest_import: GaugeVec,
    accounts: GaugeVec,
    deliveries: GaugeVec,
    oldest_delivery: GaugeVec,
    endpoints: GaugeVec,
    free: GaugeVec,
    size: GaugeVec,
    database_up: Gauge,
    keys_published: Gauge,
    process: [Gauge; 4],
    cpu: Counter,
}

impl Gauges {
    /// Creates the gauges of a process that began at `start`, in seconds since 1970 UTC.
    pub fn new(start: f64) -> Self {
        let registry = Registry::new();
        let r = &registry;
        let one = |name: &str, help| register(r, Gauge::new(name, help));
        let many = |name, help, label| {
            let options = Opts::new(format!("sftp_import_{name}"), help);
            register(r, GaugeVec::new(options, &[label]))
        };
        many("build_info", "Always 1. The version is a label.", "version")
            .with_label_values(&[env!("CARGO_PKG_VERSION")])
            .set(1.0);
        one(
            "process_start_time_seconds",
            "Time when this process began, in seconds since 1970 UTC.",
        )
        .set(start);
        let import_age = "Age of the oldest unfinished import, in seconds.";
        let delivery_age = "Age of the oldest pending delivery, in seconds.";
        let published = "sftp_import_keys_published_timestamp_seconds";
        let cpu =
            Counter::new("process_cpu_seconds_total", "CPU time of this process, in seconds.");
        Self {
            imports: many("unfinished_imports", "Imports that have not ended.", "state"),
            oldest_import: many("oldest_unfinished_import_age_seconds", import_age, "state"),
            accounts: many("accounts", "Accounts.", "state"),
            deliveries: many("pending_deliveries", "Deliveries that are pending.", "channel"),
            oldest_delivery: many("oldest_pending_delivery_age_seconds", delivery_age, "channel"),
            endpoints: many("endpoints", "Webhook endpoints.", "state"),
            free: many("filesystem_free_bytes", "Bytes that the daemon can still use.", "folder"),
            size: many("filesystem_size_bytes", "Size of the file system, in bytes.", "folder"),
            database_up: one("sftp_import_state_database_up", "1 if the state database answered."),
            keys_published: one(
                published,
                "Time when keys were last published, in seconds since 1970 UTC.",
            ),
            process: [
                one("process_resident_memory_bytes", "Resident memory of this process, in bytes."),
                one(
                    "process_virtual_memory_bytes",
                    "Size of this process's address space, in bytes.",
                ),
                one("process_open_fds", "Open file descriptors of this process."),
                one("process_max_fds", "Limit of open file descriptors of this process."),
            ],
            cpu: register(r, cpu),
            registry,
        }
    }

    /// Sets the number of imports in `state`, and the age of the oldest import in seconds.
    pub fn imports(&self, state: &'static str, count: f64, age: f64) {
        self.imports.with_label_values(&[state]).set(count);
        self.oldest_import.with_label_values(&[state]).set(age);
    }

    pub fn accounts(&self, state: &'static str, count: f64) {
        self.accounts.with_label_values(&[state]).set(count);
    }

    /// Sets the number of pending deliveries by `channel`, and the age of the oldest pending
    /// delivery in seconds.
    pub fn deliveries(&self, channel: &'static str, count: f64, age: f64) {
        self.deliveries.with_label_values(&[channel]).set(count);
        self.oldest_delivery.with_label_values(&[channel]).set(age);
    }

    pub fn endpoints(&self, state: &'static str, count: f64) {
        self.endpoints.with_label_values(&[state]).set(count);
    }

    /// Sets the free bytes and the size of the file system of `folder`. `folder` is a fixed word.
    pub fn file_system(&self, folder: &'static str, free: f64, size: f64) {
        self.free.with_label_values(&[folder]).set(free);
        self.size.with_label_values(&[folder]).set(size);
    }

    pub fn database_up(&self, up: bool) {
        self.database_up.set(f64::from(u8::from(up)));
    }

    /// Sets the time when keys were last published, in seconds since 1970 UTC.
    pub fn keys_published(&self, at: f64) {
        self.keys_published.set(at);
    }

    pub fn process(&self, process: Process) {
        let Process { cpu_seconds, resident_bytes, virtual_bytes, open_fds, max_fds } = process;
        let values = [resident_bytes, virtual_bytes, open_fds, max_fds];
        self.process.iter().zip(values).for_each(|(gauge, value)| gauge.set(value));
        self.cpu.inc_by((cpu_seconds - self.cpu.get()).max(0.0));
    }
}

impl Process {
    /// Reads /proc/self. A figure that can't be read is 0. `ticks` is the number of clock ticks per
    /// second (CLK_TCK), and `page` the size of a page in bytes.
    pub fn read(ticks: f64, page: f64) -> Self {
        let text = |name: &str| std::fs::read_to_string(Path::new("/proc/self").join(name));
        let entries = std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
        let parsed = Self::parse(&text("stat").unwrap_or_default(), ticks, page);
        let limits = text("limits").unwrap_or_default();
        let max = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
        let max = max.and_then(|line| line.split_whitespace().next()?.parse().ok());
        Self { open_fds: entries as f64, max_fds: max.unwrap_or_default(), ..parsed }
    }

    /// Parses /proc/self/stat (proc_pid_stat(5)): fields 14, 15, 23 and 24.
    fn parse(stat: &str, ticks: f64, page: f64) -> Self {
        // Field 2 is the program's name in brackets. The name may contain any character.
        let rest = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
        let fields: Vec<f64> = rest.split_whitespace().map(|f| f.parse().unwrap_or(0.0)).collect();
        let field = |n: usize| fields.get(n - 3).copied().unwrap_or_default();
        Self {
            cpu_seconds: (field(14) + field(15)) / ticks,
            virtual_bytes: field(23),
            resident_bytes: field(24) * page,
            ..Self::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_proc_stat() {
        let stat = "7 (a) b) S 1 2 3 4 5 6 7 8 9 10 150 50 0 0 20 0 1 0 100 4096000 25 18446";
        let process = Process::parse(stat, 100.0, 4096.0);
        assert_eq!(process.cpu_seconds, 2.0);
        assert_eq!((process.virtual_bytes, process.resident_bytes), (4_096_000.0, 102_400.0));
        assert_eq!(Process::parse("", 100.0, 4096.0), Process::default());
        let own = Process::read(100.0, 4096.0);
        assert!(own.resident_bytes > 0.0 && own.open_fds > 2.0 && own.max_fds > 2.0, "{own:?}");
    }

    #[test]
    fn the_page_has_all_metrics() {
        let gauges = Gauges::new(1.5);
        gauges.imports("queued", 2.0, 3.0);
        gauges.process(Process { cpu_seconds: 4.0, ..Process::default() });
        let page = super::super::page(&gauges);
        for line in [
            "sftp_import_unfinished_imports{state=\"queued\"} 2",
            "process_cpu_seconds_total 4",
            "process_start_time_seconds 1.5",
            "# TYPE sftp_import_pickup_latency_seconds histogram",
        ] {
            assert!(page.lines().any(|l| l == line), "{line} is not in\n{page}");
        }
    }
}
