//! `pressel models list`: the models that are here, and the names that can be fetched.
//!
//! The shelf in, a table or one JSON object out.

use std::fmt::Write as _;

use serde_json::json;

use crate::cli::status::print;
use crate::failure::Failure;
use crate::model_store::shelf::{self, Kind, Model, Window};
use crate::plain::plain;

/// Languages that are listed by name; more are counted.
const LANGUAGES_NAMED: usize = 3;

/// Prints all models.
///
/// # Errors
/// Those of standard output.
pub(super) fn list(json: bool) -> Result<(), Failure> {
    let models = shelf::all();
    if !json {
        return print(&table(&models, &names()));
    }
    let line = json!({ "models": models, "names": names() });
    print(&format!("{line}\n"))
}

/// Returns the names that can be fetched, with their repositories.
#[cfg(feature = "fetch")]
fn names() -> Vec<(&'static str, &'static str)> {
    crate::hub::names::KNOWN.to_vec()
}

/// Returns the names that can be fetched: none, this program has no `fetch`.
#[cfg(not(feature = "fetch"))]
fn names() -> Vec<(&'static str, &'static str)> {
    Vec::new()
}

fn table(models: &[Model], names: &[(&str, &str)]) -> String {
    let mut table = format!(
        "{:<24} {:>9}  {:<10} {:<12} {:<16} where\n",
        "model", "size", "form", "languages", "window"
    );
    for model in models {
        let row = format!(
            "{:<24} {:>6.1} MB  {:<10} {:<12} {:<16} {}",
            model.name,
            model.bytes as f64 / 1e6,
            form(model),
            languages(&model.languages),
            window(model),
            model.folder.display()
        );
        // Writing into a string cannot fail.
        writeln!(table, "{}", plain(&row)).ok();
    }
    if !names.is_empty() {
        table += "\nto fetch                 from\n";
        for (name, repo) in names {
            writeln!(table, "{name:<24} {repo}").ok();
        }
        table += "owner/name               any repository of the hub with such files\n";
    }
    table
}

fn form(model: &Model) -> &str {
    match (model.kind, &model.head) {
        (Kind::Builtin, _) => "built in",
        (Kind::Unfinished, _) => "unfinished",
        (Kind::Foreign, _) => "foreign",
        (Kind::Fetched, Some(head)) => head,
        (Kind::Fetched, None) => "stock",
    }
}

fn languages(languages: &[String]) -> String {
    match languages.len() {
        0 => "-".to_owned(),
        count if count <= LANGUAGES_NAMED => languages.join(", "),
        count => count.to_string(),
    }
}

/// Returns the window in seconds.
fn window(model: &Model) -> String {
    let seconds = |frames: u64| frames as f64 / 100.0;
    match (model.kind, model.window) {
        (Kind::Unfinished, _) => "-".to_owned(),
        (_, None) => "stock".to_owned(),
        (_, Some(window)) => {
            let Window {
                floor_frames,
                margin_frames,
            } = window;
            let (floor, margin) = (seconds(floor_frames), seconds(margin_frames));
            format!("{floor:.2} s, +{margin:.2} s")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_has_one_line_for_each_model_and_the_names() {
        let model = Model {
            name: "a".into(),
            folder: "/b/a".into(),
            kind: Kind::Fetched,
            bytes: 12_340_000,
            prepared: true,
            head: Some("8bit".into()),
            languages: vec!["en".into()],
            window: Some(Window {
                floor_frames: 384,
                margin_frames: 128,
            }),
            origin: Some(("o/r".into(), "c".into())),
        };
        let many = Model {
            name: "b\u{1b}".into(),
            kind: Kind::Foreign,
            languages: ["a", "b", "c", "d"].map(Into::into).into(),
            window: None,
            ..model.clone()
        };
        let expected = "\
model                         size  form       languages    window           where
a                          12.3 MB  8bit       en           3.84 s, +1.28 s  /b/a
b                          12.3 MB  foreign    4            stock            /b/a

to fetch                 from
x                        o/x
y                        o/y
owner/name               any repository of the hub with such files
";
        let names = [("x", "o/x"), ("y", "o/y")];
        assert_eq!(table(&[model, many], &names), expected);
    }
}
