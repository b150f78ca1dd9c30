//! The prepared decoder: tokens in, logits of the next token out, the cache of keys and values in
//! place.
//!
//! Flow: tokens and positions, written into the bound memory -> one run -> logits in the bound
//! memory. In the worker process. Two sets of bindings: one for a prompt of any length, one for a
//! single token, whose bindings change only with the window. No allocation for a token.

use std::path::Path;

use ort::{
    session::{RunOptions, Session},
    value::TensorElementType,
};

use super::{
    Cross, Sizes,
    binding::{Bound, Room, Shared, Way},
    names::{self, Expected, LAST, LOGITS, POSITIONS, ROWS, TOKENS, TOTAL},
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

/// A loaded decoder.
pub(super) struct Decoder {
    bound: Bound,
    sizes: Sizes,
    rooms: Rooms,
    cross: Cross,
    cross_names: Vec<String>,
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
    tokens: Room<i64>,
    positions: Room<i64>,
    rows: Room<i64>,
    last: Room<i32>,
    total: Room<i32>,
    /// The last token's logits, then the marked one's.
    logits: Room<f32>,
}

impl Decoder {
    pub(super) fn load(
        runtime: &Runtime,
        file: &Path,
        sizes: Sizes,
        cross: Cross,
        settings: SessionSettings,
    ) -> Result<Self, LoadError> {
        let session = runtime.session(file, settings)?;
        check(&session, sizes, file)?;
        let foreign = |error: ort::Error| LoadError::Onnx {
            file: file.into(),
            problem: one_line(error.message()),
        };
        let mut bound = Bound::new(session, SETS.len()).map_err(foreign)?;
        let mut decoder = Self {
            rooms: Rooms {
                tokens: bound.room(sizes.context),
                positions: bound.room(sizes.context),
                rows: bound.room(ROWS_MAX),
                last: bound.room(1),
                total: bound.room(1),
                logits: bound.room(ROWS_MAX * sizes.vocabulary),
            },
            bound,
            sizes,
            cross,
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

    /// Binds what stays bound: the caches of the tokens, and the tensors of one token.
    fn bind_fixed(&mut self) -> ort::Result<()> {
        let (layers, bound) = (self.sizes.layers, &mut self.bound);
        let shape = [1, self.sizes.heads, self.sizes.context, self.sizes.head];
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
        bound.bind(set, Way::In, TOKENS, &rooms.tokens, &[1, tokens])?;
        bound.bind(set, Way::In, POSITIONS, &rooms.positions, &[1, tokens])?;
        bound.bind(set, Way::In, ROWS, &rooms.rows, &[rows])?;
        let shape = [1, rows, self.sizes.vocabulary];
        bound.bind(set, Way::Out, LOGITS, &rooms.logits, &shape)
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
            let shape = [1, self.sizes.heads, positions, self.sizes.head];
            for (name, memory) in self.cross_names.iter().zip(&self.cross) {
                for set in SETS {
                    self.bound
                        .bind_shared::<f32>(set, Way::In, name, memory, &shape)?;
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
        bound.numbers_mut(&rooms.tokens)[..count].copy_from_slice(tokens);
        let positions = &mut bound.numbers_mut(&rooms.positions)[..count];
        for (position, at) in positions.iter_mut().zip(past..) {
            *position = at as i64;
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

    pub(super) fn logits_mut(&mut self) -> &mut [f32] {
        &mut self.bound.numbers_mut(&self.rooms.logits)[..self.sizes.vocabulary]
    }

    pub(super) fn marked_logits(&self) -> Option<&[f32]> {
        let rows = self.bound.numbers(&self.rooms.logits);
        self.has_marked.then(|| &rows[self.sizes.vocabulary..])
    }
}

/// Checks the tensors of the file against the configuration.
fn check(session: &Session, sizes: Sizes, file: &Path) -> Result<(), LoadError> {
    use TensorElementType::{Float32, Int32, Int64};
    let (heads, head) = (Some(sizes.heads), Some(sizes.head));
    let cache = [Some(1), heads, Some(sizes.context), head];
    let cross = [Some(1), heads, None, head];
    let logits = [Some(1), None, Some(sizes.vocabulary)];
    let caches = names::caches("self", sizes.layers);
    let caches_out = names::caches("self_out", sizes.layers);
    let crosses = names::caches("cross", sizes.layers);
    let one = |name, number, shape| Expected {
        name,
        number,
        shape,
    };
    let mut expected = vec![
        one(TOKENS, Int64, &[Some(1), None]),
        one(POSITIONS, Int64, &[Some(1), None]),
        one(ROWS, Int64, &[None]),
        one(LAST, Int32, &[Some(1)]),
        one(TOTAL, Int32, &[Some(1)]),
    ];
    expected.extend(caches.iter().map(|name| one(name, Float32, &cache)));
    expected.extend(crosses.iter().map(|name| one(name, Float32, &cross)));
    names::check(session.inputs(), &expected, file)?;
    let mut expected = vec![one(LOGITS, Float32, &logits)];
    expected.extend(caches_out.iter().map(|name| one(name, Float32, &cache)));
    names::check(session.outputs(), &expected, file)
}
