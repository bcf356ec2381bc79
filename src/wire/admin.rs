//! Defines the requests that the broker sends to the admin helper, and the answers of the admin
//! helper.
//!
//! The helper may refuse a request and close the connection before it has read the whole line. The
//! broker therefore reads the answer even if it could not write the whole request.

use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The maximum length of a request in bytes, without the line break.
pub const MAX_REQUEST: usize = 96 * 1024;

/// The namespace of signatures over [`KeyConfirmation`] (ssh-keygen(1), `-n`).
pub const SIGNATURE_NAMESPACE: &str = "sftp-import-confirmation";

/// The version of the request format. Only one version is accepted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Version;

impl Version {
    const NUMBER: u32 = 1;
}

impl Serialize for Version {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u32(Self::NUMBER)
    }
}

impl<'de> Deserialize<'de> for Version {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match u32::deserialize(deserializer)? {
            Self::NUMBER => Ok(Self),
            other => Err(serde::de::Error::custom(format_args!("version {other} is unknown"))),
        }
    }
}

/// A request to the admin helper.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verb")]
pub enum AdminRequest {
    #[serde(rename = "key.save")]
    SaveKey(SaveKey),
    #[serde(rename = "key.revoke")]
    RevokeKey(RevokeKey),
    #[serde(rename = "account.add")]
    AddAccount(AddAccount),
    #[serde(rename = "account.suspend")]
    SuspendAccount(ChangeState),
    #[serde(rename = "account.resume")]
    ResumeAccount(ChangeState),
}

/// Saves a key. The first key of an account also creates the account's Unix user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SaveKey {
    pub v: Version,
    pub account: String,
    pub name: String,
    /// The content of a `.pub` file.
    pub key: String,
    /// The addresses and networks that may use the key, separated by commas. `None` if any address
    /// may use the key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// The date or the instant at which the key expires. `None` if the key does not expire.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<String>,
    /// The person who asked for the change, such as `ops@acme.example` or `key SHA256:…`.
    pub by: String,
    /// The method by which the broker confirmed the change, such as `mail`.
    pub confirmation: String,
    /// The account's signature over the change. The signature is required if `[web] keys` is
    /// `signed`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<Signature>,
    /// The network address of the person who asked for the change. `None` if the console does not
    /// know the address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<IpAddr>,
}

/// A signature over a [`KeyConfirmation`], made with `ssh-keygen -Y sign`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signature {
    /// The signature, which begins with `-----BEGIN SSH SIGNATURE-----`.
    pub text: String,
    /// The time at which the signature expires, in the same form as in the signed text.
    pub until: String,
}

/// Revokes a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RevokeKey {
    pub v: Version,
    pub account: String,
    pub fingerprint: String,
    pub by: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<IpAddr>,
}

/// Adds an account. The account must have a contact or at least one domain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AddAccount {
    pub v: Version,
    pub id: String,
    /// The mail address of the account's contact.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contact: Option<String>,
    /// The domains whose addresses may get mail about the account's imports. If the list is empty,
    /// addresses of the contact's domain may get mail.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub domains: Vec<String>,
    pub by: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<IpAddr>,
}

/// Suspends or resumes an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChangeState {
    pub v: Version,
    pub id: String,
    pub by: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<IpAddr>,
}

/// The answer of the admin helper.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AdminAnswer {
    Ok(Change),
    Error(AdminError),
}

/// A change that the admin helper made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Change {
    SavedKey(SavedKey),
    RevokedKey(RevokedKey),
    SuspendedAccount(SuspendedAccount),
    Account(AccountWithState),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SavedKey {
    pub account: String,
    pub name: String,
    pub fingerprint: String,
    /// True if the account can log in with the key now. False if the account is suspended.
    pub published: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RevokedKey {
    pub account: String,
    pub fingerprint: String,
    /// True if the key was already revoked before this request.
    pub before: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SuspendedAccount {
    pub account: String,
    pub state: String,
    /// The number of session processes that were ended.
    pub ended: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccountWithState {
    pub account: String,
    /// The state of the account after the change: `active` or `suspended`.
    pub state: String,
}

/// The reason why a request was refused or not completed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdminError {
    pub code: ErrorCode,
    /// The field of the request that is wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// The number of seconds after which the request may be repeated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<u64>,
    pub text: String,
}

/// The kind of an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// The request, or one of its fields, is not valid.
    Invalid,
    /// There is no such account or key.
    NotFound,
    /// The change is not possible in the present state of the accounts and keys.
    Conflict,
    /// The configuration or the peer's user does not allow the change.
    Forbidden,
    /// A limit is reached. If the error has a value in `after`, the limit is an hourly limit.
    TooMany,
    /// A Unix user or group has the account's name but was not created for the account.
    NotOurs,
    /// The change was not completed. The completed steps are not undone. If the request is
    /// repeated, the remaining steps are made.
    Failed,
}

impl ErrorCode {
    /// Returns the text of the code in an answer.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Invalid => "invalid",
            Self::NotFound => "not_found",
            Self::Conflict => "conflict",
            Self::Forbidden => "forbidden",
            Self::TooMany => "too_many",
            Self::NotOurs => "not_ours",
            Self::Failed => "failed",
        }
    }
}

/// The text that a person signs to save a key. The broker and the admin helper make the same text
/// from the fields of the request.
///
/// No field may contain a line break. The text contains the name of the host, the account, and the
/// time at which the signature expires. Therefore the signature is valid for only one change.
#[derive(Clone, Copy, Debug)]
pub struct KeyConfirmation<'a> {
    /// The name of the host, from the setting `[node] name`.
    pub node: &'a str,
    pub account: &'a str,
    pub name: &'a str,
    /// The algorithm and the Base64 text of the key.
    pub key: (&'a str, &'a str),
    /// The addresses and networks that may use the key, in canonical form. `None` if any address
    /// may use the key.
    pub from: Option<&'a str>,
    /// The time at which the key expires, as an instant in UTC in whole seconds. `None` if the key
    /// does not expire.
    pub expires: Option<&'a str>,
    /// The time at which the signature expires, in the form of [`Signature::until`].
    pub until: &'a str,
}

impl fmt::Display for KeyConfirmation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { node, account, name, key: (algorithm, base64), from, expires, until } = self;
        let (from, expires) = (from.unwrap_or("anywhere"), expires.unwrap_or("never"));
        write!(
            f,
            "sftp-import key.save\nat {node}\nfor {account}\nname {name}\nkey {algorithm} {base64}\n\
             from {from}\nexpires {expires}\nuntil {until}\n"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAVE: &str = r#"{"v":1,"verb":"key.save","account":"ACME-123","name":"nightly 2027","key":"ssh-ed25519 AAAA","from":"198.51.100.0/24","expires":"2027-12-31T00:00:00Z","by":"ops@acme.example","confirmation":"mail","client":"203.0.113.9"}"#;
    const REVOKE: &str = r#"{"v":1,"verb":"key.revoke","account":"ACME-123","fingerprint":"SHA256:kydA","by":"ops@acme.example"}"#;
    const ADD: &str =
        r#"{"v":1,"verb":"account.add","id":"ACME-123","contact":"ops@acme.example","by":"admin"}"#;
    const SUSPEND: &str =
        r#"{"v":1,"verb":"account.suspend","id":"ACME-123","by":"admin","client":"::1"}"#;
    const RESUME: &str = r#"{"v":1,"verb":"account.resume","id":"ACME-123","by":"admin"}"#;

    #[test]
    fn requests_survive_a_round_trip() {
        for text in [SAVE, REVOKE, ADD, SUSPEND, RESUME] {
            let request: AdminRequest = serde_json::from_str(text).unwrap();
            let written = serde_json::to_string(&request).unwrap();
            assert_eq!(serde_json::from_str::<AdminRequest>(&written).unwrap(), request);
            let value = |text| serde_json::from_str::<serde_json::Value>(text).unwrap();
            let (mut left, mut right) = (value(text), value(&written));
            left.sort_all_objects();
            right.sort_all_objects();
            assert_eq!(left, right);
        }
    }

    #[test]
    fn requests_of_another_form_are_refused() {
        for (from, to) in [
            ("\"v\":1", "\"v\":2"),
            ("\"v\":1,", ""),
            ("\"v\":1,", "\"v\":1,\"v\":1,"),
            ("\"verb\":\"key.revoke\",", ""),
            ("key.revoke", "key.remove"),
            ("\"by\":", "\"again\":true,\"by\":"),
            ("\"by\":", "\"by\":\"x\",\"by\":"),
            (",\"fingerprint\":\"SHA256:kydA\"", ""),
            ("\"ACME-123\"", "null"),
            ("\"by\":", "\"client\":\"localhost\",\"by\":"),
        ] {
            let text = REVOKE.replacen(from, to, 1);
            assert_ne!(text, REVOKE);
            assert!(serde_json::from_str::<AdminRequest>(&text).is_err(), "{text}");
        }
    }

    #[test]
    fn answers_survive_a_round_trip() {
        for text in [
            r#"{"ok":{"account":"A","name":"n","fingerprint":"SHA256:k","published":true}}"#,
            r#"{"ok":{"account":"A","fingerprint":"SHA256:k","before":false}}"#,
            r#"{"ok":{"account":"A","state":"suspended","ended":2}}"#,
            r#"{"ok":{"account":"A","state":"active"}}"#,
            r#"{"error":{"code":"conflict","field":"key","text":"x"}}"#,
            r#"{"error":{"code":"too_many","after":60,"text":"x"}}"#,
        ] {
            let answer: AdminAnswer = serde_json::from_str(text).unwrap();
            assert_eq!(serde_json::to_string(&answer).unwrap(), text);
        }
        for code in
            ["invalid", "not_found", "conflict", "forbidden", "too_many", "not_ours", "failed"]
        {
            let parsed: ErrorCode = serde_json::from_value(code.into()).unwrap();
            assert_eq!(parsed.as_str(), code);
        }
    }

    #[test]
    fn a_signed_text_has_one_line_per_field() {
        let text = KeyConfirmation {
            node: "sftp1",
            account: "ACME-123",
            name: "nightly",
            key: ("ssh-ed25519", "AAAA"),
            from: None,
            expires: Some("2027-12-31T00:00:00Z"),
            until: "2026-11-29T18:10:00Z",
        };
        assert_eq!(
            text.to_string(),
            "sftp-import key.save\nat sftp1\nfor ACME-123\nname nightly\nkey ssh-ed25519 AAAA\n\
             from anywhere\nexpires 2027-12-31T00:00:00Z\nuntil 2026-11-29T18:10:00Z\n"
        );
    }
}
