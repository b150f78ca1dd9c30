"""A trained model as the start of another: its weights, its tokens, and room for new words.

In: a model folder (ONNX, int8 or fp32), a checkpoint (`.safetensors`) with its tokenizer.json, or
several runs, whose mean is better than each where they went different ways.
Out: a network whose known tokens mean what they meant, and whose new tokens mean nothing yet.
The int8 weights are multiplied out; what int8 cost, training wins back.
"""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import onnx
import safetensors.torch
import torch
from onnx import numpy_helper

from .shares import mean_of
from .tokens import SPECIAL, Tokens

_LINEAR = ("q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2")
_NEW_TOKEN_SCALE = 0.5


@dataclass
class Start:
    """Weights under the names of `Network`, and the tokenizer they were trained with."""

    weights: dict
    tokenizer: Path
    name: str
    whole: bool = False  # the sounds and all words are known already


def read_start(path, tokenizer=None):
    """Reads a model folder, or a checkpoint whose tokenizer lies beside it or is named."""
    path = Path(path)
    if path.is_dir():
        card = path / "card.json"
        known = json.loads(card.read_text(encoding="utf-8")) if card.exists() else {}
        name = f"its edition {known['edition']}" if "edition" in known else path.name
        return Start(_read_folder(path), Path(tokenizer or path / "tokenizer.json"), name)
    tokenizer = Path(tokenizer or path.with_name("tokenizer.json"))
    weights = safetensors.torch.load_file(path)
    return Start({k: v.float() for k, v in weights.items()}, tokenizer, path.stem)


def mean_of_runs(work, shares):
    """The mean of the weights of runs with one tokenizer; `shares` is {run or run/last: share}.

    Of a run the best weights count, or with `/last` the last ones.
    """
    total, parts, texts = sum(shares.values()), [], set()
    for name, share in shares.items():
        run, path = _weights_of(work, name)
        texts.add((run / "tokenizer.json").read_text(encoding="utf-8"))
        parts.append((torch.load(path), share))
    if len(texts) > 1:
        raise SystemExit(f"{', '.join(shares)}: a mean needs runs with one tokenizer")
    name = " + ".join(f"{share / total:.0%} {run}" for run, share in shares.items())
    return Start(mean_of(parts), run / "tokenizer.json", name, whole=True)


def _weights_of(work, name):
    """The folder of `RUN` or `RUN/last`, and its weights; the last ones may be the best ones."""
    run, _, which = name.partition("/")
    folder = Path(work) / run
    best, last = folder / "best.pt", folder / "last.pt"
    if which not in ("", "last") or not best.exists():
        raise SystemExit(f"{name}: no trained run; write RUN or RUN/last of those in {work}")
    return folder, last if which and last.exists() else best


def write_mean(work, shares, folder):
    """Writes the mean of runs as a run of its own, which `export` and `card` take."""
    if folder.exists():
        raise SystemExit(f"{folder} is there already: give the mean a name of its own")
    start, parts = mean_of_runs(work, shares), {}
    for run in dict.fromkeys(name.partition("/")[0] for name in shares):
        facts = torch.load(Path(work) / run / "state.pt", weights_only=False)["facts"]
        parts.update(facts.get("parts") or {run: facts})
    folder.mkdir(parents=True)
    shutil.copyfile(start.tokenizer, folder / "tokenizer.json")
    torch.save(start.weights, folder / "best.pt")
    torch.save({"network": start.weights, "facts": {"mean": start.name, "parts": parts}},
               folder / "state.pt")
    return start.name


def write_checkpoint(weights, path):
    """Writes weights as fp16 safetensors; tied tensors are written once."""
    kept = {k: v.half().contiguous() for k, v in weights.items() if "proj_out" not in k}
    safetensors.torch.save_file(kept, path)


def _read_folder(folder):
    found = {}
    for name, value in _tensors(folder / "encoder_model.onnx", layers_by_order=True).items():
        found["whisper.model." + name] = value
    for name, value in _tensors(folder / "decoder_model_merged.onnx").items():
        found["whisper." + name] = value
    return found


def _graphs(graph):
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                yield from _graphs(attribute.g)


def _tensors(path, layers_by_order=False):
    """Named tensors of one file, and the weight of every linear layer by the name of its node.

    The nodes of the encoder tell only which kind of layer they are; they come in order.
    """
    model = onnx.load(path)
    raw, out, counts = {}, {}, {}
    graphs = list(_graphs(model.graph))
    for graph in graphs:
        for tensor in graph.initializer:
            raw[tensor.name] = numpy_helper.to_array(tensor)
    for name, value in raw.items():
        if value.dtype == "float32" and name.startswith(("encoder.", "model.")):
            out[name.partition("_merged_")[0]] = torch.from_numpy(value.copy())
    for node in (node for graph in graphs for node in graph.node):
        kind = node.name.removesuffix("_quant").removesuffix("/MatMul").rpartition("/")[2]
        kind = next((known for known in _LINEAR if kind.startswith(known)), None)
        if kind is None or not node.op_type.startswith("MatMul") or node.input[1] not in raw:
            continue
        weight = torch.from_numpy(_multiplied_out(raw, node.input[1]).T.copy())
        if layers_by_order:
            layer = counts[kind] = counts.get(kind, -1) + 1
            part = kind if kind.startswith("fc") else "self_attn." + kind
            out[f"encoder.layers.{layer}.{part}.weight"] = weight
        else:
            where = node.name.strip("/").split("/MatMul")[0].replace("/", ".")
            out[where + ".weight"] = weight
    return out


def _multiplied_out(raw, name):
    if not name.endswith("_quantized"):
        return raw[name]
    scale = raw[name.replace("_quantized", "_scale")]
    zero = raw[name.replace("_quantized", "_zero_point")]
    return (raw[name].astype("float32") - zero.astype("float32")) * scale


@torch.no_grad()
def carry_over(network, tokens, start):
    """Puts the weights of `start` into `network`; raises when a weight is missing."""
    state = network.state_dict()
    embedding = "whisper.model.decoder.embed_tokens.weight"
    old = Tokens(start.tokenizer)
    for name, value in state.items():
        if name == embedding or "proj_out" in name:
            continue
        if name not in start.weights:
            assert name.startswith("sounds."), f"the model to start from has no {name}"
            continue
        value.copy_(start.weights[name])
    rows = start.weights[embedding]
    new = state[embedding]
    new.copy_(torch.randn_like(new) * rows.std() * _NEW_TOKEN_SCALE + rows.mean(0))
    for text, number in old.tokenizer.get_vocab().items():
        new[tokens.tokenizer.token_to_id(text)] = rows[number]
    assert all(tokens.tokenizer.token_to_id(name) is not None for name in SPECIAL)
