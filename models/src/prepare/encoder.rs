//! The encoder's graph: any number of frames in, keys and values for the decoder out.
//!
//! Flow: [`Shape`] -> [`Plan`]. On the thread that prepares a model.
//!
//! `input_features` f32 `[1, bins, frames]` -> `cross.N.key` and `cross.N.value` f32 `[1, heads,
//! positions, head]` for each layer of the decoder, where two frames are a position. The stock
//! encoder takes 3000 frames only, and leaves the keys and values to the decoder.

use super::{
    graph::{Builder, Linear, Part, Plan, Setting, Spread},
    shape::Shape,
    tensor::Kind,
};

/// Plans the encoder.
pub(super) fn plan(mut builder: Builder, shape: &Shape) -> Plan {
    let width = shape.width;
    let bins = shape.bins.to_string();
    builder.input("input_features", Kind::F32, &["1", &bins, "frames"]);
    let mut sum = front(&mut builder, shape);
    let mut input = builder.norm(&sum, "encoder.layers.0.self_attn_layer_norm", width);
    for layer in 0..shape.encoder_layers {
        let name = format!("encoder.layers.{layer}");
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

/// The convolutions, and the positions.
fn front(builder: &mut Builder, shape: &Shape) -> String {
    let mut value = "input_features".to_owned();
    for (name, inputs, stride) in [("conv1", shape.bins, 1), ("conv2", shape.width, 2)] {
        let weight = format!("encoder.{name}.weight");
        let weight = builder.copy(&weight, &[shape.width, inputs, 3]);
        let bias = builder.copy(&format!("encoder.{name}.bias"), &[shape.width]);
        let settings = [
            ("kernel_shape", Setting::Ints(&[3])),
            ("pads", Setting::Ints(&[1, 1])),
            ("strides", Setting::Ints(&[stride])),
        ];
        value = builder.node("Conv", &[&value, &weight, &bias], &settings);
        value = builder.node("Gelu", &[&value], &[]);
    }
    let value = builder.node(
        "Transpose",
        &[&value],
        &[("perm", Setting::Ints(&[0, 2, 1]))],
    );
    let size = [("start", Setting::Int(1)), ("end", Setting::Int(2))];
    let count = builder.node("Shape", &[&value], &size);
    let zero = builder.numbers("zero", &[0]);
    let all = builder.copy(
        "encoder.embed_positions.weight",
        &[shape.positions, shape.width],
    );
    let positions = builder.node("Slice", &[&all, &zero, &count, &zero], &[]);
    builder.node("Add", &[&value, &positions], &[])
}

/// What the decoder's layers listen to.
fn outputs(builder: &mut Builder, input: &str, shape: &Shape) {
    let (heads, head) = (shape.heads.to_string(), shape.head().to_string());
    let split = [0, 0, shape.heads, shape.head()].map(|size| i64::try_from(size).unwrap_or(0));
    let split = builder.numbers("split_heads", &split);
    for layer in 0..shape.decoder_layers {
        for (part, name) in [("k", "key"), ("v", "value")] {
            let module = format!("decoder.layers.{layer}.encoder_attn.{part}_proj");
            let value = square(builder, input, &module, shape.width, part != "k");
            let value = builder.node("Reshape", &[&value, &split], &[]);
            let output = format!("cross.{layer}.{name}");
            let order = [("perm", Setting::Ints(&[0, 2, 1, 3]))];
            builder.node_to("Transpose", &[&value], &[&output], &order);
            builder.output(&output, &["1", &heads, "positions", &head]);
        }
    }
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
        parts: vec![part(module, width)],
        has_bias,
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
            parts: vec![part(&module, outputs)],
            has_bias: true,
        };
        value = builder.linear(&value, &linear);
        if name == "fc1" {
            value = builder.node("Gelu", &[&value], &[]);
        }
    }
    value
}

/// A matrix that is not spread.
pub(super) fn part(module: &str, outputs: usize) -> Part {
    Part {
        parameter: format!("{module}.weight"),
        outputs,
        outputs_at: Spread::NONE,
        inputs_at: Spread::NONE,
    }
}
