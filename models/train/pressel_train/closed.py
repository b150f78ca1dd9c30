"""Judges closed lists, and what is unknown, through the program itself: `pressel replay`.

In: the program, a model, recordings of people with their manifest. Out: for each `margin` of
`[commands]`, how many words of the list are found, and how much of what is not on it is taken for
one of it; for each `unknown_below` of the model's pressel.json, how many known words are still
believed, and in how many read sentences a text is still invented. Only speakers whom nobody
trained on.
"""

import csv
import json
import shutil
import subprocess
import tempfile
from pathlib import Path

from .recordings import are_few, use_of
from .scoring import wilson

LIST = (
    "yes no up down left right on off stop go "
    "zero one two three four five six seven eight nine"
).split()
MARGINS = (0.5, 1.0, 2.0, 3.0, 5.0, 8.0)
LEASTS = (0, 40, 50, 60, 62, 70, 80, 90)
FILES_PER_CALL = 100
NAME = "pressel.toml"


def without_threshold(model, folder):
    """A copy of a model that believes all it hears."""
    copy = Path(shutil.copytree(model, Path(folder) / "model"))
    own = json.loads((copy / "pressel.json").read_text(encoding="utf-8"))
    own.pop("unknown_below", None)
    (copy / "pressel.json").write_text(json.dumps(own), encoding="utf-8")
    return copy


def settings(margin):
    """A configuration with the list, or without one."""
    if margin is None:
        return ""
    entries = (f'[[commands.list]]\nid = {i}\nsay = ["{word}"]\n' for i, word in enumerate(LIST))
    return f"[commands]\nmargin = {margin}\n" + "".join(entries)


def outcomes(program, model, trigger, files, configuration):
    """The outcomes of each file, in the order of the files; the program's own model without one."""
    found = {str(file): [] for file in files}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / NAME
        path.write_text(configuration, encoding="utf-8")
        start = [program, "replay", "--json", "--trigger", trigger, "--config", str(path)]
        for at in range(0, len(files), FILES_PER_CALL):
            part = [str(file) for file in files[at : at + FILES_PER_CALL]]
            command = [*start, *(["--model", str(model)] if model else []), *part]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            for line in map(json.loads, done.stdout.splitlines()):
                if line["event"] == "outcome":
                    found[line["file"]].append(line)
    return [found[str(file)] for file in files]


def share(count, of):
    """A count with its 95 % interval."""
    low, high = wilson(count, of)
    return {"count": count, "of": of, "low": round(low, 4), "high": round(high, 4)}


def with_list(hear, words, others, reading, margin):
    """What becomes of words on the list, other words and sentences."""
    configuration = settings(margin)
    right = wrong = 0
    heard = hear("ptt", [file for file, _ in words], configuration)
    for (_, text), outcome in zip(words, heard, strict=True):
        commands = [one["result"] for one in outcome if one["result"].startswith("command/")]
        expected = f"command/{LIST.index(text)}"
        right += commands == [expected]
        wrong += bool(commands) and commands != [expected]

    def accepts(trigger, files):
        heard = hear(trigger, files, configuration)
        is_command = (any(o["result"].startswith("command/") for o in one) for one in heard)
        return share(sum(is_command), len(files))

    return {
        "right": share(right, len(words)),
        "another": share(wrong, len(words)),
        "other_words": accepts("ptt", [file for file, _ in others]),
        "sentences": accepts("voice", reading),
    }


def without_list(hear, words, reading):
    """Known words that are right, and sentences with a text, by the least confidence."""
    heard = hear("ptt", [file for file, _ in words], settings(None))
    right = [
        one["confidence"]
        for (_, text), outcome in zip(words, heard, strict=True)
        for one in outcome[:1]
        if one["result"] == "text" and one["text"] == text
    ]
    invented = [
        max((o["confidence"] for o in one if o["result"] == "text"), default=-1)
        for one in hear("voice", reading, settings(None))
    ]
    return {
        least / 100: {
            "right": share(sum(least <= one for one in right), len(words)),
            "sentences": share(sum(least <= one for one in invented), len(reading)),
        }
        for least in LEASTS
    }


def judge(program, model, recordings, margins=MARGINS):
    """Scores of all thresholds."""
    recordings = Path(recordings)
    words, others, reading = [], [], []
    with open(recordings / "manifest.csv", newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if use_of(row)]
        few = are_few(rows)
        for row in rows:
            use, path = use_of(row, few), recordings / row["file"]
            if use == ("people", "test") and row["category"] == "word":
                text = row["text"].lower()
                (words if text in LIST else others).append((path, text))
            elif use == ("reading", "test"):
                reading.append(path)
    with tempfile.TemporaryDirectory() as folder:
        copy = without_threshold(model, folder)

        def hear(trigger, files, configuration):
            return outcomes(program, copy, trigger, files, configuration)

        return {
            "unknown_below": without_list(hear, words, reading),
            "margin": {m: with_list(hear, words, others, reading, m) for m in margins},
        }
