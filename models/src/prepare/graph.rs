//! A graph while it is built: nodes at once, tensors as a plan.
//!
//! Flow: calls of the builders of encoder and decoder -> [`Plan`]: all that is in the ONNX file but
//! the weights, whose sizes are known and whose data is made when the file is written. On the
//! thread that prepares a model.

use std::collections::{HashMap, HashSet};

use super::{Options, linear::Part, protobuf::Message, tensor::Kind};
use crate::onnx::message::{self, Setting};

/// Operators that are ONNX Runtime's own.
const MICROSOFT: [&str; 6] = [
    "DynamicQuantizeMatMul",
    "Gelu",
    "GroupQueryAttention",
    "MatMulIntegerToFloat",
    "MatMulNBits",
    "MultiHeadAttention",
];

/// The epsilon of Whisper's norms.
const EPSILON: f32 = 1e-5;

/// What a tensor holds.
#[derive(Clone, Debug)]
pub(super) enum Content {
    /// These bytes.
    Bytes(Vec<u8>),
    /// A parameter as it is.
    Copy(String),
    /// Biases side by side.
    Vector(Vec<Part>),
    /// Matrices side by side, `[inputs, outputs]`.
    Matrix(Vec<Part>),
    /// The same in int8, one scale for each output.
    Columns(Vec<Part>),
    /// A matrix in 4 bits, `[outputs, inputs in blocks]`.
    Blocks(String),
    /// A matrix in 16-bit floats.
    Halves(String),
    /// The scales of the quantized tensor before this one.
    Scales,
}

/// One tensor of the file.
#[derive(Clone, Debug)]
pub(super) struct Planned {
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) dims: Vec<usize>,
    pub(super) content: Content,
}

/// A file that is ready to be written.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    /// Nodes, inputs and outputs: fields of `GraphProto`.
    pub(super) graph: Message,
    pub(super) tensors: Vec<Planned>,
}

/// Builds one graph.
pub(super) struct Builder {
    pub(super) options: Options,
    plan: Plan,
    names: HashSet<String>,
    count: usize,
    /// Inputs of more than one product: what each became, its scale, its zero point.
    pub(super) quantized: HashMap<String, [String; 3]>,
}

impl Builder {
    pub(super) fn new(options: &Options) -> Self {
        Self {
            options: options.clone(),
            plan: Plan {
                graph: Message::default(),
                tensors: Vec::new(),
            },
            names: HashSet::new(),
            count: 0,
            quantized: HashMap::new(),
        }
    }

    /// Returns true when matrices stay in fp32.
    pub(super) fn is_fp32(&self) -> bool {
        self.options.fp32
    }

    pub(super) fn finish(self) -> Plan {
        self.plan
    }

    /// Adds a tensor, once, and returns its name.
    pub(super) fn tensor(
        &mut self,
        name: &str,
        kind: Kind,
        dims: &[usize],
        content: Content,
    ) -> String {
        if self.names.insert(name.into()) {
            self.plan.tensors.push(Planned {
                name: name.into(),
                kind,
                dims: dims.into(),
                content,
            });
        }
        name.into()
    }

    /// Adds a parameter as it is.
    pub(super) fn copy(&mut self, parameter: &str, dims: &[usize]) -> String {
        let content = Content::Copy(parameter.into());
        self.tensor(parameter, Kind::F32, dims, content)
    }

    /// Adds a list of whole numbers.
    pub(super) fn numbers(&mut self, numbers: &[i64]) -> String {
        let texts: Vec<String> = numbers.iter().map(i64::to_string).collect();
        let name = format!("numbers.{}", texts.join("."));
        let bytes = numbers.iter().flat_map(|number| number.to_le_bytes());
        let content = Content::Bytes(bytes.collect());
        self.tensor(&name, Kind::I64, &[numbers.len()], content)
    }

    /// Adds a node with one output and returns the name of that.
    pub(super) fn node(
        &mut self,
        operator: &str,
        inputs: &[&str],
        settings: &[(&str, Setting<'_>)],
    ) -> String {
        let output = self.fresh(operator);
        self.node_to(operator, inputs, &[&output], settings);
        output
    }

    /// Adds a node with the outputs named.
    pub(super) fn node_to(
        &mut self,
        operator: &str,
        inputs: &[&str],
        outputs: &[&str],
        settings: &[(&str, Setting<'_>)],
    ) {
        let mut node = message::node(operator, inputs, outputs, settings);
        if MICROSOFT.contains(&operator) {
            node.text(7, "com.microsoft");
        }
        self.plan.graph.message(1, &node);
    }

    /// Declares an input. A dimension is a number, or a name for one that varies.
    pub(super) fn input(&mut self, name: &str, kind: Kind, dims: &[&str]) {
        self.plan
            .graph
            .message(11, &message::value_info(name, kind, dims));
    }

    /// Declares an output.
    pub(super) fn output(&mut self, name: &str, dims: &[&str]) {
        self.plan
            .graph
            .message(12, &message::value_info(name, Kind::F32, dims));
    }

    /// A norm over the last axis.
    pub(super) fn norm(&mut self, input: &str, parameter: &str, width: usize) -> String {
        let weight = self.copy(&format!("{parameter}.weight"), &[width]);
        let bias = self.copy(&format!("{parameter}.bias"), &[width]);
        let settings = [
            ("axis", Setting::Last),
            ("epsilon", Setting::Float(EPSILON)),
        ];
        self.node("LayerNormalization", &[input, &weight, &bias], &settings)
    }

    /// Swaps axes.
    pub(super) fn turn(&mut self, input: &str, order: &[usize]) -> String {
        self.node("Transpose", &[input], &[("perm", Setting::Ints(order))])
    }

    /// Gives a tensor another shape; 0 keeps a size, -1 is what is left.
    pub(super) fn reshape(&mut self, input: &str, sizes: &[i64]) -> String {
        let sizes = self.numbers(sizes);
        self.node("Reshape", &[input, &sizes], &[])
    }

    /// Takes every `step`-th row from `first` to before `end`, counted from the back when negative.
    pub(super) fn rows(&mut self, input: &str, first: i64, end: i64, step: i64) -> String {
        let [first, end, axis, step] = [first, end, 1, step].map(|number| self.numbers(&[number]));
        self.node("Slice", &[input, &first, &end, &axis, &step], &[])
    }

    pub(super) fn fresh(&mut self, name: &str) -> String {
        self.count += 1;
        format!("{name}_{}", self.count)
    }
}
