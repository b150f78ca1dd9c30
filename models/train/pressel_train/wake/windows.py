"""Windows of 2.4 s as the network sees them: words in the middle of silence, noise or talk.

In: pools, optionally a trained run, which leaves mostly what it mistakes. Out: shards
`shard_N.npz` with `mel` (float16 [n, bins, frames]), `word` (-1 for none) and `end`, the frame at
which the word ends. One process makes them while another trains.
"""

import numpy as np
import torch

from .. import augment
from ..pool import Pool
from . import export, network, training
from .clips import spoken

SAMPLES = 38_400
FRAMES = SAMPLES // 160
EASY_KEPT = 0.15             # share of the windows that a trained network gets right, and stay
WORD_SURE, NONE_SURE = 0.8, 0.1       # probabilities from which on, and up to which, it is right
END_MIN, END_MAX = int(0.75 * 16_000), int(1.9 * 16_000)


def _pools(folder, prefix, side):
    out = []
    for path in sorted(folder.glob(f"{prefix}_{side}*")):
        pool = Pool(path)
        out += [(pool, clip) for clip in pool.clips]
    return out


class Clips:
    """All clips of one side, by use."""

    def __init__(self, folder, side, words):
        natural = _pools(folder, "natural", side)
        everything = _pools(folder, "words", side) + [c for c in natural if "word" in c[1]] * 4
        people = _pools(folder, "people_words", side)
        of = lambda clips, word: [c for c in clips if c[1]["word"] == word]
        self.words = [of(everything, word) for word in range(words)]
        self.people = [of(people, word) for word in range(words)]
        self.near = _pools(folder, "near", side) + [c for c in natural if "word" not in c[1]] * 4
        self.talk = _pools(folder, "talk", side)
        self.people_talk = _pools(folder, "people_talk", side)
        self.noise = [pool.samples(clip) for pool, clip in _pools(folder, "noise", side)]


class Windows:
    """Draws windows; all randomness comes from the seed."""

    def __init__(self, config, folder, side, seed):
        self.config, self.rng = config, np.random.default_rng(seed)
        self.words = config["words"]
        self.clips = Clips(folder, side, len(self.words))
        self.bank = augment.NoiseBank(self.rng, self.clips.noise)
        bins = config["network"]["mel_bins"]
        warps = np.linspace(0.86, 1.14, 9)
        self.filters = [torch.from_numpy(network.filters(bins, w)) for w in warps]

    def _load(self, pair):
        pool, clip = pair
        return pool.samples(clip)

    def _one(self, clips):
        return clips[self.rng.integers(len(clips))]

    def _speed(self, audio, end=0):
        """Another speed and level; (audio, end)."""
        factor = self.rng.uniform(0.88, 1.14) if self.rng.random() < 0.7 else 1.0
        if factor != 1.0:
            audio = augment.change_speed(audio, factor)
        level = 10 ** (self.rng.uniform(-9, 0) / 20) / (np.abs(audio).max(initial=0) + 1e-6)
        return audio * np.float32(level), int(end / factor)

    def _talk(self, samples):
        """That many samples of talk without a wake word."""
        parts, have = [], 0
        while have < samples:
            pick = self.rng.random()
            if pick < 0.45 and self.clips.people_talk:
                audio = self._load(self._one(self.clips.people_talk))
            elif pick < 0.6:
                audio = self._load(self._one(self.clips.near))
            else:
                audio = self._load(self._one(self.clips.talk))
            if self.rng.random() < 0.3:  # how recordings end, too
                audio = audio[-int(self.rng.uniform(0.4, 1.6) * 16_000) :]
            if len(audio) > samples:
                at = self.rng.integers(len(audio) - samples + 1)
                audio = audio[at : at + samples]
            audio, _ = self._speed(audio)
            gap = self._floor(audio, int(self.rng.uniform(0, 0.4) ** 2 * 40_000))
            parts += [audio, gap]
            have += len(audio) + len(gap)
        return np.concatenate(parts)[:samples]

    def _floor(self, audio, samples):
        """As much of the noise that is under a recording, or the network hears where it is cut."""
        power = (audio[: len(audio) // 160 * 160].reshape(-1, 160) ** 2).mean(1)
        level = np.sqrt(np.percentile(power, 10)) if len(power) else 0.0
        noise = self.bank.draw(self.rng, samples)[:samples] if samples and level else []
        return np.pad(noise, (0, samples - len(noise))).astype(np.float32) * np.float32(level)

    def _around(self, audio, at):
        """A window with `audio` from sample `at` on; talk or silence before and behind it."""
        window = self._floor(audio, SAMPLES)
        first, last = max(0, at), min(SAMPLES, at + len(audio))
        window[first:last] = audio[first - at : last - at]
        gap = lambda: int(self.rng.uniform(0, 1) ** 2 * 6_400)
        before, behind = first - gap(), last + (0 if self.rng.random() < 0.4 else gap())
        if before > 3_200 and self.rng.random() < 0.45:
            window[:before] += self._talk(before)
        if behind < SAMPLES - 3_200 and self.rng.random() < 0.55:
            window[behind:] += self._talk(SAMPLES - behind)
        return window

    def _word(self):
        shares = [word["share"] for word in self.words]
        word = int(self.rng.choice(len(shares), p=np.array(shares) / sum(shares)))
        people = self.clips.people[word]
        use = people and self.rng.random() < self.words[word]["people"]
        pair = self._one(people if use else self.clips.words[word])
        return word, *self._speed(self._load(pair), pair[1]["end"])

    def draw(self):
        """(window, word or -1, frame at which the word ends)."""
        mix, pick = self.config["windows"], self.rng.random()
        if pick < mix["positive"]:
            word, audio, end = self._word()
            goal = int(self.rng.integers(END_MIN, END_MAX))
            return self._around(audio, goal - end), word, goal // 160
        pick -= mix["positive"]
        if pick < mix["near"]:
            audio, _ = self._speed(self._load(self._one(self.clips.near)))
            return self._around(audio, int(self.rng.integers(0, 20_000))), -1, 0
        pick -= mix["near"]
        if pick < mix["partial"]:
            _, audio, end = self._word()
            first = spoken(audio)[0]
            cut = first + int((end - first) * self.rng.uniform(0.25, 0.62))
            audio = audio[:cut].copy() if self.rng.random() < 0.6 else audio[cut:end].copy()
            fade = min(len(audio), 240)
            audio[len(audio) - fade :] *= np.linspace(1, 0, fade, dtype=np.float32)
            return self._around(audio, int(self.rng.integers(0, 20_000))), -1, 0
        pick -= mix["partial"]
        if pick < mix["noise"]:
            return np.zeros(SAMPLES, np.float32), -1, 0
        return self._talk(SAMPLES), -1, 0

    def disturbed(self, audio):
        """Room, microphone, noise and level."""
        rng = self.rng
        if rng.random() < 0.6:
            audio = augment.colour(rng, audio, 1.0)[:SAMPLES]
        power = float(np.sqrt((audio**2).mean())) or 0.02
        # Hardly any noise, too, as synthesisers have none.
        quiet = rng.random() < 0.3
        snr_db = rng.uniform(30, 90) if quiet else rng.uniform(-1, 28)
        noise = self.bank.draw(rng, SAMPLES)[:SAMPLES]
        noise = np.pad(noise, (0, SAMPLES - len(noise)))
        audio = audio + noise * np.float32(power * 10 ** (-snr_db / 20))
        peak = np.abs(audio).max(initial=0) + 1e-9
        level = 10 ** (rng.uniform(-32, 0) / 20)
        return np.clip(audio * np.float32(level / peak), -1, 1).astype(np.float32)

    def shard(self, count):
        """{mel, word, end} of that many windows."""
        drawn = [self.draw() for _ in range(count)]
        mels = []
        for first in range(0, count, 32):
            waves = np.stack([self.disturbed(audio) for audio, _, _ in drawn[first : first + 32]])
            mel = network.log_mel(
                torch.from_numpy(waves), self.filters[self.rng.integers(len(self.filters))]
            )
            mels.append(mel.numpy().astype(np.float16))
        word = np.array([d[1] for d in drawn], np.int8)
        end = np.array([d[2] for d in drawn], np.int16)
        return {"mel": np.concatenate(mels), "word": word, "end": end}


def hard_shard(windows, net, count):
    """{mel, word, end} of that many windows, few of which the network is sure about."""
    parts, have = [], 0
    while have < count:
        drawn = windows.shard(256)
        with torch.no_grad():
            logits = net(torch.from_numpy(drawn["mel"].astype(np.float32)))
        word = torch.from_numpy(drawn["word"].astype(np.int64))
        end = torch.from_numpy(drawn["end"].astype(np.int64)) // network.STRIDE
        heard, invented = (torch.sigmoid(x) for x in training.judged(logits, word, end))
        sure = (invented < NONE_SURE) & ((word < 0) | (heard > WORD_SURE))
        keep = ~sure.numpy() | (windows.rng.random(len(word)) < EASY_KEPT)
        parts.append({name: array[keep] for name, array in drawn.items()})
        have += int(keep.sum())
    return {name: np.concatenate([p[name] for p in parts])[:count] for name in parts[0]}


def write_shards(config, folder, out, count, run=None):
    """Writes shards up to `count`; those that are there already stay. `run` makes them hard."""
    torch.set_num_threads(1)
    net = export.load(config, run)[0] if run else None
    if len(list(out.glob("shard_*.npz"))) >= count:
        raise SystemExit(f"{out}: {count} shards are there: give a higher --count for more")
    out.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        path = out / f"shard_{number:03}.npz"
        if path.exists():
            continue
        windows = Windows(config, folder, "train", config["seed"] * 1_000 + number)
        part = path.with_suffix(".part")
        size = config["windows"]["shard"]
        shard = hard_shard(windows, net, size) if net else windows.shard(size)
        with open(part, "wb") as file:
            np.savez(file, log_floor=network.LOG_FLOOR, **shard)
        part.rename(path)
