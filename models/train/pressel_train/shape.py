"""Writes a Whisper of a stock shape with random weights: for measuring speed, not for hearing.

In: the name of a shape. Out: a model folder in int8, in the layout and with the graphs of a stock
export (encoder of 30 s, merged decoder). Its text is nonsense by design, its work is the real one.
Shapes: config.json of openai/whisper-tiny.en and openai/whisper-base.en.
"""

import shutil
import tempfile
from pathlib import Path

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast, WhisperConfig, WhisperForConditionalGeneration

from .export import export_stock, preprocessor_config, quantize, write_json

SHAPES = {"tiny.en": (384, 4, 6), "base.en": (512, 6, 8)}
VOCABULARY = 51_864
END, START, NO_TIMESTAMPS = 50_256, 50_257, 50_362


def write_shape(name, out):
    """Writes the folder `out`; returns the bytes of each file."""
    width, layers, heads = SHAPES[name]
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(1)
    config = WhisperConfig(
        vocab_size=VOCABULARY, d_model=width, encoder_layers=layers, decoder_layers=layers,
        encoder_attention_heads=heads, decoder_attention_heads=heads, encoder_ffn_dim=4 * width,
        decoder_ffn_dim=4 * width, max_target_positions=448, num_mel_bins=80,
        bos_token_id=END, eos_token_id=END, pad_token_id=END, decoder_start_token_id=START,
        suppress_tokens=None, begin_suppress_tokens=None,
    )
    network = WhisperForConditionalGeneration(config).eval()
    with tempfile.TemporaryDirectory() as folder:
        source, plain = Path(folder) / "source", Path(folder) / "plain"
        network.save_pretrained(source)
        _tokenizer().save_pretrained(source)
        export_stock(source, plain)
        for file in ("encoder_model.onnx", "decoder_model_merged.onnx"):
            quantize(plain / file, out / file)
        shutil.copyfile(source / "config.json", out / "config.json")
        shutil.copyfile(source / "tokenizer.json", out / "tokenizer.json")
    write_json(out / "preprocessor_config.json", preprocessor_config())
    write_json(out / "generation_config.json", {
        "bos_token_id": END, "eos_token_id": END, "pad_token_id": END,
        "decoder_start_token_id": START, "forced_decoder_ids": [[1, NO_TIMESTAMPS]],
        "is_multilingual": False, "max_length": 448, "no_timestamps_token_id": NO_TIMESTAMPS,
        "suppress_tokens": list(range(END, VOCABULARY)),
    })
    return {p.name: p.stat().st_size for p in sorted(out.iterdir()) if p.is_file()}


def _tokenizer():
    """Bytes, then made-up words, then the special tokens at their places."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    words = alphabet + [f"w{i}" for i in range(END - len(alphabet))]
    made = Tokenizer(models.BPE(vocab={word: i for i, word in enumerate(words)}, merges=[]))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    special = ["<|endoftext|>", "<|startoftranscript|>"]
    special += [f"<|s{i}|>" for i in range(NO_TIMESTAMPS - START - 1)] + ["<|notimestamps|>"]
    special += [f"<|{i * 0.02:.2f}|>" for i in range(VOCABULARY - NO_TIMESTAMPS - 1)]
    made.add_special_tokens([AddedToken(word, special=True, normalized=False) for word in special])
    assert made.get_vocab_size() == VOCABULARY
    assert made.token_to_id("<|notimestamps|>") == NO_TIMESTAMPS
    return PreTrainedTokenizerFast(
        tokenizer_object=made, bos_token="<|endoftext|>", eos_token="<|endoftext|>",
        pad_token="<|endoftext|>", unk_token="<|endoftext|>",
    )
