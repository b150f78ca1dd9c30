"""The streaming network: log-mel frames in, a score of each word for every 40 ms out.

One convolution makes steps of four frames, then residual blocks of a depthwise dilated convolution
and a mixing of channels, all causal. `export.build` writes the same for 8 frames (80 ms) with a
state: all that the convolutions remember.
"""

import numpy as np
import torch
from torch import nn

from .. import features

TAPS = 5
FRONT_TAPS, STRIDE = 6, 4
FRONT_MEMORY = FRONT_TAPS - STRIDE
STEP_FRAMES = 8
SILENT_STEPS = 64  # before a stream; as in models/src/wake_word/network.rs
LOG_FLOOR = -7.0  # below it is silence, whatever the microphone: also a recording of zeros
SILENCE = (LOG_FLOOR + 4.0) / 4.0  # as `log_mel` scales it


def floor_of(facts):
    """The floor that a run was trained with; those that do not tell are from when it was -5."""
    return facts.get("log_floor", -5.0)


def filters(bins, warp=1.0):
    """Slaney filters as in models/src/mel.rs, for any number of bins."""
    before = features.MEL_BINS
    features.MEL_BINS = bins
    try:
        return features.mel_filters(warp)
    finally:
        features.MEL_BINS = before


_WINDOW = torch.hann_window(features.FFT_SAMPLES)


def log_mel(audio, mel_filters):
    """[clips, samples] to [clips, bins, samples / 160]; a frame ends with its last 10 ms."""
    history = features.FFT_SAMPLES - features.HOP_SAMPLES
    padded = torch.nn.functional.pad(audio, (history, 0))
    frames = padded.unfold(1, features.FFT_SAMPLES, features.HOP_SAMPLES) * _WINDOW
    power = torch.view_as_real(torch.fft.rfft(frames)).square().sum(-1)
    logs = (power @ mel_filters.T).clamp(min=1e-30).log10().clamp(min=LOG_FLOOR)
    return ((logs + 4.0) / 4.0).transpose(1, 2)


class Block(nn.Module):
    """Depthwise over time, then over channels."""

    def __init__(self, width, dilation, dropout):
        super().__init__()
        self.memory = (TAPS - 1) * dilation
        self.depth = nn.Conv1d(width, width, TAPS, dilation=dilation, groups=width, bias=False)
        self.depth_norm = nn.BatchNorm1d(width)
        self.mix = nn.Conv1d(width, width, 1, bias=False)
        self.mix_norm = nn.BatchNorm1d(width)
        self.dropout = nn.Dropout1d(dropout)

    def forward(self, x):
        longer = torch.nn.functional.pad(x, (self.memory, 0))
        mixed = self.mix_norm(self.mix(self.depth_norm(self.depth(longer))))
        return torch.relu(x + self.dropout(mixed))


class WakeNetwork(nn.Module):
    """All words share everything but the last sums."""

    def __init__(self, config, words):
        super().__init__()
        self.bins, width = config["mel_bins"], config["width"]
        self.front = nn.Conv1d(self.bins, width, FRONT_TAPS, stride=STRIDE, bias=False)
        self.front_norm = nn.BatchNorm1d(width)
        self.blocks = nn.ModuleList(
            Block(width, dilation, config["dropout"]) for dilation in config["dilations"]
        )
        self.head = nn.Conv1d(width, words, 1)
        nn.init.constant_(self.head.bias, -3.0)

    def forward(self, mel):
        """[clips, bins, frames] to logits [clips, words, frames / 4]."""
        x = torch.nn.functional.pad(mel, (FRONT_MEMORY, 0))
        x = torch.relu(self.front_norm(self.front(x)))
        for block in self.blocks:
            x = block(x)
        return self.head(x)


def behind_silence(mel):
    """A spectrogram with the silence before it that the appliance lets a stream begin behind."""
    lead = ((0, 0), (SILENT_STEPS * STEP_FRAMES, 0))
    return np.pad(mel, lead, constant_values=SILENCE)


def stream_scores(network, mel):
    """Scores [words, steps] of one recording: the highest of each step of 80 ms."""
    with torch.no_grad():
        logits = network(torch.from_numpy(behind_silence(mel))[None])[0]
    per_step = STEP_FRAMES // STRIDE
    steps = logits.shape[1] // per_step
    logits = logits[:, : steps * per_step]
    scores = torch.sigmoid(logits).reshape(logits.shape[0], steps, -1).amax(2).numpy()
    return scores[:, SILENT_STEPS:]


def smoothed(scores, counts):
    """The mean of each word's last `counts[word]` scores, as the appliance takes it."""
    rows = []
    for row, count in zip(scores, counts):
        padded = np.concatenate([np.zeros(count - 1, np.float32), row])
        rows.append(np.stack([padded[i : i + len(row)] for i in range(count)]).mean(0))
    return np.stack(rows)
