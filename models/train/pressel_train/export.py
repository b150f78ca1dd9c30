"""Writes the model folder: ONNX files in int8 with optimum's interface, and the JSON files.

In: trained weights. Out: config.json, generation_config.json, preprocessor_config.json,
pressel.json, tokenizer.json, encoder_model.onnx, decoder_model_merged.onnx; and a copy in fp32
elsewhere, which tells what the int8 weights cost.
"""

import json
import shutil
import warnings
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from onnxruntime.quantization import QuantType, quantize_dynamic
from transformers import PreTrainedTokenizerFast

from .network import UNKNOWN_BELOW, Network, whisper_config
from .tokens import TIMESTAMP_S, Tokens

OPSET = 18
CANARY = "turn on the kitchen light"


class _Encoder(torch.nn.Module):
    """The encoder with a window of any length, under the module names of transformers."""

    def __init__(self, network):
        super().__init__()
        self.encoder = network.whisper.model.encoder
        self.run = network.encode

    def forward(self, input_features):
        return self.run(input_features)


def load_network(config, weights, tokenizer):
    """The network of nano.toml with the weights of a checkpoint."""
    tokens = Tokens(tokenizer)
    network = Network(whisper_config(config["network"], tokens))
    network.load_state_dict(torch.load(weights))
    return network.eval(), tokens


def export(config, weights, tokenizer, out, work):
    """Exports to `out` (int8) and `work`/fp32; returns the sizes in bytes of the files."""
    network, tokens = load_network(config, weights, tokenizer)
    out, work = Path(out), Path(work)
    checkpoint, plain = work / "checkpoint", work / "fp32"
    for folder in (out, plain):
        folder.mkdir(parents=True, exist_ok=True)
    network.whisper.save_pretrained(checkpoint)
    PreTrainedTokenizerFast(tokenizer_file=str(tokenizer)).save_pretrained(checkpoint)
    _export_decoder(checkpoint, plain)
    _export_encoder(network, plain / "encoder_model.onnx")
    for name in ("encoder_model.onnx", "decoder_model_merged.onnx"):
        quantize(plain / name, out / name)
    for folder in (plain, out):
        shutil.copyfile(checkpoint / "config.json", folder / "config.json")
        shutil.copyfile(tokenizer, folder / "tokenizer.json")
        write_json(folder / "generation_config.json", generation_config(config, tokens))
        write_json(folder / "preprocessor_config.json", preprocessor_config())
        write_json(folder / "pressel.json", pressel_file())
    return {p.name: p.stat().st_size for p in sorted(out.iterdir()) if p.is_file()}


def export_stock(checkpoint, plain):
    """optimum's own export: an encoder of 3000 frames, a merged decoder."""
    from optimum.exporters.onnx import main_export

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        main_export(
            str(checkpoint), output=plain, task="automatic-speech-recognition-with-past",
            device="cpu", do_validation=False,
        )


def _export_decoder(checkpoint, plain):
    """optimum's own export; its encoder is thrown away, since it insists on 3000 frames."""
    export_stock(checkpoint, plain)
    keep = {"decoder_model_merged.onnx"}
    for path in plain.iterdir():
        if path.name not in keep:
            path.unlink()


def _export_encoder(network, path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            _Encoder(network), (torch.zeros(2, 80, 300),), str(path), opset_version=OPSET,
            input_names=["input_features"], output_names=["last_hidden_state"],
            dynamic_axes={
                "input_features": {0: "batch_size", 2: "frames"},
                "last_hidden_state": {0: "batch_size", 1: "positions"},
            },
            dynamo=False,
        )


def quantize(source, target):
    """Weights of the linear layers to signed int8 per column; convolutions stay as they are."""
    quantize_dynamic(
        str(source), str(target), weight_type=QuantType.QInt8, per_channel=True,
        op_types_to_quantize=["MatMul", "Gemm"],
        extra_options={"EnableSubgraph": True, "MatMulConstBOnly": True},
    )


def generation_config(config, tokens):
    """What a reader of Whisper's generation_config.json needs for the English-only prefix."""
    return {
        "_from_model_config": False,
        "bos_token_id": tokens.end,
        "eos_token_id": tokens.end,
        "pad_token_id": tokens.end,
        "decoder_start_token_id": tokens.start,
        "forced_decoder_ids": [[1, tokens.no_timestamps]],
        "is_multilingual": False,
        "max_initial_timestamp_index": 1500,
        "max_length": config["network"]["target_positions"],
        "no_timestamps_token_id": tokens.no_timestamps,
        "return_timestamps": False,
        # It never ends at once: words that were not said are told by how unlikely they are.
        "begin_suppress_tokens": [tokens.end],
        "suppress_tokens": tokens.never,
    }


def preprocessor_config():
    """Whisper's features; the window of 30 seconds is the longest, not the only one."""
    return {
        "chunk_length": 30, "feature_extractor_type": "WhisperFeatureExtractor",
        "feature_size": 80, "hop_length": 160, "n_fft": 400, "n_samples": 480000,
        "nb_max_frames": 3000, "padding_side": "right", "padding_value": 0.0,
        "processor_class": "WhisperProcessor", "return_attention_mask": False,
        "sampling_rate": 16000,
    }


def pressel_file():
    """Short windows, as in training, and what the appliance's known clip must be heard as.

    The clip is demo/turn_on_the_kitchen_light.wav of the firmware.
    """
    return {
        "window_floor_frames": 128, "window_margin_frames": 40, "speech_frames_max": 700,
        "unknown_below": UNKNOWN_BELOW,
        "canary": CANARY,
    }


def write_json(path, value):
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")


class OnnxRecogniser:
    """Runs an exported folder as the device does: encoder, then one token at a time."""

    def __init__(self, folder, threads=1):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        open_one = lambda name: onnxruntime.InferenceSession(str(Path(folder) / name), options)
        self.encoder = open_one("encoder_model.onnx")
        self.decoder = open_one("decoder_model_merged.onnx")
        self.outputs = [o.name for o in self.decoder.get_outputs()]
        read = lambda name: json.loads((Path(folder) / name).read_text(encoding="utf-8"))
        config, rules = read("config.json"), read("generation_config.json")
        self.never = rules.get("suppress_tokens") or []
        self.not_first = rules.get("begin_suppress_tokens") or []
        self.unknown_below = read("pressel.json").get("unknown_below", 0.0)
        self.layers, self.heads = config["decoder_layers"], config["decoder_attention_heads"]
        self.head = config["d_model"] // self.heads

    def transcribe(self, mel, tokens, length_max=24):
        """Greedy texts, clip by clip, with caches; nothing where the text is not believed."""
        heard = [self._one(one[None], tokens, tokens.prefix, length_max) for one in mel.numpy()]
        return [tokens.decode(ids) if likely >= self.unknown_below else "" for ids, likely in heard]

    def times(self, mel, tokens, length_max=24):
        """(begin, end) of the text in seconds, clip by clip; None where the model gives none."""
        found = []
        for one in mel.numpy():
            heard, _ = self._one(one[None], tokens, [tokens.start], length_max, timed=True)
            moments = [i - tokens.first_timestamp for i in heard if i >= tokens.first_timestamp]
            whole = len(moments) == 2 and heard[-1] >= tokens.first_timestamp
            found.append(tuple(m * TIMESTAMP_S for m in moments) if whole else None)
        return found

    def _one(self, mel, tokens, prefix, length_max, timed=False):
        """The tokens, and the mean probability (geometric) of all choices, the end included."""
        states = self.encoder.run(None, {"input_features": mel})[0]
        empty = np.zeros((1, self.heads, 0, self.head), np.float32)
        past = {
            f"past_key_values.{i}.{side}.{part}": empty
            for i in range(self.layers)
            for side in ("decoder", "encoder")
            for part in ("key", "value")
        }
        ids, heard, first, logprobs = list(prefix), [], True, []
        for _ in range(length_max):
            found = dict(zip(self.outputs, self.decoder.run(None, {
                "input_ids": np.array([ids], np.int64), "encoder_hidden_states": states,
                "use_cache_branch": np.array([not first]), **past,
            })))
            for name in past:
                if first or ".decoder." in name:
                    past[name] = found[name.replace("past_key_values", "present")]
            logits = found["logits"][0, -1].copy()
            logits[self.never] = -np.inf
            if first and not timed:
                logits[self.not_first] = -np.inf
            moments = logits[tokens.first_timestamp:] if timed else logits[:0]
            # Whisper's rule: a timestamp where all of them together are likelier than any text.
            if len(moments) and (first or np.logaddexp.reduce(moments) > logits.max()):
                best = tokens.first_timestamp + int(moments.argmax())
            else:
                best = int(logits.argmax())
            logprobs.append(logits[best] - np.logaddexp.reduce(logits))
            if best == tokens.end:
                break
            heard.append(best)
            ids, first = [best], False
        return heard, float(np.exp(np.mean(logprobs)))
