//! Addresses: the hub's own, where a redirect leads, and what may stand in them.
//!
//! Text in, text out; nothing is asked. An address for people has no secrets in it.

use ureq::http::Uri;

use super::HubError;
use crate::plain::plain;

/// The hub when none is named.
pub const DEFAULT_HUB: &str = "https://huggingface.co";
/// Characters that a path keeps in an address; all others are written as %XX.
const PLAIN_BYTES: &[u8] = b"-._~";

/// Returns the hub's address without a `/` at its end.
pub(super) fn check_address(hub: &str) -> Result<String, HubError> {
    let wrong = |why: &str| {
        // What stands before an @ is a secret.
        let shown = hub.rsplit('@').next().unwrap_or_default();
        HubError::Wrong(format!("`{shown}` is no address of a hub ({why})"))
    };
    let address = hub.trim_end_matches('/');
    let uri: Uri = address
        .parse()
        .map_err(|_| wrong("it is written as https://host"))?;
    if !matches!(uri.scheme_str(), Some("http" | "https")) {
        return Err(wrong("it begins with https:// or http://"));
    }
    let authority = uri.authority().ok_or_else(|| wrong("it has no host"))?;
    if authority.as_str().contains('@') {
        return Err(wrong("it holds a password: set HF_TOKEN instead"));
    }
    if authority.host().is_empty() {
        return Err(wrong("it has no host"));
    }
    if address.contains(['?', '#']) {
        return Err(wrong("it has a query"));
    }
    Ok(address.to_owned())
}

/// Returns the address that a redirect leads to.
pub(super) fn follow(from: &str, to: &str) -> Result<String, HubError> {
    let to = to.split('#').next().unwrap_or_default();
    let origin = origin_of(from);
    let scheme = from.split(':').next().unwrap_or_default();
    let path = from.split('?').next().unwrap_or_default();
    let address = if to.starts_with("https://") || to.starts_with("http://") {
        to.to_owned()
    } else if to.starts_with("//") {
        format!("{scheme}:{to}")
    } else if to.starts_with('/') {
        format!("{origin}{to}")
    } else if to.starts_with('?') {
        format!("{path}{to}")
    } else {
        let folder = path.rsplit_once('/').map_or(path, |(folder, _)| folder);
        format!("{folder}/{to}")
    };
    let safe = !(from.starts_with("https:") && address.starts_with("http:"));
    if to.is_empty() || !safe || address.parse::<Uri>().is_err() {
        let why = if safe {
            "a redirect to nowhere"
        } else {
            "a redirect from https to http"
        };
        return Err(HubError::Untrusted {
            host: host_of(from),
            why: why.to_owned(),
        });
    }
    Ok(address)
}

/// Returns scheme, host and port of an address.
pub(super) fn origin_of(address: &str) -> &str {
    let begin = address.find("://").map_or(0, |at| at + 3);
    let end = address[begin..].find(['/', '?', '#']);
    end.map_or(address, |end| &address[..begin + end])
}

/// Returns host and port of an address, for people.
pub(super) fn host_of(address: &str) -> String {
    let origin = origin_of(address);
    let host = origin.split_once("://").map_or(origin, |(_, host)| host);
    // A redirect may hold a secret before an @.
    plain(host.rsplit('@').next().unwrap_or_default())
}

/// Writes what may not stand in an address as %XX.
pub(super) fn escape(text: &str, kept: &[u8]) -> String {
    let mut escaped = String::new();
    for &byte in text.as_bytes() {
        let plain = byte.is_ascii_alphanumeric() || PLAIN_BYTES.contains(&byte);
        if plain || kept.contains(&byte) {
            escaped.push(byte.into());
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_lead_where_they_say() {
        let from = "https://a.b:1/x/y/z?q=1";
        for (to, expected) in [
            ("https://c/d?e=1#f", "https://c/d?e=1"),
            ("//c/d", "https://c/d"),
            ("/d/e", "https://a.b:1/d/e"),
            ("d", "https://a.b:1/x/y/d"),
            ("?e=1", "https://a.b:1/x/y/z?e=1"),
        ] {
            assert_eq!(follow(from, to).ok().unwrap(), expected);
        }
        for to in ["", "#", "http://c/d", "https://a b/", "https://"] {
            assert!(follow(from, to).is_err(), "{to}");
        }
        assert_eq!(origin_of(from), "https://a.b:1");
        assert_eq!(host_of("http://user:word@a:1?x"), "a:1");
    }

    #[test]
    fn hubs_are_addresses_without_secrets() {
        assert_eq!(check_address("http://a:1/x/").ok().unwrap(), "http://a:1/x");
        assert!(check_address(DEFAULT_HUB).is_ok());
        for (hub, word) in [
            ("", "https://host"),
            ("huggingface.co", "https://"),
            ("ftp://a", "https://"),
            ("https://me:secret@a", "HF_TOKEN"),
            ("https://a/?b", "query"),
            ("http://", "https://"),
            ("http://:80", "host"),
        ] {
            let error = check_address(hub).unwrap_err().to_string();
            assert!(error.contains(word) && !error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn paths_keep_their_folders_and_revisions_do_not() {
        assert_eq!(escape("onnx/a b.onnx_data", b"/"), "onnx/a%20b.onnx_data");
        assert_eq!(escape("refs/pr/1", b""), "refs%2Fpr%2F1");
        assert_eq!(escape("ä?#%", b""), "%C3%A4%3F%23%25");
    }
}
