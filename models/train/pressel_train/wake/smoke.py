"""A rehearsal in seconds: render, windows, train, go on, export, compare.

Out: an exit code. Checks that the loss falls, that training goes on from its last state, and that
the exported steps give what the network gives.
"""

import copy
import tempfile
from pathlib import Path

import numpy as np

from . import clips, export, report, training, windows

STEPS, CLIPS = 120, 45


def smoke(config):
    """Runs the rehearsal in a temporary folder; raises when something is wrong."""
    config = copy.deepcopy(config)
    config["windows"]["shard"] = 128
    config["schedule"].update(batch=16, warmup_steps=10)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        pools = folder / "pools"
        clips.render_words(config, pools / "words_train", "train", CLIPS, 1)
        clips.render_near(config, pools / "near_train", "train", CLIPS, 2)
        clips.render_talk(config, pools / "talk_train", "train", CLIPS, 3)
        clips.render_words(config, pools / "words_test", "test", CLIPS // 3, 4)
        windows.write_shards(config, pools, folder / "shards", 1)
        losses = []
        for steps in (STEPS // 2, STEPS):
            trainer = training.Trainer(config, folder / "shards", folder / "run", 10)
            facts, some = trainer.run_all(steps)
            losses += [loss for loss, _, _ in some]
            assert facts["steps"] == steps, "training did not go on where it stopped"
        first, last = np.mean(losses[:10]), np.mean(losses[-10:])
        assert last < first * 2 / 3, f"the loss did not fall: {first:.2f} to {last:.2f}"
        mel = np.load(folder / "shards" / "shard_000.npz")["mel"][:2]
        mel = mel.transpose(1, 0, 2).reshape(mel.shape[1], -1).astype(np.float32)
        done = export.export(config, folder / "run", folder / "wake.onnx", mel)
        assert done["bytes"] <= 300_000, done
        # Nobody was recorded: it is judged all the same, and what it mistakes is found.
        words = report.write(config, folder / "run", pools, folder / "wake.onnx", facts)
        assert len(words) == len(config["words"]) and (folder / "CARD.md").exists()
        windows.write_shards(config, pools, folder / "shards", 2, folder / "run")
        assert (folder / "shards" / "shard_001.npz").exists()
    print(f"smoke passed: loss {first:.2f} to {last:.2f}, {done['bytes']:,} bytes, "
          f"export within {done['difference']:.4f}")
