"""A rehearsal of everything in a minute or two: render, train, export, compare.

Out: an exit code. Checks that the loss falls by a third on a few dozen clips, that training goes
on from its last state, that the fp32 ONNX equals the network, and that int8 is close to it; and
that `make-your-own` starts from the built-in model, learns new words and keeps the old ones, also
with recordings of a single person in the form of `pressel record`.
"""

import copy
import csv
import shutil
import tempfile
from pathlib import Path

import numpy as np
import torch

from . import render
from .demo import check_demo
from .evaluate import evaluate
from .export import OnnxRecogniser, export, load_network
from .grammar import Grammar
from .own import TRAIN, Own, Sizes
from .pool import Pool
from .tokens import Tokens
from .training import Trainer

CLIPS, STEPS = 48, 60
DEMO = TRAIN.parent.parent / "firmware" / "demo"


def smoke(config):
    """Runs the rehearsal in a temporary folder; raises when something is wrong."""
    config = copy.deepcopy(config)
    config["batch"].update(frames=2400, sorted_clips=48, long_share=0)
    config["schedule"].update(warmup_steps=10)
    config["choose"]["pools"] = ["espeak_test"]
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        pools, run = work / "pools", work / "run"
        render.render_espeak(pools / "espeak_1", "train", CLIPS, 1, Grammar())
        render.render_espeak(pools / "espeak_test", "test", 8, 2, Grammar())
        losses = []
        for steps in (STEPS // 2, STEPS):
            trainer = Trainer(config, pools, run, 60, Grammar())
            step = trainer.step
            trainer.step = lambda batch: losses.append(step(batch)) or losses[-1]
            trainer.run(steps)
            assert trainer.facts["steps"] == steps, "training did not go on where it stopped"
        first = float(torch.stack(losses[:10])[:, 2].nanmean())
        last = float(torch.stack(losses[-10:])[:, 2].nanmean())
        assert last < first * 2 / 3, f"the loss did not fall: {first:.2f} to {last:.2f}"
        weights, tokenizer = run / "last.pt", run / "tokenizer.json"
        weights = weights if weights.exists() else run / "best.pt"
        sizes = export(config, weights, tokenizer, work / "model", work)
        assert sum(sizes.values()) < 8_000_000, sizes
        compare(config, weights, tokenizer, work)
        evaluate(work / "model", pools)
    own_passed(config)
    print(f"smoke passed: loss {first:.2f} to {last:.2f}, {sum(sizes.values()):,} bytes")


def own_passed(config):
    """A few steps of `make-your-own`: its words are tokens, and the built-in model lives on."""
    config["choose"]["pools"] = ["espeak_choose"]
    sizes = Sizes(espeak=40, flite=10, other=10, judged=4, choosing=4)
    with tempfile.TemporaryDirectory() as name:
        phrases = Path(name) / "phrases.txt"
        phrases.write_text("feed the hamster\nwater the cactus  # a remark\n", encoding="utf-8")
        recorded = Path(name) / "recorded"
        count = record_demo(recorded)
        own = Own(phrases, Path(name) / "work", Path(name) / "hamster", recorded=recorded)
        card = own.make(config, 60, 2, sizes, steps=6)
        again = own.make(config, 60, 1, sizes, steps=8)
        assert card["phrases"] == ["feed the hamster", "water the cactus"]
        assert again["training"]["steps"] == 8, "make-your-own did not go on where it stopped"
        tokens = Tokens(own.out / "tokenizer.json")
        assert len(tokens.encode("hamster")) == 1, "a new word is not a token"
        sides = [own.work / "pools" / f"people_{side}" for side in ("train", "test")]
        clips = [len(Pool(side).clips) if side.exists() else 0 for side in sides]
        assert sum(clips) == count and clips[0] > 0, f"clips of one person were lost: {clips}"
        wrong = check_demo(DEMO, own.out)
        assert len(wrong) <= 2, f"a few steps lost the built-in commands: {wrong}"


def record_demo(folder):
    """The demo's recordings in a folder as `pressel record` makes it; returns how many."""
    columns = "file category seconds sample_rate channels text speaker human licence source note"
    (folder / "words" / "me").mkdir(parents=True)
    with open(DEMO / "demo.csv", newline="", encoding="utf-8") as file:
        said = list(csv.DictReader(file))
    with open(folder / "manifest.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(columns.split())
        for row in said:
            name = "words/me/" + row["file"]
            shutil.copy(DEMO / row["file"], folder / name)
            writer.writerow(
                [name, "command", "1.5", 16000, 1, row["text"], "me", "yes", "own recording",
                 "pressel record", ""]
            )
    return len(said)


def compare(config, weights, tokenizer, work):
    """The exported encoders against the network, for windows short and long."""
    network, tokens = load_network(config, weights, tokenizer)
    for frames in (50, 302, 3000):
        mel = torch.randn(1, 80, frames, generator=torch.manual_seed(frames)) * 0.3
        with torch.no_grad():
            expected = network.encode(mel).numpy()
        for folder, error_max in ((work / "fp32", 1e-3), (work / "model", 0.3)):
            recogniser = OnnxRecogniser(folder)
            found = recogniser.encoder.run(None, {"input_features": mel.numpy()})[0]
            error = np.abs(found - expected).max()
            assert error < error_max, f"{folder.name} differs by {error} at {frames} frames"
        plain = OnnxRecogniser(work / "fp32")
        plain.unknown_below = 0
        expected = network.transcribe(mel, tokens, unknown_below=0)
        assert plain.transcribe(mel, tokens) == expected, "the decoder differs"
