//! Searches units and scripts for paths that root uses although another user of the package
//! controls them.
//!
//! A user who can write to a folder can replace each name in the folder by a link. Therefore root
//! may not open, create, lock or execute files below a folder that the daemon's user or an account
//! can write to. The list of these folders is read from tmpfiles.d and from the units. Other tests
//! check the behaviour of the programs under root.

use std::fs;
use std::path::Path;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// Folders below the chroot of each account. Either the account or the daemon's user can write to
/// them.
const IN_CHROOTS: [&str; 3] =
    ["/srv/sftp-import/*/incoming", "/srv/sftp-import/*/results", "/srv/sftp-import/*/dev"];

/// Settings of units with a path that systemd does not open, create or execute. systemd only
/// watches the path, waits for its mount, checks that it exists, or mounts it in the namespace of
/// the unit.
const HARMLESS: [&str; 17] = [
    "AssertPathExists",
    "ConditionPathExists",
    "ConditionPathIsDirectory",
    "Description",
    "DirectoryNotEmpty",
    "Documentation",
    "Environment",
    "ExecPaths",
    "InaccessiblePaths",
    "NoExecPaths",
    "PathChanged",
    "PathExists",
    "PathExistsGlob",
    "PathModified",
    "ReadOnlyPaths",
    "ReadWritePaths",
    "RequiresMountsFor",
];

/// Allowed paths, each with the reason. This list may only become shorter.
const ALLOWED: [(&str, &str, &str); 5] = [
    ("systemd/tmpfiles.d/sftp-import.conf", "/var/lib/sftp-import/data", TMPFILES),
    ("packaging/debian/preinst", "/var/lib/sftp-import/published", PERL),
    ("packaging/debian/postinst", "/var/lib/sftp-import/published", FIND_KEYS),
    ("packaging/debian/postrm", "/srv/sftp-import", FIND),
    ("packaging/debian/postrm", "/var/lib/sftp-import", FIND),
];
const TMPFILES: &str = "systemd-tmpfiles follows no link in a folder that is not root's";
const PERL: &str = "opened with O_NOFOLLOW and O_NONBLOCK, and checked after opening; only upgrades \
    from versions that published there";
const FIND_KEYS: &str = "`find -delete` and rmdir follow no link; the same upgrades";
const FIND: &str = "`find -delete` follows no link, and everything there is removed";

/// Files whose paths nobody opens. They contain only text or names of users.
const TEXTS: [&str; 6] = [
    "packaging/config.toml", // comments alone
    "packaging/debian/changelog",
    "packaging/debian/licence",
    "packaging/debian/lintian-overrides",
    "openssh/README.md",
    "systemd/sysusers.d/sftp-import.conf",
];

/// A file of the project. Its name is the path in the repository.
struct Source {
    name: String,
    text: String,
}

fn read(name: &str) -> Source {
    Source { name: name.to_owned(), text: fs::read_to_string(Path::new(ROOT).join(name)).unwrap() }
}

/// Returns every unit, and every file and script of the package that root reads or runs.
fn sources() -> Vec<Source> {
    let mut sources = vec![read("scripts/install"), read("scripts/lib.sh")];
    let mut folders: Vec<String> = ["systemd", "packaging", "openssh"].map(str::to_owned).into();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(Path::new(ROOT).join(&folder)).unwrap() {
            let entry = entry.unwrap();
            let name = format!("{folder}/{}", entry.file_name().to_str().unwrap());
            if entry.file_type().unwrap().is_dir() {
                folders.push(name);
            } else if !TEXTS.contains(&name.as_str()) {
                sources.push(read(&name));
            }
        }
    }
    sources
}

/// The kind of a file. It decides how the paths in the file are checked.
#[derive(PartialEq)]
enum Kind {
    Unit,
    Tmpfiles,
    /// The configuration of sshd or PAM, which is read by sshd under root.
    Sshd,
    Script,
}

fn kind(source: &Source) -> Kind {
    let name = source.name.as_str();
    if name.starts_with("systemd/tmpfiles.d/") {
        Kind::Tmpfiles
    } else if name.starts_with("systemd/") {
        Kind::Unit
    } else if name.starts_with("openssh/") {
        Kind::Sshd
    } else {
        let is_script = source.text.starts_with("#!") || name == "scripts/lib.sh";
        assert!(is_script, "no rule for {name}");
        Kind::Script
    }
}

/// Returns the lines that are not comments.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim).filter(|line| !line.starts_with(['#', ';']))
}

/// Returns the absolute paths in `text`. A path begins with a slash at the start of a word or after
/// `:` or `=`. A URL is not a path.
fn paths(text: &str) -> Vec<&str> {
    let in_path = |c: char| c.is_ascii_alphanumeric() || "/_.-%*@${}".contains(c);
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find('/') {
        let begins = !rest[..start].chars().next_back().is_some_and(in_path)
            || rest[..start].ends_with(['-', '+', '@']); // prefixes of ExecStart=
        let end = rest[start..].find(|c| !in_path(c)).map_or(rest.len(), |end| start + end);
        let is_url = rest[..start].ends_with(':') && rest[start..].starts_with("//");
        found.extend((begins && !is_url).then_some(&rest[start..end]));
        rest = &rest[end..];
    }
    found
}

/// Returns whether `path` is below `folder`. If `or_equal` is true, `path` may also be `folder`
/// itself. A component with a specifier, a variable or a star matches any name.
fn is_below(path: &str, folder: &str, or_equal: bool) -> bool {
    let split = |path: &str| -> Vec<String> {
        path.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect()
    };
    let (path, folder) = (split(path), split(folder));
    let any = |part: &str| part.contains(['%', '$', '*']);
    let matches = |(a, b): (&String, &String)| a == b || any(a) || any(b);
    path.len() + usize::from(or_equal) > folder.len() && path.iter().zip(&folder).all(matches)
}

/// Returns the values of `key` in a unit.
fn values<'a>(unit: &'a str, key: &str) -> Vec<&'a str> {
    lines(unit).filter_map(|line| line.strip_prefix(key)?.strip_prefix('=')).collect()
}

fn runs_as_root(unit: &str) -> bool {
    let user = values(unit, "User").pop().unwrap_or("root");
    ["", "0", "root"].contains(&user) && values(unit, "DynamicUser") != ["yes"]
}

/// Returns every folder that a user of the package other than root can write to.
fn writable_folders(sources: &[Source]) -> Vec<String> {
    let mut folders: Vec<String> = IN_CHROOTS.map(str::to_owned).into();
    for source in sources {
        match kind(source) {
            Kind::Tmpfiles => folders.extend(lines(&source.text).filter_map(|line| {
                let words: Vec<&str> = line.split_whitespace().collect();
                let &[kind, path, mode, user, group, ..] = &*words else { return None };
                let mode = u32::from_str_radix(mode, 8).unwrap();
                let writable =
                    user != "root" || (group != "root" && mode & 0o020 != 0) || mode & 0o002 != 0;
                (!kind.starts_with(['f', 'L']) && writable).then(|| path.to_owned())
            })),
            Kind::Unit if !runs_as_root(&source.text) => {
                for (key, parent) in [
                    ("RuntimeDirectory", "/run"),
                    ("StateDirectory", "/var/lib"),
                    ("CacheDirectory", "/var/cache"),
                    ("LogsDirectory", "/var/log"),
                ] {
                    let names = values(&source.text, key);
                    let names = names.iter().flat_map(|names| names.split_whitespace());
                    folders.extend(names.map(|name| format!("{parent}/{name}")));
                }
            }
            _ => {}
        }
    }
    folders
}

/// Returns the paths of a unit that root opens, creates, locks or executes.
fn roots_paths(unit: &str) -> Vec<&str> {
    let mut found = Vec::new();
    for line in lines(unit) {
        let Some((key, value)) = line.split_once('=') else { continue };
        if HARMLESS.contains(&key) {
            continue;
        }
        let as_root = value.trim_start_matches(['-', '@', ':']).starts_with(['+', '!']);
        if key.starts_with("Exec") && !runs_as_root(unit) && !as_root {
            found.extend(paths(value).into_iter().take(1)); // the unit's user opens the others
        } else {
            found.extend(paths(value));
        }
    }
    found
}

/// Returns the paths in `source` that root uses below one of the folders `writable`.
fn refused<'a>(source: &'a Source, writable: &[String]) -> Vec<&'a str> {
    let below = |path: &&str| writable.iter().any(|folder| is_below(path, folder, false));
    match kind(source) {
        Kind::Unit => roots_paths(&source.text).into_iter().filter(below).collect(),
        Kind::Tmpfiles | Kind::Sshd => lines(&source.text).flat_map(paths).filter(below).collect(),
        // A command in a script may act on all files below a path. Therefore each mention of a tree
        // is refused.
        Kind::Script => {
            let in_tree = |path: &&str| writable.iter().any(|f| is_below(path, tree(f), true));
            lines(&source.text).flat_map(paths).filter(in_tree).collect()
        }
    }
}

/// Returns the part of `folder` up to the component that begins with sftp-import:
/// `/srv/sftp-import` for `/srv/sftp-import/.spool`.
fn tree(folder: &str) -> &str {
    let name = folder.find("/sftp-import").unwrap();
    folder[name + 1..].find('/').map_or(folder, |end| &folder[..name + 1 + end])
}

#[test]
fn root_avoids_paths_of_other_users() {
    let sources = sources();
    let writable = writable_folders(&sources);
    for folder in ["/run/sftp-import", "/var/lib/sftp-import", "/srv/sftp-import/.spool"] {
        assert!(writable.iter().any(|found| found == folder), "{folder} is not in {writable:?}");
    }
    let mut unused = ALLOWED.to_vec();
    let mut wrong = Vec::new();
    for source in &sources {
        for path in refused(source, &writable) {
            if ALLOWED.iter().any(|(file, allowed, _)| *file == source.name && *allowed == path) {
                unused.retain(|(file, allowed, _)| *file != source.name || *allowed != path);
            } else {
                wrong.push(format!("{}: {path}", source.name));
            }
        }
    }
    assert!(wrong.is_empty(), "root must not use these paths: {wrong:#?}");
    assert!(unused.is_empty(), "these entries of ALLOWED are unused: {unused:#?}");
}

/// Each line in the first list must be refused in a unit of another user. Each line in `harmless`
/// must be accepted.
#[test]
fn settings_that_systemd_opens_as_root_are_found() {
    let writable = ["/run/x".to_owned(), "/srv/sftp-import/*/incoming".to_owned()];
    let refused_in = |head: &str, line: &str| {
        let text = format!("[Service]\n{head}\n{line}\n");
        let source = Source { name: "systemd/x.service".to_owned(), text };
        !refused(&source, &writable).is_empty()
    };
    for line in [
        "StandardOutput=file:/run/x/journal.sock",
        "StandardError=append:/run/x/log",
        "StandardInput=file:/run/x/in",
        "EnvironmentFile=-/run/x/env",
        "PIDFile=/run/x/pid",
        "ListenStream=/run/x/socket",
        "ListenFIFO=/run/x/fifo",
        "LoadCredential=key:/run/x/key",
        "Symlinks=/run/x/link",
        "ExecStart=/run/x/program",
        "ExecStart=-/run/x/program",
        "ExecStartPre=+/usr/bin/touch /run/x/file",
        "ExecStartPost=-+/usr/bin/touch /run/x/file",
        "ExecStopPost=!/usr/bin/touch /srv/sftp-import/ACME/incoming/file",
    ] {
        assert!(refused_in("User=sftp-import", line), "{line}");
        assert!(refused_in("", line), "{line}");
    }
    let as_root = "ExecStart=/bin/sh -c 'test -e /srv/sftp-import/%u/incoming/file'";
    assert!(refused_in("", as_root));
    assert!(!refused_in("User=sftp-import", as_root));
    assert!(!refused_in("DynamicUser=yes", as_root));
    for line in [
        "PathChanged=/run/x/file",
        "ReadOnlyPaths=/run/x/folder",
        "# StandardOutput=file:/run/x/journal.sock",
        "StandardOutput=file:/run/x-journal/socket",
        "ExecStart=/usr/bin/x https://run/x/y",
        "ListenStream=/run/x",
    ] {
        assert!(!refused_in("", line), "{line}");
    }
}

/// The texts are scripts and tmpfiles.d files with the mistakes that this test must find.
#[test]
fn paths_in_scripts_and_tmpfiles_are_found() {
    let writable = ["/var/lib/sftp-import".to_owned(), "/srv/sftp-import/.spool".to_owned()];
    let refused_in = |name: &str, text: &str| {
        let source = Source { name: name.to_owned(), text: text.to_owned() };
        !refused(&source, &writable).is_empty()
    };
    for command in
        ["chown -R x /srv/sftp-import", "touch \"/var/lib/sftp-import/x\"", ">/srv/sftp-import/x"]
    {
        assert!(refused_in("packaging/debian/postinst", &format!("#!/bin/sh\n{command}\n")));
    }
    assert!(!refused_in("packaging/debian/postinst", "#!/bin/sh\nrm /etc/sftp-import/x\n"));
    let tmpfiles = "systemd/tmpfiles.d/sftp-import.conf";
    assert!(refused_in(tmpfiles, "d /var/lib/sftp-import/x 0750 root root\n"));
    assert!(!refused_in(tmpfiles, "d /srv/sftp-import/.spool 0700 sftp-import sftp-import\n"));
    assert!(refused_in("openssh/sshd_config", "HostKey /var/lib/sftp-import/key\n"));
}
