//! The prepared decoder: tokens in, logits of the next token out, the cache of keys and values in
//! place.
//!
//! Flow: rows of the embedding, written into the bound memory -> one run -> logits in the bound
//! memory, the best of them made exact. In the worker process. Two sets of bindings: one for a
//! prompt of any length, one for a single token, whose bindings change only with the window. No
//! allocation for a token.

use std::path::Path;

use ort::{
    session::{RunOptions, Session},
    value::TensorElementType,
};

use super::super::sampling;
use super::{
    Cross, Sizes,
    binding::{Bound, Room, Shared, Way},
    embedding::Embedding,
    names::{self, EMBEDDED, Expected, HIDDEN, LAST, LOGITS, ROWS, TOTAL},
};
use crate::{
    LoadError, ModelError, Runtime,
    error::one_line,
    runtime::{SessionSettings, run_error},
};

/// The set of bindings for one token, whose logits are wanted.
const TOKEN: usize = 0;
/// The set of bindings for more tokens, or a marked one.
const PROMPT: usize = 1;
const SETS: [usize; 2] = [TOKEN, PROMPT];
/// Most rows of logits: the last token's and the marked one's.
const ROWS_MAX: usize = 2;
/// Logits that are made exact. Why 8: of 600 choices of random networks, and 210 of the built-in
/// one, the right one was never below the fourth place with 4 bits.
const SHARP_COUNT: usize = 8;
/// Logits that are looked at in one go.
const STRETCH: usize = 64;

/// A loaded decoder.
pub(super) struct Decoder {
    bound: Bound,
    sizes: Sizes,
    rooms: Rooms,
    cross: Cross,
    cross_names: Vec<String>,
    embedding: Embedding,
    /// Tokens and rows that [`PROMPT`] is bound to.
    prompt_shape: (usize, usize),
    /// Positions of the audio that are bound; 0 is none.
    heard: usize,
    /// Whether the cross caches hold the audio.
    audio_known: bool,
    /// Tokens that were read.
    past: usize,
    has_marked: bool,
}

/// The memory of the tensors.
struct Rooms {
    embedded: Room<f32>,
    rows: Room<i64>,
    last: Room<i32>,
    total: Room<i32>,
    /// The last token's logits, then the marked one's.
    logits: Room<f32>,
    hidden: Room<f32>,
}

impl Decoder {
    pub(super) fn load(
        runtime: &Runtime,
        file: &Path,
        sizes: Sizes,
        embedding: Embedding,
        settings: SessionSettings,
    ) -> Result<Self, LoadError> {
        let session = runtime.session_as_it_is(file, settings)?;
        check(&session, sizes, file)?;
        // Memory is made when the file has the sizes that config.json tells.
        let count = sizes.heads * sizes.positions * sizes.head;
        let cross = (0..2 * sizes.layers).map(|_| Shared::new::<f32>(count));
        let foreign = |error: ort::Error| LoadError::Onnx {
            file: file.into(),
            problem: one_line(error.message()),
        };
        let mut bound = Bound::new(session, SETS.len()).map_err(foreign)?;
        let mut decoder = Self {
            rooms: Rooms {
                embedded: bound.room(sizes.context * sizes.width),
                rows: bound.room(ROWS_MAX),
                last: bound.room(1),
                total: bound.room(1),
                logits: bound.room(ROWS_MAX * sizes.vocabulary),
                hidden: bound.room(ROWS_MAX * sizes.width),
            },
            bound,
            sizes,
            cross: cross.collect(),
            embedding,
            cross_names: names::caches("cross", sizes.layers),
            prompt_shape: (0, 0),
            heard: 0,
            audio_known: false,
            past: 0,
            has_marked: false,
        };
        decoder.bind_fixed().map_err(foreign)?;
        Ok(decoder)
    }

    /// Returns the memory of the keys and values of the audio, which the encoder writes.
    pub(super) fn cross(&self) -> Cross {
        self.cross.clone()
    }

    /// Binds what stays bound: the caches of the tokens, and the tensors of one token.
    fn bind_fixed(&mut self) -> ort::Result<()> {
        let (layers, bound) = (self.sizes.layers, &mut self.bound);
        let head = cache_head(self.sizes);
        let shape = [1, self.sizes.heads, self.sizes.context, head];
        let ins = names::caches("self", layers);
        for (name, name_out) in ins.iter().zip(&names::caches("self_out", layers)) {
            let memory = Shared::new::<f32>(shape.iter().product());
            for set in SETS {
                bound.bind_shared::<f32>(set, Way::In, name, &memory, &shape)?;
                bound.bind_shared::<f32>(set, Way::Out, name_out, &memory, &shape)?;
            }
        }
        for set in SETS {
            bound.bind(set, Way::In, LAST, &self.rooms.last, &[1])?;
            bound.bind(set, Way::In, TOTAL, &self.rooms.total, &[1])?;
        }
        self.bind_shape(TOKEN, 1, 1)
    }

    /// Binds what depends on the number of tokens and of rows.
    fn bind_shape(&mut self, set: usize, tokens: usize, rows: usize) -> ort::Result<()> {
        let (bound, rooms) = (&mut self.bound, &self.rooms);
        let shape = [1, tokens, self.sizes.width];
        bound.bind(set, Way::In, EMBEDDED, &rooms.embedded, &shape)?;
        bound.bind(set, Way::In, ROWS, &rooms.rows, &[rows])?;
        let shape = [1, rows, self.sizes.vocabulary];
        bound.bind(set, Way::Out, LOGITS, &rooms.logits, &shape)?;
        let shape = [1, rows, self.sizes.width];
        bound.bind(set, Way::Out, HIDDEN, &rooms.hidden, &shape)
    }

    /// Forgets the audio, and all tokens.
    pub(super) fn forget(&mut self) {
        self.past = 0;
        self.has_marked = false;
        self.audio_known = false;
    }

    /// Takes the audio that is in the cross caches now, `positions` long.
    pub(super) fn hear(&mut self, positions: usize) -> ort::Result<()> {
        if self.heard != positions {
            self.heard = 0;
            let shapes = self.sizes.cross_shapes(positions);
            for (name, memory) in self.cross_names.iter().zip(&self.cross) {
                let shape = &shapes[usize::from(!names::is_key(name))];
                for set in SETS {
                    self.bound
                        .bind_shared::<f32>(set, Way::In, name, memory, shape)?;
                }
            }
            self.heard = positions;
        }
        self.audio_known = true;
        Ok(())
    }

    /// Forgets all tokens.
    pub(super) fn rewind(&mut self) {
        self.past = 0;
        self.has_marked = false;
    }

    /// Reads more tokens. More than the context holds, or none, are a [`ModelError::BadInput`].
    pub(super) fn feed(
        &mut self,
        tokens: &[i64],
        marked: Option<usize>,
        options: &RunOptions,
    ) -> Result<(), ModelError> {
        self.has_marked = false;
        let (past, count) = (self.past, tokens.len());
        let in_vocabulary = |&token: &i64| (0..self.sizes.vocabulary as i64).contains(&token);
        let fits = 0 < count && count <= self.sizes.context - past && self.audio_known;
        if !fits || !tokens.iter().all(in_vocabulary) || marked.is_some_and(|at| count <= at) {
            return Err(ModelError::BadInput);
        }
        let rows = 1 + usize::from(marked.is_some());
        let set = if (count, rows) == (1, 1) {
            TOKEN
        } else {
            PROMPT
        };
        if set == PROMPT && self.prompt_shape != (count, rows) {
            self.prompt_shape = (0, 0);
            self.bind_shape(PROMPT, count, rows)
                .map_err(|error| run_error(&error))?;
            self.prompt_shape = (count, rows);
        }
        let (bound, rooms) = (&mut self.bound, &self.rooms);
        let embedded = bound.numbers_mut(&rooms.embedded);
        let rows = embedded.chunks_exact_mut(self.sizes.width);
        for ((&token, position), row) in tokens.iter().zip(past..).zip(rows) {
            self.embedding.write(token as usize, position, row)?;
        }
        let places = [count - 1, marked.unwrap_or(0)].map(|place| place as i64);
        bound.numbers_mut(&rooms.rows).copy_from_slice(&places);
        bound.numbers_mut(&rooms.last)[0] = (past + count - 1) as i32;
        bound.numbers_mut(&rooms.total)[0] = (past + count) as i32;
        bound.run(set, options).map_err(|error| run_error(&error))?;
        self.past = past + count;
        self.has_marked = marked.is_some();
        Ok(())
    }

    /// Makes the best of the last token's logits exact: the graph's matrix may have 4 bits. What
    /// was struck out stays struck out.
    pub(super) fn sharpen(&mut self) -> Result<(), ModelError> {
        let best = best(self.logits_mut());
        let (bound, rooms) = (&mut self.bound, &self.rooms);
        let hidden = &bound.numbers(&rooms.hidden)[..self.sizes.width];
        let mut exact = [0.0; SHARP_COUNT];
        for (&(token, _), exact) in best.iter().zip(&mut exact) {
            *exact = self.embedding.product(token, hidden)?;
        }
        let logits = bound.numbers_mut(&rooms.logits);
        for (&(token, logit), exact) in best.iter().zip(exact) {
            if logit != f32::NEG_INFINITY {
                logits[token] = exact;
            }
        }
        Ok(())
    }

    pub(super) fn logits_mut(&mut self) -> &mut [f32] {
        &mut self.bound.numbers_mut(&self.rooms.logits)[..self.sizes.vocabulary]
    }

    pub(super) fn marked_logits(&self) -> Option<&[f32]> {
        let rows = self.bound.numbers(&self.rooms.logits);
        self.has_marked.then(|| &rows[self.sizes.vocabulary..])
    }
}

/// Returns the places and values of the highest logits, the highest first. Where there are fewer
/// numbers, the rest is minus infinity.
fn best(logits: &[f32]) -> [(usize, f32); SHARP_COUNT] {
    let mut best = [(0, f32::NEG_INFINITY); SHARP_COUNT];
    for (stretch, values) in logits.chunks(STRETCH).enumerate() {
        if sampling::maximum(values) <= best[SHARP_COUNT - 1].1 {
            continue;
        }
        for (place, &value) in values.iter().enumerate() {
            let below = best.iter().position(|&(_, held)| held < value);
            if let Some(at) = below {
                best.copy_within(at..SHARP_COUNT - 1, at + 1);
                best[at] = (stretch * STRETCH + place, value);
            }
        }
    }
    best
}

/// Returns the numbers of one head in the caches of the tokens: filled up with zeros to a multiple
/// of 8, as the operator wants it.
fn cache_head(sizes: Sizes) -> usize {
    sizes.head.next_multiple_of(8)
}

/// Checks the tensors of the file against the configuration.
fn check(session: &Session, sizes: Sizes, file: &Path) -> Result<(), LoadError> {
    use TensorElementType::{Float32, Int32, Int64};
    let heads = Some(sizes.heads);
    let cache = [Some(1), heads, Some(sizes.context), Some(cache_head(sizes))];
    let cross = sizes.cross_shapes(None);
    let logits = [Some(1), None, Some(sizes.vocabulary)];
    let embedded = [Some(1), None, Some(sizes.width)];
    let caches = names::caches("self", sizes.layers);
    let caches_out = names::caches("self_out", sizes.layers);
    let crosses = names::caches("cross", sizes.layers);
    let one = |name, number, shape| Expected {
        name,
        number,
        shape,
    };
    let mut expected = vec![
        one(EMBEDDED, Float32, &embedded),
        one(ROWS, Int64, &[None]),
        one(LAST, Int32, &[Some(1)]),
        one(TOTAL, Int32, &[Some(1)]),
    ];
    expected.extend(caches.iter().map(|name| one(name, Float32, &cache)));
    let of = |name: &str| &cross[usize::from(!names::is_key(name))];
    expected.extend(crosses.iter().map(|name| one(name, Float32, of(name))));
    names::check(session.inputs(), &expected, file)?;
    let mut expected = vec![
        one(LOGITS, Float32, &logits),
        one(HIDDEN, Float32, &embedded),
    ];
    expected.extend(caches_out.iter().map(|name| one(name, Float32, &cache)));
    names::check(session.outputs(), &expected, file)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(logits: &[f32], expected: &[usize]) {
        let found = best(logits);
        let found: Vec<usize> = found
            .iter()
            .filter(|(_, value)| *value != f32::NEG_INFINITY)
            .map(|&(place, _)| place)
            .collect();
        assert_eq!(found, expected, "{logits:?}");
    }

    #[test]
    fn the_best_logits_come_first_wherever_they_are() {
        check(&[1.0, 3.0, 2.0], &[1, 2, 0]);
        check(&[f32::NEG_INFINITY; 300], &[]);
        let rising: Vec<f32> = (0..200_u16).map(f32::from).collect();
        check(&rising, &[199, 198, 197, 196, 195, 194, 193, 192]);
        let falling: Vec<f32> = rising.iter().map(|value| -value).collect();
        check(&falling, &[0, 1, 2, 3, 4, 5, 6, 7]);
        check(&[f32::NAN, 1.0, f32::NAN], &[1]);
    }
}
