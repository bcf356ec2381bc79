//! Scripts of clients. A script has concurrent connections, and each connection has steps in order.

use crate::config::ReusedManifest;

/// The data file of both pairs.
pub const DATA: &str = "e.csv";
/// A temporary name of the data file.
pub const PART: &str = "e.csv.filepart";
/// The manifests, in the order of the versions of the data file that they name.
pub const MANIFESTS: [&str; 2] = ["m1.manifest", "m2.manifest"];

/// One step of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Do {
    /// The session of the connection begins.
    Begin,
    /// Opens a file for writing and truncates it. The number is the version that will be written.
    Open(&'static str, usize),
    /// Opens an incomplete file, to append the rest of its content.
    Resume(&'static str),
    /// The client closes the file.
    Close(&'static str),
    /// The connection is lost while the file is open.
    Cut(&'static str),
    /// Sets the file's time or permissions.
    Set(&'static str),
    /// Renames a file. An existing file with the new name is replaced.
    Rename(&'static str, &'static str),
    /// The connection waits longer than every grace period.
    Wait,
    /// The session of the connection ends.
    End,
}

/// A script of clients, which has concurrent connections.
#[derive(Clone, Debug)]
pub struct Script {
    pub name: &'static str,
    pub connections: Vec<Vec<Do>>,
    /// The maximum number of pauses longer than `settle`, in the normal run.
    pub settles: usize,
    pub reused: ReusedManifest,
}

use Do::*;

fn put(file: &'static str, version: usize) -> [Do; 2] {
    [Open(file, version), Close(file)]
}

fn pair(version: usize) -> Vec<Do> {
    [put(DATA, version), put(MANIFESTS[version - 1], version)].concat()
}

pub fn all() -> Vec<Script> {
    let [m1, m2] = MANIFESTS;
    let script = |name, settles, connections| {
        let reused = ReusedManifest::Refuse;
        Script { name, connections, settles, reused }
    };
    let again = vec![
        [vec![Begin], pair(1), put(DATA, 2).to_vec(), put(m1, 2).to_vec(), vec![End]].concat(),
    ];
    vec![
        script("one session", 1, vec![[vec![Begin], pair(1), pair(2), vec![End]].concat()]),
        script(
            "two sessions, one after the other",
            1,
            vec![[vec![Begin], pair(1), vec![End, Begin], pair(2), vec![End]].concat()],
        ),
        script(
            "times are set after each file",
            1,
            vec![
                [
                    vec![Begin],
                    vec![Open(DATA, 1), Close(DATA), Set(DATA), Open(m1, 1), Close(m1), Set(m1)],
                    vec![Open(DATA, 2), Close(DATA), Set(DATA), Open(m2, 2), Close(m2), Set(m2)],
                    vec![End],
                ]
                .concat(),
            ],
        ),
        script(
            "the first manifest's time is set after the second pair",
            1,
            vec![[vec![Begin], pair(1), pair(2), vec![Set(m1), End]].concat()],
        ),
        script(
            "temporary names",
            1,
            vec![
                [
                    vec![Begin, Open("t", 1), Close("t"), Rename("t", DATA)],
                    vec![Open("u", 1), Close("u"), Rename("u", m1)],
                    vec![Open("t", 2), Close("t"), Rename("t", DATA)],
                    vec![Open("u", 2), Close("u"), Rename("u", m2), End],
                ]
                .concat(),
            ],
        ),
        script(
            "manifest and data file on two connections",
            1,
            vec![
                [vec![Begin], put(m1, 1).to_vec(), vec![End]].concat(),
                [vec![Begin], put(DATA, 1).to_vec(), vec![End]].concat(),
            ],
        ),
        script(
            "another connection sets a time at any moment",
            0,
            vec![[vec![Begin], pair(1), pair(2), vec![End]].concat(), vec![Begin, Set(m1), End]],
        ),
        script(
            "a cut data file is resumed on another connection",
            1,
            vec![
                [
                    vec![Begin, Open(DATA, 1), Cut(DATA), End, Begin],
                    put(m1, 1).to_vec(),
                    vec![Resume(DATA), Close(DATA), End],
                ]
                .concat(),
            ],
        ),
        script(
            "a long upload under a temporary name",
            1,
            vec![
                vec![Begin, Open(PART, 1), Wait, Close(PART), Rename(PART, DATA), End],
                [vec![Begin], put(m1, 1).to_vec(), vec![End]].concat(),
            ],
        ),
        script("the whole pair comes again under the same names", 1, again.clone()),
        Script {
            reused: ReusedManifest::Accept,
            ..script("the same names are accepted", 1, again)
        },
    ]
}
