//! Products with matrices: in int8, in 4 bits for the head, or in fp32.
//!
//! Flow: [`Linear`] -> nodes and planned tensors of a [`Builder`]. On the thread that prepares a
//! model.

use super::{
    Head,
    graph::{Builder, Content},
    tensor::Kind,
    weights::EMBEDDING,
};
use crate::onnx::message::Setting;

/// The block of a 4-bit matrix: this many weights share one scale.
pub(super) const BLOCK: usize = 128;

/// A matrix, or its bias, as part of a wider one.
#[derive(Clone, Debug)]
pub(super) struct Part {
    /// `encoder.layers.0.fc1.weight`. A vector that is not in the export is zeros.
    pub(super) parameter: String,
    /// Outputs of the matrix.
    pub(super) outputs: usize,
    /// Where its outputs go.
    pub(super) outputs_at: Place,
    /// Where its inputs go.
    pub(super) inputs_at: Place,
    /// What each value is multiplied by.
    pub(super) factor: f32,
}

impl Part {
    /// Takes the matrix of a module as it is.
    pub(super) fn new(module: &str, outputs: usize) -> Self {
        Self {
            parameter: format!("{module}.weight"),
            outputs,
            outputs_at: Place::Same,
            inputs_at: Place::Same,
            factor: 1.0,
        }
    }

    /// Returns how many outputs it has where it goes.
    pub(super) fn places(&self) -> usize {
        match self.outputs_at {
            Place::Heads { from, to } => self.outputs / from * to,
            Place::Same | Place::Taps { .. } => self.outputs,
        }
    }
}

/// Where the rows or columns of a matrix go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Where they are.
    Same,
    /// Heads of one size go into places of a larger one, filled up with zeros.
    Heads { from: usize, to: usize },
    /// Inputs of a convolution with their taps become taps with all their inputs.
    Taps { inputs: usize, taps: usize },
}

impl Place {
    /// Returns where an index goes.
    pub(super) fn of(self, index: usize) -> usize {
        match self {
            Self::Same => index,
            Self::Heads { from, to } => index / from * to + index % from,
            Self::Taps { inputs, taps } => index % taps * inputs + index / taps,
        }
    }
}

/// A product with a matrix.
pub(super) struct Linear<'a> {
    /// The name of its tensors in the file.
    pub(super) name: &'a str,
    pub(super) inputs: usize,
    pub(super) parts: Vec<Part>,
    /// The parts have biases.
    pub(super) has_bias: bool,
    /// It stays in fp32.
    pub(super) is_exact: bool,
}

impl Linear<'_> {
    fn outputs(&self) -> usize {
        self.parts.iter().map(Part::places).sum()
    }

    fn dims(&self) -> [usize; 2] {
        [self.inputs, self.outputs()]
    }
}

impl Builder {
    /// A product with a matrix, and its bias.
    pub(super) fn linear(&mut self, input: &str, linear: &Linear<'_>) -> String {
        let output = self.fresh(linear.name);
        let bias = self.bias(linear);
        if linear.is_exact || self.is_fp32() {
            let name = format!("{}_w", linear.name);
            let content = Content::Matrix(linear.parts.clone());
            let matrix = self.tensor(&name, Kind::F32, &linear.dims(), content);
            let Some(bias) = bias else {
                self.node_to("MatMul", &[input, &matrix], &[&output], &[]);
                return output;
            };
            let product = self.node("MatMul", &[input, &matrix], &[]);
            self.node_to("Add", &[&product, &bias], &[&output], &[]);
            return output;
        }
        let name = format!("{}_q", linear.name);
        let content = Content::Columns(linear.parts.clone());
        let matrix = self.tensor(&name, Kind::I8, &linear.dims(), content);
        let scale = self.scales(&format!("{}_s", linear.name), &[linear.outputs()]);
        let bias = bias.unwrap_or_default();
        self.int8_product(input, &matrix, &scale, &bias, &output);
        output
    }

    /// The matrix that makes logits: the embedding, turned.
    pub(super) fn head(&mut self, input: &str, [outputs, inputs]: [usize; 2]) {
        const OUTPUT: &str = "logits";
        if self.is_fp32() {
            // As it lies in the export: ONNX Runtime turns it when it loads.
            let matrix = self.copy(EMBEDDING, &[outputs, inputs]);
            let turned = self.turn(&matrix, &[1, 0]);
            self.node_to("MatMul", &[input, &turned], &[OUTPUT], &[]);
            return;
        }
        match self.options.head {
            Head::EightBit => {
                let module = EMBEDDING.strip_suffix(".weight").unwrap_or_default();
                let content = Content::Columns(vec![Part::new(module, outputs)]);
                let matrix = self.tensor("head_q", Kind::I8, &[inputs, outputs], content);
                let scale = self.scales("head_s", &[outputs]);
                self.int8_product(input, &matrix, &scale, "", OUTPUT);
            }
            Head::FourBit => {
                let blocks = inputs.div_ceil(BLOCK);
                let content = Content::Blocks(EMBEDDING.into());
                let dims = [outputs, blocks, BLOCK / 2];
                let matrix = self.tensor("head_nq", Kind::U8, &dims, content);
                let scale = self.scales("head_ns", &[outputs, blocks]);
                let settings = [
                    ("K", Setting::Int(inputs)),
                    ("N", Setting::Int(outputs)),
                    ("bits", Setting::Int(4)),
                    ("block_size", Setting::Int(BLOCK)),
                    ("accuracy_level", Setting::Int(4)),
                ];
                let inputs = [input, &matrix, &scale];
                self.node_to("MatMulNBits", &inputs, &[OUTPUT], &settings);
            }
        }
    }

    /// Adds the scales of the tensor that was just added.
    fn scales(&mut self, name: &str, dims: &[usize]) -> String {
        self.tensor(name, Kind::F32, dims, Content::Scales)
    }

    fn bias(&mut self, linear: &Linear<'_>) -> Option<String> {
        if !linear.has_bias {
            return None;
        }
        let mut parts = linear.parts.clone();
        for part in &mut parts {
            let module = part.parameter.strip_suffix("weight").unwrap_or_default();
            part.parameter = format!("{module}bias");
        }
        let name = format!("{}_b", linear.name);
        let dims = [linear.outputs()];
        Some(self.tensor(&name, Kind::F32, &dims, Content::Vector(parts)))
    }

    /// Quantizes an input that more than one product has, once for all of them.
    pub(super) fn share(&mut self, input: &str) {
        if self.is_fp32() {
            return;
        }
        let made = [(); 3].map(|()| self.fresh("quantized"));
        let outputs = made.each_ref().map(String::as_str);
        self.node_to("DynamicQuantizeLinear", &[input], &outputs, &[]);
        self.quantized.insert(input.into(), made);
    }

    /// A product of an input that is shared, or else one node that quantizes its input by itself:
    /// a single token gains by fewer nodes, a fourteenth of the decoder's time (tiny.en's shape,
    /// x86-64).
    fn int8_product(&mut self, input: &str, matrix: &str, scale: &str, bias: &str, output: &str) {
        let shared = self.quantized.get(input).cloned();
        let (operator, mut inputs) = match &shared {
            Some([value, value_scale, zero]) => {
                let inputs: Vec<&str> = vec![value, matrix, value_scale, scale, zero, ""];
                ("MatMulIntegerToFloat", inputs)
            }
            // The empty name is that of the matrix's zero points: there are none.
            None => ("DynamicQuantizeMatMul", vec![input, matrix, scale, ""]),
        };
        if !bias.is_empty() {
            inputs.push(bias);
        }
        self.node_to(operator, &inputs, &[output], &[]);
    }
}
