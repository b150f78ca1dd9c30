"""Writes a model folder of CTranslate2, by its public specification classes.

In: the checkpoint. Out: model.bin, config.json, vocabulary.json, tokenizer.json,
preprocessor_config.json. It is saved in float32 and quantized when it is loaded, or with `int8`
quantized now.

    python ctranslate.py CHECKPOINT OUT [QUANTIZATION]
"""

import itertools
import json
import shutil
import sys
from pathlib import Path

from ctranslate2.converters import utils
from ctranslate2.specs import common_spec, whisper_spec
from safetensors.numpy import load_file

import vocabulary as v
import weights as w


class Filler:
    """Copies tensors by name into the parts of a specification."""

    def __init__(self, tensors):
        self.tensors = tensors

    def copy(self, spec, name):
        spec.weight = self.tensors[name + ".weight"]
        bias = self.tensors.get(name + ".bias")
        if bias is not None:
            spec.bias = bias

    def norm(self, spec, name):
        spec.gamma = self.tensors[name + ".weight"]
        spec.beta = self.tensors[name + ".bias"]

    def attention(self, spec, name, fused):
        """`fused` is how many of query, key and value are one matrix, from the front and back."""
        linears = [common_spec.LinearSpec() for _ in range(3)]
        for linear, part in zip(linears, ("q_proj", "k_proj", "v_proj")):
            self.copy(linear, f"{name}.{part}")
        at = 0
        for place, count in enumerate(fused):
            utils.fuse_linear(spec.linear[place], linears[at:at + count])
            at += count
        self.copy(spec.linear[-1], f"{name}.out_proj")
        self.norm(spec.layer_norm, f"{name}_layer_norm")

    def side(self, spec, side):
        name = f"model.{side}"
        spec.position_encodings.encodings = self.tensors[f"{name}.embed_positions.weight"]
        self.norm(spec.layer_norm, f"{name}.layer_norm")
        for i, layer in enumerate(spec.layer):
            here = f"{name}.layers.{i}"
            self.attention(layer.self_attention, f"{here}.self_attn", (3,))
            if side == "decoder":
                self.attention(layer.attention, f"{here}.encoder_attn", (1, 2))
            self.norm(layer.ffn.layer_norm, f"{here}.final_layer_norm")
            self.copy(layer.ffn.linear_0, f"{here}.fc1")
            self.copy(layer.ffn.linear_1, f"{here}.fc2")


def main(checkpoint, out, quantization=None):
    checkpoint, out = Path(checkpoint), Path(out)
    out.mkdir(parents=True, exist_ok=True)
    filler = Filler(load_file(checkpoint / "model.safetensors"))
    spec = whisper_spec.WhisperSpec(w.LAYERS, w.HEADS, w.LAYERS, w.HEADS)
    filler.copy(spec.encoder.conv1, "model.encoder.conv1")
    filler.copy(spec.encoder.conv2, "model.encoder.conv2")
    filler.side(spec.encoder, "encoder")
    filler.side(spec.decoder, "decoder")
    filler.copy(spec.decoder.embeddings, "model.decoder.embed_tokens")
    filler.copy(spec.decoder.projection, "model.decoder.embed_tokens")
    generation = json.loads((checkpoint / "generation_config.json").read_text(encoding="utf-8"))
    spec.config.suppress_ids = generation["suppress_tokens"]
    spec.config.suppress_ids_begin = generation["begin_suppress_tokens"]
    spec.config.lang_ids = list(range(v.START + 1, v.TRANSLATE))
    spec.config.alignment_heads = list(
        itertools.product(range(w.LAYERS // 2, w.LAYERS), range(w.HEADS)))
    tokenizer = json.loads((checkpoint / "tokenizer.json").read_text(encoding="utf-8"))
    words = sorted(tokenizer["model"]["vocab"], key=tokenizer["model"]["vocab"].get)
    spec.register_vocabulary(words + v.special_tokens())
    spec.validate()
    spec.optimize(quantization=quantization)
    spec.save(str(out))
    for name in ("tokenizer.json", "preprocessor_config.json"):
        shutil.copyfile(checkpoint / name, out / name)


if __name__ == "__main__":
    main(*sys.argv[1:])
