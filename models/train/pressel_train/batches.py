"""Batches of examples of about equal length, made in processes of their own.

In: pools and the configuration. Out: dictionaries of tensors: mel [b, 80, t], frame labels
[b, t / 2], decoder tokens, targets, and phone sequences for CTC.
"""

import os
from pathlib import Path

import numpy as np
import torch

from .examples import UNKNOWN, ExampleMaker
from .features import HOP_SAMPLES, log_mel, mel_filters
from .pool import Pool
from .tokens import Tokens

LONGEST_S = 30  # the longest window; what is stretched in time stays below it
WARPS = np.linspace(0.86, 1.16, 13)


def open_sources(folder):
    """Finds the training pools of a folder by their names."""
    folder = Path(folder)
    found = {"natural": [], "espeak": [], "flite": [], "people": [], "reading": [],
             "other": [], "talk": []}
    for path in sorted(p for p in folder.iterdir() if (p / "clips.jsonl").exists()):
        kind, _, side = path.name.partition("_")
        if kind in found and side not in ("test", "choose"):
            pool = Pool(path)
            if len(pool):
                found[kind].append(pool)
    noise = Pool(folder / "noise_train") if (folder / "noise_train").exists() else None
    recorded = [noise.samples(c) for c in noise.clips] if noise else []
    return found, recorded


class Batches(torch.utils.data.IterableDataset):
    """An endless stream of batches; `hardness` is shared with the training process."""

    def __init__(self, pools, tokenizer, config, hardness, rounds=(0,)):
        self.pools, self.tokenizer, self.config = pools, tokenizer, config
        self.hardness, self.rounds = hardness, rounds

    def __iter__(self):
        torch.set_num_threads(1)
        os.nice(3)
        worker = torch.utils.data.get_worker_info()
        seed = [self.config["seed"], *self.rounds, worker.id if worker else 0]
        sources, noise = open_sources(self.pools)
        maker = ExampleMaker(sources, self.config["mix"], seed, noise, self.config["noise"])
        tokens = Tokens(self.tokenizer)
        rng = np.random.default_rng([*seed, 7])
        filters = torch.from_numpy(np.stack([mel_filters(w) for w in WARPS]))
        size = self.config["batch"]
        while True:
            hardness = float(self.hardness.value)
            drawn = [maker.draw(hardness) for _ in range(size["sorted_clips"])]
            drawn.sort(key=lambda e: len(e.audio))
            groups = list(group_by_length(drawn, size["frames"], size["round_frames"]))
            for k in rng.permutation(len(groups)):
                yield collate(groups[k], tokens, rng, size, filters, hardness)


def group_by_length(examples, frames, round_frames):
    """Cuts a sorted list so that clips times the longest length stays below `frames`."""
    group = []
    for example in examples:
        length = -(-len(example.audio) // HOP_SAMPLES // round_frames) * round_frames
        if group and (len(group) + 1) * max(length, round_frames) > frames:
            yield group
            group = []
        group.append(example)
    if group:
        yield group


def collate(group, tokens, rng, size, filters, hardness):
    """Pads, computes features, masks them, and makes all targets."""
    unit = HOP_SAMPLES * size["round_frames"]
    samples = -(-(max(len(e.audio) for e in group) + 800) // unit) * unit
    stretch = float(np.exp(rng.normal(0, 0.08))) if rng.random() < 0.5 else 1.0
    stretch = min(max(stretch, 0.8), 1.25)
    if rng.random() < size["long_share"]:
        extra = int(rng.uniform(1, LONGEST_S) * 16000) // unit * unit
        longest = int(LONGEST_S * 16000 / max(1.0, stretch)) // unit * unit
        samples = max(samples, min(samples + extra, longest))
        keep = max(1, size["frames"] * HOP_SAMPLES // samples)
        group = [group[i] for i in rng.permutation(len(group))[:keep]]
    audio = np.zeros((len(group), samples), np.float32)
    for row, example in zip(audio, group):
        row[: len(example.audio)] = example.audio
    chosen = rng.integers(0, len(WARPS), len(group))
    chosen[rng.random(len(group)) < 0.3] = len(WARPS) // 2
    mel = log_mel(torch.from_numpy(audio), filters[chosen], stretch)
    _mask(mel, rng, hardness)
    frames = mel.shape[2] // 2
    labels = np.stack([e.frame_labels(frames, stretch) for e in group])
    sequences = [e.phones if 2 * len(e.phones) < frames else [] for e in group]
    return {
        "mel": mel, "labels": torch.from_numpy(labels),
        **_texts(group, tokens, rng, stretch, size.get("timed_share", 0)),
        "phones": torch.tensor([p for s in sequences for p in s], dtype=torch.long),
        "phone_counts": torch.tensor([len(s) for s in sequences], dtype=torch.long),
    }


def _texts(group, tokens, rng, stretch, timed_share):
    """Decoder input and targets; what is not speech of the vocabulary ends at once."""
    rows, targets = [], []
    for example in group:
        ids = tokens.encode(example.text)
        if rng.random() < timed_share:
            begin, end = (tokens.timestamp(s * stretch) for s in example.span_s)
            first = begin if ids else tokens.no_speech
            spoken = [*ids, end] if ids else []
            rows.append([tokens.start, begin, *spoken])
            targets.append([first, *spoken, tokens.end])
            continue
        first = tokens.no_timestamps if ids else tokens.no_speech
        rows.append([*tokens.prefix, *ids])
        targets.append([first, *ids, tokens.end])
    width = max(map(len, rows))
    inputs = torch.full((len(rows), width), tokens.end)
    expected = torch.full((len(rows), width), UNKNOWN)
    for i, (row, target) in enumerate(zip(rows, targets)):
        inputs[i, : len(row)] = torch.tensor(row)
        expected[i, : len(target)] = torch.tensor(target)
    return {"inputs": inputs, "targets": expected}


def _mask(mel, rng, hardness):
    """SpecAugment: a band of mel bins and a short stretch of time are emptied."""
    low = mel.amin((1, 2))
    for i in range(len(mel)):
        for _ in range(2 if rng.random() < 0.5 * hardness else 1):
            width = int(rng.integers(0, 5 + int(9 * hardness)))
            at = int(rng.integers(0, 80 - width))
            mel[i, at : at + width] = low[i] if rng.random() < 0.5 else mel[i].mean()
        width = int(rng.integers(0, 3 + int(12 * hardness)))
        at = int(rng.integers(0, max(1, mel.shape[2] - width)))
        mel[i, :, at : at + width] = low[i]
