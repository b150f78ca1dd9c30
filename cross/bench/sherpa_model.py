"""Writes a model folder of sherpa-onnx: an encoder that gives every cross key and value, a decoder
with caches of full length, metadata, int8 linear layers, and tokens.txt.

In: the checkpoint, gpt2.tiktoken. Out: encoder.onnx, decoder.onnx, tokens.txt. The inputs, outputs
and metadata are those that sherpa-onnx 2.0 reads. Needs torch.

    python sherpa_model.py CHECKPOINT TIKTOKEN OUT
"""

import sys
import warnings
from pathlib import Path

import onnx
import torch
from onnxruntime.quantization import QuantType, quantize_dynamic
from safetensors.torch import load_file
from torch.nn import functional as f

import vocabulary as v
import weights as w

HEAD = w.WIDTH // w.HEADS


def is_linear(name):
    """Whether it is the matrix of a linear layer."""
    return name.endswith(("_proj.weight", "fc1.weight", "fc2.weight"))


class Layers(torch.nn.Module):
    """The layers of one side, by the checkpoint's names."""

    def __init__(self, tensors):
        super().__init__()
        # Matrices of layers lie as the quantizer wants them: constant, and second in the product.
        turned = {name: tensor.T.contiguous() if is_linear(name) else tensor
                  for name, tensor in tensors.items() if f"model.{self.SIDE}" in name
                  or "encoder_attn.k" in name or "encoder_attn.v" in name}
        for name, tensor in turned.items():
            self.register_parameter(name.replace(".", "/"), torch.nn.Parameter(tensor))

    @property
    def t(self):
        return {name.replace("/", "."): value for name, value in self.named_parameters()}

    def linear(self, x, name):
        y = x @ self.t[name + ".weight"]
        return y + self.t[name + ".bias"] if name + ".bias" in self.t else y

    def norm(self, x, name):
        return f.layer_norm(x, (w.WIDTH,), self.t[name + ".weight"], self.t[name + ".bias"])

    def attend(self, name, q, k, v, mask=None):
        split = lambda x: x.view(x.shape[0], x.shape[1], w.HEADS, HEAD).transpose(1, 2)
        scores = (split(q) * HEAD ** -0.25) @ (split(k) * HEAD ** -0.25).transpose(2, 3)
        scores = scores if mask is None else scores + mask
        mixed = (scores.softmax(-1) @ split(v)).transpose(1, 2).flatten(2)
        return self.linear(mixed, f"{name}.out_proj")

    def feed(self, x, name):
        y = self.linear(self.norm(x, f"{name}.final_layer_norm"), f"{name}.fc1")
        return x + self.linear(f.gelu(y), f"{name}.fc2")


class Encoder(Layers):
    SIDE = "encoder"

    def forward(self, mel):
        e, d, t = "model.encoder", "model.decoder", self.t
        x = f.gelu(f.conv1d(mel, t[f"{e}.conv1.weight"], t[f"{e}.conv1.bias"], padding=1))
        x = f.conv1d(x, t[f"{e}.conv2.weight"], t[f"{e}.conv2.bias"], stride=2, padding=1)
        x = f.gelu(x).transpose(1, 2)
        x = x + t[f"{e}.embed_positions.weight"][:x.shape[1]]
        for i in range(w.LAYERS):
            name = f"{e}.layers.{i}"
            y = self.norm(x, f"{name}.self_attn_layer_norm")
            q, k, v_ = (self.linear(y, f"{name}.self_attn.{p}_proj") for p in "qkv")
            x = self.feed(x + self.attend(f"{name}.self_attn", q, k, v_), name)
        x = self.norm(x, f"{e}.layer_norm")
        cross = lambda part: torch.stack([
            self.linear(x, f"{d}.layers.{i}.encoder_attn.{part}_proj") for i in range(w.LAYERS)])
        return cross("k"), cross("v")


class Decoder(Layers):
    SIDE = "decoder"

    def forward(self, tokens, self_k, self_v, cross_k, cross_v, offset):
        d, t = "model.decoder", self.t
        count = tokens.shape[1]
        end = offset[0] + count
        embedding = t[f"{d}.embed_tokens.weight"]
        x = embedding[tokens] + t[f"{d}.embed_positions.weight"][offset[0]:end]
        mask = torch.full((count, count), float("-inf")).triu(1)
        mask = torch.cat([torch.zeros(count, offset[0]), mask], 1)
        keys, values = self_k.clone(), self_v.clone()
        for i in range(w.LAYERS):
            name = f"{d}.layers.{i}"
            y = self.norm(x, f"{name}.self_attn_layer_norm")
            q, k, v_ = (self.linear(y, f"{name}.self_attn.{p}_proj") for p in "qkv")
            keys[i, :, offset[0]:end], values[i, :, offset[0]:end] = k, v_
            x = x + self.attend(
                f"{name}.self_attn", q, keys[i, :, :end], values[i, :, :end], mask)
            y = self.norm(x, f"{name}.encoder_attn_layer_norm")
            q = self.linear(y, f"{name}.encoder_attn.q_proj")
            x = x + self.attend(f"{name}.encoder_attn", q, cross_k[i], cross_v[i])
            x = self.feed(x, name)
        x = self.norm(x, f"{d}.layer_norm")
        # The weight on the left: a MatMul that int8 quantization takes, as in the stock export.
        return (embedding @ x.transpose(1, 2)).transpose(1, 2), keys, values


def metadata():
    """What sherpa-onnx reads from the encoder's metadata."""
    return {
        "model_type": "whisper-tiny.en", "version": "1", "maintainer": "k2-fsa",
        "n_mels": w.BINS, "n_audio_ctx": w.AUDIO_POSITIONS, "n_audio_state": w.WIDTH,
        "n_audio_head": w.HEADS, "n_audio_layer": w.LAYERS, "n_vocab": v.SIZE,
        "n_text_ctx": w.TEXT_POSITIONS, "n_text_state": w.WIDTH, "n_text_head": w.HEADS,
        "n_text_layer": w.LAYERS, "sot_sequence": str(v.START), "sot": v.START, "sot_index": 0,
        "eot": v.END, "blank_id": 220, "is_multilingual": 0, "no_speech": v.NO_SPEECH,
        "non_speech_tokens": "1,2", "transcribe": v.TRANSCRIBE, "translate": v.TRANSLATE,
        "sot_prev": v.START_PREVIOUS, "sot_lm": v.START_LM, "no_timestamps": v.NO_TIMESTAMPS,
        "all_language_tokens": str(v.START + 1), "all_language_codes": "en",
    }


def export(module, inputs, path, names, outputs, axes):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module, inputs, str(path), opset_version=17, input_names=names, output_names=outputs,
            dynamic_axes=axes, dynamo=False)


@torch.no_grad()
def main(checkpoint, tiktoken, out):
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    tensors = load_file(Path(checkpoint) / "model.safetensors")
    mel = torch.zeros(1, w.BINS, 400)
    cross_k, cross_v = Encoder(tensors)(mel)
    plain = {side: out / f"{side}-fp32.onnx" for side in ("encoder", "decoder")}
    names = ["n_layer_cross_k", "n_layer_cross_v"]
    export(Encoder(tensors), (mel,), plain["encoder"], ["mel"], names,
           {"mel": {0: "n_audio", 2: "T"}, names[0]: {1: "n_audio", 2: "T"},
            names[1]: {1: "n_audio", 2: "T"}})
    cache = torch.zeros(w.LAYERS, 1, w.TEXT_POSITIONS, w.WIDTH)
    tokens = torch.tensor([[v.START, v.NO_TIMESTAMPS, 1000]])
    inputs = ["tokens", "in_n_layer_self_k_cache", "in_n_layer_self_v_cache", *names, "offset"]
    export(Decoder(tensors), (tokens, cache, cache, cross_k, cross_v, torch.tensor([2])),
           plain["decoder"], inputs,
           ["logits", "out_n_layer_self_k_cache", "out_n_layer_self_v_cache"],
           {"tokens": {0: "n_audio", 1: "n_tokens"}, inputs[1]: {1: "n_audio"},
            inputs[2]: {1: "n_audio"}, names[0]: {1: "n_audio", 2: "T"},
            names[1]: {1: "n_audio", 2: "T"}})
    model = onnx.load(str(plain["encoder"]))
    for key, value in metadata().items():
        model.metadata_props.add(key=key, value=str(value))
    onnx.save(model, str(plain["encoder"]))
    for side, path in plain.items():
        quantize_dynamic(str(path), str(out / f"{side}.onnx"), op_types_to_quantize=["MatMul"],
                         weight_type=QuantType.QInt8)
        path.unlink()
    lines = Path(tiktoken).read_text(encoding="ascii").splitlines()
    (out / "tokens.txt").write_text("".join(f"{line}\n" for line in lines if line))


if __name__ == "__main__":
    main(*sys.argv[1:])
