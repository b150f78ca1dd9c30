//! Names of models: what can be fetched by a short name, and what a repository may be called.
//!
//! What the user typed in, the model's name and its repository out. Nothing is asked of the hub.

use pressel_boards::suggest::nearest;

use super::HubError;

/// Models that can be fetched by name, and their repositories: exports in fp32 for ONNX Runtime,
/// made by the people of Transformers.js. Larger ones have a suffix there.
pub const KNOWN: [(&str, &str); 9] = [
    ("whisper-tiny", "onnx-community/whisper-tiny"),
    ("whisper-tiny.en", "onnx-community/whisper-tiny.en"),
    ("whisper-base", "onnx-community/whisper-base"),
    ("whisper-base.en", "onnx-community/whisper-base.en"),
    ("whisper-small", "onnx-community/whisper-small"),
    ("whisper-small.en", "onnx-community/whisper-small.en"),
    ("whisper-medium", "onnx-community/whisper-medium-ONNX"),
    ("whisper-large-v3", "onnx-community/whisper-large-v3-ONNX"),
    (
        "whisper-large-v3-turbo",
        "onnx-community/whisper-large-v3-turbo",
    ),
];

/// Longest name of a model, an owner or a repository.
const NAME_BYTES_MAX: usize = 96;
/// Longest revision.
const REVISION_BYTES_MAX: usize = 200;

/// Returns the name that a model gets here, and its repository on the hub.
///
/// # Errors
/// [`HubError::Wrong`] for an unknown name, with the nearest known one, and for what is neither a
/// name nor a repository.
pub fn resolve(name: &str, from: Option<&str>) -> Result<(String, String), HubError> {
    if let Some(repo) = from {
        check_repository(repo)?;
        if !is_name(name) {
            let why = format!("`{name}` is no name of a model: letters, digits, `.`, `-` and `_`");
            return Err(HubError::Wrong(why));
        }
        return Ok((name.to_owned(), repo.to_owned()));
    }
    if let Some((_, last)) = name.split_once('/') {
        check_repository(name)?;
        return Ok((last.to_owned(), name.to_owned()));
    }
    if let Some((name, repo)) = KNOWN.iter().find(|(known, _)| *known == name) {
        return Ok(((*name).to_owned(), (*repo).to_owned()));
    }
    let full = format!("whisper-{name}");
    let known = || KNOWN.iter().map(|(known, _)| *known);
    let near = known().find(|known| *known == full);
    let remedy = match near.or_else(|| nearest(name, known())) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("known are {}", known().collect::<Vec<_>>().join(", ")),
    };
    Err(HubError::Wrong(format!(
        "`{name}` cannot be fetched by name: {remedy} Another repository is named as owner/name"
    )))
}

/// Checks that a revision is one: a branch, tag or commit.
///
/// # Errors
/// [`HubError::Wrong`].
pub fn check_revision(revision: &str) -> Result<(), HubError> {
    let right = |c: char| c.is_ascii_alphanumeric() || "._-/".contains(c);
    let plain = super::super::model_store::lock::is_plain(revision);
    if plain && revision.len() <= REVISION_BYTES_MAX && revision.chars().all(right) {
        return Ok(());
    }
    let why = format!("`{revision}` is no revision: name a branch, a tag or a commit");
    Err(HubError::Wrong(why))
}

fn check_repository(repo: &str) -> Result<(), HubError> {
    let parts: Vec<_> = repo.split('/').collect();
    if parts.len() == 2 && parts.iter().all(|part| is_name(part)) {
        return Ok(());
    }
    let why = format!("`{repo}` is no repository of a hub: it is written as owner/name");
    Err(HubError::Wrong(why))
}

/// Returns whether a text may be the name of a folder and of a repository.
fn is_name(name: &str) -> bool {
    let right = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    !name.is_empty()
        && name.len() <= NAME_BYTES_MAX
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.chars().all(right)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_repositories() {
        let check = |name: &str, from, expected: (&str, &str)| {
            let (name, repo) = resolve(name, from).unwrap();
            assert_eq!((name.as_str(), repo.as_str()), expected);
        };
        let tiny = ("whisper-tiny.en", "onnx-community/whisper-tiny.en");
        check("whisper-tiny.en", None, tiny);
        check("me/mine-1.0", None, ("mine-1.0", "me/mine-1.0"));
        check("mine", Some("me/other"), ("mine", "me/other"));
    }

    #[test]
    fn what_is_no_name_is_an_error_that_helps() {
        for (name, from, word) in [
            ("whisper-tinny.en", None, "did you mean `whisper-tiny.en`?"),
            ("tiny.en", None, "did you mean `whisper-tiny.en`?"),
            ("zzz", None, "known are whisper-tiny,"),
            ("", None, "known are"),
            ("./folder/x", None, "owner/name"),
            ("../x", None, "owner/name"),
            ("a/b/c", None, "owner/name"),
            ("a/", None, "owner/name"),
            ("a/..", None, "owner/name"),
            ("a/b?c", None, "owner/name"),
            (".x", Some("a/b"), "no name"),
            ("x/y", Some("a/b"), "no name"),
            ("x", Some("b"), "owner/name"),
        ] {
            let error = resolve(name, from).unwrap_err().to_string();
            assert!(error.contains(word), "{name}: {error}");
        }
        for revision in ["main", "refs/pr/1", "v1.0", &"a".repeat(40)] {
            check_revision(revision).unwrap();
        }
        for revision in ["", "..", "a/../b", "a b", "a?b", "a\nb", &"a".repeat(201)] {
            check_revision(revision).unwrap_err();
        }
    }
}
