//! Facts about boards: one TOML file per board, and the struct that they fill.
//!
//! Flow: a file (built in, or the user's own) -> [`Board`] -> plain configurations of `hal`. No
//! device is opened here and nothing depends on which board it is. Runs at start-up only.

pub mod board;
pub mod builtin;
pub mod lights;
pub mod suggest;
mod validate;

pub use board::{
    Backend, Board, Button, Cores, Drive, Led, Machine, Microphone, PixelKind, Pixels, Provider,
    Role, Uart, Worker,
};
pub use builtin::names as builtin_names;
pub use lights::{Colour, Lights, Shown};
pub use suggest::DataError;
pub use validate::{LEDS_MAX, RHYTHM_TIMES_MAX};
