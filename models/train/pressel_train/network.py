"""The Whisper network with a window of any length, and a head for sounds that only trains it.

In: log-mel [b, 80, t]. Out: encoder states [b, t / 2, width]; decoder logits [b, s, tokens].
The modules are those of transformers, so that the weights are an ordinary Whisper checkpoint;
only the forward pass of the encoder is our own, because the stock one insists on 30 seconds.
"""

import torch
from torch import nn
from torch.nn.functional import gelu, layer_norm
from transformers import WhisperConfig, WhisperForConditionalGeneration

from . import phones

POSITION_SCALE = 0.3
UNKNOWN_BELOW = 0.62  # a text of less mean probability is not believed; README.md says why this


def whisper_config(settings, tokens):
    """The transformers configuration for [network] of nano.toml."""
    return WhisperConfig(
        vocab_size=tokens.count, num_mel_bins=settings["mel_bins"], d_model=settings["width"],
        encoder_layers=settings["encoder_layers"], decoder_layers=settings["decoder_layers"],
        encoder_attention_heads=settings["heads"], decoder_attention_heads=settings["heads"],
        encoder_ffn_dim=settings["feed_forward"], decoder_ffn_dim=settings["feed_forward"],
        max_source_positions=settings["source_positions"],
        max_target_positions=settings["target_positions"],
        pad_token_id=tokens.end, bos_token_id=tokens.end, eos_token_id=tokens.end,
        decoder_start_token_id=tokens.start, suppress_tokens=[], begin_suppress_tokens=[],
        dropout=0.0,
    )


class Network(nn.Module):
    """Whisper and the head for sounds."""

    def __init__(self, config):
        super().__init__()
        self.whisper = WhisperForConditionalGeneration(config)
        self.sounds = nn.Linear(config.d_model, phones.COUNT)
        self.heads = config.encoder_attention_heads
        self._initialise(config)

    @torch.no_grad()
    def _initialise(self, config):
        """Starts with sound and position of like size.

        The stock start (0.02 everywhere) leaves the sound at a tenth of the position after the
        convolutions, and a small network then takes a thousand steps to notice it.
        """
        model = self.whisper.model
        model.encoder.embed_positions.weight.mul_(POSITION_SCALE)
        for conv in (model.encoder.conv1, model.encoder.conv2):
            nn.init.normal_(conv.weight, std=(2 / (conv.in_channels * conv.kernel_size[0])) ** 0.5)
        depth = config.encoder_layers + config.decoder_layers
        for name, module in model.named_modules():
            if isinstance(module, nn.Linear):
                last = name.endswith(("fc2", "out_proj"))
                scale = (2 * depth) ** -0.5 if last else 1.0
                nn.init.normal_(module.weight, std=scale * module.in_features**-0.5)

    def encode(self, mel):
        """Runs the encoder over a window of any even length."""
        encoder = self.whisper.model.encoder
        x = gelu(encoder.conv1(mel))
        x = gelu(encoder.conv2(x)).permute(0, 2, 1)
        x = x + encoder.embed_positions.weight[: x.shape[1]]
        for layer in encoder.layers:
            x = x + self._attend(layer.self_attn, _norm(layer.self_attn_layer_norm, x))
            y = _norm(layer.final_layer_norm, x)
            x = x + layer.fc2(gelu(layer.fc1(y)))
        return _norm(encoder.layer_norm, x)

    def _attend(self, attention, y, memory=None, causal=False):
        batch, frames, width = y.shape
        source = y if memory is None else memory
        size = width // self.heads
        split = lambda z: z.view(batch, -1, self.heads, size).transpose(1, 2)
        q = split(attention.q_proj(y) * size**-0.5)
        k, v = split(attention.k_proj(source)), split(attention.v_proj(source))
        # Written out: on the CPU the fused kernel is slower than this, backward above all.
        scores = q @ k.transpose(2, 3)
        if causal:
            ahead = torch.ones(frames, frames, dtype=torch.bool).triu(1)
            scores = scores.masked_fill(ahead, float("-inf"))
        out = scores.softmax(-1, dtype=scores.dtype) @ v
        return attention.out_proj(out.transpose(1, 2).reshape(batch, frames, width))

    def decode(self, tokens, states):
        """Logits after every token, all at once."""
        decoder = self.whisper.model.decoder
        x = decoder.embed_tokens(tokens) + decoder.embed_positions.weight[: tokens.shape[1]]
        for layer in decoder.layers:
            y = _norm(layer.self_attn_layer_norm, x)
            x = x + self._attend(layer.self_attn, y, causal=True)
            y = _norm(layer.encoder_attn_layer_norm, x)
            x = x + self._attend(layer.encoder_attn, y, states)
            y = _norm(layer.final_layer_norm, x)
            x = x + layer.fc2(gelu(layer.fc1(y)))
        return _norm(decoder.layer_norm, x) @ decoder.embed_tokens.weight.T

    @torch.no_grad()
    def transcribe(self, mel, tokens, length_max=24, unknown_below=UNKNOWN_BELOW):
        """Greedy texts of a batch, by the rules of the device; nothing where not believed."""
        states = self.encode(mel)
        ids = torch.tensor([tokens.prefix] * len(mel))
        done = torch.zeros(len(mel), dtype=torch.bool)
        logprob, choices = torch.zeros(len(mel)), torch.zeros(len(mel))
        for step in range(length_max):
            logits = self.decode(ids, states)[:, -1]
            logits[:, tokens.never] = float("-inf")
            if step == 0:
                logits[:, tokens.end] = float("-inf")
            likely, best = logits.log_softmax(-1).max(-1)
            logprob, choices = logprob + likely * ~done, choices + ~done
            best[done] = tokens.end
            done |= best == tokens.end
            ids = torch.cat([ids, best[:, None]], 1)
            if done.all():
                break
        believed = (logprob / choices).exp() >= unknown_below
        texts = [tokens.decode(row[len(tokens.prefix) :]) for row in ids.tolist()]
        return [text if sure else "" for text, sure in zip(texts, believed.tolist())]


def _norm(module, x):
    return layer_norm(x, module.normalized_shape, module.weight, module.bias, module.eps)
