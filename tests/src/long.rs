//! Long recordings: an hour costs sixty times a minute, and no more memory.
//!
//! In: the demo's clips, one after the other, for a minute and for an hour. Out: real-time factors
//! and peaks of memory of `pressel transcribe` and its worker. The full edition hears an hour, and
//! wants the machine for itself; with a model of the shape of tiny.en it measures windows, too.

use std::fs::{self, File};
use std::path::Path;
use std::process::Stdio;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::process::{children, peak_kib};
use crate::program::{command, need_models};
use crate::prove;
use crate::voice::{babble, silence, wav};
use crate::yielding::tiny_en;

/// Time between two looks at the memory.
const LOOK: Duration = Duration::from_millis(10);
/// Runs of the short recording: their median time counts, and the highest of their peaks.
const RUNS: usize = 5;
/// How much longer a second of the long recording may take than one of the short.
const SLOWER_MAX: f64 = 1.10;

/// What one run cost.
#[derive(Clone, Copy, Debug)]
struct Cost {
    seconds: f64,
    /// Most memory of the program and of its worker, in KiB.
    peaks: [u64; 2],
}

/// Transcribes a recording and looks on.
fn transcribe(path: &Path, options: &[String]) -> Cost {
    let out = path.with_extension("txt");
    let began = Instant::now();
    let child = command(&["transcribe"])
        .args(options)
        .arg(path)
        .stdout(Stdio::from(File::create(&out).unwrap()))
        .stderr(Stdio::null())
        .spawn();
    let mut child = child.unwrap();
    let mut peaks = [0; 2];
    let status = loop {
        let worker = children(child.id()).first().copied();
        let now = [Some(child.id()), worker].map(|id| id.and_then(peak_kib).unwrap_or(0));
        peaks = [peaks[0].max(now[0]), peaks[1].max(now[1])];
        match child.try_wait().unwrap() {
            Some(status) => break status,
            None => sleep(LOOK),
        }
    };
    assert_eq!(status.code(), Some(0), "{options:?}");
    Cost {
        seconds: began.elapsed().as_secs_f64(),
        peaks,
    }
}

/// The median time of some runs, and the highest of their peaks, which differ by some megabytes:
/// which thread asks the allocator first is chance.
fn typical(path: &Path, options: &[String], runs: usize) -> Cost {
    let mut costs: Vec<Cost> = (0..runs).map(|_| transcribe(path, options)).collect();
    costs.sort_by(|one, other| one.seconds.total_cmp(&other.seconds));
    let highest = |at: usize| costs.iter().map(|cost| cost.peaks[at]).max();
    Cost {
        seconds: costs[runs / 2].seconds,
        peaks: [0, 1].map(|at| highest(at).unwrap_or(0)),
    }
}

/// Measures one way of cutting.
fn measure(folder: &Path, name: &str, options: &[String], seconds: [f32; 2], runs: usize) {
    let put = |name: &str, samples: &[i16]| {
        let path = folder.join(name);
        fs::write(&path, wav(samples)).unwrap();
        path
    };
    let nothing = put("nothing.wav", &silence(0.05));
    let short = put("short.wav", &babble(seconds[0]));
    let long = put("long.wav", &babble(seconds[1]));
    let load = typical(&nothing, options, runs).seconds;
    let short = typical(&short, options, runs);
    let text = |name: &str| fs::read_to_string(folder.join(name)).unwrap();
    let long = transcribe(&long, options);
    let factor = |cost: Cost, seconds: f32| (cost.seconds - load) / f64::from(seconds);
    let factors = [factor(short, seconds[0]), factor(long, seconds[1])];
    let slower = factors[1] / factors[0];
    let counts = format!(
        "{name}: {:.0} s rtf={:.4} peaks={}+{} KiB; {:.0} s rtf={:.4} peaks={}+{} KiB; \
         ratio={slower:.3} load={load:.2} s",
        seconds[0],
        factors[0],
        short.peaks[0],
        short.peaks[1],
        seconds[1],
        factors[1],
        long.peaks[0],
        long.peaks[1],
    );
    prove::say("long", 0, &counts);
    assert!(text("short.txt").len() < text("long.txt").len(), "{counts}");
    for (short, long) in short.peaks.into_iter().zip(long.peaks) {
        // A megabyte for the text, and what the allocator leaves between two pieces.
        assert!(long <= short + short / 20 + 1_024, "{counts}");
    }
    assert!(!prove::is_full() || slower <= SLOWER_MAX, "{counts}");
}

#[test]
fn prove_long_recordings_cost_no_more_than_short_ones() {
    need_models!();
    let folder = tempfile::tempdir().unwrap();
    let (seconds, runs) = if prove::is_full() {
        ([60.0, 3_600.0], RUNS)
    } else {
        ([60.0, 480.0], 3)
    };
    let of = |words: &[&str]| {
        words
            .iter()
            .map(|&word| word.to_owned())
            .collect::<Vec<_>>()
    };
    measure(
        folder.path(),
        "nano by speech",
        &of(&["--cut", "speech"]),
        seconds,
        runs,
    );
    match tiny_en() {
        Some(model) if prove::is_full() => {
            let model = model.to_str().unwrap();
            let options = of(&["--cut", "windows", "--model", model]);
            measure(folder.path(), "tiny.en by windows", &options, seconds, runs);
        }
        None if prove::is_full() => println!(
            "skipped: no model of tiny.en's shape: `python -m pressel_train shape --out \
             ../fetched/tiny.en-shape` in models/train makes one, PRESSEL_TINY_EN names another"
        ),
        _ => {}
    }
}
