//! `pressel evaluate`: how well words, sentences, wake words and voice activity are heard.
//!
//! Flow: a list of recordings -> each through the appliance's own ears and worker, as `replay`
//! plays it -> counts with intervals of 95 % -> a table, JSON, a picture. What cannot be read is
//! named and counted, and the others go on. Asked to end, it prints what it has.

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};

use indicatif::{ProgressBar, ProgressStyle};
use pressel_wire::OutcomeResult;
use serde_json::{Value, json};

use self::clip::{Clip, Noise};
use self::manifest::Row;
use self::score::{Share, rate_interval, share, word_errors};
use super::args::{EvaluateArguments, Judged};
use crate::appliance::{load_listening_ears, worker_setup};
use crate::config::{Config, Trigger};
use crate::failure::{Failure, Kind};
use crate::offline::{Offline, Played};
use crate::stream::ListenEvent;

pub(super) mod clip;
pub(super) mod manifest;
mod picture;
mod score;
mod vad;
mod wake;

/// What is printed.
struct Report {
    /// Lines for people.
    lines: Vec<String>,
    object: Value,
    svg: String,
}

/// Plays the list and prints what it gave.
///
/// # Errors
/// [`Kind::Usage`] when the list cannot be read or holds nothing to judge with, [`Kind::Model`]
/// when a model cannot be loaded, [`Kind::Result`] when some recordings could not be read or a
/// signal ended it early; what was heard is printed.
pub fn evaluate(arguments: &EvaluateArguments) -> Result<(), Failure> {
    let rows = manifest::read(&arguments.manifest)?;
    let noise = noise_of(arguments, &rows)?;
    let chosen = chosen(arguments, &rows)?;
    let mut config = arguments.common.config()?;
    // Everything comes as text here, and what is known is told by the words.
    config.commands.list.clear();
    let asked = super::transcribe::take_signals()?;
    let mut player = Player::new(&chosen, noise, &asked);
    let mut report = match arguments.what {
        Judged::Words => words(&mut player, &mut config)?,
        Judged::Text => text(&mut player, &mut config)?,
        Judged::Wake => wake(&mut player, &mut config)?,
        Judged::Vad => vad(&mut player, &mut config)?,
    };
    player.bar.finish_and_clear();
    if let Some(map) = report.object.as_object_mut() {
        map.insert("recordings".to_owned(), player.played.into());
        map.insert("unreadable".to_owned(), player.failed.into());
        map.insert("noise_db".to_owned(), json!(arguments.noise_db));
    }
    print(arguments, &report)?;
    if asked.load(Ordering::Relaxed) {
        let (played, of) = (player.played, chosen.len());
        let why = format!("stopped by a signal: {played} of {of} recordings were heard");
        return Err(Failure::new(Kind::Result, why));
    }
    if 0 < player.failed {
        let why = format!("{} recordings could not be heard", player.failed);
        return Err(Failure::new(Kind::Result, why));
    }
    Ok(())
}

fn print(arguments: &EvaluateArguments, report: &Report) -> Result<(), Failure> {
    if let Some(path) = &arguments.svg {
        std::fs::write(path, &report.svg).map_err(|error| {
            let why = format!("{}: cannot be written ({error})", path.display());
            Failure::new(Kind::Disk, why)
        })?;
    }
    let mut out = io::stdout().lock();
    let written = if arguments.json {
        writeln!(out, "{}", report.object)
    } else {
        report
            .lines
            .iter()
            .try_for_each(|line| writeln!(out, "{line}"))
    };
    written.map_err(|error| super::output_failed(&error))
}

/// The rows that are played.
fn chosen<'a>(arguments: &EvaluateArguments, rows: &'a [Row]) -> Result<Vec<&'a Row>, Failure> {
    let has_words = |row: &Row| !manifest::words(&row.text).is_empty();
    let fits = |row: &&Row| match arguments.what {
        Judged::Words => row.category == "word" && manifest::words(&row.text).len() == 1,
        Judged::Text => ["sentence", "command"].contains(&&*row.category) && has_words(row),
        Judged::Wake => true,
        Judged::Vad => row.category == "noise" || manifest::speech_times(&row.note).is_some(),
    };
    let by_people = |row: &&Row| !arguments.people || row.human == "yes";
    let mut chosen: Vec<&Row> = rows.iter().filter(fits).filter(by_people).collect();
    if chosen.is_empty() {
        let list = arguments.manifest.display();
        let why = format!("{list}: no recording to judge that with: see `pressel evaluate --help`");
        return Err(Failure::new(Kind::Usage, why));
    }
    if let Some(limit) = arguments.limit.filter(|&limit| limit < chosen.len()) {
        let all = chosen.len();
        chosen = (0..limit).map(|at| chosen[at * all / limit]).collect();
    }
    Ok(chosen)
}

/// The noise that lies under every recording, if it is asked for.
fn noise_of(arguments: &EvaluateArguments, rows: &[Row]) -> Result<Option<Noise>, Failure> {
    let Some(below_db) = arguments.noise_db else {
        return Ok(None);
    };
    let noise = rows.iter().filter(|row| row.category == "noise");
    let files: Vec<_> = noise.map(|row| &*row.file).collect();
    let noise = Noise::of(&files, below_db).ok_or_else(|| {
        let list = arguments.manifest.display();
        let why = format!("{list}: --noise-db wants recordings of the category noise");
        Failure::new(Kind::Usage, why)
    })?;
    Ok(Some(noise))
}

/// Goes through the rows.
struct Player<'a> {
    rows: &'a [&'a Row],
    noise: Option<Noise>,
    asked: &'a AtomicBool,
    bar: ProgressBar,
    next: usize,
    played: usize,
    failed: usize,
}

impl<'a> Player<'a> {
    fn new(rows: &'a [&'a Row], noise: Option<Noise>, asked: &'a AtomicBool) -> Self {
        let bar = ProgressBar::new(rows.len() as u64);
        let style = ProgressStyle::with_template("{bar:30} {pos} of {len} recordings, {eta} left");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        Self {
            rows,
            noise,
            asked,
            bar,
            next: 0,
            played: 0,
            failed: 0,
        }
    }

    /// The next recording that can be read, and where in its clip it begins.
    fn next(&mut self) -> Option<(&'a Row, Clip, usize)> {
        while let Some(&row) = self.rows.get(self.next) {
            if self.asked.load(Ordering::Relaxed) {
                return None;
            }
            self.next += 1;
            self.bar.inc(1);
            match clip::make(&row.file, self.noise.as_ref(), self.next as u64) {
                Ok((clip, begins)) => {
                    self.played += 1;
                    return Some((row, clip, begins));
                }
                Err(error) => {
                    self.failed += 1;
                    log::warn!("{error}");
                }
            }
        }
        None
    }
}

/// Starts ears and worker, for a press that lasts as long as the recording.
fn offline(config: &mut Config) -> Result<Offline, Failure> {
    config.trigger = Trigger::Ptt;
    let setup = worker_setup(&super::desk_board()?, config)?;
    Offline::start(load_listening_ears(config)?, config.tuning(), setup)
}

/// The words of one recording; none when it could not be recognised, which says nothing about the
/// model's ears and is counted apart.
fn heard(
    offline: &mut Offline,
    clip: &mut Clip,
    player: &mut Player<'_>,
) -> Result<Option<Vec<String>>, Failure> {
    let mut words = Vec::new();
    let mut lost = None;
    offline.play(clip, true, &mut |played| {
        if let Played::Outcome(finished) = played {
            words.extend(manifest::words(&finished.text));
            if let OutcomeResult::Failed(_) | OutcomeResult::Dropped(_) = finished.outcome.result {
                lost = Some(finished.outcome.result);
            }
        }
        true
    })?;
    let Some(result) = lost else {
        return Ok(Some(words));
    };
    player.played -= 1;
    player.failed += 1;
    log::warn!("a recording was not recognised: {result:?}");
    Ok(None)
}

/// Adds up what was counted of each recording.
fn sums(clips: &[(usize, usize)]) -> (usize, usize) {
    clips
        .iter()
        .fold((0, 0), |sum, clip| (sum.0 + clip.0, sum.1 + clip.1))
}

/// A rate with its interval, all of 0 to 1, in words.
fn in_percent(rate: f64, (low, high): (f64, f64)) -> String {
    let [rate, low, high] = [rate, low, high].map(|part| 100.0 * part);
    format!("{rate:.1} % ({low:.1} to {high:.1} %)")
}

fn percent(share: &Share) -> String {
    let rate = in_percent(share.value(), share.interval);
    format!("{rate}, {} of {}", share.count, share.of)
}

fn share_object(share: &Share) -> Value {
    json!({
        "share": share.value(), "count": share.count, "of": share.of,
        "low": share.interval.0, "high": share.interval.1,
    })
}

/// Single words.
fn words(player: &mut Player<'_>, config: &mut Config) -> Result<Report, Failure> {
    let mut offline = offline(config)?;
    let mut pairs: BTreeMap<(String, String), usize> = BTreeMap::new();
    while let Some((row, mut clip, _)) = player.next() {
        let said = manifest::words(&row.text).join(" ");
        let Some(heard) = heard(&mut offline, &mut clip, player)? else {
            continue;
        };
        *pairs.entry((said, heard.join(" "))).or_default() += 1;
    }
    let mut by_word: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for ((said, heard), count) in &pairs {
        let (right, all) = by_word.entry(said).or_default();
        *right += if said == heard { *count } else { 0 };
        *all += count;
    }
    let (right, all) = by_word
        .values()
        .fold((0, 0), |sum, word| (sum.0 + word.0, sum.1 + word.1));
    let total = share(right, all);
    let mut lines = vec![format!("words right: {}", percent(&total))];
    for (word, &(right, all)) in &by_word {
        lines.push(format!("  {word:14} {}", percent(&share(right, all))));
    }
    let mut wrong: Vec<_> = pairs
        .iter()
        .filter(|((said, heard), _)| said != heard)
        .collect();
    wrong.sort_by_key(|(pair, count)| (std::cmp::Reverse(**count), pair.to_owned()));
    for ((said, heard), count) in &wrong {
        let heard = if heard.is_empty() { "(nothing)" } else { heard };
        lines.push(format!("  {count:4} x {said} -> {heard}"));
    }
    let list = |(pair, count): (&(String, String), &usize)| {
        let (said, heard) = pair;
        json!({"said": said, "heard": heard, "count": count})
    };
    let words: BTreeMap<_, _> = by_word
        .iter()
        .map(|(word, &(right, all))| (*word, share_object(&share(right, all))))
        .collect();
    let object = json!({
        "judged": "words", "right": share_object(&total), "words": words,
        "confusions": wrong.into_iter().map(list).collect::<Vec<_>>(),
    });
    let svg = picture::confusion(&format!("Words right: {}", percent(&total)), &pairs);
    Ok(Report { lines, object, svg })
}

/// Sentences.
fn text(player: &mut Player<'_>, config: &mut Config) -> Result<Report, Failure> {
    let mut offline = offline(config)?;
    let mut clips = Vec::new();
    let (mut whole, mut empty) = (0, 0);
    while let Some((row, mut clip, _)) = player.next() {
        let said = manifest::words(&row.text);
        let Some(heard) = heard(&mut offline, &mut clip, player)? else {
            continue;
        };
        whole += usize::from(said == heard);
        empty += usize::from(heard.is_empty());
        clips.push((word_errors(&said, &heard), said.len()));
    }
    let (errors, words) = sums(&clips);
    let rate = errors as f64 / words.max(1) as f64;
    let (low, high) = rate_interval(&clips);
    let (whole, empty) = (share(whole, clips.len()), share(empty, clips.len()));
    let lines = vec![
        format!(
            "word error: {}, {errors} of {words} words",
            in_percent(rate, (low, high))
        ),
        format!("recordings without an error: {}", percent(&whole)),
        format!("recordings without a text: {}", percent(&empty)),
    ];
    let object = json!({
        "judged": "text", "word_error": rate, "low": low, "high": high, "errors": errors,
        "words": words, "whole": share_object(&whole), "empty": share_object(&empty),
    });
    let rows = [
        ("word error".to_owned(), rate, (low, high)),
        ("without an error".to_owned(), whole.value(), whole.interval),
        ("without a text".to_owned(), empty.value(), empty.interval),
    ];
    let svg = picture::shares(&format!("{} recordings", clips.len()), &rows);
    Ok(Report { lines, object, svg })
}

/// Wake words.
fn wake(player: &mut Player<'_>, config: &mut Config) -> Result<Report, Failure> {
    config.trigger = Trigger::Wake;
    let mut ears = load_listening_ears(config)?;
    let mut curves = wake::curves(&ears);
    while let Some((row, clip, _)) = player.next() {
        if !wake::hear(&mut ears, &clip, &row.text, &mut curves) {
            let why = "the model of the wake words failed: `pressel models verify` checks its file";
            return Err(Failure::new(Kind::Model, why));
        }
    }
    let (mut lines, mut objects) = (Vec::new(), Vec::new());
    for curve in &curves {
        let hours = curve.hours();
        lines.push(format!("{}: {hours:.2} hours without it", curve.name));
        let mut points = Vec::new();
        for point in curve.points() {
            let mark = if point.threshold == curve.configured() {
                "*"
            } else {
                " "
            };
            let rate = point.per_hour.map_or_else(String::new, |(low, high)| {
                format!(", {low:.1} to {high:.1} an hour")
            });
            lines.push(format!(
                " {mark} threshold {:.2}: missed {}; false accepts {}{rate}",
                point.threshold,
                percent(&point.missed),
                point.false_accepts,
            ));
            points.push(json!({
                "threshold": point.threshold, "missed": share_object(&point.missed),
                "false_accepts": point.false_accepts,
                "per_hour_low": point.per_hour.map(|rate| rate.0),
                "per_hour_high": point.per_hour.map(|rate| rate.1),
            }));
        }
        objects.push(json!({
            "word": curve.name, "hours": hours, "threshold": curve.configured(), "points": points,
        }));
    }
    let svg = picture::det("Wake words: missed against false accepts", &curves);
    let object = json!({"judged": "wake", "wake_words": objects});
    Ok(Report { lines, object, svg })
}

/// Voice activity.
fn vad(player: &mut Player<'_>, config: &mut Config) -> Result<Report, Failure> {
    let mut offline = offline(config)?;
    let mut tally = vad::Tally::default();
    while let Some((row, mut clip, begins)) = player.next() {
        let all = clip.samples.len() as u64;
        let (mut found, mut open) = (Vec::new(), None);
        offline.play(&mut clip, false, &mut |played| {
            match played {
                Played::Event(ListenEvent::SpeechStart(at)) => open = Some(at),
                Played::Event(ListenEvent::SpeechEnd(at)) => {
                    found.extend(open.take().map(|start| (start, at)));
                }
                _ => {}
            }
            true
        })?;
        found.extend(open.map(|start| (start, all)));
        let begin = begins as f64 / pressel_pipeline::limits::RATE_HZ as f64;
        let expected = manifest::speech_times(&row.note).unwrap_or_default();
        let expected: Vec<_> = expected
            .into_iter()
            .map(|(start, end)| (start + begin, end + begin))
            .collect();
        tally.count(&expected, &found, all);
    }
    let parts = [
        ("wrong", "wrong", &tally.clips),
        ("speech missed", "missed", &tally.missed),
        (
            "the rest taken for speech",
            "false_alarms",
            &tally.false_alarms,
        ),
    ];
    let (mut lines, mut rows) = (Vec::new(), Vec::new());
    let mut object = json!({"judged": "vad"});
    for (what, key, clips) in parts {
        let (wrong, steps) = sums(clips);
        if steps == 0 {
            lines.push(format!("{what}: no recording of the list has any"));
            object[key] = Value::Null;
            continue;
        }
        // Steps of one recording are alike: only the interval over recordings means something.
        let rate = wrong as f64 / steps as f64;
        let (low, high) = rate_interval(clips);
        let seconds = steps as f64 / 100.0;
        lines.push(format!(
            "{what}: {} of {seconds:.1} s",
            in_percent(rate, (low, high))
        ));
        object[key] = json!({"share": rate, "low": low, "high": high, "seconds": seconds});
        rows.push((what.to_owned(), rate, (low, high)));
    }
    let svg = picture::shares(&format!("{} recordings", tally.clips.len()), &rows);
    Ok(Report { lines, object, svg })
}
