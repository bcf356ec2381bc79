//! Many Unix users at once, by vipw(8) and vigr(8).
//!
//! useradd and groupadd read and write the files of all users whole for each new one, so that ten
//! thousand take the longer the more there are: 5 minutes of processor, and as many flushes of the
//! disk. vipw is made for who edits these files: it takes the same locks, gives a copy to edit, puts
//! the copy in the file's place by a rename, keeps a backup and tells nscd and sssd. Its editor is
//! here a shell that says where the copy is and waits for a word from this process. Should this
//! process be killed, no word comes, and vipw leaves the file as it was.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime};

use nix::libc::O_NOFOLLOW;

use super::ProvisionError;
use super::lines::{self, Database, NewUser};
use super::tools::again_while_locked;
use super::turn::Turn;

/// vipw's editor: `$0` is the copy.
const EDITOR: &str = r#"sh -c 'printf "%s\n" "$0"; read -r word && [ "$word" = done ]'"#;

/// Makes `users` and their groups, those that are not there yet.
///
/// # Errors
/// A name or an id went to somebody else, or one of the tools failed. What was done counts when this
/// runs again.
pub(super) fn add(turn: &Turn, users: &[NewUser]) -> Result<(), ProvisionError> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let day = i64::try_from(now.as_secs() / 86_400).unwrap_or_default();
    Database::IN_ORDER
        .into_iter()
        .filter(|database| Path::new(database.path()).exists())
        .try_for_each(|database| {
            let (tool, _) = tool(database);
            again_while_locked(tool, database.path(), || edit(turn, database, users, day))
        })
}

/// The tool that edits a file, and its option.
const fn tool(database: Database) -> (&'static str, &'static str) {
    match database {
        Database::Gshadow => ("vigr", "--shadow"),
        Database::Group => ("vigr", "--group"),
        Database::Shadow => ("vipw", "--shadow"),
        Database::Passwd => ("vipw", "--passwd"),
    }
}

/// Edits a file once. None: it has all lines, else why not.
fn edit(
    turn: &Turn,
    database: Database,
    users: &[NewUser],
    day: i64,
) -> io::Result<Option<String>> {
    let (tool, which) = tool(database);
    // Held by the tool too: should this process be killed, whoever comes next waits for its end.
    let _held = turn.for_child()?;
    let mut child = Command::new(format!("/usr/sbin/{tool}"))
        .args(["--quiet", which])
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .env("LC_ALL", "C") // the message is looked at
        .env("EDITOR", EDITOR)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0) // Ctrl-C is for us, not for a tool that is writing /etc/passwd
        .spawn()?;
    let written = write_copy(&mut child, database, users, day);
    // Closed without the word, it makes the editor fail.
    drop(child.stdin.take());
    let mut said = String::new();
    if let Some(stderr) = &mut child.stderr {
        stderr.read_to_string(&mut said)?;
    }
    let status = child.wait()?;
    match written? {
        Some(problem) => Ok(Some(problem)),
        None if status.success() => Ok(None),
        None => Ok(Some(format!("{} ({status})", said.trim()))),
    }
}

/// Writes what lacks into the tool's copy and gives the word. None: done, or the tool has no copy
/// to give, as its status says then.
fn write_copy(
    child: &mut Child,
    database: Database,
    users: &[NewUser],
    day: i64,
) -> io::Result<Option<String>> {
    let (Some(stdin), Some(stdout)) = (&mut child.stdin, &mut child.stdout) else {
        return Ok(None);
    };
    let mut path = String::new();
    BufReader::new(stdout).read_line(&mut path)?;
    let path = path.trim_end();
    if path.is_empty() {
        return Ok(None);
    }
    let mut copy = OpenOptions::new().read(true).write(true).custom_flags(O_NOFOLLOW).open(path)?;
    let mut text = String::new();
    copy.read_to_string(&mut text)?;
    match lines::with(&text, database, users, day) {
        Err(clash) => return Ok(Some(clash.to_string())),
        Ok(Some(changed)) => replace(&mut copy, &changed)?,
        Ok(None) => {}
    }
    stdin.write_all(b"done\n")?;
    Ok(None)
}

/// Writes `text` over the copy. Its time becomes another second than before: by that alone vipw
/// tells whether there was an edit.
fn replace(copy: &mut File, text: &str) -> io::Result<()> {
    let before = copy.metadata()?.mtime();
    copy.set_len(0)?;
    io::Seek::rewind(copy)?;
    copy.write_all(text.as_bytes())?;
    if copy.metadata()?.mtime() == before {
        copy.set_modified(SystemTime::now() + Duration::from_secs(1))?;
    }
    copy.sync_all()
}
