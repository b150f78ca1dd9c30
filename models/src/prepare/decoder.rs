//! The decoder's graph: tokens in, logits out, with the cache in place.
//!
//! Flow: [`Shape`] -> [`Plan`]. On the thread that prepares a model.
//!
//! Inputs: `input_ids` and `position_ids` i64 `[1, s]`; `rows` i64 `[n]`, the places among these
//! tokens whose logits are wanted; `last_position` and `total_positions` i32 `[1]`; `self.N.key` and
//! `self.N.value` f32 `[1, heads, context, cache head]`; `cross.N.key` and `cross.N.value` f32 `[1,
//! heads, positions, head]`. Outputs: `logits` f32 `[1, n, vocabulary]`; `self_out.N.key` and
//! `self_out.N.value`, which the caller binds to the memory of `self.N.key` and `self.N.value`: what
//! is new is then written in place.
//!
//! The cache's heads are filled up with zeros to a multiple of 8, as its operator wants it; all
//! of OpenAI's sizes are 64 and stay as they are.

use super::{
    encoder::{inner, part, square},
    graph::{Builder, Content, Linear, Part, Plan, Setting, Spread},
    shape::Shape,
    tensor::Kind,
    weights::EMBEDDING,
};

/// Plans the decoder. `head` is the parameter that makes logits: the embedding, where both are one.
pub(super) fn plan(mut builder: Builder, shape: &Shape, head: &str) -> Plan {
    let width = shape.width;
    declare(&mut builder, shape);
    let mut sum = embedding(&mut builder, shape);
    let mut input = builder.norm(&sum, "decoder.layers.0.self_attn_layer_norm", width);
    for layer in 0..shape.decoder_layers {
        let name = format!("decoder.layers.{layer}");
        let heard = own_attention(&mut builder, &input, layer, shape);
        sum = builder.node("Add", &[&heard, &sum], &[]);
        input = builder.norm(&sum, &format!("{name}.encoder_attn_layer_norm"), width);
        let query = format!("{name}.encoder_attn.q_proj");
        let query = square(&mut builder, &input, &query, width, true);
        let (key, value) = (format!("cross.{layer}.key"), format!("cross.{layer}.value"));
        let heads = [("num_heads", Setting::Int(shape.heads))];
        let heard = builder.node("MultiHeadAttention", &[&query, &key, &value], &heads);
        let module = format!("{name}.encoder_attn.out_proj");
        let heard = square(&mut builder, &heard, &module, width, true);
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
    let rows = builder.node("Gather", &[&input, "rows"], &[("axis", Setting::Int(1))]);
    builder.head(&rows, head, width, shape.vocabulary);
    builder.finish()
}

/// Declares inputs and outputs.
fn declare(builder: &mut Builder, shape: &Shape) {
    let vocabulary = shape.vocabulary.to_string();
    let (heads, context) = (shape.heads.to_string(), shape.context.to_string());
    let (head, cache_head) = (shape.head().to_string(), shape.cache_head().to_string());
    builder.input("input_ids", Kind::I64, &["1", "s"]);
    builder.input("position_ids", Kind::I64, &["1", "s"]);
    builder.input("rows", Kind::I64, &["n"]);
    builder.input("last_position", Kind::I32, &["1"]);
    builder.input("total_positions", Kind::I32, &["1"]);
    builder.output("logits", &["1", "n", &vocabulary]);
    let cache = ["1", &heads, &context, &cache_head];
    let cross = ["1", &heads, "positions", &head];
    for layer in 0..shape.decoder_layers {
        for part in ["key", "value"] {
            builder.input(&format!("self.{layer}.{part}"), Kind::F32, &cache);
            builder.output(&format!("self_out.{layer}.{part}"), &cache);
        }
        for part in ["key", "value"] {
            builder.input(&format!("cross.{layer}.{part}"), Kind::F32, &cross);
        }
    }
}

/// Tokens as vectors, with their positions.
fn embedding(builder: &mut Builder, shape: &Shape) -> String {
    let (width, vocabulary) = (shape.width, shape.vocabulary);
    let value = if builder.is_fp32() {
        let table = builder.copy(EMBEDDING, &[vocabulary, width]);
        builder.node("Gather", &[&table, "input_ids"], &[])
    } else {
        let content = Content::Rows(EMBEDDING.into());
        let table = builder.tensor("embed_q", Kind::I8, &[vocabulary, width], content);
        let scales = builder.scales("embed_s", &[vocabulary, 1]);
        let value = builder.node("Gather", &[&table, "input_ids"], &[]);
        let value = builder.node("Cast", &[&value], &[("to", Setting::Int(1))]);
        let scale = builder.node("Gather", &[&scales, "input_ids"], &[]);
        builder.node("Mul", &[&value, &scale], &[])
    };
    let all = builder.copy("decoder.embed_positions.weight", &[shape.context, width]);
    let positions = builder.node("Gather", &[&all, "position_ids"], &[]);
    builder.node("Add", &[&value, &positions], &[])
}

/// Attention to the tokens so far.
fn own_attention(builder: &mut Builder, input: &str, layer: usize, shape: &Shape) -> String {
    let module = format!("decoder.layers.{layer}.self_attn");
    let spread = Spread {
        from: shape.head(),
        to: shape.cache_head(),
    };
    let parts = ["q", "k", "v"].map(|name| Part {
        outputs_at: spread,
        ..part(&format!("{module}.{name}_proj"), shape.width)
    });
    let linear = Linear {
        name: &format!("{module}.qkv"),
        inputs: shape.width,
        parts: parts.into(),
        has_bias: true,
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
    #[allow(clippy::cast_precision_loss, reason = "the size of a head is small")]
    let scale = 1.0 / (shape.head() as f32).sqrt();
    let settings = [
        ("num_heads", Setting::Int(shape.heads)),
        ("kv_num_heads", Setting::Int(shape.heads)),
        ("scale", Setting::Float(scale)),
    ];
    let outputs = [&heard, key_out.as_str(), value_out];
    builder.node_to("GroupQueryAttention", &inputs, &outputs, &settings);
    let out = format!("{module}.out_proj");
    let linear = Linear {
        name: &out,
        inputs: spread.places(shape.width),
        parts: vec![Part {
            inputs_at: spread,
            ..part(&out, shape.width)
        }],
        has_bias: true,
    };
    builder.linear(&heard, &linear)
}
