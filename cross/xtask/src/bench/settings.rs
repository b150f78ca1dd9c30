//! The settings that are compared: which engine, how its weights are kept, which window.
//!
//! A table, and the command that starts each entry. No file is touched here.

use std::path::{Path, PathBuf};

use clap::ValueEnum;

/// What the encoder hears. Units: positions of 20 ms, 1500 are 30 s.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Window {
    /// The audio alone: 50 positions a second
    Exact,
    /// What stock weights need to stay accurate: max(50 S + 128, 384)
    Safe,
    /// 30 s, as Whisper was trained
    Full,
}

/// Positions in 30 s.
const POSITIONS_MAX: u32 = 1_500;
/// Positions in a second.
const POSITIONS_PER_SECOND: u32 = 50;

impl Window {
    /// The positions for audio of `seconds`.
    pub(crate) fn positions(self, seconds: u32) -> u32 {
        let exact = POSITIONS_PER_SECOND * seconds;
        match self {
            Self::Exact => exact,
            Self::Safe => (exact + 128).max(384),
            Self::Full => POSITIONS_MAX,
        }
        .min(POSITIONS_MAX)
    }

    /// The word in names and on the command line.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Safe => "safe",
            Self::Full => "full",
        }
    }

    /// What a Pressel model folder must say in `pressel.json`, in frames of 10 ms.
    pub(crate) const fn of_pressel(self) -> Option<(usize, usize)> {
        match self {
            Self::Exact => Some((2, 0)),
            Self::Safe => None,
            Self::Full => Some((3_000, 0)),
        }
    }
}

/// Whose code runs. The order is that of colours in the plot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Engine {
    /// This recogniser, on graphs that it prepared.
    Pressel,
    /// This recogniser, on a stock export: what a plain port does.
    Stock,
    /// whisper.cpp, built here for this machine with llamafile's kernels.
    WhisperCpp,
    /// whisper.cpp as its wheel brings it.
    WhisperCppWheel,
    /// CTranslate2, on which faster-whisper stands.
    CTranslate2,
    /// sherpa-onnx.
    Sherpa,
}

/// One setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Setting {
    pub(crate) engine: Engine,
    /// The model's folder or file in the folder of models; for CTranslate2 also how it computes.
    pub(crate) model: &'static str,
    /// What distinguishes it besides, an empty word when nothing does.
    pub(crate) way: &'static str,
    pub(crate) window: Window,
}

const fn setting(
    engine: Engine,
    model: &'static str,
    way: &'static str,
    window: Window,
) -> Setting {
    Setting {
        engine,
        model,
        way,
        window,
    }
}

use Engine::{CTranslate2, Pressel, Sherpa, Stock, WhisperCpp, WhisperCppWheel};
use Window::{Exact, Full, Safe};

/// All settings. Those with other kernels or formats are here so that the best of each peer is.
const ALL: [Setting; 28] = [
    setting(Pressel, "4bit-head", "", Exact),
    setting(Pressel, "int8", "", Exact),
    setting(Pressel, "4bit-head", "", Safe),
    setting(Pressel, "int8", "", Safe),
    setting(Pressel, "4bit-head", "", Full),
    setting(Pressel, "int8", "", Full),
    setting(Stock, "int8", "", Full),
    setting(Stock, "hub", "", Full),
    setting(WhisperCpp, "q4_0", "", Exact),
    setting(WhisperCpp, "q4_0", "flash", Exact),
    setting(WhisperCpp, "q5_0", "", Exact),
    setting(WhisperCpp, "q8_0", "", Exact),
    setting(WhisperCpp, "q8_0", "flash", Exact),
    setting(WhisperCpp, "f16", "", Exact),
    setting(WhisperCppWheel, "q4_0", "", Exact),
    setting(WhisperCppWheel, "q8_0", "", Exact),
    setting(WhisperCppWheel, "f16", "", Exact),
    setting(WhisperCpp, "q4_0", "", Safe),
    setting(WhisperCpp, "q8_0", "", Safe),
    setting(WhisperCpp, "q4_0", "", Full),
    setting(WhisperCpp, "q8_0", "", Full),
    setting(WhisperCpp, "f16", "", Full),
    setting(CTranslate2, "int8", "", Exact),
    setting(CTranslate2, "int8", "onednn", Exact),
    setting(CTranslate2, "float32", "", Exact),
    setting(CTranslate2, "int8", "faster-whisper", Full),
    setting(Sherpa, "int8", "", Exact),
    setting(Sherpa, "int8", "", Full),
];

/// All settings, in the order of the tables.
pub(crate) fn all() -> impl Iterator<Item = Setting> {
    ALL.into_iter()
}

/// The settings with one of these windows whose name begins with one of these words.
pub(crate) fn choose(only: &[String], windows: &[Window]) -> Vec<Setting> {
    let wanted = |one: &Setting| {
        let name = one.name();
        windows.contains(&one.window)
            && (only.is_empty() || only.iter().any(|word| name.starts_with(word)))
    };
    all().filter(wanted).collect()
}

/// What the commands need to know of this machine.
pub(crate) struct Places<'a> {
    pub(crate) scripts: &'a Path,
    pub(crate) models: &'a Path,
    /// The Python that has the peers.
    pub(crate) python: &'a Path,
    /// The driver of this recogniser.
    pub(crate) pressel: &'a Path,
    /// The folder of pywhispercpp as built here.
    pub(crate) built: &'a Path,
}

/// A program, its arguments, and what is set in its environment.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Start {
    pub(crate) program: PathBuf,
    pub(crate) arguments: Vec<String>,
    pub(crate) environment: Vec<(&'static str, String)>,
}

impl Setting {
    /// The name in tables, on the command line and of log files.
    pub(crate) fn name(&self) -> String {
        let way = if self.way.is_empty() { "" } else { "-" };
        let (engine, window) = (self.engine_name(), self.window.name());
        format!("{engine}-{}{way}{}-{window}", self.model, self.way)
    }

    /// The engine's word in names.
    pub(crate) const fn engine_name(&self) -> &'static str {
        match self.engine {
            Pressel => "pressel",
            Stock => "stock",
            WhisperCpp => "whisper.cpp",
            WhisperCppWheel => "whisper.cpp-wheel",
            CTranslate2 => "ctranslate2",
            Sherpa => "sherpa-onnx",
        }
    }

    /// The line of `--list`.
    pub(crate) fn line(&self) -> String {
        let what = match self.engine {
            Pressel => "this recogniser, prepared graphs",
            Stock => "this recogniser, stock export of optimum",
            WhisperCpp => "whisper.cpp, llamafile kernels, built for this machine",
            WhisperCppWheel => "whisper.cpp, the wheel of pywhispercpp",
            CTranslate2 => "CTranslate2, features of faster-whisper",
            Sherpa => "sherpa-onnx, its own export",
        };
        format!("{:<40} {what}", self.name())
    }

    /// The model's file or folder.
    pub(crate) fn model_path(&self, models: &Path) -> PathBuf {
        match self.engine {
            Pressel => models.join(format!("pressel/{}-{}", self.model, self.window.name())),
            Stock => models.join("stock").join(self.model),
            WhisperCpp | WhisperCppWheel => models.join(format!("ggml/ggml-{}.bin", self.model)),
            CTranslate2 if self.model == "float32" => models.join("ctranslate2/float32"),
            CTranslate2 => models.join("ctranslate2/int8"),
            Sherpa => models.join("sherpa"),
        }
    }

    /// How its driver is started for `seconds` of audio.
    pub(crate) fn start(&self, places: &Places<'_>, threads: usize, seconds: u32) -> Start {
        let model = self.model_path(places.models).display().to_string();
        let positions = self.window.positions(seconds);
        let mut environment = vec![("OMP_NUM_THREADS", threads.to_string())];
        let script = |name: &str| places.scripts.join(name).display().to_string();
        let (script, rest) = match self.engine {
            Pressel | Stock => {
                return Start {
                    program: places.pressel.into(),
                    arguments: vec![model, threads.to_string()],
                    environment,
                };
            }
            WhisperCpp | WhisperCppWheel => {
                if self.engine == WhisperCpp {
                    environment.push(("PYTHONPATH", places.built.display().to_string()));
                }
                let flash = u8::from(self.way == "flash").to_string();
                (script("whisper_cpp.py"), vec![positions.to_string(), flash])
            }
            CTranslate2 => {
                // By itself it takes MKL on Intel and oneDNN on AMD; MKL's int8 crawls on AMD.
                if self.way == "onednn" {
                    environment.push(("CT2_USE_MKL", "0".into()));
                }
                let whole = self.window == Full;
                let way = if whole { "stock" } else { "short" }.to_owned();
                (
                    script("ctranslate2_engine.py"),
                    vec![self.model.into(), way],
                )
            }
            Sherpa => {
                let padding = if self.window == Full { "3000" } else { "1" }.to_owned();
                (script("sherpa_engine.py"), vec![padding])
            }
        };
        let mut arguments = vec![script, model, threads.to_string()];
        arguments.extend(rest);
        Start {
            program: places.python.into(),
            arguments,
            environment,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique() {
        let mut names: Vec<String> = all().map(|one| one.name()).collect();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), ALL.len());
    }

    #[test]
    fn windows_are_counted_in_positions() {
        let check = |window: Window, seconds, expected| {
            assert_eq!(window.positions(seconds), expected, "{window:?} {seconds}");
        };
        check(Exact, 4, 200);
        check(Safe, 4, 384);
        check(Safe, 10, 628);
        check(Safe, 30, 1_500);
        check(Full, 4, 1_500);
    }

    #[test]
    fn settings_are_chosen_by_the_beginning_of_their_names() {
        let check = |only: &[&str], windows: &[Window], expected: usize| {
            let only: Vec<String> = only.iter().map(|&word| word.to_owned()).collect();
            assert_eq!(
                choose(&only, windows).len(),
                expected,
                "{only:?} {windows:?}"
            );
        };
        check(&[], &[Exact, Safe, Full], ALL.len());
        check(&["pressel-int8"], &[Exact, Safe, Full], 3);
        check(&["stock"], &[Full], 2);
        check(&["stock"], &[Exact], 0);
        check(&["sherpa", "ctranslate2-float32"], &[Exact], 2);
    }

    #[test]
    fn each_engine_is_told_its_window() {
        let path = Path::new("p");
        let places = Places {
            scripts: path,
            models: path,
            python: path,
            pressel: Path::new("bench"),
            built: Path::new("built"),
        };
        let check = |name: &str, expected: &[&str]| {
            let found = all().find(|one| one.name() == name);
            let start = found.map(|one| one.start(&places, 2, 4));
            assert_eq!(start.unwrap().arguments, expected, "{name}");
        };
        check("pressel-int8-exact", &["p/pressel/int8-exact", "2"]);
        let script = "p/whisper_cpp.py";
        check(
            "whisper.cpp-q8_0-flash-exact",
            &[script, "p/ggml/ggml-q8_0.bin", "2", "200", "1"],
        );
        check(
            "sherpa-onnx-int8-exact",
            &["p/sherpa_engine.py", "p/sherpa", "2", "1"],
        );
    }
}
