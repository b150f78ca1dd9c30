//! The boards that are compiled in.
//!
//! A test compares this list with the folder, and reads and checks every board.

/// Name and text of each built-in board.
pub(crate) const TEXTS: [(&str, &str); 8] = [
    ("jetson-nano", include_str!("../jetson-nano.toml")),
    ("jetson-orin-nano", include_str!("../jetson-orin-nano.toml")),
    ("rpi-4b", include_str!("../rpi-4b.toml")),
    ("rpi-5", include_str!("../rpi-5.toml")),
    (
        "rpi-respeaker-2mic",
        include_str!("../rpi-respeaker-2mic.toml"),
    ),
    ("rpi-zero-2w", include_str!("../rpi-zero-2w.toml")),
    ("sim", include_str!("../sim.toml")),
    ("vm", include_str!("../vm.toml")),
];

/// Returns the names of the built-in boards.
pub fn names() -> impl Iterator<Item = &'static str> {
    TEXTS.iter().map(|(name, _)| *name)
}
