//! Parts of an ONNX file that is made: nodes, declarations, the whole.
//!
//! Flow: names, sizes and settings -> [`Message`]s. On the thread that prepares a model, or loads
//! one.
//!
//! Source: onnx.proto of ONNX 1.23 (field numbers).

use super::{protobuf::Message, tensor::Kind};

/// Version of the file format, and of the operators.
const FORMAT: u64 = 8;
const OPERATORS: [(&str, u64); 2] = [("", 17), ("com.microsoft", 1)];

/// An attribute of a node.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Setting<'a> {
    Float(f32),
    Int(usize),
    /// The last axis.
    Last,
    Ints(&'a [usize]),
}

/// Returns a `NodeProto`, named after its operator and first output.
pub(crate) fn node(
    operator: &str,
    inputs: &[&str],
    outputs: &[&str],
    settings: &[(&str, Setting<'_>)],
) -> Message {
    let mut node = Message::default();
    for input in inputs {
        node.text(1, input);
    }
    for output in outputs {
        node.text(2, output);
    }
    node.text(3, &format!("{operator}/{}", outputs[0]));
    node.text(4, operator);
    for (name, setting) in settings {
        node.message(5, &attribute(name, *setting));
    }
    node
}

fn attribute(name: &str, setting: Setting<'_>) -> Message {
    let mut message = Message::default();
    message.text(1, name);
    match setting {
        Setting::Float(value) => message.float(2, value).number(20, 1),
        Setting::Int(value) => message.number(3, value as u64).number(20, 2),
        Setting::Last => message.number(3, (-1_i64).cast_unsigned()).number(20, 2),
        Setting::Ints(values) => {
            for &value in values {
                message.number(8, value as u64);
            }
            message.number(20, 7)
        }
    };
    message
}

/// Returns a `ValueInfoProto`. A dimension is a number, or a name for one that varies.
pub(crate) fn value_info(name: &str, kind: Kind, dims: &[&str]) -> Message {
    let mut shape = Message::default();
    for dim in dims {
        let mut message = Message::default();
        match dim.parse() {
            Ok(number) => message.number(1, number),
            Err(_) => message.text(2, dim),
        };
        shape.message(1, &message);
    }
    let mut tensor = Message::default();
    tensor.number(1, kind.number()).message(2, &shape);
    let mut of = Message::default();
    of.message(1, &tensor);
    let mut info = Message::default();
    info.text(1, name).message(2, &of);
    info
}

/// Returns a `TensorProto` without data: its sizes, kind and name.
pub(crate) fn tensor(name: &str, kind: Kind, dims: &[usize]) -> Message {
    let mut tensor = Message::default();
    for &dim in dims {
        tensor.number(1, dim as u64);
    }
    tensor.number(2, kind.number()).text(8, name);
    tensor
}

/// Returns the `ModelProto` around a graph.
pub(crate) fn model(graph: &Message) -> Message {
    let mut named = graph.clone();
    named.text(2, "pressel");
    let mut model = Message::default();
    model.number(1, FORMAT).text(2, "pressel");
    for (domain, version) in OPERATORS {
        model.message(8, Message::default().text(1, domain).number(2, version));
    }
    model.message(7, &named);
    model
}
