//! The encoder's graph: any number of frames in, keys and values for the decoder out.
//!
//! Flow: [`Shape`] -> [`Plan`]. On the thread that prepares a model.
//!
//! `input_features` f32 `[1, bins, frames]`, `frames` even -> for each layer of the decoder
//! `cross.N.key` f32 `[1, heads, head, positions]` and `cross.N.value` f32 `[1, heads, positions,
//! head]`, where two frames are a position. The stock encoder takes 3000 frames only, and leaves
//! the keys and values to the decoder. Keys lie the way round that the decoder multiplies with.

use super::{
    graph::{Builder, Plan},
    linear::{Linear, Part, Place},
    shape::Shape,
    tensor::Kind,
};
use crate::onnx::message::Setting;

/// Rows that a convolution looks at.
const TAPS: usize = 3;

/// Plans the encoder.
pub(super) fn plan(mut builder: Builder, shape: &Shape) -> Plan {
    let width = shape.width;
    let bins = shape.bins.to_string();
    builder.input("input_features", Kind::F32, &["1", &bins, "frames"]);
    let mut sum = front(&mut builder, shape);
    let mut input = builder.norm(&sum, "encoder.layers.0.self_attn_layer_norm", width);
    for layer in 0..shape.encoder_layers {
        let name = format!("encoder.layers.{layer}");
        builder.share(&input);
        let [query, key, value] = ["q", "k", "v"].map(|part| {
            let module = format!("{name}.self_attn.{part}_proj");
            square(&mut builder, &input, &module, width, part != "k")
        });
        let heads = [("num_heads", Setting::Int(shape.heads))];
        let heard = builder.node("MultiHeadAttention", &[&query, &key, &value], &heads);
        let module = format!("{name}.self_attn.out_proj");
        let heard = square(&mut builder, &heard, &module, width, true);
        sum = builder.node("Add", &[&heard, &sum], &[]);
        input = builder.norm(&sum, &format!("{name}.final_layer_norm"), width);
        let inner = inner(&mut builder, &input, &name, [width, shape.encoder_inner]);
        sum = builder.node("Add", &[&inner, &sum], &[]);
        let next = layer + 1;
        let norm = if next == shape.encoder_layers {
            "encoder.layer_norm".into()
        } else {
            format!("encoder.layers.{next}.self_attn_layer_norm")
        };
        input = builder.norm(&sum, &norm, width);
    }
    outputs(&mut builder, &input, shape);
    builder.finish()
}

/// The convolutions, as products with three rows side by side, and the positions.
fn front(builder: &mut Builder, shape: &Shape) -> String {
    let (width, bins) = (shape.width, shape.bins);
    let value = builder.turn("input_features", &[0, 2, 1]);
    let value = pad(builder, &value);
    let taps =
        [(0, -2), (1, -1), (2, i64::MAX)].map(|(first, end)| builder.rows(&value, first, end, 1));
    let value = join(builder, &taps.each_ref().map(String::as_str));
    let value = convolution(builder, &value, "encoder.conv1", [bins, width], true);
    let value = builder.node("Gelu", &[&value], &[]);
    let value = pad(builder, &value);
    // The second one takes every other position: two rows side by side, and the one behind them.
    let pairs = builder.rows(&value, 0, -2, 1);
    let pairs = builder.reshape(&pairs, &[1, -1, whole(2 * width)]);
    let behind = builder.rows(&value, 2, i64::MAX, 2);
    let value = join(builder, &[&pairs, &behind]);
    let value = convolution(builder, &value, "encoder.conv2", [width, width], false);
    let value = builder.node("Gelu", &[&value], &[]);
    let size = [("start", Setting::Int(1)), ("end", Setting::Int(2))];
    let count = builder.node("Shape", &[&value], &size);
    let zero = builder.numbers(&[0]);
    let all = builder.copy("encoder.embed_positions.weight", &[shape.positions, width]);
    let positions = builder.node("Slice", &[&all, &zero, &count, &zero], &[]);
    builder.node("Add", &[&value, &positions], &[])
}

/// Puts a row of zeros before and behind.
fn pad(builder: &mut Builder, input: &str) -> String {
    let pads = builder.numbers(&[0, 1, 0, 0, 1, 0]);
    builder.node("Pad", &[input, &pads], &[])
}

/// Puts rows side by side.
fn join(builder: &mut Builder, inputs: &[&str]) -> String {
    builder.node("Concat", inputs, &[("axis", Setting::Last)])
}

fn convolution(
    builder: &mut Builder,
    input: &str,
    module: &str,
    [inputs, outputs]: [usize; 2],
    is_exact: bool,
) -> String {
    let part = Part {
        inputs_at: Place::Taps { inputs, taps: TAPS },
        ..Part::new(module, outputs)
    };
    let linear = Linear {
        name: module,
        inputs: TAPS * inputs,
        parts: vec![part],
        has_bias: true,
        is_exact,
    };
    builder.linear(input, &linear)
}

/// What the decoder's layers listen to.
fn outputs(builder: &mut Builder, input: &str, shape: &Shape) {
    let (heads, head) = (shape.heads.to_string(), shape.head().to_string());
    builder.share(input);
    for layer in 0..shape.decoder_layers {
        let module = format!("decoder.layers.{layer}.encoder_attn");
        let key = square(
            builder,
            input,
            &format!("{module}.k_proj"),
            shape.width,
            false,
        );
        let value = square(
            builder,
            input,
            &format!("{module}.v_proj"),
            shape.width,
            true,
        );
        for (name, value, order, dims) in [
            ("key", key, [0, 2, 3, 1], ["1", &heads, &head, "positions"]),
            (
                "value",
                value,
                [0, 2, 1, 3],
                ["1", &heads, "positions", &head],
            ),
        ] {
            let value = builder.reshape(&value, &split_heads(shape));
            let output = format!("cross.{layer}.{name}");
            let order = [("perm", Setting::Ints(&order))];
            builder.node_to("Transpose", &[&value], &[&output], &order);
            builder.output(&output, &dims);
        }
    }
}

/// The shape of rows whose heads are told apart.
pub(super) fn split_heads(shape: &Shape) -> [i64; 4] {
    [0, 0, whole(shape.heads), whole(shape.head())]
}

/// Sizes are far below what a whole number holds.
fn whole(size: usize) -> i64 {
    i64::try_from(size).unwrap_or(0)
}

/// A product with a square matrix.
pub(super) fn square(
    builder: &mut Builder,
    input: &str,
    module: &str,
    width: usize,
    has_bias: bool,
) -> String {
    let linear = Linear {
        name: module,
        inputs: width,
        parts: vec![Part::new(module, width)],
        has_bias,
        is_exact: false,
    };
    builder.linear(input, &linear)
}

/// The two products of a layer's end, `[outer, inner]` sizes.
pub(super) fn inner(
    builder: &mut Builder,
    input: &str,
    layer: &str,
    [outer, inner]: [usize; 2],
) -> String {
    let mut value = input.to_owned();
    for (name, inputs, outputs) in [("fc1", outer, inner), ("fc2", inner, outer)] {
        let module = format!("{layer}.{name}");
        let linear = Linear {
            name: &module,
            inputs,
            parts: vec![Part::new(&module, outputs)],
            has_bias: true,
            is_exact: false,
        };
        value = builder.linear(&value, &linear);
        if name == "fc1" {
            value = builder.node("Gelu", &[&value], &[]);
        }
    }
    value
}
