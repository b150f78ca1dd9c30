"""A rehearsal of everything in a minute or two: render, train, export, compare.

Out: an exit code. Checks that the loss falls by a third on a few dozen clips, that training goes
on from its last state, that the fp32 ONNX equals the network, and that int8 is close to it.
"""

import copy
import tempfile
from pathlib import Path

import numpy as np
import torch

from . import render
from .evaluate import evaluate
from .export import OnnxRecogniser, export, load_network
from .training import Trainer

CLIPS, STEPS = 48, 60


def smoke(config):
    """Runs the rehearsal in a temporary folder; raises when something is wrong."""
    config = copy.deepcopy(config)
    config["batch"].update(frames=2400, sorted_clips=48, long_share=0)
    config["schedule"].update(warmup_steps=10)
    config["choose"]["pools"] = ["espeak_test"]
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        pools, run = work / "pools", work / "run"
        render.render_espeak(pools / "espeak_1", "train", CLIPS, 1)
        render.render_espeak(pools / "espeak_test", "test", 8, 2)
        losses = []
        for steps in (STEPS // 2, STEPS):
            trainer = Trainer(config, pools, run, 60)
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
    print(f"smoke passed: loss {first:.2f} to {last:.2f}, {sum(sizes.values()):,} bytes")


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
        plain = OnnxRecogniser(work / "fp32").transcribe(mel, tokens)
        assert plain == network.transcribe(mel, tokens), "the decoder differs"
