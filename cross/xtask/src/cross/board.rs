//! What `cross` has to know of a board.
//!
//! In: a board's file. Out: its name, its machine, and whether its worker wants CUDA. The file is
//! read as plain TOML: xtask links nothing of the appliance. The boards' own tests check everything
//! else in it.

use crate::Fallible;
use crate::fetch::Arch;

/// A board to build for.
pub(super) struct Board {
    /// Its file without `.toml`.
    pub(super) name: String,
    /// What its file says.
    machine: String,
    /// Its worker runs on CUDA.
    is_cuda: bool,
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
        let wrong = |why| format!("{}: {why}", path.display());
        let table: toml::Table = text
            .parse()
            .map_err(|error| wrong(format!("no TOML: {error}")))?;
        Ok(Self {
            name: name.to_owned(),
            machine: machine(&table).map_err(wrong)?,
            is_cuda: is_cuda(&table),
        })
    }

    /// What the owner has to do besides installing the package, if anything.
    pub(super) fn remark(&self) -> Option<String> {
        self.is_cuda.then(|| {
            format!(
                "{}: its file says `provider = \"cuda\"`, and the ONNX Runtime of this package has \
                 no CUDA; a start on the processor instead is refused. Either ORT_DYLIB_PATH names \
                 NVIDIA's library, with the drop-in \
                 /usr/share/doc/pressel/examples/cuda.conf, or a copy of the board's file says \
                 `provider = \"cpu\"`: README.md, Jetson. Neither was ever run",
                self.name
            )
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
fn machine(table: &toml::Table) -> Fallible<String> {
    let machine = table
        .get("machine")
        .map_or(Some("any"), |value| value.as_str());
    match machine {
        Some(known @ ("aarch64" | "any")) => Ok(known.to_owned()),
        _ => Err("`machine` is \"aarch64\" or \"any\"".to_owned()),
    }
}

/// Whether the key `provider` of its worker is "cuda".
fn is_cuda(table: &toml::Table) -> bool {
    let worker = table.get("worker").and_then(toml::Value::as_table);
    let provider = worker.and_then(|worker| worker.get("provider"));
    provider.and_then(toml::Value::as_str) == Some("cuda")
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
        let machine_of = |text: &str| machine(&text.parse().unwrap());
        assert!(machine_of("machine = \"arm\"").is_err());
        assert_eq!(machine_of("name = \"x\"").unwrap(), "any");
    }

    #[test]
    fn a_board_with_cuda_is_told_what_the_package_lacks() {
        let remark = |name| Board::read(name).unwrap().remark();
        let said = remark("jetson-orin-nano").unwrap();
        for word in [
            "cuda.conf",
            "ORT_DYLIB_PATH",
            "`provider = \"cpu\"`",
            "ever run",
        ] {
            assert!(said.contains(word), "{word} is not in: {said}");
        }
        assert_eq!(remark("rpi-5"), None);
    }
}
