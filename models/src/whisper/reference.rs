//! Against transformers, at the real sizes: the exports that fixtures/shapes.py writes.
//!
//! `PRESSEL_REFERENCE=DIR cargo test -p pressel-models reference -- --nocapture`. Without that
//! folder the test prints one line and returns; the committed tiny model proves the same in small.

#![cfg(feature = "prepare")]

use std::{
    env, fs,
    ops::ControlFlow,
    path::{Path, PathBuf},
};

use ort::session::RunOptions;
use serde_json::{Value, json};

use super::{folder::Folder, graphs::Graphs};
use crate::{
    Mel, Provider, Runtime,
    prepare::{self, Options, prepare},
    runtime::SessionSettings,
    testing::{number, runtime, signal},
};

/// Logits of fp32 may be off by this much.
const FP32_OFF_MAX: f32 = 1e-3;
/// Logits of int8 are at least this like those of transformers: cosine over a whole window.
const INT8_LIKENESS_MIN: f64 = 0.99;

/// One shape: its cases, and what transformers computed for them.
struct Golden {
    cases: Vec<Value>,
    logits: Vec<f32>,
}

impl Golden {
    fn read(shape: &Path) -> Self {
        let told: Value =
            serde_json::from_slice(&fs::read(shape.join("golden.json")).unwrap()).unwrap();
        let bytes = fs::read(shape.join("golden.bin")).unwrap();
        let (values, rest) = bytes.as_chunks::<4>();
        assert!(rest.is_empty());
        Self {
            cases: told["cases"].as_array().unwrap().clone(),
            logits: values.iter().copied().map(f32::from_le_bytes).collect(),
        }
    }
}

/// How far logits are from those of transformers.
#[derive(Default)]
struct Distance {
    off_max: f32,
    dot: f64,
    ours: f64,
    theirs: f64,
    /// Places where the likeliest token is the same, of all.
    agreed: usize,
    places: usize,
}

impl Distance {
    fn add(&mut self, ours: &[f32], theirs: &[f32]) {
        assert_eq!(ours.len(), theirs.len());
        for (&a, &b) in ours.iter().zip(theirs) {
            self.off_max = self.off_max.max((a - b).abs());
            let (a, b) = (f64::from(a), f64::from(b));
            self.dot += a * b;
            self.ours += a * a;
            self.theirs += b * b;
        }
        self.agreed += usize::from(best(ours) == best(theirs));
        self.places += 1;
    }

    fn likeness(&self) -> f64 {
        self.dot / (self.ours * self.theirs).sqrt()
    }
}

fn best(logits: &[f32]) -> usize {
    let best = logits.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1));
    best.unwrap().0
}

fn tokens(case: &Value, key: &str) -> Vec<i64> {
    let list = case[key].as_array().unwrap();
    list.iter().map(|token| token.as_i64().unwrap()).collect()
}

/// Hears the window of `case`.
fn hear(graphs: &mut Graphs, mel: &mut Mel, case: &Value, run: &RunOptions) {
    let frames = number(case, "frames");
    let clip = json!({"samples": case["samples"], "seed": 7, "shift": 0});
    let mut features = vec![0.0; mel.bins() * frames];
    mel.compute(&signal(&clip), frames, 1.0, &mut features);
    graphs.hear(&features, frames, run).unwrap();
}

/// Feeds the prompt at once and the rest one by one; compares the logits behind each token.
fn compare(graphs: &mut Graphs, case: &Value, theirs: &[f32], run: &RunOptions) -> Distance {
    let fed = tokens(case, "fed");
    let vocabulary = theirs.len() / fed.len();
    let mut rows = theirs.chunks_exact(vocabulary);
    let mut distance = Distance::default();
    graphs.feed(&fed[..2], Some(0), run).unwrap();
    distance.add(graphs.marked_logits().unwrap(), rows.next().unwrap());
    distance.add(graphs.logits_mut(), rows.next().unwrap());
    for (&token, row) in fed[2..].iter().zip(rows) {
        graphs.feed(&[token], None, run).unwrap();
        distance.add(graphs.logits_mut(), row);
    }
    distance
}

/// Takes the likeliest token again and again, and expects those of transformers.
fn check_greedy(graphs: &mut Graphs, case: &Value, run: &RunOptions) {
    let expected = tokens(case, "greedy");
    let mut found = expected[..2].to_vec();
    graphs.rewind();
    graphs.feed(&found, None, run).unwrap();
    while found.len() < expected.len() {
        let token = i64::try_from(best(graphs.logits_mut())).unwrap();
        found.push(token);
        graphs.feed(&[token], None, run).unwrap();
    }
    assert_eq!(found, expected);
}

fn check_shape(runtime: &Runtime, shape: &Path, options: &Options) {
    let home = tempfile::tempdir().unwrap();
    let target = home.path().join("prepared");
    let summary = prepare(shape, &target, options, Some(runtime), &mut |_| {
        ControlFlow::Continue(())
    })
    .unwrap();
    let folder = Folder::read(&target, Provider::Cpu).unwrap();
    let settings = SessionSettings {
        threads: 2,
        spin: false,
        provider: Provider::Cpu,
    };
    let mut graphs = Graphs::load(runtime, &folder, settings).unwrap();
    let (mut mel, run) = (
        Mel::new(folder.config.num_mel_bins),
        RunOptions::new().unwrap(),
    );
    let golden = Golden::read(shape);
    let each = golden.logits.len() / golden.cases.len();
    let name = shape.file_name().unwrap().display().to_string();
    for (case, theirs) in golden.cases.iter().zip(golden.logits.chunks_exact(each)) {
        hear(&mut graphs, &mut mel, case, &run);
        let distance = compare(&mut graphs, case, theirs, &run);
        println!(
            "{name} fp32={} head={:?} frames={}: off by {:.1e} at most, likeness {:.6}, same best \
             token {}/{}",
            options.fp32,
            options.head,
            case["frames"],
            distance.off_max,
            distance.likeness(),
            distance.agreed,
            distance.places
        );
        if options.fp32 {
            assert!(distance.off_max < FP32_OFF_MAX);
            check_greedy(&mut graphs, case, &run);
        }
        assert!(INT8_LIKENESS_MIN < distance.likeness());
    }
    println!("{name}: {summary:?}");
}

#[test]
fn reference_shapes_compute_what_transformers_computes() {
    let Some(all) = env::var_os("PRESSEL_REFERENCE").map(PathBuf::from) else {
        println!("skipped: set PRESSEL_REFERENCE to a folder that fixtures/shapes.py has written");
        return;
    };
    let Some(runtime) = runtime() else { return };
    let mut shapes: Vec<PathBuf> = fs::read_dir(all)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.join("golden.json").is_file())
        .collect();
    shapes.sort();
    assert!(!shapes.is_empty());
    for shape in shapes {
        for (fp32, head) in [
            (true, prepare::Head::EightBit),
            (false, prepare::Head::EightBit),
            (false, prepare::Head::FourBit),
        ] {
            let options = Options {
                fp32,
                head,
                ..Options::default()
            };
            check_shape(&runtime, &shape, &options);
        }
    }
}
