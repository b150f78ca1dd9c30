//! Silero's network without what an export adds to it.
//!
//! Flow: the weights of Silero's file -> one graph for one stream, in memory. On the thread that
//! loads it.
//!
//! The file carries branches for other rates and batches, and puts its LSTM's weights in order anew
//! for every frame; together with a Fourier transform as a convolution that is more than half of
//! its time. Here the transform is left to [`super::spectrum`], and fourteen nodes remain:
//!
//! ```text
//!   magnitudes [1, 129, 4] -> 4 convolutions with ReLU -> [1, 128, 1] -> LSTM 128 -> ReLU
//!     -> one number -> sigmoid -> probability [1, 1]
//! ```
//!
//! Source: silero_vad_16k_op15.onnx of silero-vad 6.2.3 (names, sizes, strides).

use std::path::Path;

use crate::{
    LoadError,
    onnx::{
        message::{self, Setting},
        protobuf::Message,
        tensor::{Kind, OnnxFile},
    },
};

/// Width of the LSTM.
pub(super) const WIDTH: usize = 128;
/// Strides of the four convolutions.
const STRIDES: [usize; 4] = [1, 2, 2, 1];
/// Channels before, between and behind the convolutions.
const CHANNELS: [usize; 5] = [super::spectrum::BINS, 128, 64, 64, 128];
/// Taps of each convolution.
const TAPS: usize = 3;
/// Where ONNX wants input, output, forget and cell gate, counted as `PyTorch` has them.
const GATES: [usize; 4] = [0, 3, 1, 2];

/// Reads the weights out of `file` and returns the graph.
pub(super) fn build(file: &Path) -> Result<Vec<u8>, LoadError> {
    let from = OnnxFile::open(file)?;
    super::spectrum::check(&weights(
        &from,
        "model.stft.forward_basis_buffer",
        &[2 * super::spectrum::BINS, 1, super::spectrum::FRAME_SAMPLES],
    )?)
    .map_err(|problem| from.wrong("model.stft.forward_basis_buffer", problem))?;
    let mut graph = Message::default();
    let frames = super::spectrum::FRAMES.to_string();
    let bins = super::spectrum::BINS.to_string();
    let width = WIDTH.to_string();
    let remembered = ["1", "1", &width];
    graph.message(
        11,
        &message::value_info("magnitudes", Kind::F32, &["1", &bins, &frames]),
    );
    for name in ["hidden", "cell"] {
        graph.message(11, &message::value_info(name, Kind::F32, &remembered));
    }
    let encoded = convolutions(&from, &mut graph)?;
    recur(&from, &mut graph, &encoded)?;
    for name in ["hidden_next", "cell_next"] {
        graph.message(12, &message::value_info(name, Kind::F32, &remembered));
    }
    graph.message(
        12,
        &message::value_info("probability", Kind::F32, &["1", "1"]),
    );
    Ok(message::model(&graph).bytes().to_vec())
}

/// Adds the convolutions and returns the name of what comes out, `[1, 128, 1]`.
fn convolutions(from: &OnnxFile, graph: &mut Message) -> Result<String, LoadError> {
    let mut input = "magnitudes".to_owned();
    for (layer, stride) in STRIDES.into_iter().enumerate() {
        let [inputs, outputs] = [CHANNELS[layer], CHANNELS[layer + 1]];
        let weight = format!("model.encoder.{layer}.reparam_conv.weight");
        let bias = format!("model.encoder.{layer}.reparam_conv.bias");
        copy(from, graph, &weight, &[outputs, inputs, TAPS])?;
        copy(from, graph, &bias, &[outputs])?;
        let (sum, output) = (format!("sum_{layer}"), format!("layer_{layer}"));
        let settings = [
            ("strides", Setting::Ints(&[stride])),
            ("pads", Setting::Ints(&[1, 1])),
        ];
        let convolution = message::node("Conv", &[&input, &weight, &bias], &[&sum], &settings);
        graph.message(1, &convolution);
        graph.message(1, &message::node("Relu", &[&sum], &[&output], &[]));
        input = output;
    }
    Ok(input)
}

/// Adds the LSTM and what follows it.
fn recur(from: &OnnxFile, graph: &mut Message, encoded: &str) -> Result<(), LoadError> {
    let name = |part: &str| format!("model.decoder.rnn.{part}");
    let gates = 4 * WIDTH;
    let [inputs, recurrent] = ["weight_ih", "weight_hh"].map(|part| {
        let matrix = weights(from, &name(part), &[gates, WIDTH])?;
        Ok(in_order(&matrix, WIDTH * WIDTH))
    });
    let [of_inputs, of_recurrent] = ["bias_ih", "bias_hh"].map(|part| {
        let vector = weights(from, &name(part), &[gates])?;
        Ok(in_order(&vector, WIDTH))
    });
    let biases = [of_inputs?, of_recurrent?].concat();
    floats(graph, "inputs", &[1, gates, WIDTH], &inputs?);
    floats(graph, "recurrent", &[1, gates, WIDTH], &recurrent?);
    floats(graph, "biases", &[1, 2 * gates], &biases);
    let (weight, bias) = (
        "model.decoder.decoder.2.weight",
        "model.decoder.decoder.2.bias",
    );
    floats(
        graph,
        weight,
        &[1, WIDTH],
        &weights(from, weight, &[1, WIDTH, 1])?,
    );
    copy(from, graph, bias, &[1])?;
    whole(graph, "step", &[1, 1, WIDTH]);
    whole(graph, "row", &[1, WIDTH]);
    let lstm = [
        "sounds",
        "inputs",
        "recurrent",
        "biases",
        "",
        "hidden",
        "cell",
    ];
    let width = [("hidden_size", Setting::Int(WIDTH))];
    let turned = [("transB", Setting::Int(1))];
    for node in [
        message::node("Reshape", &[encoded, "step"], &["sounds"], &[]),
        message::node("LSTM", &lstm, &["", "hidden_next", "cell_next"], &width),
        message::node("Relu", &["hidden_next"], &["positive"], &[]),
        message::node("Reshape", &["positive", "row"], &["features"], &[]),
        message::node("Gemm", &["features", weight, bias], &["logit"], &turned),
        message::node("Sigmoid", &["logit"], &["probability"], &[]),
    ] {
        graph.message(1, &node);
    }
    Ok(())
}

/// Returns the gates in ONNX's order; each is `size` numbers.
fn in_order(values: &[f32], size: usize) -> Vec<f32> {
    let gate = |gate: usize| &values[gate * size..][..size];
    GATES.map(gate).concat()
}

/// Reads a tensor that must be there in these sizes.
fn weights(from: &OnnxFile, name: &str, dims: &[usize]) -> Result<Vec<f32>, LoadError> {
    let foreign = |problem: &str| {
        let problem = format!("{problem}: this is not Silero VAD 5 or later for 16 kHz");
        from.wrong(name, problem)
    };
    let tensor = from.graph.tensors.get(name);
    let tensor = tensor.ok_or_else(|| foreign("is missing"))?;
    if tensor.dims != dims {
        return Err(foreign("has another size"));
    }
    let mut values = Vec::new();
    from.read(tensor, 0..tensor.elements(), &mut values)?;
    if values.iter().all(|value| value.is_finite()) {
        Ok(values)
    } else {
        Err(from.wrong(name, "holds numbers that are none: fetch it again".into()))
    }
}

fn copy(from: &OnnxFile, graph: &mut Message, name: &str, dims: &[usize]) -> Result<(), LoadError> {
    floats(graph, name, dims, &weights(from, name, dims)?);
    Ok(())
}

fn floats(graph: &mut Message, name: &str, dims: &[usize], values: &[f32]) {
    let bytes: Vec<u8> = values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect();
    let mut tensor = message::tensor(name, Kind::F32, dims);
    graph.message(5, tensor.raw_bytes(9, &bytes));
}

fn whole(graph: &mut Message, name: &str, numbers: &[usize]) {
    let bytes: Vec<u8> = numbers
        .iter()
        .flat_map(|&number| (number as u64).to_le_bytes())
        .collect();
    let mut tensor = message::tensor(name, Kind::I64, &[numbers.len()]);
    graph.message(5, tensor.raw_bytes(9, &bytes));
}
