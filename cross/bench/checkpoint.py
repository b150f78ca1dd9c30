"""Writes the checkpoint that all engines' models are made of.

In: gpt2.tiktoken, the number of tokens to say. Out: a Hugging Face checkpoint
(config.json, generation_config.json, preprocessor_config.json, tokenizer.json, model.safetensors),
and `text.txt` with the text that every engine must say.

    python checkpoint.py TIKTOKEN TOKENS OUT
"""

import json
import sys
from pathlib import Path

from safetensors.numpy import save_file

import vocabulary as v
import weights

# What stock English models never say; numbers of openai/whisper-tiny.en's generation_config.json.
SUPPRESS = [
    1, 2, 7, 8, 9, 10, 14, 25, 26, 27, 28, 29, 31, 58, 59, 60, 61, 62, 63, 90, 91, 92, 93, 357,
    366, 438, 532, 685, 705, 796, 930, 1058, 1220, 1267, 1279, 1303, 1343, 1377, 1391, 1635, 1782,
    1875, 2162, 2361, 2488, 3467, 4008, 4211, 4600, 4808, 5299, 5855, 6329, 7203, 9609, 9959,
    10563, 10786, 11420, 11709, 11907, 13163, 13697, 13700, 14808, 15306, 16410, 16791, 17992,
    19203, 19510, 20724, 22305, 22935, 27007, 30109, 30420, 33409, 34949, 40283, 40493, 40549,
    47282, 49146, v.START, v.TRANSLATE, v.TRANSCRIBE, v.START_LM, v.START_PREVIOUS, v.NO_SPEECH,
]


def generation_config():
    """The contents of generation_config.json."""
    return {
        "bos_token_id": v.END, "eos_token_id": v.END, "pad_token_id": v.END,
        "decoder_start_token_id": v.START, "forced_decoder_ids": [[1, v.NO_TIMESTAMPS]],
        "is_multilingual": False, "max_initial_timestamp_index": 50, "max_length": 448,
        "no_timestamps_token_id": v.NO_TIMESTAMPS, "prev_sot_token_id": v.START_PREVIOUS,
        "return_timestamps": False, "suppress_tokens": SUPPRESS,
        "begin_suppress_tokens": [220, v.END],
    }


def preprocessor_config():
    """The contents of preprocessor_config.json."""
    return {
        "chunk_length": 30, "feature_extractor_type": "WhisperFeatureExtractor",
        "feature_size": 80, "hop_length": 160, "n_fft": 400, "n_samples": 480_000,
        "nb_max_frames": 3_000, "padding_side": "right", "padding_value": 0.0,
        "processor_class": "WhisperProcessor", "return_attention_mask": False,
        "sampling_rate": 16_000,
    }


def main(tiktoken, count, out):
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    tokens = v.read_tokens(Path(tiktoken))
    words = v.planted(tokens, int(count))
    save_file(weights.make(words), out / "model.safetensors", metadata={"format": "pt"})
    for name, value in (
        ("config.json", weights.config()), ("generation_config.json", generation_config()),
        ("preprocessor_config.json", preprocessor_config()),
        ("tokenizer_config.json", {"tokenizer_class": "PreTrainedTokenizerFast"}),
    ):
        (out / name).write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
    (out / "tokenizer.json").write_text(v.tokenizer_json(tokens), encoding="utf-8")
    text = b"".join(tokens[word] for word in words).decode().strip()
    (out / "text.txt").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
