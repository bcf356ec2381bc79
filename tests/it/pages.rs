//! Generates the manual pages, and checks that the tracked ones are current.
//!
//! `man/*.8` are generated from clap, and `man/sftp-import.toml.5` from samples/config.toml, which
//! the tests of the configuration compare with the code. `man/parts` has the hand-written sections.
//! `SFTP_IMPORT_WRITE_PAGES=1 cargo test --test it pages` writes the files.

use std::fs;
use std::path::Path;

use clap::{Arg, Command, CommandFactory};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn part(name: &str) -> String {
    fs::read_to_string(repository().join("man/parts").join(name)).unwrap()
}

fn check_page(name: &str, wanted: &str) {
    let path = repository().join("man").join(name);
    if std::env::var_os("SFTP_IMPORT_WRITE_PAGES").is_some() {
        fs::write(&path, wanted).unwrap();
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    let same = committed == wanted;
    assert!(same, "{} is out of date: run scripts/pages", path.display());
}

/// Creates a page without a date, so that builds are reproducible.
fn man(command: Command, section: &str) -> Man {
    Man::new(command.disable_help_subcommand(true))
        .section(section)
        .date("")
        .source("sftp-import")
        .manual("System Administration")
}

fn rendered(render: impl FnOnce(&mut Vec<u8>) -> std::io::Result<()>) -> String {
    let mut page = Vec::new();
    render(&mut page).unwrap();
    String::from_utf8(page).unwrap()
}

/// Renders the name, synopsis, description and options of a program.
fn opening(command: &Command) -> String {
    let man = man(command.clone(), "8");
    rendered(|page| {
        man.render_title(page)?;
        man.render_name_section(page)?;
        man.render_synopsis_section(page)?;
        man.render_description_section(page)?;
        man.render_options_section(page)
    })
}

/// Collects the commands without subcommands. Each command comes with its words, such as `account
/// add`.
fn leaves<'c>(command: &'c Command, words: &str, found: &mut Vec<(String, &'c Command)>) {
    for below in command.get_subcommands().filter(|c| c.get_name() != "help" && !c.is_hide_set()) {
        let words = format!("{words} {}", below.get_name()).trim_start().to_owned();
        if below.has_subcommands() {
            leaves(below, &words, found);
        } else {
            found.push((words, below));
        }
    }
}

/// Renders the section of a command: its usage, description and options.
fn command_section(words: &str, command: &Command) -> String {
    let is_own =
        |arg: &&Arg| !["config", "json", "help", "version"].contains(&arg.get_id().as_str());
    let mut own = command.clone();
    for name in ["config", "json", "help"] {
        own = own.mut_args(|arg| if arg.get_id() == name { arg.hide(true) } else { arg });
    }
    let usage = own.render_usage().to_string();
    let usage = usage.trim_start_matches("Usage: ").replace(" [OPTIONS]", "");
    let options = command.get_arguments().filter(is_own).any(|arg| !arg.is_positional());
    let usage = if options { format!("{usage} [OPTIONS]") } else { usage };
    let mut roff = Roff::new();
    roff.control("SS", [words]);
    roff.text([bold(usage)]);
    roff.control("PP", []);
    let about = command.get_long_about().or(command.get_about());
    roff.text([roman(format!("{}.", about.unwrap_or_else(|| panic!("{words} has no help"))))]);
    let mut section = rendered(|page| roff.to_writer(page));
    if command.get_arguments().any(|arg| is_own(&arg)) {
        let options = rendered(|page| man(own, "8").render_options_section(page));
        // The options become part of the command's section, without a heading.
        section.extend(
            options.lines().filter(|line| *line != ".SH OPTIONS").map(|l| format!("{l}\n")),
        );
    }
    section
}

#[test]
fn the_man_page_of_sftp_import_is_current() {
    let mut command = sftp_import::cli::Cli::command().disable_help_subcommand(true);
    command.build();
    let mut page = opening(&sftp_import::cli::Cli::command());
    page.push_str(".SH COMMANDS\n");
    let mut found = Vec::new();
    leaves(&command, "", &mut found);
    assert!(found.len() > 20, "{}", found.len());
    for (words, leaf) in found {
        page.push_str(&command_section(&words, leaf));
    }
    page.push_str(&part("sftp-import.8"));
    check_page("sftp-import.8", &page);
}

#[test]
fn the_man_page_of_sftp_importd_is_current() {
    let page = opening(&sftp_import::daemon::Arguments::command());
    check_page("sftp-importd.8", &(page + &part("sftp-importd.8")));
}

/// The page is in a folder of its own, because another package installs it.
#[test]
fn the_page_of_the_admin_helper_is_current() {
    let page = opening(&sftp_import::admin::Arguments::command());
    check_page("web/sftp-import-admin.8", &(page + &part("sftp-import-admin.8")));
}

/// The page of the helper is hand-written, because the helper does not use clap.
#[test]
fn the_man_page_of_the_helper_has_usage() {
    let source = repository().join("src/authorized_keys/mod.rs");
    let source = fs::read_to_string(source).unwrap();
    let (_, usage) = source.split_once("\"usage: ").unwrap();
    let (usage, _) = usage.split_once('"').unwrap();
    let page = repository().join("man/sftp-import-authorized-keys.8");
    let page = fs::read_to_string(page).unwrap();
    assert!(page.contains(&usage.replace('-', "\\-")), "{usage}");
    let database = sftp_import::authorized_keys::DEFAULT_DATABASE;
    assert!(page.contains(database), "{database}");
}

#[test]
fn completions_name_every_command() {
    for shell in ["bash", "zsh", "fish"] {
        let mut program = std::process::Command::new(env!("CARGO_BIN_EXE_sftp-import"));
        let output = program.args(["completions", shell]).output().unwrap();
        let script = String::from_utf8(output.stdout).unwrap();
        for command in sftp_import::cli::Cli::command().get_subcommands() {
            assert!(script.contains(command.get_name()), "{shell}: {}", command.get_name());
        }
    }
}

/// Parses a key of samples/config.toml. Returns the setting and its description.
fn key_entry(line: &str, before: &[String]) -> Option<(String, String)> {
    let line = line.strip_prefix("# ").unwrap_or(line);
    let (setting, after) = line.split_once(" # ").unwrap_or((line, ""));
    let (key, value) = setting.split_once(" = ")?;
    if !key.bytes().all(|b| b.is_ascii_lowercase() || b == b'-') {
        return None;
    }
    let description: Vec<&str> = before.iter().map(String::as_str).chain([after.trim()]).collect();
    Some((format!("{key} = {}", value.trim()), description.join(" ").trim().to_owned()))
}

/// Renders the sections and keys of samples/config.toml, except those of single accounts.
fn keys_of(sample: &str) -> (String, usize) {
    let mut roff = Roff::new();
    let (mut before, mut keys) = (Vec::<String>::new(), 0);
    let (all, _) = sample.split_once("\n# For one account").unwrap();
    for line in all.lines().skip_while(|line| !line.starts_with('[')) {
        if line.starts_with('[') {
            roff.control("SS", [line]);
        } else if let Some((setting, description)) = key_entry(line, &before) {
            roff.control("TP", []);
            roff.text([bold(setting)]);
            roff.text([roman(if description.is_empty() {
                "The name explains the key.".into()
            } else {
                description
            })]);
            keys += 1;
            before.clear();
            continue;
        } else if let Some(comment) = line.strip_prefix("# ") {
            before.push(comment.to_owned());
            continue;
        }
        before.clear();
    }
    (rendered(|page| roff.to_writer(page)), keys)
}

#[test]
fn the_man_page_of_the_configuration_is_current() {
    let sample = fs::read_to_string(repository().join("samples/config.toml")).unwrap();
    let (sections, keys) = keys_of(&sample);
    let debug = format!("{:?}", sftp_import::config::Config::default()).replace(['{', ','], "\n");
    let fields = debug.lines().filter_map(|line| line.split_once(": ")).map(|(key, _)| key.trim());
    for field in fields.filter(|field| field.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')) {
        let written = field.replace('_', "\\-");
        // The key linger has no effect, but is accepted for one more version.
        let is_left_out = ["server", "linger"].contains(&field);
        assert!(sections.contains(&written) || is_left_out, "{field} is not in the page");
    }
    assert!(keys >= 30, "{keys}");
    let page = part("sftp-import.toml.5.head") + &sections + &part("sftp-import.toml.5.tail");
    check_page("sftp-import.toml.5", &page);
}
