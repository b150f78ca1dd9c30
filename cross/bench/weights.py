"""Whisper's weights in the shape of tiny.en: random, and made so that they say a chosen text.

In: the tokens to say. Out: tensors by their names in a Hugging Face checkpoint, fp32.

How the text is planted: the embedding of decoder position p is large, along a direction u(p) of
ones and minus ones. The final layer norm gives u(p) back whatever the audio and the layers added,
and the row of the wanted token in the tied embedding lies along u(p). So ordinary greedy decoding
says the text and ends, in every engine, through its public interface, in fp32, int8 and 4 bits.
The work is that of the real model: shapes, caches and logits are the same.
"""

import numpy as np

from vocabulary import END, NO_TIMESTAMPS, SIZE

WIDTH, LAYERS, HEADS, BINS, AUDIO_POSITIONS, TEXT_POSITIONS = 384, 4, 6, 80, 1_500, 448
SPREAD = 0.02   # of random weights, as transformers initialises them
POSITION = 3.0  # how large the planted positions are; what the layers add is below 1
ROW = 0.08      # how large the planted rows are: a logit of 384 * 0.08 = 31 against at most 4


def config():
    """The contents of config.json."""
    return {
        "architectures": ["WhisperForConditionalGeneration"], "model_type": "whisper",
        "activation_function": "gelu", "d_model": WIDTH, "vocab_size": SIZE,
        "num_mel_bins": BINS, "encoder_layers": LAYERS, "decoder_layers": LAYERS,
        "num_hidden_layers": LAYERS, "encoder_attention_heads": HEADS,
        "decoder_attention_heads": HEADS, "encoder_ffn_dim": 4 * WIDTH,
        "decoder_ffn_dim": 4 * WIDTH, "max_source_positions": AUDIO_POSITIONS,
        "max_target_positions": TEXT_POSITIONS, "scale_embedding": False,
        "is_encoder_decoder": True, "use_cache": True, "dropout": 0.0, "attention_dropout": 0.0,
        "activation_dropout": 0.0, "init_std": SPREAD, "bos_token_id": END, "eos_token_id": END,
        "pad_token_id": END, "decoder_start_token_id": END + 1, "torch_dtype": "float32",
        "tie_word_embeddings": True,
    }


def make(words, seed=1):
    """The tensors."""
    random = np.random.default_rng(seed)
    normal = lambda *shape: random.normal(0, SPREAD, shape).astype(np.float32)
    tensors = {}

    def linear(name, outputs, inputs, bias=True):
        tensors[name + ".weight"] = normal(outputs, inputs)
        if bias:
            tensors[name + ".bias"] = normal(outputs)

    def norm(name):
        tensors[name + ".weight"] = np.ones(WIDTH, np.float32)
        tensors[name + ".bias"] = np.zeros(WIDTH, np.float32)

    def attention(name):
        for part in ("q_proj", "k_proj", "v_proj", "out_proj"):
            linear(f"{name}.{part}", WIDTH, WIDTH, bias=part != "k_proj")
        norm(f"{name}_layer_norm")

    for conv, inputs in (("conv1", BINS), ("conv2", WIDTH)):
        tensors[f"model.encoder.{conv}.weight"] = normal(WIDTH, inputs, 3)
        tensors[f"model.encoder.{conv}.bias"] = normal(WIDTH)
    tensors["model.encoder.embed_positions.weight"] = sinusoids()
    for side in ("encoder", "decoder"):
        for layer in range(LAYERS):
            name = f"model.{side}.layers.{layer}"
            attention(f"{name}.self_attn")
            if side == "decoder":
                attention(f"{name}.encoder_attn")
            linear(f"{name}.fc1", 4 * WIDTH, WIDTH)
            linear(f"{name}.fc2", WIDTH, 4 * WIDTH)
            norm(f"{name}.final_layer_norm")
        norm(f"model.{side}.layer_norm")
    rows, positions = plant(words, normal(SIZE, WIDTH), random)
    tensors["model.decoder.embed_tokens.weight"] = rows
    tensors["model.decoder.embed_positions.weight"] = positions
    return tensors


def plant(words, rows, random):
    """Embedding and positions such that `words` and the end follow the prompt of two tokens."""
    wanted = [NO_TIMESTAMPS, *words, END]  # position 0 is the start token, position 1 the other
    directions = np.stack([balanced(random) for _ in wanted])
    for token, direction in zip(wanted, directions):
        rows[token] = ROW * direction
    last = len(wanted) - 1
    at = np.minimum(np.arange(TEXT_POSITIONS), last)
    return rows, (POSITION * directions[at]).astype(np.float32)


def balanced(random):
    """As many ones as minus ones, so that a layer norm has no mean to take away."""
    half = WIDTH // 2
    return random.permutation(np.repeat([1.0, -1.0], half)).astype(np.float32)


def sinusoids():
    """The encoder's positions. Source: the paper; transformers' `sinusoids`."""
    half = WIDTH // 2
    scales = np.exp(-np.log(10_000) / (half - 1) * np.arange(half))
    angles = np.arange(AUDIO_POSITIONS)[:, None] * scales[None]
    return np.concatenate([np.sin(angles), np.cos(angles)], axis=1).astype(np.float32)
