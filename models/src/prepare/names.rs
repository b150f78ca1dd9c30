//! What the names in a stock export tell.
//!
//! Flow: name of a node or tensor -> module or parameter, as Hugging Face calls it. Pure.

/// Where the name of a module begins, behind whatever an exporter puts before it.
const ROOTS: [&str; 7] = [
    "layers",
    "conv1",
    "conv2",
    "embed_tokens",
    "embed_positions",
    "layer_norm",
    "proj_out",
];
/// Modules that are matrices.
const LINEAR: [&str; 7] = [
    "q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2", "proj_out",
];
/// Returns true for a module that is a matrix.
pub(super) fn is_linear(module: &str) -> bool {
    let last = module.rsplit('.').next().unwrap_or_default();
    LINEAR.contains(&last)
}

/// Returns the module of a node: `/model/decoder/layers.0/fc1/MatMul` is `layers.0.fc1`.
pub(super) fn module(node: &str) -> Option<String> {
    let (path, _) = node.rsplit_once('/')?;
    from_root(&path.replace('/', "."))
}

/// Returns the parameter that a tensor's name tells: `model.encoder.conv1.bias` is `conv1.bias`.
pub(super) fn parameter(tensor: &str) -> Option<String> {
    let name = match tensor.rsplit_once("_merged_") {
        Some((name, number)) if number.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => tensor,
    };
    from_root(name).filter(|name| name.ends_with(".weight") || name.ends_with(".bias"))
}

/// Cuts off what is before the first root.
fn from_root(path: &str) -> Option<String> {
    let starts = path.match_indices('.').map(|(at, _)| at + 1);
    [0].into_iter()
        .chain(starts)
        .map(|at| &path[at..])
        .find_map(|rest| {
            let first = rest.split('.').next().unwrap_or_default();
            ROOTS.contains(&first).then(|| rest.to_owned())
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_any_exporter_tell_the_same_module() {
        let check = |node: &str, expected: Option<&str>| {
            assert_eq!(module(node).as_deref(), expected, "{node}");
        };
        check("/model/decoder/layers.0/fc1/MatMul", Some("layers.0.fc1"));
        check(
            "/layers.3/self_attn/q_proj/MatMul_quant",
            Some("layers.3.self_attn.q_proj"),
        );
        check("/conv1/Conv", Some("conv1"));
        check("/proj_out/MatMul", Some("proj_out"));
        check(
            "/model/encoder/layer_norm/LayerNormalization",
            Some("layer_norm"),
        );
        check("MatMul_123", None);
        check("/model/decoder/Gather", None);
    }

    #[test]
    fn names_of_tensors_tell_the_parameter() {
        let check = |tensor: &str, expected: Option<&str>| {
            assert_eq!(parameter(tensor).as_deref(), expected, "{tensor}");
        };
        check(
            "model.decoder.embed_tokens.weight_merged_0",
            Some("embed_tokens.weight"),
        );
        check("layers.1.fc2.bias", Some("layers.1.fc2.bias"));
        check("encoder.layers.1.fc2.bias", Some("layers.1.fc2.bias"));
        check("model.decoder.embed_tokens.weight_transposed", None);
        check("onnx::MatMul_505_merged_0", None);
    }
}
