"""Makes one training example at a time: a clip or a chain of clips, changed by `augment`.

In: pools of clips. Out: `Example`: audio, text, and either the time of every sound (rendered
clips) or their order only (recorded clips).
"""

from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from . import augment, phones

FRAME_S = 0.02
UNKNOWN = -100
TAIL_TRUSTED_S = 0.2
CHAIN_MAX = 5
TRIM_DB = 32


@dataclass
class Example:
    """One clip for the network; `ends_s`/`classes` are empty for recorded speech."""

    audio: np.ndarray
    text: str
    classes: np.ndarray
    ends_s: np.ndarray
    phones: list
    silent: bool = False
    span_s: tuple = (0.0, 0.0)  # from the first sound of the text to its last

    def frame_labels(self, frames, stretch=1.0):
        """Returns one class per 20 ms frame, UNKNOWN where nothing is known."""
        if self.silent:
            return np.zeros(frames, np.int64)
        labels = np.full(frames, UNKNOWN, np.int64)
        if len(self.ends_s) == 0:
            return labels
        centres = (np.arange(frames) + 0.5) * FRAME_S
        at = np.searchsorted(self.ends_s * stretch, centres, side="right")
        labels[:] = phones.SILENCE
        inside = at < len(self.classes)
        labels[inside] = self.classes[at[inside]]
        return labels


def _distrust_tail(sounds):
    """Kokoro stretches the last sound over the pause behind it: forget what is too long."""
    out, before = [], 0
    for i, (index, end) in enumerate(sounds):
        last = i + 1 < len(sounds) and index != 0 and all(s[0] == 0 for s in sounds[i + 1 :])
        if last and end - before > TAIL_TRUSTED_S * 1000:
            out.append([index, before + int(TAIL_TRUSTED_S * 1000)])
            out.append([UNKNOWN, end])
        else:
            out.append([index, end])
        before = max(before, end)
    return out


def frame_levels(audio, smooth=3):
    """The level of each 10 ms in dB, the mean of `smooth` neighbours."""
    count = len(audio) // 160
    energy = (audio[: count * 160].reshape(count, 160) ** 2).mean(1) + 1e-10
    return 10 * np.log10(np.convolve(energy, np.ones(smooth) / smooth, mode="same"))


def speech_bounds(audio):
    """First and last sample of the loud part of a recording, by 10 ms energies."""
    level = frame_levels(audio)
    loud = np.flatnonzero(level > max(level.max() - TRIM_DB, np.percentile(level, 10) + 5))
    if len(loud) == 0:
        return 0, len(audio)
    return int(loud[0] * 160), int((loud[-1] + 1) * 160)


def _span(example, audio):
    """When the first sound of a clip begins and its last one ends, in seconds."""
    sounding = np.flatnonzero(example.classes > phones.SILENCE)
    if len(sounding):
        ends = np.concatenate([[0], example.ends_s])
        return ends[sounding[0]], ends[sounding[-1] + 1]
    return tuple(sample / 16000 for sample in speech_bounds(audio))


class Source:
    """All pools of one kind, and how to draw from them."""

    def __init__(self, kind, pools):
        self.kind = kind
        self.items = [(pool, clip) for pool in pools for clip in pool.clips]
        self.words = defaultdict(list)
        self.speakers = defaultdict(list)
        self.weights = None
        if kind == "people":
            self._index_people()

    def _index_people(self):
        """Groups by recording set and word; rare words are drawn more often than they occur."""
        for i, (_, clip) in enumerate(self.items):
            self.words[clip["source"].split("/")[1], clip["said"]].append(i)
            if clip["text"]:
                self.speakers[clip["speaker"]].append(i)
        self.keys = list(self.words)
        share = {"speech_commands": 1.0, "fsdd": 0.35}
        weights = [len(self.words[k]) ** 0.6 * share.get(k[0], 0.22) for k in self.keys]
        self.weights = np.cumsum(np.array(weights) / sum(weights))

    def draw(self, rng):
        if self.weights is None:
            return int(rng.integers(len(self.items)))
        key = self.keys[min(int(np.searchsorted(self.weights, rng.random())), len(self.keys) - 1)]
        return int(rng.choice(self.words[key]))


class ExampleMaker:
    """Draws examples by the shares of the configuration."""

    def __init__(self, sources, mix, seed, noise, levels):
        self.levels = levels
        self.rng = np.random.default_rng(seed)
        self.sources = {k: Source(k, pools) for k, pools in sources.items() if pools}
        names = [n for n in mix if n in self.sources or n == "noise"]
        self.names, total = names, sum(mix[n] for n in names)
        self.shares = np.cumsum([mix[n] / total for n in names])
        more = augment.made_tracks(self.rng, self._voices()) if levels.get("made") else []
        self.bank = augment.NoiseBank(self.rng, noise, levels["recorded"], True, more)

    def _voices(self):
        """Draws clips of talk outside the vocabulary, for people who talk behind; or None."""
        items = [i for k in ("other", "reading", "talk") if k in self.sources
                 for i in self.sources[k].items]
        if not items:
            return None

        def voice():
            pool, clip = items[self.rng.integers(len(items))]
            audio = pool.samples(clip)
            return audio * np.float32(0.05 / (np.sqrt((audio**2).mean()) + 1e-5))

        return voice

    def draw(self, hardness):
        """Returns one finished example; most are easier than `hardness`, some as hard."""
        hardness *= self.rng.uniform(self.levels["least"], 1.0)
        name = self.names[min(int(np.searchsorted(self.shares, self.rng.random())),
                              len(self.names) - 1)]
        if name == "noise":
            samples = int(16000 * self.rng.uniform(0.5, 3))
            empty = np.zeros(0)
            return self._finish(Example(np.zeros(samples, np.float32), "", empty, empty, [], True),
                                hardness)
        if name == "people":
            example = self._people()
        elif name == "reading":
            example = self._reading()
        else:
            example = self._rendered(name)
        return self._finish(example, hardness)

    def _rendered(self, name):
        source = self.sources[name]
        pool, clip = source.items[source.draw(self.rng)]
        sounds = clip["sounds"]
        if name in ("natural", "talk"):
            sounds = _distrust_tail(sounds)
        sounds = np.array(sounds)
        ends = np.maximum.accumulate(sounds[:, 1]) / 1000
        return Example(pool.samples(clip), clip["text"], sounds[:, 0], ends, [])

    def _recorded(self, source, i, tight):
        """One recording; `tight` cuts the quiet parts away, else they are cut at random."""
        pool, clip = source.items[i]
        audio = pool.samples(clip)
        first, last = speech_bounds(audio)
        margin = int(self.rng.uniform(0.02, 0.1) * 16000) if tight else None
        if margin is None:
            before, after = self.rng.uniform(0, 1, 2)
            first, last = int(first * before), int(last + (len(audio) - last) * after)
        else:
            first, last = max(0, first - margin), min(len(audio), last + margin)
        return audio[first:last], clip

    def _people(self):
        rng, source = self.rng, self.sources["people"]
        i = source.draw(rng)
        clip = source.items[i][1]
        count = int(rng.integers(2, CHAIN_MAX + 1)) if clip["text"] and rng.random() < 0.35 else 1
        if count == 1:
            audio, clip = self._recorded(source, i, rng.random() < 0.5)
            return Example(audio, clip["text"], np.zeros(0), np.zeros(0), clip["phones"] or [])
        same = source.speakers[clip["speaker"]]
        parts, texts, sounds = [], [], []
        for k in range(count):
            audio, clip = self._recorded(source, i, True)
            level = np.sqrt((audio**2).mean()) + 1e-5
            parts.append(audio * (0.05 / level))
            gap = int(abs(rng.normal(0, 0.15)) * 16000)
            parts.append(np.zeros(gap, np.float32))
            texts.append(clip["text"])
            sounds.extend(clip["phones"])
            if len(same) >= 3:
                i = int(rng.choice(same))
            else:
                for _ in range(20):
                    i = source.draw(rng)
                    if source.items[i][1]["text"]:
                        break
            if not source.items[i][1]["text"]:
                break
        audio = np.concatenate(parts)
        return Example(audio, " ".join(texts), np.zeros(0), np.zeros(0), sounds)

    def _reading(self):
        """A sentence; a transcribed one whole, an untranscribed one as a piece."""
        rng, source = self.rng, self.sources["reading"]
        pool, clip = source.items[source.draw(rng)]
        audio = pool.samples(clip)
        if clip["phones"] and len(audio) < 16000 * 7 and rng.random() < 0.8:
            return Example(audio, "", np.zeros(0), np.zeros(0), clip["phones"])
        longest = 4 if rng.random() < 0.6 else 14  # the appliance hears 15 s at once
        length = min(len(audio), int(16000 * rng.uniform(0.7, longest)))
        at = int(rng.integers(len(audio) - length + 1))
        return Example(audio[at : at + length], "", np.zeros(0), np.zeros(0), [])

    def _finish(self, example, hardness):
        """Speed, colour, lead, level and noise."""
        rng, audio = self.rng, example.audio
        if not example.silent:
            if rng.random() < 0.75:
                factor = float(np.exp(rng.normal(0, 0.09)))
                factor = min(max(factor, 0.8), 1.25)
                audio = augment.change_speed(audio, factor)
                example.ends_s = example.ends_s / factor
            if rng.random() < 0.3 + 0.5 * hardness:
                audio = augment.colour(rng, audio, hardness)
            audio = audio * (10 ** (rng.uniform(-32, -2) / 20) / (np.abs(audio).max() + 1e-6))
        lead = min(int(rng.exponential(0.1) * 16000), 12000)
        if example.text:
            example.span_s = tuple(lead / 16000 + s for s in _span(example, audio))
        tail = min(int(rng.exponential(0.1) * 16000), 16000)
        audio = np.concatenate([np.zeros(lead, np.float32), audio, np.zeros(tail, np.float32)])
        if len(example.ends_s):
            example.ends_s = np.concatenate([[0], example.ends_s]) + lead / 16000
            example.classes = np.concatenate([[0], example.classes])
        if example.silent or rng.random() < 0.35 + 0.5 * hardness:
            audio = audio + self._noise(audio, example.silent, hardness)
        if rng.random() < 0.04 * hardness:
            limit = np.abs(audio).max() * rng.uniform(0.2, 0.7)
            audio = np.clip(audio, -limit, limit)
        example.audio = audio.astype(np.float32)
        return example

    def _noise(self, audio, silent, hardness):
        rng = self.rng
        noise = self.bank.draw(rng, len(audio))[: len(audio)]
        noise = np.pad(noise, (0, len(audio) - len(noise)))
        if silent:
            return noise * 10 ** (rng.uniform(-75, -12) / 20)
        energy = audio[: len(audio) // 80 * 80].reshape(-1, 80)
        energy = np.sort((energy**2).mean(1))
        loud = energy[len(energy) // 2 :].mean() + 1e-9
        lowest = 28 - (28 - self.levels["worst_db"]) * hardness
        snr_db = lowest + (45 - lowest) * rng.beta(1.2, self.levels["lean"])
        return noise * np.sqrt(loud) * 10 ** (-snr_db / 20)
