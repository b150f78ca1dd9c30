//! The decoder's graph: tokens in, logits out, with the cache in place.
//!
//! Flow: [`Shape`] -> [`Plan`]. On the thread that prepares a model.
//!
//! Inputs: `embedded` f32 `[1, s, width]`, token row plus position row for each of `s` tokens;
//! `rows` i64 `[n]`, the places among these tokens whose logits are wanted; `last_position` and
//! `total_positions` i32 `[1]`, the position of the last of these tokens and one more; `self.N.key`
//! and `self.N.value` f32 `[1, heads, context, cache head]`; `cross.N.key` and `cross.N.value` as
//! the encoder gives them. Outputs: `logits` f32 `[1, n, vocabulary]`; `hidden` f32 `[1, n,
//! width]`, what the logits are made of; `self_out.N.key` and `self_out.N.value`, which the caller
//! binds to the memory of `self.N.key` and `self.N.value`: what is new is then written in place.
//!
//! The embedding is a file of its own, without a head: token rows f16 `[vocabulary, width]` (f32
//! when all is fp32), then position rows f32 `[context, width]`, little-endian.
//!
//! The cache's heads are filled up with zeros to a multiple of 8, as its operator wants it; all
//! of OpenAI's sizes are 64 and stay as they are.

use super::{
    Options,
    encoder::{inner, split_heads, square},
    graph::{Builder, Content, Plan, Planned},
    linear::{Linear, Part, Place},
    shape::Shape,
    tensor::Kind,
    weights::EMBEDDING,
};
use crate::onnx::message::Setting;

/// Plans the decoder.
pub(super) fn plan(mut builder: Builder, shape: &Shape) -> Plan {
    let width = shape.width;
    declare(&mut builder, shape);
    let mut sum = "embedded".to_owned();
    let mut input = builder.norm(&sum, "decoder.layers.0.self_attn_layer_norm", width);
    for layer in 0..shape.decoder_layers {
        let name = format!("decoder.layers.{layer}");
        let heard = own_attention(&mut builder, &input, layer, shape);
        sum = builder.node("Add", &[&heard, &sum], &[]);
        input = builder.norm(&sum, &format!("{name}.encoder_attn_layer_norm"), width);
        let heard = audio_attention(&mut builder, &input, layer, shape);
        sum = builder.node("Add", &[&heard, &sum], &[]);
        input = builder.norm(&sum, &format!("{name}.final_layer_norm"), width);
        let inner = inner(&mut builder, &input, &name, [width, shape.decoder_inner]);
        sum = builder.node("Add", &[&inner, &sum], &[]);
        let next = layer + 1;
        let norm = if next == shape.decoder_layers {
            "decoder.layer_norm".into()
        } else {
            format!("decoder.layers.{next}.self_attn_layer_norm")
        };
        input = builder.norm(&sum, &norm, width);
    }
    let axis = [("axis", Setting::Int(1))];
    builder.node_to("Gather", &[&input, "rows"], &["hidden"], &axis);
    builder.head("hidden", [shape.vocabulary, width]);
    builder.finish()
}

/// Plans the file of the embedding.
pub(super) fn embedding(options: &Options, shape: &Shape) -> Vec<Planned> {
    let (kind, content) = if options.fp32 {
        (Kind::F32, Content::Copy(EMBEDDING.into()))
    } else {
        (Kind::F16, Content::Halves(EMBEDDING.into()))
    };
    let tokens = Planned {
        name: "tokens".into(),
        kind,
        dims: vec![shape.vocabulary, shape.width],
        content,
    };
    let positions = Planned {
        name: "positions".into(),
        kind: Kind::F32,
        dims: vec![shape.context, shape.width],
        content: Content::Copy("decoder.embed_positions.weight".into()),
    };
    vec![tokens, positions]
}

/// Declares inputs and outputs.
fn declare(builder: &mut Builder, shape: &Shape) {
    let vocabulary = shape.vocabulary.to_string();
    let (heads, context) = (shape.heads.to_string(), shape.context.to_string());
    let (head, cache_head) = (shape.head().to_string(), shape.cache_head().to_string());
    let width = shape.width.to_string();
    builder.input("embedded", Kind::F32, &["1", "s", &width]);
    builder.input("rows", Kind::I64, &["n"]);
    builder.input("last_position", Kind::I32, &["1"]);
    builder.input("total_positions", Kind::I32, &["1"]);
    builder.output("logits", &["1", "n", &vocabulary]);
    builder.output("hidden", &["1", "n", &width]);
    let cache = ["1", &heads, &context, &cache_head];
    let cross_key = ["1", &heads, &head, "positions"];
    let cross_value = ["1", &heads, "positions", &head];
    for layer in 0..shape.decoder_layers {
        for part in ["key", "value"] {
            builder.input(&format!("self.{layer}.{part}"), Kind::F32, &cache);
            builder.output(&format!("self_out.{layer}.{part}"), &cache);
        }
        builder.input(&format!("cross.{layer}.key"), Kind::F32, &cross_key);
        builder.input(&format!("cross.{layer}.value"), Kind::F32, &cross_value);
    }
}

/// Attention to the audio.
fn audio_attention(builder: &mut Builder, input: &str, layer: usize, shape: &Shape) -> String {
    let module = format!("decoder.layers.{layer}.encoder_attn");
    let name = format!("{module}.q_proj");
    let linear = Linear {
        name: &name,
        inputs: shape.width,
        // What attention divides by is in the weights already.
        parts: vec![Part {
            factor: scale(shape),
            ..Part::new(&name, shape.width)
        }],
        has_bias: true,
        is_exact: false,
    };
    let query = builder.linear(input, &linear);
    let query = builder.reshape(&query, &split_heads(shape));
    let query = builder.turn(&query, &[0, 2, 1, 3]);
    let (key, value) = (format!("cross.{layer}.key"), format!("cross.{layer}.value"));
    let weights = builder.node("MatMul", &[&query, &key], &[]);
    let weights = builder.node("Softmax", &[&weights], &[("axis", Setting::Last)]);
    let heard = builder.node("MatMul", &[&weights, &value], &[]);
    let heard = builder.turn(&heard, &[0, 2, 1, 3]);
    let heard = builder.reshape(&heard, &[0, 0, -1]);
    square(
        builder,
        &heard,
        &format!("{module}.out_proj"),
        shape.width,
        true,
    )
}

/// What attention multiplies its products by.
fn scale(shape: &Shape) -> f32 {
    #[allow(clippy::cast_precision_loss, reason = "the size of a head is small")]
    let head = shape.head() as f32;
    1.0 / head.sqrt()
}

/// Attention to the tokens so far.
fn own_attention(builder: &mut Builder, input: &str, layer: usize, shape: &Shape) -> String {
    let module = format!("decoder.layers.{layer}.self_attn");
    let heads = Place::Heads {
        from: shape.head(),
        to: shape.cache_head(),
    };
    let parts = ["q", "k", "v"].map(|name| Part {
        outputs_at: heads,
        ..Part::new(&format!("{module}.{name}_proj"), shape.width)
    });
    let linear = Linear {
        name: &format!("{module}.qkv"),
        inputs: shape.width,
        parts: parts.into(),
        has_bias: true,
        is_exact: false,
    };
    let packed = builder.linear(input, &linear);
    let heard = format!("{module}.heard");
    let names = ["key", "value"].map(|part| {
        let (now, then) = (
            format!("self.{layer}.{part}"),
            format!("self_out.{layer}.{part}"),
        );
        (now, then)
    });
    let [(key, key_out), (value, value_out)] = &names;
    let inputs = [
        &packed,
        "",
        "",
        key,
        value,
        "last_position",
        "total_positions",
    ];
    let settings = [
        ("num_heads", Setting::Int(shape.heads)),
        ("kv_num_heads", Setting::Int(shape.heads)),
        ("scale", Setting::Float(scale(shape))),
    ];
    let outputs = [&heard, key_out.as_str(), value_out];
    builder.node_to("GroupQueryAttention", &inputs, &outputs, &settings);
    let out = format!("{module}.out_proj");
    let linear = Linear {
        name: &out,
        inputs: shape.heads * shape.cache_head(),
        parts: vec![Part {
            inputs_at: heads,
            ..Part::new(&out, shape.width)
        }],
        has_bias: true,
        is_exact: false,
    };
    builder.linear(&heard, &linear)
}
