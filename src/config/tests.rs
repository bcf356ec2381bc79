//! Tests of the defaults, the sample file, and invalid configurations.

use super::*;

#[test]
fn an_empty_configuration_is_valid() {
    let config: Config = toml::from_str("").unwrap();
    config.check().unwrap();
    assert_eq!(config.paths.state_db(), Path::new("/var/lib/sftp-import/state.db"));
    assert_eq!(config.limits.max_data_file.bytes(), 5_000_000_000);
}

#[test]
fn the_sample_configuration_contains_the_defaults() {
    let text = include_str!("../../samples/config.toml");
    let config: Config = toml::from_str(text).unwrap();
    config.check().unwrap();
    assert_eq!(format!("{config:?}"), format!("{:?}", Config::default()));
    // The sample must also contain every key. The Debug text lists all fields, and the file uses
    // `-` instead of `_`.
    let debug = format!("{config:?}").replace(['{', ','], "\n");
    let keys = debug.lines().filter_map(|line| line.split_once(": ")).map(|(key, _)| key.trim());
    for key in keys.filter(|key| *key != "linger") {
        // The key `linger` is ignored, but the configuration file may contain it for one more
        // version.
        let written = key.replace('_', "-");
        assert!(text.contains(&written), "the sample has no {written}");
    }
}

#[test]
fn a_deprecated_key_causes_a_warning() {
    let warnings = |text: &str| Config::parse(text).unwrap().deprecations();
    assert!(warnings("[pairing]\nsettle = '1s'\n").is_empty());
    for text in ["[pairing]\nlinger = '5s'\n", "[account.ACME-1.pairing]\nlinger = '5s'\n"] {
        let warnings = warnings(text);
        assert!(warnings.len() == 1 && warnings[0].contains("remove it"), "{warnings:?}");
    }
}

#[test]
fn parses_durations_and_sizes() {
    let config: Config = toml::from_str(
        "[milestones]\nstill-processing-every = '90m'\n[limits]\nmax-data-file = '2 GB'\n",
    )
    .unwrap();
    assert_eq!(config.milestones.still_processing_every.get().as_secs(), 5400);
    assert_eq!(config.limits.max_data_file.bytes(), 2_000_000_000);
}

#[test]
fn a_requested_configuration_file_must_exist() {
    let missing = Path::new("/nonexistent/config.toml");
    let error = Config::load_or_default(Some(missing)).unwrap_err().to_string();
    assert!(error.contains("/nonexistent/config.toml"), "{error}");
}

#[test]
fn unknown_keys_are_refused_with_their_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.toml");
    std::fs::write(&path, "[mail]\nulr = 'smtp://x'\n").unwrap();
    let error = Config::load(&path).unwrap_err().to_string();
    assert!(error.contains("line 2") && error.contains("ulr"), "{error}");
}

#[test]
fn invalid_configuration_values_are_refused() {
    for (text, key) in [
        ("[node]\nname='a/b'", "node.name"),
        ("[paths]\nstate='x'", "paths.state"),
        ("[accounts]\nfirst-uid=0", "accounts.first-uid"),
        ("[mail]\nfrom='x'", "mail.from"),
        ("[mail]\nurl='mail.example.com'", "mail.url"),
        ("[milestones]\nstill-processing-every='0s'", "milestones.still-processing-every"),
        ("[imports]\nmax-starts=0", "imports.max-starts"),
        ("[metrics]\nlisten='0.0.0.0:9469'", "metrics.listen"),
    ] {
        let config: Config = toml::from_str(text).unwrap();
        let error = config.check().unwrap_err().to_string();
        assert!(error.starts_with(key), "{error}");
    }
}
