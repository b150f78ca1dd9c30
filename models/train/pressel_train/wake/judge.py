"""Judges an exported network as the appliance hears: smoothing, threshold, refractory time.

In: the graph of the network, built for many steps at once, pools of words and of talk without
them. Out: misses with a 95 % interval for each word and kind of voice, false accepts with the
hours behind them, clean and with noise.
"""

import numpy as np
import torch
from scipy.stats import beta, chi2

from .. import augment
from ..pool import Pool
from . import export, network

STEP_SECONDS = 0.08
FRAMES = 400
CLIPS_MAX = 100
THRESHOLDS = [0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 0.98]


def smoothing_of(config, word):
    """How many scores of a word are averaged: its own number, or that of all."""
    return word.get("smoothing", config["detector"]["smoothing"])


class Judge:
    """One network and its settings."""

    def __init__(self, config, model, noises, seed=5):
        """`model` is the bytes of a graph; one of many steps at once is faster."""
        self.config, self.stepper = config, export.OnnxStepper(model)
        self.filters = torch.from_numpy(network.filters(config["network"]["mel_bins"]))
        self.rng = np.random.default_rng(seed)
        self.bank = augment.NoiseBank(self.rng, noises)

    def scores(self, audio, noise_db=None):
        """Smoothed scores [words, steps]; noise that many dB below the sound."""
        if noise_db is not None:
            noise = np.concatenate(
                [self.bank.draw(self.rng, 16_000) for _ in range(len(audio) // 16_000 + 1)]
            )[: len(audio)]
            loud = np.abs(audio) > np.abs(audio).max() * 0.02
            power = np.sqrt((audio[loud] ** 2).mean()) if loud.any() else 0.01
            audio = audio + noise * np.float32(power * 10 ** (-noise_db / 20))
            audio = audio / max(1.0, np.abs(audio).max())
        # The appliance hears whole numbers.
        audio = np.round(audio * 32_767).astype(np.float32) / 32_768
        mel = network.log_mel(torch.from_numpy(audio)[None], self.filters)[0].numpy()
        counts = [smoothing_of(self.config, word) for word in self.config["words"]]
        return network.smoothed(self.stepper.scores(mel), counts)

    def highest(self, pools, keep, noise_db=None, threshold=0.5):
        """For each clip: its highest score of its own word, and how late the threshold is met."""
        out = []
        for pool in pools:
            for clip in [clip for clip in pool.clips if keep(clip)][:CLIPS_MAX]:
                around = np.zeros(16_000, np.float32)
                audio = np.concatenate([around[:8_000], pool.samples(clip), around])
                scores = self.scores(audio, noise_db)[clip["word"]]
                found, lag = scores >= threshold, None
                if found.any():
                    lag = (np.argmax(found) + 1) * STEP_SECONDS - (clip["end"] + 8_000) / 16_000
                out.append((float(scores.max()), lag))
        return out

    def talk(self, pools, noise_db=None):
        """Scores of all clips behind one another, and the hours."""
        audio = np.concatenate([p.samples(c) for p in pools for c in p.clips])
        parts = [audio[at : at + 9_600_000] for at in range(0, len(audio), 9_600_000)]
        scores = np.concatenate([self.scores(part, noise_db) for part in parts], 1)
        return scores, len(audio) / 16_000 / 3_600


def false_accepts(scores, threshold, refractory_ms):
    """How often the threshold is reached, refractory time not counted."""
    deaf, count = 0, 0
    for score in scores:
        deaf -= 1
        if deaf <= 0 and score >= threshold:
            count, deaf = count + 1, int(refractory_ms / 80)
    return count


def share_interval(wrong, count):
    """95 % interval of a share (Clopper and Pearson)."""
    low = 0.0 if wrong == 0 else float(beta.ppf(0.025, wrong, count - wrong + 1))
    high = 1.0 if wrong == count else float(beta.ppf(0.975, wrong + 1, count - wrong))
    return [round(low, 4), round(high, 4)]


def rate_interval(count, hours):
    """95 % interval of a rate per hour (Poisson)."""
    low = 0.0 if count == 0 else float(chi2.ppf(0.025, 2 * count) / 2)
    return [round(low / hours, 3), round(float(chi2.ppf(0.975, 2 * count + 2) / 2) / hours, 3)]


def misses(found, threshold):
    wrong, count = sum(score < threshold for score, _ in found), len(found)
    return {
        "clips": count, "missed": wrong, "share": round(wrong / max(1, count), 4),
        "interval": share_interval(wrong, count) if count else [0.0, 1.0],
    }


def accepts(scores, hours, threshold, refractory_ms):
    count = false_accepts(scores, threshold, refractory_ms)
    return {
        "count": count, "hours": round(hours, 3), "per_hour": round(count / hours, 3),
        "interval": rate_interval(count, hours),
    }


def pools_of(folder, *names):
    """The pools that are there."""
    return [Pool(folder / name) for name in names if (folder / name / "clips.jsonl").exists()]
