"""Renders texts of the grammar into pools, one pool per synthesiser and side.

In: grammar, seed, number of clips, side ("train", "choose" or "test"). Out: a pool folder.
Held-out voices are rendered into the test side only (splits.py); the choosing side says commands
in training voices. One process per pool.
"""

import random
from pathlib import Path

import numpy as np

from . import espeak, splits
from .pool import PoolWriter

ESPEAK_ACCENT_SHARE = 0.2
ESPEAK_VARIANT_SHARE = 0.2
NATURAL_SHARE = 0.13
FLITE_HELD_OUT = {"rms"}
SECONDS_MAX = 8.0
_NATURAL_CHARS = 70


def _side_voices(names, share, side, prefix):
    held = [n for n in names if splits.voice_is_held_out(prefix + n, share)]
    return held if side == "test" else [n for n in names if n not in held]


def espeak_variants():
    """Lists the voice variants that are installed with espeak-ng."""
    for base in Path("/usr").glob("**/espeak-ng-data/voices/!v"):
        return [""] + sorted("+" + p.name for p in base.iterdir())
    return [""]


def render_espeak(out, side, count, seed, grammar):
    """Renders with espeak-ng: every accent with every variant, any rate and pitch."""
    rng, engine, pool = random.Random(seed), espeak.Espeak(), PoolWriter(out)
    if side == "test":
        accents, variants = espeak.ACCENTS, espeak_variants()
    else:
        accents = _side_voices(espeak.ACCENTS, ESPEAK_ACCENT_SHARE, side, "accent ")
        variants = _side_voices(espeak_variants(), ESPEAK_VARIANT_SHARE, side, "variant ")
    held_variants = _side_voices(espeak_variants(), ESPEAK_VARIANT_SHARE, "test", "variant ")
    done = 0
    while done < count:
        accent = rng.choice(accents)
        variant = rng.choice(held_variants if side == "test" else variants)
        text = grammar.draw(rng) if side == "train" else grammar.draw_command(rng)
        spoken = text.replace(" ", ", ") if rng.random() < 0.15 else text
        said = engine.speak(
            spoken, accent + variant, rate=rng.randint(105, 215), pitch=rng.randint(10, 90),
            pitch_range=rng.randint(20, 80), word_gap=rng.choice([0, 0, 0, 0, 2, 5]),
        )
        if said is None or not 0.15 < len(said[0]) / 16000 < SECONDS_MAX:
            continue
        if np.abs(said[0]).max(initial=0) < 0.01:
            continue
        pool.add(said[0], text, "espeak " + accent + variant, "espeak", said[1])
        done += 1
    pool.flush()


def render_natural(out, side, count, seed, grammar, folder, core=False, talk=False):
    """Renders with Kokoro; in training two voices are often mixed into a new one.

    With `core`, only the core words and digits are said, mostly one at a time. With `talk`, what
    is said is talk from outside the vocabulary, and its text is empty.
    """
    from .natural import Kokoro

    rng, engine, pool = random.Random(seed), espeak.Espeak(), PoolWriter(out)
    network = Kokoro(folder)
    english = [n for n in network.styles if n[0] in "ab"]
    voices = _side_voices(english, NATURAL_SHARE, side, "natural ")
    if side == "train":
        voices = voices * 3 + [n for n in network.styles if n[0] not in "ab"]
    draw = grammar.draw_core if core else grammar.draw
    if talk:
        draw = grammar.draw_talk
    elif side != "train":
        draw = grammar.draw_command
    done = 0
    while done < count:
        first, second = rng.choice(voices), rng.choice(voices)
        share = rng.random() if side == "train" and rng.random() < 0.6 else 1.0
        style = network.styles[first] * share + network.styles[second] * (1 - share)
        speaker = "natural " + (first if share == 1.0 else f"{first} {second} {share:.2f}")
        texts = []
        while sum(map(len, texts)) < _NATURAL_CHARS:
            texts.append(draw(rng))
        comma = rng.random() < 0.2
        spoken = [t.replace(" ", ", ") if comma and len(t.split()) < 6 else t for t in texts]
        accent = "en" if first.startswith("b") else "en-us"
        ipa = [engine.to_ipa(t, accent) for t in spoken]
        said = network.speak(ipa, rng.choice("..,!?"), style, rng.uniform(0.75, 1.35))
        for text, one in zip(texts, said):
            if one is None or not 0.15 < len(one[0]) / 16000 < SECONDS_MAX:
                continue
            if np.abs(one[0]).max(initial=0) < 0.01:
                continue
            if talk:
                pool.add(one[0], "", speaker, "talk", one[1], said=text)
            else:
                pool.add(one[0], text, speaker, "natural", one[1])
            done += 1
        pool.flush()


def render_flite(out, side, count, seed, grammar):
    """Renders with flite: its few voices at many pitches and speeds."""
    from .flite import VOICES, Flite

    rng, engine, pool = random.Random(seed), Flite(), PoolWriter(out)
    voices = [v for v in VOICES if (v in FLITE_HELD_OUT) == (side == "test")]
    done = 0
    while done < count:
        voice = rng.choice(voices)
        text = grammar.draw(rng) if side == "train" else grammar.draw_command(rng)
        spoken = text.replace(" ", ", ") if rng.random() < 0.15 else text
        audio, sounds = engine.speak(spoken, voice, rng.uniform(0.8, 1.25), rng.uniform(0.8, 1.3))
        if not 0.15 < len(audio) / 16000 < SECONDS_MAX:
            continue
        pool.add(audio, text, "flite " + voice, "flite", sounds)
        done += 1
    pool.flush()


def held_out_natural(styles):
    """The natural English voices that training never hears."""
    english = [name for name in styles if name[0] in "ab"]
    return _side_voices(english, NATURAL_SHARE, "test", "natural ")


def render_other(out, side, count, seed, grammar):
    """Renders talk from outside the vocabulary with espeak-ng and flite; its text is empty."""
    from .flite import VOICES, Flite

    rng, pool = random.Random(seed), PoolWriter(out)
    engine, second = espeak.Espeak(), Flite()
    accents = _side_voices(espeak.ACCENTS, ESPEAK_ACCENT_SHARE, side, "accent ")
    variants = _side_voices(espeak_variants(), ESPEAK_VARIANT_SHARE, side, "variant ")
    voices = [v for v in VOICES if (v in FLITE_HELD_OUT) == (side == "test")]
    done = 0
    while done < count:
        text = grammar.draw_other(rng)
        if rng.random() < 0.7:
            speaker = "espeak " + rng.choice(accents) + rng.choice(variants)
            said = engine.speak(text, speaker.split(" ", 1)[1], rng.randint(120, 210),
                                rng.randint(10, 90), rng.randint(20, 80))
        else:
            speaker = "flite " + rng.choice(voices)
            said = second.speak(text, speaker[6:], rng.uniform(0.8, 1.25), rng.uniform(0.8, 1.3))
        if said is None or not 0.15 < len(said[0]) / 16000 < SECONDS_MAX:
            continue
        if np.abs(said[0]).max(initial=0) < 0.01:
            continue
        pool.add(said[0], "", speaker, "other", said[1], said=text)
        done += 1
    pool.flush()
