//! The parts of an ONNX file that a Whisper is found in.
//!
//! Flow: bytes -> [`Graph`]: nodes, and tensors by name with the place of their data, which is not
//! read here. On the thread that prepares a model, or loads one. Nothing is believed: see
//! [`protobuf`].
//!
//! Source: onnx.proto of ONNX 1.23 (field numbers).

use std::{collections::HashMap, ops::Range};

pub(crate) mod finite;
pub(crate) mod message;
pub(crate) mod protobuf;
pub(crate) mod tensor;

use self::{
    protobuf::{Broken, Bytes, Reader, Value},
    tensor::{Data, Kind, Tensor},
};

/// Graphs in graphs: a merged decoder has one level of branches.
const DEPTH_MAX: usize = 4;
/// Dimensions of a tensor.
const DIMS_MAX: usize = 8;

/// A graph.
#[derive(Debug, Default)]
pub(crate) struct Graph {
    pub(crate) nodes: Vec<Node>,
    /// Initializers by name.
    pub(crate) tensors: HashMap<String, Tensor>,
}

/// A node.
#[derive(Debug, Default)]
pub(crate) struct Node {
    pub(crate) operator: String,
    pub(crate) name: String,
    pub(crate) inputs: Vec<String>,
    pub(crate) outputs: Vec<String>,
    pub(crate) attributes: Vec<(String, Attribute)>,
}

/// An attribute of a kind that matters here.
#[derive(Debug)]
pub(crate) enum Attribute {
    Number(i64),
    Numbers(Vec<i64>),
    Float(f32),
    Tensor(Tensor),
    Graph(Graph),
}

impl Node {
    /// Returns the attribute of that name.
    pub(crate) fn attribute(&self, name: &str) -> Option<&Attribute> {
        let found = self.attributes.iter().find(|(found, _)| found == name);
        found.map(|(_, attribute)| attribute)
    }

    /// Returns the number of that name, or 0.
    pub(crate) fn number(&self, name: &str) -> i64 {
        match self.attribute(name) {
            Some(&Attribute::Number(number)) => number,
            _ => 0,
        }
    }
}

impl Graph {
    /// Returns the graphs of all branches.
    pub(crate) fn branches(&self) -> Vec<&Self> {
        let attributes = self.nodes.iter().flat_map(|node| &node.attributes);
        attributes
            .filter_map(|(_, attribute)| match attribute {
                Attribute::Graph(graph) => Some(graph),
                _ => None,
            })
            .collect()
    }

    /// Returns true when `is` says so of any node, also in branches.
    pub(crate) fn any(&self, is: &dyn Fn(&Node) -> bool) -> bool {
        self.nodes.iter().any(is) || self.branches().iter().any(|graph| graph.any(is))
    }
}

/// Reads the graph of an ONNX file. An error follows the file's name in a sentence.
pub(crate) fn read(bytes: &dyn Bytes) -> Result<Graph, Broken> {
    let mut reader = Reader::new(bytes)?;
    let mut rest = reader.whole();
    let mut graph = None;
    let mut has_version = false;
    while let Some((number, value)) = reader.field(&mut rest)? {
        match (number, value) {
            (1, Value::Number(_)) => has_version = true,
            (7, Value::Place(place)) => graph = Some(read_graph(&mut reader, place, 0)?),
            _ => {}
        }
    }
    match graph {
        Some(graph) if has_version && !graph.nodes.is_empty() => Ok(graph),
        _ => Err("holds no graph".into()),
    }
}

fn read_graph(
    reader: &mut Reader<'_>,
    mut rest: Range<u64>,
    depth: usize,
) -> Result<Graph, Broken> {
    if DEPTH_MAX <= depth {
        return Err("has graphs in graphs in graphs".into());
    }
    let mut graph = Graph::default();
    while let Some((number, value)) = reader.field(&mut rest)? {
        match (number, value) {
            (1, Value::Place(place)) => {
                graph.nodes.push(read_node(reader, place, depth)?);
            }
            (5, Value::Place(place)) => {
                let tensor = read_tensor(reader, place)?;
                graph.tensors.insert(tensor.name.clone(), tensor);
            }
            _ => {}
        }
    }
    Ok(graph)
}

fn read_node(reader: &mut Reader<'_>, mut rest: Range<u64>, depth: usize) -> Result<Node, Broken> {
    reader.charge(0)?;
    let mut node = Node::default();
    while let Some((number, value)) = reader.field(&mut rest)? {
        let Value::Place(place) = value else { continue };
        match number {
            1 => node.inputs.push(reader.text(place)?),
            2 => node.outputs.push(reader.text(place)?),
            3 => node.name = reader.text(place)?,
            4 => node.operator = reader.text(place)?,
            5 => node
                .attributes
                .extend(read_attribute(reader, place, depth)?),
            _ => {}
        }
    }
    Ok(node)
}

fn read_attribute(
    reader: &mut Reader<'_>,
    mut rest: Range<u64>,
    depth: usize,
) -> Result<Option<(String, Attribute)>, Broken> {
    let mut name = String::new();
    let mut found = None;
    let mut numbers = Vec::new();
    while let Some((number, value)) = reader.field(&mut rest)? {
        match (number, value) {
            (1, Value::Place(place)) => name = reader.text(place)?,
            (2, Value::Four(four)) => found = Some(Attribute::Float(f32::from_le_bytes(four))),
            (3, Value::Number(number)) => found = Some(Attribute::Number(number.cast_signed())),
            (5, Value::Place(place)) => {
                found = Some(Attribute::Tensor(read_tensor(reader, place)?));
            }
            (6, Value::Place(place)) => {
                found = Some(Attribute::Graph(read_graph(reader, place, depth + 1)?));
            }
            (8, value) => read_numbers(reader, value, &mut numbers)?,
            _ => {}
        }
    }
    if !numbers.is_empty() {
        found = Some(Attribute::Numbers(numbers));
    }
    Ok(found.map(|found| (name, found)))
}

/// Reads one number of a list, or all of them in packed form.
fn read_numbers(
    reader: &mut Reader<'_>,
    value: Value,
    numbers: &mut Vec<i64>,
) -> Result<(), Broken> {
    match value {
        Value::Number(number) => {
            reader.charge(0)?;
            numbers.push(number.cast_signed());
        }
        Value::Place(mut place) => {
            while !place.is_empty() {
                reader.charge(0)?;
                numbers.push(reader.number(&mut place)?.cast_signed());
            }
        }
        _ => {}
    }
    Ok(())
}

fn read_tensor(reader: &mut Reader<'_>, mut rest: Range<u64>) -> Result<Tensor, Broken> {
    reader.charge(0)?;
    let mut name = String::new();
    let mut dims = Vec::new();
    let mut kind = 0;
    let mut data = None;
    let mut outside = Outside::default();
    let mut is_outside = false;
    while let Some((number, value)) = reader.field(&mut rest)? {
        match (number, value) {
            (1, value) => read_numbers(reader, value, &mut dims)?,
            (2, Value::Number(number)) => kind = number,
            (4 | 9, Value::Place(place)) => data = Some(Data::Here(place)),
            // int32_data, and int64_data.
            (5 | 7, Value::Place(place)) => data = Some(Data::Numbers(place)),
            (4 | 5 | 7, _) => return Err("holds a tensor that is not packed".into()),
            (8, Value::Place(place)) => name = reader.text(place)?,
            (13, Value::Place(place)) => outside.read(reader, place)?,
            (14, Value::Number(number)) => is_outside = number == 1,
            _ => {}
        }
    }
    let sizes: Option<Vec<usize>> = dims.iter().map(|&dim| usize::try_from(dim).ok()).collect();
    let sizes = sizes.filter(|sizes| sizes.len() <= DIMS_MAX);
    let dims = sizes.ok_or_else(|| format!("holds a tensor {name} of a size that cannot be"))?;
    if is_outside {
        data = Some(outside.data());
    }
    let kind = Kind::new(kind);
    Tensor::new(name, kind, dims, data.unwrap_or(Data::Here(0..0)))
}

/// The entries that tell where data lies outside of the ONNX file.
#[derive(Default)]
struct Outside {
    location: String,
    offset: Option<u64>,
    length: Option<u64>,
}

impl Outside {
    fn read(&mut self, reader: &mut Reader<'_>, mut rest: Range<u64>) -> Result<(), Broken> {
        let mut key = String::new();
        let mut text = String::new();
        while let Some((number, value)) = reader.field(&mut rest)? {
            match (number, value) {
                (1, Value::Place(place)) => key = reader.text(place)?,
                (2, Value::Place(place)) => text = reader.text(place)?,
                _ => {}
            }
        }
        let number = || {
            let number = text.parse::<u64>();
            number.map_err(|_| format!("has outside data at {key} {text}"))
        };
        match key.as_str() {
            "location" => self.location = text,
            "offset" => self.offset = Some(number()?),
            "length" => self.length = Some(number()?),
            _ => {}
        }
        Ok(())
    }

    fn data(self) -> Data {
        Data::Outside {
            location: self.location,
            offset: self.offset.unwrap_or(0),
            length: self.length,
        }
    }
}
