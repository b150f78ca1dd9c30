//! What `cross` has to know of a board.
//!
//! In: a board's file. Out: its name and its machine. The file is read as plain TOML: xtask links
//! nothing of the appliance. The boards' own tests check everything else in it.

use crate::Fallible;
use crate::fetch::Arch;

/// A board to build for.
pub(super) struct Board {
    /// Its file without `.toml`.
    pub(super) name: String,
    /// What its file says.
    machine: String,
}

impl Board {
    /// Reads `boards/NAME.toml`.
    ///
    /// # Errors
    /// There is no such board; the message lists those that there are.
    pub(super) fn read(name: &str) -> Fallible<Self> {
        let names = names()?;
        if !names.iter().any(|known| known == name) {
            let list = names.join(", ");
            return Err(format!(
                "there is no board `{name}` in boards/; there are {list}"
            ));
        }
        let path = crate::root().join("boards").join(format!("{name}.toml"));
        let text = std::fs::read_to_string(&path)
            .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
        Ok(Self {
            name: name.to_owned(),
            machine: machine(&text).map_err(|why| format!("{}: {why}", path.display()))?,
        })
    }

    /// Returns the machine that the board is.
    ///
    /// # Errors
    /// It runs on any machine, and there is no ONNX Runtime for this one.
    pub(super) fn arch(&self) -> Fallible<Arch> {
        match self.machine.as_str() {
            "aarch64" => Ok(Arch::Aarch64),
            _ => Arch::of_this_machine(),
        }
    }
}

/// The boards that there are.
fn names() -> Fallible<Vec<String>> {
    let folder = crate::root().join("boards");
    let files = std::fs::read_dir(&folder)
        .map_err(|error| format!("cannot read {}: {error}", folder.display()))?;
    let mut names: Vec<String> = files
        .filter_map(|file| file.ok()?.file_name().into_string().ok())
        .filter_map(|file| file.strip_suffix(".toml").map(str::to_owned))
        .filter(|name| name != "Cargo")
        .collect();
    names.sort();
    Ok(names)
}

/// The key `machine` of a board's file.
fn machine(text: &str) -> Fallible<String> {
    let table: toml::Table = text.parse().map_err(|error| format!("no TOML: {error}"))?;
    let machine = table
        .get("machine")
        .map_or(Some("any"), |value| value.as_str());
    match machine {
        Some(known @ ("aarch64" | "any")) => Ok(known.to_owned()),
        _ => Err("`machine` is \"aarch64\" or \"any\"".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_board_says_its_machine() {
        for name in names().unwrap() {
            let board = Board::read(&name).unwrap();
            let is_metal = !["sim", "vm"].contains(&name.as_str());
            assert_eq!(board.machine == "aarch64", is_metal, "{name}");
        }
    }

    #[test]
    fn an_unknown_board_is_told_the_known_ones() {
        let error = Board::read("rpi-6").err().unwrap_or_default();
        assert!(error.contains("rpi-5"), "{error}");
        assert!(machine("machine = \"arm\"").is_err());
        assert_eq!(machine("name = \"x\"").unwrap(), "any");
    }
}
