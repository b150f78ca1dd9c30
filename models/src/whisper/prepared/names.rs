//! The tensors of the prepared graphs: what they are called, and whether a file has them.
//!
//! At start-up only. Encoder: `input_features` f32 `[1, bins, frames]` in, frames even;
//! `cross.N.key` f32 `[1, heads, head, positions]` and `cross.N.value` f32
//! `[1, heads, positions, head]` out, for each layer N of the decoder.
//! Decoder in: `embedded` f32 `[1, tokens, width]`, see [`embedding`](super::embedding); `rows` i64
//! `[rows]`, the places of the tokens whose logits are wanted; `last_position` and
//! `total_positions` i32 `[1]`, the position of the last token and that number plus one;
//! `self.N.key` and
//! `self.N.value` f32 `[1, heads, context, head]`; the cross caches. Out: `logits` f32
//! `[1, rows, vocabulary]`; `hidden` f32 `[1, rows, width]`, from which the logits were made; and
//! `self_out.N.key` and `self_out.N.value`, bound to the memory of the caches that go in.

use std::path::Path;

use ort::value::{Outlet, TensorElementType, ValueType};

use crate::LoadError;

pub(super) const FEATURES: &str = "input_features";
pub(super) const EMBEDDED: &str = "embedded";
pub(super) const ROWS: &str = "rows";
pub(super) const LAST: &str = "last_position";
pub(super) const TOTAL: &str = "total_positions";
pub(super) const LOGITS: &str = "logits";
pub(super) const HIDDEN: &str = "hidden";

/// What to do about a file that does not fit.
const REMEDY: &str = "prepare the model again with `pressel models prepare`";

/// Returns the names of the caches of `layers` layers, keys and values in turn: of `self`,
/// `self_out` or `cross`.
pub(super) fn caches(kind: &str, layers: usize) -> Vec<String> {
    (0..layers)
        .flat_map(|layer| ["key", "value"].map(|part| format!("{kind}.{layer}.{part}")))
        .collect()
}

/// Returns whether `name` is that of keys: in the cross caches they lie the other way round.
pub(super) fn is_key(name: &str) -> bool {
    name.ends_with(".key")
}

/// A tensor that is expected; an axis of `None` is free.
pub(super) struct Expected<'a> {
    pub(super) name: &'a str,
    pub(super) number: TensorElementType,
    pub(super) shape: &'a [Option<usize>],
}

/// Checks that `outlets` are just those that are expected, with their numbers and shapes.
pub(super) fn check(
    outlets: &[Outlet],
    expected: &[Expected],
    file: &Path,
) -> Result<(), LoadError> {
    let wrong = |name: &str, problem: String| LoadError::Tensor {
        file: file.into(),
        name: name.into(),
        problem: format!("{problem}: {REMEDY}"),
    };
    for one in expected {
        let outlet = outlets.iter().find(|outlet| outlet.name() == one.name);
        let Some(outlet) = outlet else {
            return Err(wrong(one.name, "is missing".into()));
        };
        let ValueType::Tensor { ty, shape, .. } = outlet.dtype() else {
            return Err(wrong(one.name, "is no tensor".into()));
        };
        if *ty != one.number {
            return Err(wrong(one.name, format!("is of {ty}, not {}", one.number)));
        }
        let same = |(&found, expected): (&i64, &Option<usize>)| {
            found < 0 || expected.is_none_or(|expected| expected as i64 == found)
        };
        if shape.len() != one.shape.len() || !shape.iter().zip(one.shape).all(same) {
            let problem = format!("has shape {shape:?}, which is not config.json's");
            return Err(wrong(one.name, problem));
        }
        // A free axis that the file fixes: a window, or a number of tokens.
        let fixed = shape.iter().zip(one.shape);
        if let Some((found, _)) = fixed
            .into_iter()
            .find(|(found, expected)| 0 <= **found && expected.is_none())
        {
            return Err(wrong(one.name, format!("is fixed to {found}")));
        }
    }
    let known = |outlet: &&Outlet| expected.iter().any(|one| one.name == outlet.name());
    match outlets.iter().find(|outlet| !known(outlet)) {
        Some(outlet) => Err(wrong(outlet.name(), "is not known here".into())),
        None => Ok(()),
    }
}
