"""Judges an exported folder on speakers and voices that training never heard.

In: an exported folder (int8 or fp32), the pools. Out: a dictionary of scores for the card.
Every clip is recognised as on the device: one at a time, greedy, with caches.
"""

import random
from pathlib import Path

import numpy as np

from .export import OnnxRecogniser
from .grammar import ONES
from .phones import SILENCE
from .pool import Pool
from .scoring import Noisy, features_of, summarise, transcribe_clips, wilson
from .tokens import Tokens

TWENTY = set("yes no up down left right on off stop go".split()) | set(ONES)
RENDERED = ("natural_test", "espeak_test", "flite_test")
EXACT = "espeak"  # the synthesiser that tells exact times of its sounds
STRING_GAP_S = (0.05, 0.25)
PIECE_S = 3.0


class Strings:
    """Digit strings: single recorded digits of one speaker, one after the other."""

    def __init__(self, pool, clips, count, seed):
        rng = random.Random(seed)
        speakers = {}
        for clip in clips:
            speakers.setdefault((clip["speaker"], clip["source"]), []).append(clip)
        speakers = [v for v in speakers.values() if len({c["text"] for c in v}) >= 3]
        self.clips, self.audio = [], []
        for _ in range(count if speakers else 0):
            chosen = rng.choices(rng.choice(speakers), k=rng.randint(3, 5))
            parts = []
            for clip in chosen:
                audio = pool.samples(clip)
                parts.append(audio * (0.05 / (np.sqrt((audio**2).mean()) + 1e-5)))
                parts.append(np.zeros(int(rng.uniform(*STRING_GAP_S) * 16000), np.float32))
            audio = np.concatenate(parts)
            self.clips.append({
                "samples": len(audio), "text": " ".join(c["text"] for c in chosen),
                "number": len(self.audio),
            })
            self.audio.append(audio)

    def samples(self, clip):
        return self.audio[clip["number"]]


class _Pieces:
    """Pieces of a few seconds of speech or noise that hold nothing of the vocabulary."""

    def __init__(self, pool, clips):
        self.clips, self.audio = [], []
        for clip in clips:
            audio = pool.samples(clip)
            size = int(PIECE_S * 16000)
            for at in range(0, max(1, len(audio) - size // 2), size):
                piece = audio[at : at + size]
                self.clips.append({"samples": len(piece), "text": "", "number": len(self.audio)})
                self.audio.append(piece)

    samples = Strings.samples


def invented(recogniser, tokens, pieces):
    """How often text is invented where there is none to hear."""
    heard = transcribe_clips(recogniser, tokens, pieces, pieces.clips)
    count = sum(bool(text) for text in heard)
    low, high = wilson(count, len(heard))
    words = sum(len(text.split()) for text in heard)
    return {
        "pieces": len(heard), "with_text": count, "share": round(count / max(1, len(heard)), 4),
        "low": round(low, 4), "high": round(high, 4), "words": words,
    }


def known_words(pool):
    """Clips of single words of the command core and digits, said by people."""
    return [c for c in pool.clips if c["text"] in TWENTY and c["source"].startswith("words/")]


def noisy_scores(recogniser, tokens, pools, snr_db):
    """Single words of people and rendered commands with recorded noise mixed in."""
    noises = Pool(pools / "noise_test")
    sets = {"people": ("people_test",), "rendered": RENDERED}
    scores = {"snr_db": snr_db}
    for name, parts in sets.items():
        expected, heard, asked = [], [], []
        for part in parts:
            if (pools / part).exists():
                pool = Noisy(Pool(pools / part), noises, snr_db)
                clips = known_words(pool) if name == "people" else pool.clips
                heard += transcribe_clips(recogniser, tokens, pool, clips)
                expected += [c["text"] for c in clips]
                asked += ["speech_commands" in c["source"] for c in clips]
        scores[name] = summarise(expected, heard)
        if any(asked):
            part = [pair for pair, is_asked in zip(zip(expected, heard), asked) if is_asked]
            scores["speech_commands"] = summarise(*zip(*part))
    return scores


def span_of_sounds(clip):
    """When the first sound of a rendered clip begins and its last one ends, in seconds."""
    ends = [0.0, *(end / 1000 for _, end in clip["sounds"])]
    sounding = [i for i, (sound, _) in enumerate(clip["sounds"]) if sound > SILENCE]
    return ends[sounding[0]], ends[sounding[-1] + 1]


def time_errors(recogniser, tokens, pool):
    """How far the two timestamps of a clip are from its first and its last sound."""
    errors, missing = [], 0
    for clip in pool.clips:
        expected = span_of_sounds(clip)
        heard = recogniser.times(features_of(pool.samples(clip)), tokens)[0]
        missing += heard is None
        if heard is not None:
            errors.append([abs(a - b) for a, b in zip(expected, heard)])
    if not errors:
        return {"clips": len(pool.clips), "none": missing, "median_s": None, "ninth_decile_s": None}
    middle, most = np.quantile(np.array(errors), [0.5, 0.9], axis=0).round(3).tolist()
    return {"clips": len(pool.clips), "none": missing, "median_s": middle, "ninth_decile_s": most}


def people_scores(recogniser, tokens, folder):
    """Single words and digit strings of recorded speakers that training never heard."""
    pool = Pool(folder)
    clips = known_words(pool)
    heard = dict(zip(map(id, clips), transcribe_clips(recogniser, tokens, pool, clips)))
    scores = {}
    sets = {
        "all": clips,
        "speech_commands": [c for c in clips if "speech_commands" in c["source"]],
        "fsdd": [c for c in clips if "fsdd" in c["source"]],
    }
    for name, part in sets.items():
        scores[name] = summarise([c["text"] for c in part], [heard[id(c)] for c in part])
        scores[name]["speakers"] = len({c["speaker"] for c in part})
    wrong = {}
    for clip in clips:
        if heard[id(clip)] != clip["text"]:
            key = f"{clip['text']} -> {heard[id(clip)] or '(nothing)'}"
            wrong[key] = wrong.get(key, 0) + 1
    scores["confusions"] = dict(sorted(wrong.items(), key=lambda kv: -kv[1])[:20])
    strings = Strings(pool, [c for c in clips if c["text"] in ONES], 100, 1)
    texts = transcribe_clips(recogniser, tokens, strings, strings.clips)
    scores["digit_strings"] = summarise([c["text"] for c in strings.clips], texts)
    return scores


def evaluate(exported, pools, windows=(), noise_db=None):
    """All scores of one exported folder."""
    exported, pools = Path(exported), Path(pools)
    recogniser, tokens = OnnxRecogniser(exported), Tokens(exported / "tokenizer.json")
    scores = {"rendered": {}}
    if (pools / "people_test").exists():
        scores["people"] = people_scores(recogniser, tokens, pools / "people_test")
        other = Pool(pools / "people_test")
        odd = [c for c in other.clips if not c["text"]]
        scores["other_words"] = invented(recogniser, tokens, _Pieces(other, odd))
    expected, heard = [], []
    for name in RENDERED:
        if not (pools / name).exists():
            continue
        pool = Pool(pools / name)
        texts = transcribe_clips(recogniser, tokens, pool, pool.clips)
        scores["rendered"][name] = summarise([c["text"] for c in pool.clips], texts)
        expected += [c["text"] for c in pool.clips]
        heard += texts
    scores["rendered"]["all"] = summarise(expected, heard)
    if tokens.first_timestamp is not None and (pools / f"{EXACT}_test").exists():
        pool = Pool(pools / f"{EXACT}_test")
        scores["timestamps"] = time_errors(recogniser, tokens, pool)
    for name in ("reading_test", "other_test", "noise_test"):
        if (pools / name).exists():
            pool = Pool(pools / name)
            scores[name] = invented(recogniser, tokens, _Pieces(pool, pool.clips))
    if noise_db is not None:
        scores["noisy"] = noisy_scores(recogniser, tokens, pools, noise_db)
    for window in windows:
        pool = Pool(pools / "people_test")
        clips = known_words(pool)
        texts = transcribe_clips(recogniser, tokens, pool, clips[::4], window)
        scores.setdefault("windows", {})[str(window)] = summarise(
            [c["text"] for c in clips[::4]], texts
        )
    return scores
