//! Simulates SFTP sessions for the daemon. Each session is a process of this program that runs as
//! the user of the account. The process reads orders from standard input, writes files, and logs
//! the same lines as sftp-server.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixDatagram;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use jiff::Timestamp;
use sftp_import::account::AccountId;

use super::host::{Daemon, manifest, wait};

/// The first argument of the process of a session.
pub const ARGUMENT: &str = "session";

/// An open session.
pub struct Session {
    child: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Session {
    /// Opens a session of `account`.
    pub fn open(daemon: &Daemon, account: &AccountId) -> Self {
        let mut child = Command::new(std::env::current_exe().expect("this program has a path"))
            .args([ARGUMENT.as_ref(), daemon.chroot(account).as_os_str()])
            .uid(daemon.uid(account))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a session starts");
        let orders = child.stdin.take().expect("its input is a pipe");
        let answers = BufReader::new(child.stdout.take().expect("its output is a pipe"));
        let mut session = Self { child, orders, answers };
        session.answer();
        session
    }

    /// Uploads `STEM.csv` with `records` records, and its manifest. Returns the time at which the
    /// manifest was closed.
    pub fn put(&mut self, stem: &str, records: usize) -> Timestamp {
        self.order(&format!("put {stem} {records}"));
        self.answer()
    }

    /// Ends the session. [`Self::ended`] waits for the end.
    pub fn end(&mut self) {
        self.order("end");
    }

    /// Waits until the process has ended. Returns the time at which the session ended.
    pub fn ended(mut self) -> Timestamp {
        let at = self.answer();
        self.child.wait().expect("the session ends");
        at
    }

    fn order(&mut self, order: &str) {
        writeln!(self.orders, "{order}").expect("a session reads orders");
    }

    fn answer(&mut self) -> Timestamp {
        let mut line = String::new();
        self.answers.read_line(&mut line).expect("a session answers");
        line.trim().parse().expect("the answer is a time")
    }
}

/// Runs the process of a session for the account whose folder is `chroot`.
pub fn serve(chroot: &Path) {
    let log = Log::connect(&chroot.join("dev/log"));
    log.send("session opened for local user bench from [192.0.2.1]");
    println!("{}", Timestamp::now());
    for order in std::io::stdin().lines() {
        let order = order.expect("an order");
        let words: Vec<_> = order.split(' ').collect();
        let at = match words[..] {
            ["put", stem, records] => {
                let mut csv = String::from("event_name,identity,Price\n");
                for n in 0..records.parse().expect("a number") {
                    csv += &format!("Purchased,user{n}@example.com,{n}.5\n");
                }
                let data_file = format!("{stem}.csv");
                log.write(chroot, &data_file, &csv);
                log.write(chroot, &format!("{stem}.manifest"), &manifest(&data_file))
            }
            _ => {
                let at = Timestamp::now();
                log.send("session closed for local user bench from [192.0.2.1]");
                println!("{at}");
                return;
            }
        };
        println!("{at}");
    }
}

struct Log(UnixDatagram);

impl Log {
    /// Connects to the log socket. The daemon links it into a chroot soon after its start.
    fn connect(path: &PathBuf) -> Self {
        let socket = UnixDatagram::unbound().expect("a socket");
        wait(Duration::from_secs(20), Duration::from_millis(5), "the log socket", || {
            socket.connect(path).ok()
        });
        Self(socket)
    }

    fn send(&self, message: &str) {
        let line = format!("<38>Nov 25 18:12:24 internal-sftp[{}]: {message}", std::process::id());
        self.0.send(line.as_bytes()).expect("the log takes a line");
    }

    /// Writes a file and logs its open and close. Returns the time at which the file was closed.
    fn write(&self, chroot: &Path, name: &str, content: &str) -> Timestamp {
        self.send(&format!("open \"/incoming/{name}\" flags WRITE,CREATE,TRUNCATE mode 0666"));
        let path = chroot.join("incoming").join(name);
        let mut file = fs::File::create(path).expect("a file is made");
        file.write_all(content.as_bytes()).expect("a file is written");
        let moved = format!("bytes read 0 written {}", content.len());
        self.send(&format!("close \"/incoming/{name}\" {moved}"));
        drop(file);
        Timestamp::now()
    }
}
