//! Makes the warnings of a report about files whose upload may be incomplete. This module does no
//! I/O.

use crate::audit::{Doubt, UploadOutcome, WriteEnd};
use crate::import::run::progress::to_the_second;

/// Returns the warnings about a data file and its manifest. `data` and `manifest` have the name of
/// a file and the doubt about its upload. `data` is `None` if the pair is refused.
///
/// The manifest was already parsed as complete JSON. Therefore no warning is needed if only the end
/// of its upload is unknown.
pub(super) fn warnings(
    data: Option<(&str, Option<Doubt>)>,
    manifest: (&str, Option<Doubt>),
) -> Vec<String> {
    let Some((name, doubt)) = data else { return Vec::new() };
    let data = doubt.map(|doubt| match doubt {
        Doubt::CutOff(fact) => cut_off(name, &fact),
        Doubt::Unknown => format!(
            "the end of the upload of {name} is unknown, because the SFTP server's log was not \
             read at that time: if the connection was lost, the file is incomplete"
        ),
    });
    let manifest = match manifest {
        (name, Some(Doubt::CutOff(fact))) => Some(cut_off(name, &fact)),
        _ => None,
    };
    data.into_iter().chain(manifest).collect()
}

fn cut_off(name: &str, fact: &UploadOutcome) -> String {
    let mut text = match fact.end {
        WriteEnd::Open => format!("the client began the upload of {name} and did not finish it"),
        _ => format!("the connection was lost before the client had closed {name}"),
    };
    let mut details = vec![format!("time {}", to_the_second(fact.at))];
    details.extend(fact.bytes.map(|bytes| format!("{bytes} bytes written")));
    details.extend(fact.from.as_ref().map(|from| format!("client address {from}")));
    text.push_str(&format!(" ({}): the file may be incomplete", details.join(", ")));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_doubtful_upload_has_a_warning() {
        let fact = |end, bytes, from: Option<&str>| UploadOutcome {
            end,
            bytes,
            at: "2026-01-01T00:00:00.5Z".parse().unwrap(),
            from: from.map(Into::into),
            known_at: jiff::Timestamp::UNIX_EPOCH,
            writers: Default::default(),
            replaced_at: None,
        };
        let forced = Some(Doubt::CutOff(fact(WriteEnd::Forced, Some(6), Some("192.0.2.7"))));
        let open = Some(Doubt::CutOff(fact(WriteEnd::Open, None, None)));
        let texts = |data: Option<Doubt>, manifest: Option<Doubt>| {
            warnings(Some(("e.csv", data)), ("e.manifest", manifest))
        };
        assert_eq!(
            texts(forced.clone(), None),
            [
                "the connection was lost before the client had closed e.csv (time 2026-01-01T00:00:00Z, \
              6 bytes written, client address 192.0.2.7): the file may be incomplete"
            ]
        );
        assert_eq!(
            texts(None, open),
            ["the client began the upload of e.manifest and did not finish it (time \
              2026-01-01T00:00:00Z): the file may be incomplete"]
        );
        let unknown = texts(Some(Doubt::Unknown), Some(Doubt::Unknown));
        assert_eq!(unknown.len(), 1, "both files must share one warning");
        assert!(unknown[0].starts_with("the end of the upload of e.csv is unknown"));
        assert!(texts(None, Some(Doubt::Unknown)).is_empty());
        assert!(warnings(None, ("e.manifest", forced)).is_empty(), "it is refused");
    }
}
