//! Processes that a test starts: run to their end within a time, or kept and ended on drop.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// How long any single command may take.
const PATIENCE: &str = "120";

/// What a command that ended left. Printed when it isn't what a test wants.
#[derive(Debug)]
#[expect(dead_code, reason = "the command is there to be printed")]
pub struct Ran {
    /// What was run, for messages.
    pub command: String,
    /// Its exit status; 124 when it took too long.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Ran {
    /// This, which must have succeeded.
    #[track_caller]
    pub fn ok(self) -> Self {
        assert_eq!(self.code, Some(0), "{self:#?}");
        self
    }

    /// This, which must have failed by itself: not by hanging.
    #[track_caller]
    pub fn refused(self) -> Self {
        assert!(self.code.is_some_and(|code| code != 0 && code != 124), "{self:#?}");
        self
    }

    /// Standard output as JSON.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("{e}: {self:#?}"))
    }
}

/// Runs `program` with `args` to its end; `input` is its standard input.
pub fn run_with<S: AsRef<str>>(program: &str, args: &[S], input: &str) -> Ran {
    let args: Vec<&str> = args.iter().map(AsRef::as_ref).collect();
    let mut child = Command::new("timeout")
        .args(["-k", "5", PATIENCE, program])
        .args(&args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A program that doesn't read its input is no failure; what it printed shows more.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    Ran {
        command: format!("{program} {}", args.join(" ")),
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Runs `program` with `args` and no input to its end.
pub fn run<S: AsRef<str>>(program: &str, args: &[S]) -> Ran {
    run_with(program, args, "")
}

/// Asks `probe` until it has an answer.
#[track_caller]
pub fn until<T>(what: &str, patience: Duration, mut probe: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(answer) = probe() {
            return answer;
        }
        assert!(start.elapsed() < patience, "waited {patience:?} for {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A process that runs beside the test; killed, with its children, when this is dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
}

impl Process {
    /// Starts `program`; appends its output to `log`.
    pub fn start<S: AsRef<str>>(program: &str, args: &[S], log: &Path) -> Self {
        let file = File::options().create(true).append(true).open(log).unwrap();
        let child = Command::new(program)
            .args(args.iter().map(AsRef::as_ref))
            .stdin(Stdio::null())
            .stdout(file.try_clone().unwrap())
            .stderr(file)
            .spawn()
            .unwrap_or_else(|e| panic!("{program}: {e}"));
        Self { child }
    }

    /// Starts `program` and reads the port that it prints on its first line.
    pub fn start_server<S: AsRef<str>>(program: &str, args: &[S], log: &Path) -> (Self, u16) {
        let file = File::options().create(true).append(true).open(log).unwrap();
        let mut child = Command::new(program)
            .args(args.iter().map(AsRef::as_ref))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(file)
            .spawn()
            .unwrap_or_else(|e| panic!("{program}: {e}"));
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let process = Self { child };
        let digits: String = line.chars().filter(char::is_ascii_digit).collect();
        let port = digits.parse().unwrap_or_else(|_| panic!("{program} printed {line:?}"));
        (process, port)
    }

    pub fn id(&self) -> Pid {
        Pid::from_raw(self.child.id().try_into().unwrap())
    }

    /// Its exit status, once it has ended.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    pub fn signal(&self, signal: Signal) {
        // It may be gone already.
        let _ = kill(self.id(), signal);
    }

    /// Waits for its end.
    #[track_caller]
    pub fn wait(&mut self, patience: Duration) -> ExitStatus {
        until(&format!("process {} to end", self.child.id()), patience, || self.ended())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let mut family = vec![self.id()];
        let mut next = 0;
        while let Some(&parent) = family.get(next) {
            family.extend(children(parent));
            next += 1;
        }
        for &process in &family {
            let _ = kill(process, Signal::SIGKILL);
        }
        let _ = self.child.wait();
    }
}

/// The processes whose parent is `parent` now: sshd's sessions, a tracer's tracees.
fn children(parent: Pid) -> Vec<Pid> {
    let wanted = format!("PPid:\t{parent}\n");
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    processes
        .filter(|entry| {
            let status = std::fs::read_to_string(entry.path().join("status"));
            status.is_ok_and(|status| status.contains(&wanted))
        })
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .map(Pid::from_raw)
        .collect()
}
