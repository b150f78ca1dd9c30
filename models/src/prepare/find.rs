//! Finding Whisper's parameters in the graph of a stock export.
//!
//! Flow: nodes and tensors -> parameters by name. On the thread that prepares a model.
//!
//! Exporters keep the names of most tensors, but not of matrices (`onnx::MatMul_123`), and they let
//! tensors of equal content share one name. So the nodes are asked first: most are named by their
//! module (`/model/decoder/layers.0/fc1/MatMul`). Where they are not, a matrix is known by the bias
//! that is added behind it, a key matrix, which has none, by its neighbour. What is found must
//! still have the right shape; and the prepared graphs are compared with the export (`check`).

use std::collections::HashMap;

use super::{
    names::{is_linear, module, parameter},
    onnx::{Attribute, Graph, Node},
    tensor::Tensor,
    weights::Weight,
};

/// Parameters by names without side: `layers.0.fc1.weight`.
pub(super) type Found = HashMap<String, Weight>;

/// Nodes between an int8 product and its bias: a cast and a multiplication.
const HOPS_MAX: usize = 3;

/// Finds all parameters of the graph and one of its branches. `positions` is the shape of the table
/// of positions, which not every exporter names.
pub(super) fn find(graph: &Graph, branch: Option<&Graph>, positions: [usize; 2]) -> Found {
    let mut search = Search::new(graph, branch);
    search.by_nodes();
    search.keys_by_neighbours();
    search.by_names();
    search.by_shape("embed_positions.weight", positions);
    search.found
}

/// A value that does not depend on the input.
#[derive(Clone, Copy)]
struct Constant<'a> {
    tensor: &'a Tensor,
    transposed: bool,
}

/// A product with a constant matrix.
struct Product<'a> {
    index: usize,
    input: &'a str,
    module: Option<String>,
    weight: Weight,
    has_bias: bool,
}

struct Search<'a> {
    nodes: Vec<&'a Node>,
    constants: HashMap<&'a str, Constant<'a>>,
    /// The nodes that read a value.
    readers: HashMap<&'a str, Vec<usize>>,
    products: Vec<Product<'a>>,
    found: Found,
}

impl<'a> Search<'a> {
    fn new(graph: &'a Graph, branch: Option<&'a Graph>) -> Self {
        let graphs = || [Some(graph), branch].into_iter().flatten();
        let mut search = Self {
            nodes: graphs().flat_map(|graph| &graph.nodes).collect(),
            constants: HashMap::new(),
            readers: HashMap::new(),
            products: Vec::new(),
            found: Found::new(),
        };
        for (name, tensor) in graphs().flat_map(|graph| &graph.tensors) {
            search.add(name, tensor, false);
        }
        for index in 0..search.nodes.len() {
            let node = search.nodes[index];
            for input in &node.inputs {
                search.readers.entry(input).or_default().push(index);
            }
            search.add_result(node);
        }
        search
    }

    fn add(&mut self, name: &'a str, tensor: &'a Tensor, transposed: bool) {
        let constant = Constant { tensor, transposed };
        self.constants.insert(name, constant);
    }

    /// Adds the result of a node that only passes a constant on.
    fn add_result(&mut self, node: &'a Node) {
        let Some(output) = node.outputs.first() else {
            return;
        };
        let input = node.inputs.first().and_then(|input| self.constant(input));
        match (node.operator.as_str(), input) {
            ("Constant", _) => {
                if let Some(Attribute::Tensor(tensor)) = node.attribute("value") {
                    self.add(output, tensor, false);
                }
            }
            ("Identity" | "Cast", Some(input)) => self.add(output, input.tensor, input.transposed),
            ("Transpose", Some(input)) if input.tensor.dims.len() == 2 => {
                let swaps = match node.attribute("perm") {
                    Some(Attribute::Numbers(order)) => *order == [1, 0],
                    _ => true,
                };
                self.add(output, input.tensor, input.transposed ^ swaps);
            }
            _ => {}
        }
    }

    fn constant(&self, name: &str) -> Option<Constant<'a>> {
        self.constants.get(name).copied()
    }

    /// Returns the constant among the inputs of an addition or multiplication, if it is a vector.
    fn vector(&self, node: &Node) -> Option<(&'a str, Constant<'a>)> {
        let found = node
            .inputs
            .iter()
            .find_map(|input| self.constants.get_key_value(input.as_str()));
        found
            .map(|(name, constant)| (*name, *constant))
            .filter(|(_, constant)| matches!(constant.tensor.dims[..], [2_usize..=usize::MAX]))
    }

    fn keep(&mut self, name: String, weight: Weight) {
        self.found.entry(name).or_insert(weight);
    }

    fn by_nodes(&mut self) {
        for index in 0..self.nodes.len() {
            let node = self.nodes[index];
            let module = module(&node.name).unwrap_or_default();
            match node.operator.as_str() {
                "MatMul" | "MatMulInteger" | "Gemm" => self.product(index),
                "Conv" if module.starts_with("conv") => self.inputs(node, &module, 1),
                "LayerNormalization" if module.ends_with("layer_norm") => {
                    self.inputs(node, &module, 1);
                }
                // The same, taken apart by older exporters.
                "Mul" | "Add" if module.ends_with("layer_norm") => {
                    let part = if node.operator == "Mul" {
                        "weight"
                    } else {
                        "bias"
                    };
                    if let Some((_, constant)) = self.vector(node) {
                        self.keep(format!("{module}.{part}"), constant.weight());
                    }
                }
                "Gather" if module.starts_with("embed_") => self.inputs(node, &module, 0),
                _ => {}
            }
        }
    }

    /// Keeps the inputs from `first` on as weight and bias of the module.
    fn inputs(&mut self, node: &Node, module: &str, first: usize) {
        for (part, input) in ["weight", "bias"]
            .iter()
            .zip(node.inputs.iter().skip(first))
        {
            if let Some(constant) = self.constant(input) {
                self.keep(format!("{module}.{part}"), constant.weight());
            }
        }
    }

    fn product(&mut self, index: usize) {
        let node = self.nodes[index];
        let [input, matrix, ..] = node.inputs.as_slice() else {
            return;
        };
        let is_plain = node.number("transA") == 0
            && ["alpha", "beta"]
                .iter()
                .all(|name| match node.attribute(name) {
                    Some(&Attribute::Float(factor)) => (factor - 1.0).abs() < f32::EPSILON,
                    _ => true,
                });
        let Some(constant) = self.constant(matrix) else {
            return;
        };
        if !is_plain || self.constant(input).is_some() || constant.tensor.dims.len() != 2 {
            return;
        }
        let mut weight = constant.weight();
        // A product's matrix is [inputs, outputs], unless something turns it.
        weight.transposed = !(constant.transposed ^ (node.number("transB") == 1));
        if node.operator == "MatMulInteger" {
            weight.quantized = self.scale(matrix, node);
            if weight.quantized.is_none() {
                return;
            }
        }
        let bias = self.bias(node);
        let by_bias =
            bias.and_then(|(name, _)| parameter(name)?.strip_suffix(".bias").map(Into::into));
        let by_matrix =
            parameter(matrix).and_then(|name| name.strip_suffix(".weight").map(Into::into));
        let module = module(&node.name).filter(|module| is_linear(module));
        let module = module.or(by_bias).or(by_matrix);
        if let Some(module) = &module {
            self.keep(format!("{module}.weight"), weight.clone());
            if let Some((_, bias)) = bias {
                self.keep(format!("{module}.bias"), bias.weight());
            }
        }
        self.products.push(Product {
            index,
            input,
            module,
            weight,
            has_bias: bias.is_some(),
        });
    }

    /// Returns what is added to a product.
    fn bias(&self, node: &'a Node) -> Option<(&'a str, Constant<'a>)> {
        if node.operator == "Gemm" {
            let bias = node.inputs.get(2)?;
            return Some((bias, self.constant(bias)?));
        }
        let mut value = node.outputs.first()?;
        for _ in 0..HOPS_MAX {
            let readers = self.readers.get(value.as_str())?;
            let next = |operators: &[&str]| {
                let nodes = readers.iter().map(|&index| self.nodes[index]);
                let mut fitting = nodes.filter(|node| operators.contains(&node.operator.as_str()));
                fitting.next()
            };
            if let Some(add) = next(&["Add"]) {
                return self.vector(add);
            }
            if node.operator != "MatMulInteger" {
                return None;
            }
            value = next(&["Cast", "Mul"])?.outputs.first()?;
        }
        None
    }

    /// Returns scale and zero point of an int8 matrix, as ONNX Runtime's quantizer names them.
    fn scale(&self, matrix: &str, node: &Node) -> Option<(Tensor, Option<Tensor>)> {
        let scale = format!("{}_scale", matrix.strip_suffix("_quantized")?);
        let zero = node.inputs.get(3).and_then(|zero| self.constant(zero));
        let scale = self.constant(&scale)?.tensor.clone();
        Some((scale, zero.map(|zero| zero.tensor.clone())))
    }

    /// A key matrix has no bias to be known by, but the same input as the value matrix beside it.
    fn keys_by_neighbours(&mut self) {
        let mut keys = Vec::new();
        for value in &self.products {
            let module = value
                .module
                .as_deref()
                .and_then(|module| module.strip_suffix("v_proj"));
            let Some(module) = module else { continue };
            let is_key = |key: &&Product<'_>| {
                key.module.is_none() && !key.has_bias && key.input == value.input
            };
            let candidates = self.products.iter().filter(is_key);
            if let Some(key) = candidates.min_by_key(|key| key.index.abs_diff(value.index)) {
                keys.push((format!("{module}k_proj.weight"), key.weight.clone()));
            }
        }
        for (name, weight) in keys {
            self.keep(name, weight);
        }
    }

    fn by_names(&mut self) {
        let named: Vec<_> = self
            .constants
            .iter()
            .filter_map(|(name, constant)| Some((parameter(name)?, constant.weight())))
            .collect();
        for (name, weight) in named {
            self.keep(name, weight);
        }
    }

    /// The only constant of that shape, when nothing else has the name.
    fn by_shape(&mut self, name: &str, shape: [usize; 2]) {
        if self.found.contains_key(name) {
            return;
        }
        let fits = |constant: &&Constant<'_>| {
            let dims = constant.tensor.dims.as_slice();
            !constant.transposed && (dims == shape || dims == [1, shape[0], shape[1]])
        };
        let mut fitting: Vec<_> = self.constants.values().filter(fits).collect();
        fitting.sort_by_key(|constant| &constant.tensor.name);
        fitting.dedup_by_key(|constant| &constant.tensor.name);
        if let [only] = fitting.as_slice() {
            let weight = only.weight();
            self.keep(name.into(), weight);
        }
    }
}

impl Constant<'_> {
    fn weight(&self) -> Weight {
        Weight {
            tensor: self.tensor.clone(),
            transposed: self.transposed,
            quantized: None,
        }
    }
}
