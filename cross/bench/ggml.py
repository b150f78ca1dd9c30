"""Writes a model file of whisper.cpp: f16, q8_0, q5_0 or q4_0.

In: the checkpoint, gpt2.tiktoken, mel_filters.npz of openai-whisper. Out: one file each kind.
Layout: magic, eleven numbers, mel filters, vocabulary, then the tensors; matrices of the layers and
the embedding are quantized in blocks of 32, convolutions are f16, all else is f32.

    python ggml.py CHECKPOINT TIKTOKEN FILTERS OUT KIND...
"""

import struct
import sys
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

import vocabulary as v
import weights as w

MAGIC, BLOCK, QUANTIZATION_VERSION = 0x67676D6C, 32, 2
# Kind: the file's number of it, the tensor's number of it.
KINDS = {"f16": (1, 1), "q4_0": (2, 2), "q5_0": (8, 6), "q8_0": (7, 8)}
F32, F16 = 0, 1

PARTS = {"q_proj": "query", "k_proj": "key", "v_proj": "value", "out_proj": "out"}
PIECES = {
    "self_attn_layer_norm": "attn_ln", "encoder_attn_layer_norm": "cross_attn_ln",
    "final_layer_norm": "mlp_ln", "fc1": "mlp.0", "fc2": "mlp.2", "self_attn": "attn",
    "encoder_attn": "cross_attn", "layers": "blocks", "embed_tokens": "token_embedding",
}


def name_there(name):
    """A name of the Hugging Face checkpoint in whisper.cpp's words."""
    name = name.removeprefix("model.")
    if "embed_positions" in name:
        return name.split(".")[0] + ".positional_embedding"
    if name.split(".")[1] == "layer_norm":
        final = {"encoder": "ln_post", "decoder": "ln"}[name.split(".")[0]]
        return name.replace("layer_norm", final)
    return ".".join(PIECES.get(part, PARTS.get(part, part)) for part in name.split("."))


def scales(extreme, steps):
    """The f16 scale of each block and its inverse in f32; 0 for a block of zeros."""
    scale = (extreme / steps).astype(np.float32)
    inverse = np.divide(1, scale, out=np.zeros_like(scale), where=scale != 0)
    return scale.astype(np.float16), inverse


def blocks(kind, tensor):
    """The bytes of a matrix in `kind`."""
    if kind == "f16":
        return tensor.astype(np.float16).tobytes()
    rows = tensor.astype(np.float32).reshape(-1, BLOCK)
    at = np.abs(rows).argmax(1)[:, None]
    extreme = np.take_along_axis(rows, at, 1)
    if kind == "q8_0":
        scale, inverse = scales(np.abs(extreme), 127)
        numbers = np.round(rows * inverse).astype(np.int8).view(np.uint8)
        return np.concatenate([scale.view(np.uint8), numbers], 1).tobytes()
    half = 8 if kind == "q4_0" else 16
    scale, inverse = scales(extreme, -half)
    numbers = np.clip(rows * inverse + half + 0.5, 0, 2 * half - 1).astype(np.uint8)
    low, high = numbers[:, :BLOCK // 2], numbers[:, BLOCK // 2:]
    nibbles = (low & 15) | ((high & 15) << 4)
    parts = [scale.view(np.uint8), nibbles]
    if kind == "q5_0":
        parts.insert(1, np.packbits(numbers >> 4, axis=1, bitorder="little"))
    return np.concatenate(parts, 1).tobytes()


def tensor_bytes(kind, name, tensor):
    """One tensor as it stands in the file."""
    if ".conv" in name and name.endswith("weight"):
        number, data = F16, tensor.astype(np.float16).tobytes()
    elif name.endswith("conv1.bias") or name.endswith("conv2.bias"):
        tensor = tensor[:, None]
        number, data = F32, tensor.tobytes()
    elif tensor.ndim == 2 and "embed_positions" not in name:
        number, data = KINDS[kind][1], blocks(kind, tensor)
    else:
        number, data = F32, tensor.astype(np.float32).tobytes()
    there = name_there(name).encode()
    head = struct.pack("<3i", tensor.ndim, len(there), number)
    return head + struct.pack(f"<{tensor.ndim}i", *reversed(tensor.shape)) + there + data


def main(checkpoint, tiktoken, filters, out, *kinds):
    tensors = load_file(Path(checkpoint) / "model.safetensors")
    tokens = v.read_tokens(Path(tiktoken))
    mel = np.load(filters)[f"mel_{w.BINS}"].astype(np.float32)
    for kind in kinds:
        number = KINDS[kind][0] + (0 if kind == "f16" else 1_000 * QUANTIZATION_VERSION)
        with open(Path(out) / f"ggml-{kind}.bin", "wb") as file:
            file.write(struct.pack(
                "<I11i", MAGIC, v.SIZE, w.AUDIO_POSITIONS, w.WIDTH, w.HEADS, w.LAYERS,
                w.TEXT_POSITIONS, w.WIDTH, w.HEADS, w.LAYERS, w.BINS, number))
            file.write(struct.pack("<2i", *mel.shape) + mel.tobytes())
            file.write(struct.pack("<i", len(tokens)))
            for token in tokens:
                file.write(struct.pack("<I", len(token)) + token)
            for name, tensor in tensors.items():
                file.write(tensor_bytes(kind, name, tensor))


if __name__ == "__main__":
    main(*sys.argv[1:])
