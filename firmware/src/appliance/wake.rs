//! The models of the wake words, out of the configuration.
//!
//! Names and files in; one detector and the numbers of each word out. At start-up only.

use std::path::{Path, PathBuf};

use heapless::Vec;
use pressel_models::wake_word::{NetworkFile, Several};
use pressel_models::{LoadError, Network, OpenWakeWord, Runtime, WakeWord, places};
use pressel_pipeline::limits::{WAKE_SMOOTHING_MAX, WAKE_WORDS_MAX};
use pressel_pipeline::time::samples;
use pressel_pipeline::wake;

use crate::config;
use crate::failure::{Failure, Kind};
use crate::listen::{Word, Words};
use crate::stream::WordName;

/// What a head of openWakeWord is used with, unless the configuration says otherwise. Sources:
/// threshold, that of its documentation; refractory and lag, what recordings of `alexa` showed.
const OPEN_WAKE_WORD: wake::Tuning = wake::Tuning {
    threshold: 0.5,
    smoothing: 1,
    refractory: samples(2_000),
    lag: samples(160),
};

/// Loads the models of all configured words.
///
/// # Errors
/// [`Kind::Model`] when a file cannot be used, [`Kind::Usage`] when a network does not know a word.
pub(super) fn load_words(runtime: &Runtime, wake: &config::Wake) -> Result<Words, Failure> {
    let failed = |error: LoadError| Failure::new(Kind::Model, error);
    let mut models: std::vec::Vec<Box<dyn WakeWord + Send>> = std::vec::Vec::new();
    let mut list: Vec<Word, WAKE_WORDS_MAX> = Vec::new();
    for (file, words) in networks(wake) {
        let known = NetworkFile::read(&file).map_err(failed)?;
        let mut chosen = std::vec::Vec::new();
        for word in words {
            let at = known
                .find(&word.name)
                .ok_or_else(|| unknown(&file, &known, word))?;
            chosen.push(at);
            let judged = &known.words[at];
            let tuning = wake::Tuning {
                threshold: judged.threshold,
                smoothing: judged.smoothing.clamp(1, WAKE_SMOOTHING_MAX),
                refractory: samples(judged.refractory_ms),
                lag: samples(judged.lag_ms),
            };
            add(&mut list, word, tuning)?;
        }
        let network = Network::load(runtime, &file, &known, chosen).map_err(failed)?;
        models.push(Box::new(network));
    }
    for (folder, heads) in chains(wake) {
        let mut files = std::vec::Vec::new();
        for (word, file) in heads {
            add(&mut list, word, OPEN_WAKE_WORD)?;
            files.push(file);
        }
        let chain = OpenWakeWord::load(runtime, &folder, &files).map_err(failed)?;
        models.push(Box::new(chain));
    }
    let names: std::vec::Vec<&str> = list.iter().map(|word| word.name.as_str()).collect();
    log::info!("wake words \"{}\"", names.join("\", \""));
    Ok(Words::new(Box::new(Several(models)), list))
}

/// Groups of words that one network hears, by its file.
fn networks(wake: &config::Wake) -> std::vec::Vec<(PathBuf, std::vec::Vec<&config::WakeWord>)> {
    let mut groups: std::vec::Vec<(PathBuf, std::vec::Vec<&config::WakeWord>)> =
        std::vec::Vec::new();
    for word in &wake.words {
        let file = match &word.file {
            None => places::wake_words(),
            Some(file) if is_network(file) => file.clone(),
            Some(_) => continue,
        };
        match groups.iter_mut().find(|(known, _)| *known == file) {
            Some((_, words)) => words.push(word),
            None => groups.push((file, vec![word])),
        }
    }
    groups
}

type Heads<'a> = std::vec::Vec<(&'a config::WakeWord, PathBuf)>;

/// Groups of heads that share spectrogram and embedding, by their folder.
fn chains(wake: &config::Wake) -> std::vec::Vec<(PathBuf, Heads<'_>)> {
    let mut groups: std::vec::Vec<(PathBuf, Heads<'_>)> = std::vec::Vec::new();
    for word in &wake.words {
        let Some(file) = word.file.clone().filter(|file| !is_network(file)) else {
            continue;
        };
        let beside = || file.parent().unwrap_or(Path::new("")).to_path_buf();
        let folder = wake.features.clone().unwrap_or_else(beside);
        match groups.iter_mut().find(|(known, _)| *known == folder) {
            Some((_, heads)) => heads.push((word, file)),
            None => groups.push((folder, vec![(word, file)])),
        }
    }
    groups
}

/// A network that this project trains has its JSON file beside it.
fn is_network(file: &Path) -> bool {
    NetworkFile::beside(file).is_file()
}

/// Adds a word; what the configuration says counts more than what its model says.
fn add(
    list: &mut Vec<Word, WAKE_WORDS_MAX>,
    word: &config::WakeWord,
    judged: wake::Tuning,
) -> Result<(), Failure> {
    let tuning = wake::Tuning {
        threshold: word.threshold.unwrap_or(judged.threshold),
        smoothing: word.smoothing.unwrap_or(judged.smoothing),
        refractory: word.refractory_ms.map_or(judged.refractory, samples),
        lag: word.lag_ms.map_or(judged.lag, samples),
    };
    let name = WordName::new(&word.name);
    // The configuration was checked: names are short, words are few.
    let added = name.is_some_and(|name| list.push(Word { name, tuning }).is_ok());
    let why = "wake.words: too many words, or a name that is too long";
    added
        .then_some(())
        .ok_or_else(|| Failure::new(Kind::Usage, why))
}

fn unknown(file: &Path, known: &NetworkFile, word: &config::WakeWord) -> Failure {
    let names: std::vec::Vec<&str> = known.words.iter().map(|word| word.name.as_str()).collect();
    let why = format!(
        "wake.words: {} does not know `{}`, but `{}`; for a word of openWakeWord add `file`",
        file.display(),
        word.name,
        names.join("`, `")
    );
    Failure::new(Kind::Usage, why)
}
