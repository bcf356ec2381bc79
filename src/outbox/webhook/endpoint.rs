//! Checks the name and URL of an endpoint before it is saved. Pure.

use ureq::http::Uri;

/// The maximum length of an endpoint's name, in bytes.
const MAX_NAME: usize = 64;

/// The maximum length of an endpoint's URL, in bytes.
const MAX_URL: usize = 2048;

/// The reason why an endpoint cannot be saved.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidEndpoint {
    #[error("an endpoint's name is 1 to 64 of A-Z a-z 0-9 . _ and -")]
    Name,
    #[error("this is not a URL: write it as https://host/path, in ASCII and percent-encoded")]
    Syntax,
    #[error("the URL is longer than 2048 bytes")]
    TooLong,
    #[error("the URL must begin with https:// or http://")]
    Scheme,
    #[error("the URL has no host, or an invalid port")]
    Host,
    /// The URL contains a user name or a password, which would be visible in every output of the
    /// URL.
    #[error("the URL has a user name or password; webhooks are authenticated by their signature")]
    Credentials,
    #[error("the URL has a fragment (#…), which is never sent")]
    Fragment,
}

/// Checks that `name` is a valid name for an endpoint.
pub fn check_name(name: &str) -> Result<(), InvalidEndpoint> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    let valid = (1..=MAX_NAME).contains(&name.len()) && name.bytes().all(allowed);
    if valid { Ok(()) } else { Err(InvalidEndpoint::Name) }
}

/// Checks that `url` is a valid URL for an endpoint.
pub fn check_url(url: &str) -> Result<(), InvalidEndpoint> {
    if url.len() > MAX_URL {
        return Err(InvalidEndpoint::TooLong);
    }
    if url.contains('#') {
        return Err(InvalidEndpoint::Fragment); // `Uri` removes a fragment without an error
    }
    let uri: Uri = url.parse().map_err(|_| InvalidEndpoint::Syntax)?;
    if !matches!(uri.scheme_str(), Some("http" | "https")) {
        return Err(InvalidEndpoint::Scheme);
    }
    let authority = uri.authority().ok_or(InvalidEndpoint::Host)?;
    if authority.as_str().contains('@') {
        return Err(InvalidEndpoint::Credentials);
    }
    let port_is_written = authority.as_str().len() > authority.host().len();
    if authority.host().is_empty()
        || (port_is_written && authority.port_u16().is_none_or(|p| p == 0))
    {
        return Err(InvalidEndpoint::Host);
    }
    Ok(())
}

/// Returns the host of a URL that [`check_url`] accepted, in lower case.
pub fn host(url: &str) -> Option<String> {
    Some(url.parse::<Uri>().ok()?.host()?.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usual_urls_are_accepted() {
        for url in [
            "https://hooks.example.com/in?token=a%20b",
            "http://127.0.0.1:8080/",
            "http://[::1]:8080/x",
            "https://example.com",
            "HTTPS://example.com:8443/a",
        ] {
            assert_eq!(check_url(url), Ok(()), "{url}");
        }
    }

    #[test]
    fn invalid_urls_are_rejected_with_the_reason() {
        use InvalidEndpoint::*;
        for (url, why) in [
            ("", Syntax),
            ("example.com/x", Syntax),
            ("/x", Scheme),
            ("ftp://example.com/", Scheme),
            ("https://user:pw@example.com/", Credentials),
            ("https://example.com/#a", Fragment),
            ("https://example.com:0/", Host),
            ("https://example.com:99999/", Host),
            ("https://example.com/\r\nx: y", Syntax),
            ("https://exa mple.com/", Syntax),
            ("https://bücher.example/", Syntax),
            (&*format!("https://example.com/{}", "x".repeat(2048)), TooLong),
        ] {
            assert_eq!(check_url(url), Err(why), "{url}");
        }
    }

    #[test]
    fn endpoint_names_have_no_special_characters() {
        assert_eq!(check_name("crm-1"), Ok(()));
        for name in ["", "a b", "a/b", "é", "a\n", &"x".repeat(65)] {
            assert_eq!(check_name(name), Err(InvalidEndpoint::Name), "{name:?}");
        }
    }
}
