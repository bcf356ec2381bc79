//! Processes that a test starts. A command runs to its end within a time limit. A background
//! process is killed on drop.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// The maximum run time of a single command in seconds.
const PATIENCE: &str = "120";

/// The result of a command. It is printed if a test fails.
#[derive(Debug)]
#[expect(dead_code, reason = "the command is there to be printed")]
pub struct Ran {
    /// The command line, for messages.
    pub command: String,
    /// The exit status. It is 124 if the command took too long.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Ran {
    /// Returns `self`. Fails unless the command succeeded.
    #[track_caller]
    pub fn ok(self) -> Self {
        assert_eq!(self.code, Some(0), "{self:#?}");
        self
    }

    /// Returns `self`. Fails unless the command failed by itself. A timeout does not count.
    #[track_caller]
    pub fn refused(self) -> Self {
        assert!(self.code.is_some_and(|code| code != 0 && code != 124), "{self:#?}");
        self
    }

    /// Parses standard output as JSON.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("{e}: {self:#?}"))
    }
}

/// Runs `program` with `args` to its end. `input` is its standard input.
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
    // A program that does not read its input is not a failure, so the error is ignored.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    Ran {
        command: format!("{program} {}", args.join(" ")),
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Runs `program` with `args` and an empty standard input to its end.
pub fn run<S: AsRef<str>>(program: &str, args: &[S]) -> Ran {
    run_with(program, args, "")
}

/// Calls `probe` repeatedly until it returns a value. Fails after `patience`.
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

/// A background process of a test. The process and its children are killed on drop.
#[derive(Debug)]
pub struct Process {
    child: Child,
}

impl Process {
    /// Starts `program`. Appends its output to `log`.
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

    /// Starts `program`, and reads the port that it prints in its first line.
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

    /// Returns the exit status of the process. `None` if the process is still running.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    pub fn signal(&self, signal: Signal) {
        // The signal fails if the process has already ended.
        let _ = kill(self.id(), signal);
    }

    /// Waits until the process has ended.
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

/// Returns the processes whose parent is `parent` at present, such as the sessions of sshd or the
/// traced process of strace.
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
